/**
 * Requests and answers of the outbox's admin routes, as JSON: the contract between the routes, the sidebar tab and
 * scripts. docs/outbox.md describes each field. Times in answers are ISO 8601; a field without a value is left out.
 */

/** Where a message stands. `src/queue/types.ts` defines each state. */
export type MessageState = 'waiting' | 'sending' | 'parked' | 'delivered' | 'discarded'

export type Action = 'resend' | 'mark-delivered' | 'discard' | 'extend'

/** Body of every answer with a status of 400 or more. */
export interface OutboxError {
  code: string
  message: string
  /** of `unchanged`: until when the message is retried */
  deadline?: string
}

/** `GET redox/outbox` */
export interface OverviewResponse {
  connections: ConnectionSummary[]
  stranded: StrandedStoreSummary[]
}

/** A connection with durable delivery. Without `counts` its store is not open. */
export interface ConnectionSummary {
  /** of the redox-config node */
  id: string
  name: string
  isOpening?: true
  /** why the store cannot be used */
  code?: string
  counts?: Record<MessageState, number>
  /** when the oldest open message was accepted */
  oldest?: string
  /** *Retry for*, while the connection delivers */
  retryForHours?: number
  /** stopped ones first, then those that have waited longest; not all of them if there are many */
  destinations?: DestinationSummary[]
  destinationsInAll?: number
}

/** A destination with messages that are not done, or a paused one. */
export interface DestinationSummary {
  /** e.g. `fhir some-slug`, `datamodel <id> <id>` */
  destination: string
  /** waiting or being sent */
  open: number
  parked: number
  /** ids of the nodes that accepted these messages */
  owners: string[]
  /** when the oldest of them was accepted */
  oldest?: string
  paused: boolean
  /** the parked message that the others wait for */
  blockedBy?: { id: string; reason: string }
}

/** A store whose messages no connection delivers. */
export interface StrandedStoreSummary {
  /** its name in the route */
  store: string
  /** of the redox-config node that it belonged to */
  id: string
  waiting: number
  parked: number
  /** why it cannot be opened */
  code?: string
}

/** Which messages: all that is given has to be true. Parameters of a query, or a part of a body. */
export interface MessageFilter {
  state?: MessageState
  destination?: string
  /** id of a message, or a DocumentID, an order ID, the sha256 of a file or a `_msgid` */
  search?: string
  /** accepted between these: ISO 8601, or milliseconds since 1970 */
  since?: string | number
  till?: string | number
  /** with which a message waits or is parked */
  code?: string
}

export interface MessagesResponse {
  messages: MessageSummary[]
  /** `after` of the next page */
  next?: string
}

/** What is known of a message without opening what is sealed. */
export interface MessageSummary {
  id: string
  state: MessageState
  destination: string
  /** attempts that ended */
  attempts: number
  /** it waits for earlier ones to its destination */
  ordered: boolean
  acceptedAt: string
  /** of a waiting message: until when it is retried */
  deadline?: string
  /** of a waiting message: when the next attempt may begin */
  dueAt?: string
  endedAt?: string
  /** the code with which it waits or is parked, or the decision that ended it */
  reason?: string
  /** id of the node that accepted it */
  owner: string
}

/** `GET redox/outbox/:connection/messages/:id`; no patient data */
export interface MessageDetails extends MessageSummary, Partial<MessageOutcome>, WaitingReason {
  /** in place of the outcome, if the content cannot be read */
  unreadable?: { code: string; message: string }
  /** the user who marked it as delivered or discarded it, and that person's words */
  decision?: { who: string; reason: string }
  /** the user has to log in to see the content */
  contentIsClosed?: true
}

/** What a message is, and what has become of it so far. */
export interface MessageOutcome {
  /** `_msgid` in the flow */
  msgid: unknown
  operation: string
  environment: string
  /** document and order IDs, by their names in the message */
  identifiers: Record<string, string>
  files: { contentType: string; size?: number | undefined; sha256?: string | undefined }[]
  /** accepted for an account other than the connection's present one */
  otherAccount: boolean
  arrival: Arrival
  /** Redox's answer to a delivered message */
  delivery?: { status: number; logIds: string[]; locations: string[]; traceId?: string | undefined }
  /** why the last attempt failed */
  error?: {
    code: string
    message: string
    cause: { status?: number; logIds?: string[]; [field: string]: unknown }
  }
}

/** Whether Redox has a message. */
export type Arrival = 'yes' | 'maybe' | 'no' | 'never-sent'

/** Why a waiting message is not sent now. */
export interface WaitingReason {
  paused?: true
  dueAt?: string
  /** id of the message before it */
  waitsBehind?: string
}

/** Patient data. Long texts are cut. */
export interface ContentResponse {
  body: unknown
  /** their names; undefined: a file has none */
  files: (string | undefined)[]
  /** Redox's answer */
  answer?: unknown
}

/** Body of `POST redox/outbox/:connection/messages/:id`; answered with 204 */
export interface DecisionRequest {
  action: Action
  /** in the person's words, on one line, up to 200 characters */
  reason: string
  /** of `extend`, and of nothing else: from now on */
  hours?: number
  /** the message may go through another account than the one that it was accepted for */
  otherAccount?: boolean
}

export interface CountResponse {
  count: number
  /** the time of the count, for the filter of the decisions */
  till: string
}

/** Body of `POST redox/outbox/:connection/decisions` */
export interface DecisionsRequest extends DecisionRequest {
  filter: MessageFilter
  /** how many messages the user was shown */
  count: number
  /** `next` of the answer before */
  after?: string
  /** the most to decide on with this request */
  limit?: number
}

export interface DecisionsResponse {
  decided: number
  left: number
  /** of `extend`: how many of those left are retried as long anyway */
  unchanged?: number
  /** code of the store, if it failed */
  stoppedBy?: string
  /** `after` of the next request */
  next?: string
}

/** Body of `POST redox/outbox/:connection/destinations`; answered with 204 */
export interface PauseRequest {
  destination: string
  action: 'pause' | 'resume'
  reason: string
}

/** Body of `POST redox/outbox/stranded/:store` */
export type StrandedRequest =
  | { action: 'discard'; reason: string }
  | {
      action: 'give'
      /** id of the redox-config node that gets the messages */
      to: string
      /** store key, if it is not the one of that node */
      key?: string
      reason: string
    }

export type StrandedResponse = { discarded: number } | { moved: number; left: { id: string; code: string }[] }

/** Body of `POST redox/outbox/:connection/store` */
export interface BeginNewRequest {
  action: 'begin-new'
  reason: string
}

export interface BeginNewResponse {
  /** new name of the old store's folder */
  setAside?: string
}

export interface AuditResponse {
  /** lines in the log */
  total: number
  /** oldest first */
  lines: AuditLineSummary[]
}

export interface AuditLineSummary {
  at: string
  who: string
  action: Action | 'pause' | 'resume' | 'look' | 'move' | 'begin-new'
  /** id of a message, a destination, or the name of a store */
  subject: string
  reason: string
}
