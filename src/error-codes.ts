/**
 * Advice on sending a failed message again (`error.cause.retry`):
 * - `never`: the same message would fail again
 * - `safe`: nothing was processed, and the cause may be temporary
 * - `connection`: nothing was processed, and a setting, key or certificate must be changed first
 * - `unknown`: the message may have arrived, so if it is sent again, it may be filed twice
 */
export type Retry = 'never' | 'safe' | 'connection' | 'unknown'

/**
 * Meaning, HTTP status, status text and advice of one error code. A test compares docs/errors.md and the statuses of
 * the nodes with this table.
 */
export interface ErrorCode {
  /**
   * `msg.statusCode` in the message that a Catch node receives: 400 the caller's input cannot be used · 413 the input
   * is too large · 422 Redox refused the message · 503 the message was certainly not delivered, and the cause may be
   * temporary · 500 everything else. An unknown outcome is a 500, because HTTP clients and gateways automatically
   * repeat requests that fail with 502 to 504.
   */
  statusCode: 400 | 413 | 422 | 500 | 503
  /**
   * default for `error.cause.retry`; an error of an HTTP request has the value of the matching row in
   * `src/transport/outcomes.ts` instead
   */
  retry: Retry
  /** status text of the node, at most 20 characters */
  phrase: string
  /** description in docs/errors.md */
  meaning: string
  /** certainty about the arrival of the message in a chart, in spite of the error */
  arrived: 'no' | 'in part' | 'yes' | 'unlikely'
  action: string
}

// prettier-ignore
const TABLE = {
  REDOX_CONFIGURATION:     { statusCode: 500, retry: 'connection', phrase: 'Wrong setting',      arrived: 'no',       meaning: 'A setting of the connection is missing or wrong, or the proxy refuses the login or the host.', action: 'Correct the setting that the error names, then deploy.' },
  REDOX_BAD_INPUT:         { statusCode: 400, retry: 'never',      phrase: 'Input unusable',     arrived: 'no',       meaning: 'There is no file, the file cannot be used, or a field cannot be evaluated.', action: 'Correct the message or the field that the error names.' },
  REDOX_INVALID_MESSAGE:   { statusCode: 400, retry: 'never',      phrase: 'Message not valid',  arrived: 'no',       meaning: 'Fields are missing or wrong. `cause.problems` lists all of them.', action: 'Correct the fields that the error names.' },
  REDOX_TOO_LARGE:         { statusCode: 413, retry: 'never',      phrase: 'File too large',     arrived: 'no',       meaning: 'The file or the request exceeds a limit of the connection or of Redox (413).', action: 'Upload the file instead of embedding it, or make it smaller.' },
  REDOX_AUTHENTICATION:    { statusCode: 500, retry: 'connection', phrase: 'Not authorized',     arrived: 'no',       meaning: 'Redox refused the key, the access token (even a new one) or the source.', action: 'Check the key and the source ID in the connection and in the Redox dashboard.' },
  REDOX_FORBIDDEN:         { statusCode: 422, retry: 'never',      phrase: 'Forbidden by Redox', arrived: 'no',       meaning: 'Redox answered 403, for example to an upload of a free account in Development.', action: 'Check the destination, the environment and the permissions of the key.' },
  REDOX_REJECTED:          { statusCode: 422, retry: 'never',      phrase: 'Rejected by Redox',  arrived: 'no',       meaning: 'Redox or the destination rejected the message. This includes a 200 that contains errors.', action: 'Read `cause.reasons`, correct the message and send it again.' },
  REDOX_PARTIAL:           { statusCode: 500, retry: 'never',      phrase: 'Partly delivered',   arrived: 'in part',  meaning: 'Some destinations or entries rejected the message, or Redox does not say which. See `cause.parts`.', action: 'Send again only what did not arrive.' },
  REDOX_QUEUE_FULL:        { statusCode: 503, retry: 'safe',       phrase: 'Queue full',         arrived: 'no',       meaning: 'The waiting messages hold as much memory as the connection allows.', action: 'Send more slowly, read files from paths, or raise the limit.' },
  REDOX_RATE_LIMITED:      { statusCode: 503, retry: 'safe',       phrase: 'Too many requests',  arrived: 'no',       meaning: 'Redox answered 429, even after retries, or the limit of the connection is reached.', action: 'Wait for `cause.retryAfterSeconds`, then send again.' },
  REDOX_UNAVAILABLE:       { statusCode: 503, retry: 'safe',       phrase: 'Redox unavailable',  arrived: 'no',       meaning: 'Redox answered 502 or 503. For uploads and tokens: any 5xx.', action: 'Send again later.' },
  REDOX_NETWORK:           { statusCode: 503, retry: 'safe',       phrase: 'No connection',      arrived: 'no',       meaning: 'The host or the proxy cannot be reached, or its name is not found. For uploads: the connection broke.', action: 'Check the network and the hosts of the connection.' },
  REDOX_TLS:               { statusCode: 500, retry: 'connection', phrase: 'TLS failed',         arrived: 'no',       meaning: 'A certificate, of the server or of this machine, is not accepted, or the host does not speak TLS.', action: 'Check the certificates in the tls-config node.' },
  REDOX_TIMEOUT:           { statusCode: 503, retry: 'safe',       phrase: 'Timed out',          arrived: 'no',       meaning: 'No connection was made in time. For uploads: no answer came in time.', action: 'Send again later, or raise _Connect timeout_ or _Response timeout_.' },
  REDOX_OUTCOME_UNKNOWN:   { statusCode: 500, retry: 'unknown',    phrase: 'Outcome unknown',    arrived: 'yes',      meaning: 'The message was sent, but no definite answer came.', action: 'Look it up in the Redox dashboard (`cause.identifiers`, `cause.sha256`) before you send it again.' },
  REDOX_NOT_DELIVERED:     { statusCode: 500, retry: 'never',      phrase: 'not delivered',      arrived: 'in part',  meaning: 'Redox accepted the message, but the delivery failed or was filtered. `cause.parts` says which.', action: 'Read `cause.stage` and `cause.reasons`, correct the message or the destination, and send again only what did not arrive.' },
  REDOX_NOT_CONFIRMED:     { statusCode: 500, retry: 'unknown',    phrase: 'not confirmed',      arrived: 'yes',      meaning: 'Redox accepted the message, but did not say in time that it was delivered, or gave a status that is not known.', action: 'Look at the log in the Redox dashboard (`cause.logIds`) before you send it again.' },
  REDOX_ABORTED:           { statusCode: 503, retry: 'safe',       phrase: 'Stopped, not sent',  arrived: 'no',       meaning: 'The message was stopped before it was sent, because Node-RED was stopped.', action: 'Send it again.' },
  REDOX_OTHER_ACCOUNT:     { statusCode: 500, retry: 'never',      phrase: 'Other account',      arrived: 'no',       meaning: 'Durable delivery accepted the message for a different account from the one that the connection has now. The message is parked.', action: 'Restore the previous account, or send the message again in the outbox.' },
  REDOX_DUPLICATE:         { statusCode: 400, retry: 'never',      phrase: 'Already in outbox',  arrived: 'no',       meaning: 'The outbox of durable delivery already has the same document for the same destination: `cause.duplicateOf`.', action: 'Look at the first message in the outbox. To send the document all the same, send that message again there.' },
  REDOX_STORE_UNAVAILABLE: { statusCode: 503, retry: 'safe',       phrase: 'Store unavailable',  arrived: 'no',       meaning: 'The store of durable delivery cannot be opened or reached (folder, database, missing package).', action: 'Check the folder or the database that the error names.' },
  REDOX_STORE_LOCKED:      { statusCode: 503, retry: 'safe',       phrase: 'Store in use',       arrived: 'no',       meaning: 'Another process has the embedded store open.', action: 'Stop the other process, or use PostgreSQL.' },
  REDOX_STORE_UNREADABLE:  { statusCode: 500, retry: 'never',      phrase: 'Store unreadable',   arrived: 'no',       meaning: 'The store is missing, damaged or not the expected one, one of its files is missing, or the store key is different.', action: 'Restore the store or its key, see [Operations](operations.md).' },
  REDOX_STORE_NEWER:       { statusCode: 500, retry: 'connection', phrase: 'Store is newer',     arrived: 'no',       meaning: 'A newer release of these nodes wrote the store.', action: 'Install that release again.' },
  REDOX_STORE_FULL:        { statusCode: 503, retry: 'safe',       phrase: 'Store full',         arrived: 'no',       meaning: 'The disk of the store is full, or nearly full, or _Store limit (GB)_ is reached.', action: 'Free disk space, deliver or discard what waits or is parked, or raise the limit.' },
  REDOX_STORE_LOST:        { statusCode: 500, retry: 'never',      phrase: 'Not in the store',   arrived: 'no',       meaning: 'The message is not in the store, is being sent, or was decided on in the meantime.', action: 'Look at the message again in the outbox.' },
  REDOX_INTERNAL:          { statusCode: 500, retry: 'never',      phrase: 'Internal error',     arrived: 'unlikely', meaning: 'A bug in this package.', action: 'Please report it, with the stack of the error.' },
} as const satisfies Record<string, ErrorCode>

/**
 * Stable error codes. Flows branch on them (`msg.error.code` after a Catch node), so a code is never renamed and never
 * gets a second meaning.
 */
export type RedoxErrorCode = keyof typeof TABLE

export const ERROR_CODES: Readonly<Record<RedoxErrorCode, ErrorCode>> = TABLE
