-- Delivered messages that a destination refused later: few among many.
CREATE INDEX message_refused_later ON redox.message (queue, sequence)
  WHERE state = 'delivered' AND reason = 'REDOX_NOT_DELIVERED';
