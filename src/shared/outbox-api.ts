/**
 * Request and response bodies (JSON) of the outbox's admin routes: the contract between the routes, the sidebar tab and
 * scripts. docs/outbox.md describes each field. Times in responses are ISO 8601. A field without a value is omitted.
 */

import type { DirectSummary } from './direct-api'
import type { Action, AuditedAction, LogStatus, LogVerdict, MessageState, StoreWarning } from './values'

export type { Action, MessageState }

/** Body of every response with a status of 400 or more. */
export interface OutboxError {
  code: string
  message: string
  /** deadline of the message, after which it is not retried; with the code `unchanged` only */
  deadline?: string
}

/** Response of `GET redox/outbox`. */
export interface OverviewResponse {
  connections: ConnectionSummary[]
  stranded: StrandedStoreSummary[]
  /** connections with messages of direct delivery */
  direct: DirectSummary[]
}

/** Summary of a connection with durable delivery. `counts` is missing while its store is not open. */
export interface ConnectionSummary {
  /** id of the redox-config node */
  id: string
  name: string
  isOpening?: true
  /** error code: the reason why the store cannot be used */
  code?: string
  /** settings of the database server that decide what the store keeps; left out if there are none */
  warnings?: readonly StoreWarning[]
  counts?: Record<MessageState, number>
  /** number of delivered messages that a destination refused later; missing with `counts` */
  refusedLater?: number
  /** time when the oldest open message was accepted */
  oldest?: string
  /** bytes in the store, and the limit above which no message is accepted */
  storeBytes?: number
  storeLimit?: number
  /** true: a message was refused, and there is still no room for one of its size */
  isFull?: true
  /** value of the setting *Retry for*, in hours; missing while the connection does not send */
  retryForHours?: number
  /**
   * blocked destinations first, then the other ones in the order of their oldest message; incomplete if there are many
   */
  destinations?: DestinationSummary[]
  destinationsInAll?: number
}

/** Destination with open or parked messages, or a paused one. */
export interface DestinationSummary {
  /** destination: `fhir some-slug`, `datamodel <id> <id>` */
  destination: string
  /** name of the destination in the settings of the connection or in Redox's answers, if it has one */
  destinationName?: string
  /** number of messages that are waiting or being sent */
  open: number
  parked: number
  /** ids of the nodes that accepted the open and parked messages */
  owners: string[]
  /** time when the oldest open message was accepted */
  oldest?: string
  paused: boolean
  /** parked message that all ordered messages after it wait for */
  blockedBy?: { id: string; reason: string }
  /** number of patients whose messages wait for a parked one of the same patient, while those of others are sent */
  blockedPatients?: number
}

/** Summary of a store that belongs to no connection, so that its messages are not sent. */
export interface StrandedStoreSummary {
  /** name of the store in the path of the route */
  store: string
  /** id of the deleted redox-config node */
  id: string
  waiting: number
  parked: number
  /** error code: the reason why the store cannot be opened */
  code?: string
}

/** Filter for messages: a message has to match all given fields. Used as query parameters, or as a part of a body. */
export interface MessageFilter {
  state?: MessageState
  destination?: string
  /** id of a message, or a DocumentID, an order ID, the sha256 of a file, a `_msgid` or the ID of a log of Redox */
  search?: string
  /** earliest and latest time of acceptance, both included: ISO 8601, or milliseconds since 1970 */
  since?: string | number
  till?: string | number
  /** error code because of which a message waits or is parked */
  code?: string
}

export interface MessagesResponse {
  messages: MessageSummary[]
  /** value of the parameter `after` for the next page; missing on the last page */
  next?: string
}

/** Facts of a queued message for a list. Contain no patient data. */
export interface MessageSummary extends WaitingReason {
  id: string
  state: MessageState
  /** `Notes:New`, `Bundle`; missing if the content of the message cannot be decrypted */
  operation?: string
  destination: string
  /** name of the destination, as in {@link DestinationSummary} */
  destinationName?: string
  /** number of completed attempts */
  attempts: number
  /** true if the message waits for earlier messages to the same destination */
  ordered: boolean
  acceptedAt: string
  /** deadline: time until which a waiting message is retried */
  deadline?: string
  /** earliest time at which a waiting message may be sent */
  dueAt?: string
  endedAt?: string
  /** error code because of which it waits or is parked, the action that ended it, or the verdict about a delivered one */
  reason?: string
  /** id of the node that accepted the message */
  owner: string
}

/** Response of `GET redox/outbox/:connection/messages/:id`. Contains no patient data. */
export interface MessageDetails extends MessageSummary, Partial<MessageOutcome> {
  /** error that is returned in place of the outcome if the content cannot be decrypted */
  unreadable?: { code: string; message: string }
  /** user who marked the message as delivered or discarded it, and the reason given by this user */
  decision?: { who: string; reason: string }
  /** true if the user has to log in to Node-RED to see the content and the document and order IDs */
  contentIsClosed?: true
  /**
   * of a parked message that may have arrived: true if the connection has a user-level key, with which the message can
   * be looked up in Redox's logs
   */
  canLookUp?: boolean
  /** true if the user may see the document and order IDs without the permission for the content */
  identifiersForReaders?: true
}

/** Facts from the encrypted part of a message, and the outcome of its last attempt. */
export interface MessageOutcome {
  /** `_msgid` of the message in the flow; left out if it is also the document ID of the message */
  msgid?: unknown
  operation: string
  environment: string
  files: OutboxFile[]
  /** true if the message was accepted for a Redox account other than the connection's present one */
  otherAccount: boolean
  arrival: Arrival
  /** response of Redox to a delivered message; `locations`: those whose ids are long random strings */
  delivery?: { status: number; logIds: string[]; locations: string[]; traceId?: string | undefined }
  /** what Redox's logs say of a delivered message that `redox-log` has followed, and the time of the last record */
  verdict?: VerdictSummary
  /** id of the log of Redox in which the user found the message who marked it as delivered */
  foundLogId?: string
  /** error of the last attempt */
  error?: {
    code: string
    message: string
    cause: { status?: number; logIds?: string[]; [field: string]: unknown }
  }
}

export interface VerdictSummary {
  at: string
  logs: LogVerdict[]
  /** true: the content of the message has texts of the destinations that refused it */
  hasReasons?: true
}

/** File of a message, without its name and content. */
export interface OutboxFile {
  /** `stored`: in the store; `in-message`: text or base64 in the message; `reference`: only its URL is in the message */
  kind: 'stored' | 'in-message' | 'reference'
  contentType?: string | undefined
  size?: number | undefined
  sha256?: string | undefined
}

/** Certainty about the arrival of a message at Redox. `in-part`: only some of its destinations or entries have it. */
export type Arrival = 'yes' | 'in-part' | 'maybe' | 'no' | 'never-sent'

/** Reason why a waiting message is not sent now, apart from the time of its next attempt. */
export interface WaitingReason {
  /** true if its destination is paused */
  paused?: true
  /** id of the earlier message to the same destination that it waits for; in a list only if that one is parked */
  waitsBehind?: string
  /** code why the earlier message is parked, so that a person has to decide about it first; left out if it is not parked */
  blockedReason?: string
}

/** Response of `GET redox/outbox/:connection/messages/:id/identifiers`. */
export interface IdentifiersResponse {
  /** document and order IDs, by the names of their fields in the message */
  identifiers: Record<string, string>
}

/** Content of a message, with patient data. Long strings are truncated. */
export interface ContentResponse {
  body: unknown
  /** names of the files; undefined for a file without a name */
  files: (string | undefined)[]
  /** response of Redox */
  answer?: unknown
  /** texts of the destinations that refused the message after its delivery, by the ID of the log */
  reasons?: Record<string, string>
}

/** Body of `POST redox/outbox/:connection/messages/:id`. The response has status 204 and no body. */
export interface DecisionRequest {
  action: Action
  /** reason that the user gives for the action: one line, up to 200 characters */
  reason: string
  /** hours from now until the new deadline; with the action `extend` only */
  hours?: number
  /** true if the message may be sent through another account than the one that it was accepted for */
  otherAccount?: boolean
}

/** Body of the decision about one message. */
export interface OneDecisionRequest extends DecisionRequest {
  /** id of the log of Redox in which the user found the message; with the action `mark-delivered` only */
  logId?: string
}

/** Body of `POST redox/outbox/:connection/messages/:id/look-up`. */
export interface LookUpRequest {
  reason: string
}

/** Response with the logs of Redox that may be those of a message whose outcome is unknown. */
export interface LookUpResponse {
  /** times between which Redox made the logs that were searched */
  since: string
  till: string
  /** start of the request with the message; missing if it is not known, because the process stopped */
  requestedAt?: string
  /** the likeliest first, at most 20 */
  candidates: LogCandidate[]
  /** number of the logs that were found */
  found: number
  /** number of those among them that belong to other messages of the outbox */
  ofOthers: number
  /** false if Redox has more logs of that time than were read */
  isComplete: boolean
}

/** Property of a log that is compared with the message. `operation`: data model and event. */
export type LogTrait = 'operation' | 'source' | 'destination'

/** Log of Redox that may be that of a message. Contains no patient data. */
export interface LogCandidate {
  logId: string
  status: LogStatus
  createdAt?: string
  /** seconds from the start of the request to the log, negative if the log is earlier; missing if one is not known */
  secondsAfter?: number
  /** data model and event such as `Notes:New` */
  operation?: string
  destinationId?: string
  /** name of that destination, as in {@link DestinationSummary} */
  destinationName?: string
  /** properties that are the same as those of the message */
  same: LogTrait[]
  /** properties that certainly differ */
  different: LogTrait[]
  /** id of another message of the outbox to which this log belongs, by the answer of Redox */
  ofMessage?: string
  /** id of another message of the outbox for which a person chose this log, perhaps by mistake */
  foundFor?: string
}

export interface CountResponse {
  count: number
  /**
   * time when the messages were counted; used as the filter's `till` so that an action applies only to the counted
   * messages
   */
  till: string
}

/** Body of `POST redox/outbox/:connection/decisions`: one action for all messages that match the filter. */
export interface DecisionsRequest extends DecisionRequest {
  filter: MessageFilter
  /** number of messages that the user was shown before confirming */
  count: number
  /** `next` of the previous response */
  after?: string
  /** maximum number of messages that this request decides about */
  limit?: number
}

export interface DecisionsResponse {
  decided: number
  left: number
  /** with the action `extend` only: number of messages in `left` whose deadline is not earlier than the new one */
  unchanged?: number
  /** error code of the store, if a failure of the store ended the request early */
  stoppedBy?: string
  /** value of the parameter `after` for the next request */
  next?: string
}

/** Body of `POST redox/outbox/:connection/destinations`. The response has status 204 and no body. */
export interface PauseRequest {
  destination: string
  action: 'pause' | 'resume'
  reason: string
}

/** Body of `POST redox/outbox/:connection/destinations` that ends the wait for the next attempt. */
export interface TryNowRequest {
  /** undefined: all destinations */
  destination?: string
  action: 'try-now'
  /** optional, because the command changes no message */
  reason?: string
}

export interface TryNowResponse {
  /** number of messages that would have been due later */
  due: number
}

/** Body of `POST redox/outbox/stranded/:store`. */
export type StrandedRequest =
  | { action: 'discard'; reason: string }
  | {
      action: 'give'
      /** id of the redox-config node that gets the messages */
      to: string
      /** store key with which the messages are encrypted, if it differs from the key of that node */
      key?: string
      reason: string
    }

export type StrandedResponse = { discarded: number } | { moved: number; left: { id: string; code: string }[] }

/** Body of `POST redox/outbox/:connection/store`. */
export interface BeginNewRequest {
  action: 'begin-new'
  reason: string
}

export interface BeginNewResponse {
  /** folder name of the replaced store after it was renamed */
  setAside?: string
}

export interface AuditResponse {
  /** number of lines in the audit log */
  total: number
  /** lines of the audit log, oldest first */
  lines: AuditLineSummary[]
}

export interface AuditLineSummary {
  at: string
  who: string
  action: AuditedAction
  /** id of a message, a destination (`*`: all), or the name of a store */
  subject: string
  /** '' for `try-now` without a reason */
  reason: string
}
