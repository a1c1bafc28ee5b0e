-- Tables of version 1. File 0002 replaces the functions of this version. migrations.ts creates the schema before.

CREATE TABLE redox.version (version int PRIMARY KEY);
INSERT INTO redox.version VALUES (1);

CREATE TABLE redox.queue (
  queue text PRIMARY KEY,
  mark bytea,
  lines bigint NOT NULL DEFAULT 0,
  paused_until bigint NOT NULL DEFAULT 0
);

CREATE SEQUENCE redox.acceptance;

CREATE TABLE redox.message (
  queue text NOT NULL,
  id text NOT NULL,
  sequence bigint NOT NULL UNIQUE,
  lane text NOT NULL,
  ordered boolean NOT NULL,
  owner text NOT NULL,
  accepted_at bigint NOT NULL,
  deadline bigint NOT NULL,
  patience bigint NOT NULL,
  files text[] NOT NULL,
  tags text[] NOT NULL,
  content bytea NOT NULL,
  state text NOT NULL DEFAULT 'waiting',
  attempts int NOT NULL DEFAULT 0,
  due_at bigint NOT NULL,
  begun boolean NOT NULL DEFAULT false,
  reason text,
  notes bytea,
  told boolean NOT NULL DEFAULT false,
  ended_at bigint,
  holder text,
  held_until bigint,
  teller text,
  telling_until bigint,
  PRIMARY KEY (queue, id)
);
-- Encrypted data does not compress. Outside of the rows, it is not written again with each change of the state.
ALTER TABLE redox.message SET (toast_tuple_target = 128);
ALTER TABLE redox.message ALTER content SET STORAGE EXTERNAL, ALTER notes SET STORAGE EXTERNAL;
-- Tags and file names stay inside the rows, because the planner ignores the cost of reading columns stored outside.
ALTER TABLE redox.message ALTER tags SET STORAGE MAIN, ALTER files SET STORAGE MAIN;

CREATE INDEX message_sequence ON redox.message (queue, sequence);
CREATE INDEX message_state ON redox.message (queue, state, sequence);
CREATE INDEX message_open ON redox.message (queue, lane, sequence) WHERE state IN ('waiting', 'held', 'parked');
CREATE INDEX message_in_order ON redox.message (queue, lane, sequence)
  WHERE ordered AND state IN ('waiting', 'held');
CREATE INDEX message_free ON redox.message (queue, lane, due_at, sequence)
  WHERE NOT ordered AND state = 'waiting';
CREATE INDEX message_held ON redox.message (queue, lane, sequence) WHERE state = 'held';
CREATE INDEX message_parked ON redox.message (queue, lane, sequence) WHERE state = 'parked';
CREATE INDEX message_untold ON redox.message (queue, owner, ended_at, sequence)
  WHERE NOT told AND state IN ('parked', 'delivered');
CREATE INDEX message_ended ON redox.message (queue, ended_at)
  WHERE state IN ('delivered', 'discarded');
CREATE INDEX message_tags ON redox.message USING gin (tags);
CREATE INDEX message_files ON redox.message USING gin (files);

CREATE TABLE redox.paused (queue text, lane text, PRIMARY KEY (queue, lane));

CREATE TABLE redox.audit (
  queue text,
  number bigint,
  at bigint NOT NULL,
  who text NOT NULL,
  action text NOT NULL,
  subject text NOT NULL,
  reason text NOT NULL,
  PRIMARY KEY (queue, number)
);

CREATE TABLE redox.request (queue text NOT NULL, at bigint NOT NULL);
CREATE INDEX request_at ON redox.request (queue, at);

-- Files of messages. `chunks`, their number of chunks, is null until the file is complete.
CREATE TABLE redox.file (
  file bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  queue text NOT NULL,
  name text NOT NULL,
  stored_at bigint NOT NULL,
  chunks int
);
CREATE UNIQUE INDEX file_name ON redox.file (queue, name) WHERE chunks IS NOT NULL;
CREATE INDEX file_stored ON redox.file (queue, stored_at);
CREATE TABLE redox.chunk (
  file bigint REFERENCES redox.file ON DELETE CASCADE,
  number int,
  bytes bytea NOT NULL,
  PRIMARY KEY (file, number)
);
ALTER TABLE redox.chunk ALTER bytes SET STORAGE EXTERNAL;
