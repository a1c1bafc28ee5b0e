/** Messages of direct delivery in the responses of the outbox's admin routes, see `outbox-api.ts`. */

/**
 * State of a message of direct delivery. `unknown`: the message ended with REDOX_OUTCOME_UNKNOWN within the last hour.
 */
export type DirectMessageState = 'waiting' | 'sending' | 'unknown'

/** Summary of a connection with messages of direct delivery. */
export interface DirectSummary {
  /** id of the redox-config node */
  id: string
  name: string
  counts: Record<DirectMessageState, number>
}

/** Response of `GET redox/outbox/:connection/direct`. */
export interface DirectMessagesResponse {
  /** number of all messages; `messages` contains at most the newest 200 */
  total: number
  /** messages, newest first */
  messages: DirectMessageSummary[]
}

/** Body of `POST redox/outbox/:connection/direct/:id`: ends the wait of a message for its next attempt. */
export interface DirectDecisionRequest {
  action: 'try-now'
}

/** Message of direct delivery. Contains no patient data. */
export interface DirectMessageSummary {
  /** id of the message, which is valid until Node-RED stops */
  id: string
  state: DirectMessageState
  /** `sandbox`, or the name of the environment */
  environment: string
  /** missing until the message is prepared */
  operation?: string
  /** destination: `fhir some-slug`, `datamodel <id> <id>` or `upload`; missing until it is known */
  destination?: string
  /** name of the destination in the settings of the connection, if it has one */
  destinationName?: string
  /** number of failed attempts */
  attempts: number
  /** error code of the last failure */
  reason?: string
  acceptedAt: string
  /** of a message that waits for its next attempt: time from which that may begin */
  dueAt?: string
  /** true if the wait of the message for its next attempt can be ended */
  canTryNow?: true
  /** of a message whose outcome is unknown */
  endedAt?: string
  /** of a message whose outcome is unknown: trace id of Redox's answer */
  traceId?: string
  /** id of the node that the message came to */
  owner: string
}
