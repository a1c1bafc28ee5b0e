/** Errors of the PostgreSQL store, with messages for operators. No message contains a password or stored data. */
import { RedoxError, type RedoxErrorCode } from '../../errors'
import { tlsFault } from '../../transport/network-advice'

/** Greatest number of database connections of one process. */
export const CONNECTIONS = 4
/**
 * Longest wait of a statement for a lock, in milliseconds. A statement for which this process no longer waits must not
 * run later.
 */
export const LOCK_MS = 30_000
export const INSUFFICIENT_PRIVILEGE = '42501'

export const otherDatabase = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNREADABLE',
    'Wrong database: it is not the one that this connection used before, or its tables were removed. Nothing was ' +
      'created in it. Set the right URL, restore a backup, or begin a new store in the outbox: see docs/operations.md.',
  )

export const messageLost = (id: string): RedoxError =>
  new RedoxError(
    'REDOX_STORE_LOST',
    `Message has changed: the message ${id} was removed, or its state has changed. Look at it again.`,
  )

export const fileLost = (): RedoxError =>
  new RedoxError('REDOX_STORE_LOST', 'File is missing: a file of the message is no longer in the store.')

/** Error for a user who may not create the tables. */
export const mayNotSetUp = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNAVAILABLE',
    'PostgreSQL store does not allow its user to create the schema "redox": grant it CREATE on the database, ' +
      'or let a user who has it start first, see docs/operations.md.',
    { fault: INSUFFICIENT_PRIVILEGE },
  )

/**
 * Error texts by the beginning of the SQLSTATE, or by the error code of the operating system. The first match applies.
 */
const FAILURES: [start: string, code: RedoxErrorCode, text: string][] = [
  [
    'ERR_INVALID_URL',
    'REDOX_STORE_UNAVAILABLE',
    'has a URL that cannot be read: use the form postgres://user:password@host:5432/database, with special characters of the password percent-encoded',
  ],
  [
    'ENOENT',
    'REDOX_STORE_UNAVAILABLE',
    'is not found: its URL refers to a socket or a file (sslrootcert, sslcert, sslkey) that does not exist',
  ],
  ['28', 'REDOX_STORE_UNAVAILABLE', 'refuses the login: check the user and the password in its URL'],
  [
    '3D000',
    'REDOX_STORE_UNAVAILABLE',
    'has no database with that name: create it, or check the end of its URL',
  ],
  [
    INSUFFICIENT_PRIVILEGE,
    'REDOX_STORE_UNAVAILABLE',
    'does not allow its user to read and write in the schema "redox": its owner must GRANT USAGE ON SCHEMA redox, ' +
      'SELECT, INSERT, UPDATE, DELETE ON ALL TABLES, USAGE ON ALL SEQUENCES and EXECUTE ON ALL FUNCTIONS IN SCHEMA ' +
      'redox to it, see docs/operations.md',
  ],
  ['25006', 'REDOX_STORE_UNAVAILABLE', 'cannot be written: use the primary server in its URL, not a replica'],
  [
    '53300',
    'REDOX_STORE_UNAVAILABLE',
    `has no free connection: each process needs up to ${CONNECTIONS}, see its max_connections`,
  ],
  ['53100', 'REDOX_STORE_FULL', 'has no free disk space: free some. No accepted message is lost'],
  ['57014', 'REDOX_STORE_UNAVAILABLE', 'did not answer in time: check its load, locks and timeouts'],
  [
    '55P03',
    'REDOX_STORE_UNAVAILABLE',
    `kept a lock for more than ${LOCK_MS / 1000} seconds: check its locks`,
  ],
  ['42P01', 'REDOX_STORE_UNREADABLE', 'lacks a table of the schema "redox": restore it from a backup'],
  ['42883', 'REDOX_STORE_UNREADABLE', 'lacks a function of the schema "redox": restore it from a backup'],
  ['22', 'REDOX_INTERNAL', 'rejects a value: please report this'],
  ['XX001', 'REDOX_STORE_UNREADABLE', 'reports damaged data: restore it from a backup'],
  ['XX002', 'REDOX_STORE_UNREADABLE', 'reports a damaged index: see REINDEX in the PostgreSQL manual'],
]
const CONNECTION_CLASSES = ['08', '57P']

/**
 * Converts an error of the database driver to a RedoxError. The driver's message is dropped, because it may contain
 * stored data or the password.
 */
export function storeErrorOf(error: unknown, place: string): RedoxError {
  if (error instanceof RedoxError) return error
  const code = sqlStateOf(error)
  const known = FAILURES.find(([start]) => code?.startsWith(start))
  const detail = code === undefined ? {} : { fault: code }
  if (known) return new RedoxError(known[1], `PostgreSQL store${place} ${known[2]}.`, detail)
  const storeError = parameterTrouble(error) ?? tlsTrouble(error, code)
  if (storeError)
    return new RedoxError('REDOX_STORE_UNAVAILABLE', `PostgreSQL store${place} ${storeError}.`, detail)
  const isAnswer =
    /^(?!E)[0-9A-Z]{5}$/.test(code ?? '') && !CONNECTION_CLASSES.some((start) => code?.startsWith(start))
  const text = isAnswer
    ? `answered with the error ${code}: see its log`
    : `cannot be reached${code === undefined ? '' : ` (${code})`}: check that it runs, and the host and port of its URL`
  return new RedoxError('REDOX_STORE_UNAVAILABLE', `PostgreSQL store${place} ${text}.`, detail)
}

/** Returns the error text for a URL parameter that PgBouncer refuses. PgBouncer has no error code for this. */
function parameterTrouble(error: unknown): string | undefined {
  const words = error instanceof Error ? error.message : ''
  const name = /unsupported startup parameter: (\w{1,40})/.exec(words)?.[1]
  if (name === undefined) return undefined
  return `is behind a PgBouncer that refuses the parameter "${name}" of its URL: remove it, or add it to ignore_startup_parameters of PgBouncer`
}

function tlsTrouble(error: unknown, code = ''): string | undefined {
  // For a server without TLS the driver's error has a message, but no code.
  if (error instanceof Error && error.message.includes('does not support SSL'))
    return 'does not speak TLS, which its URL requires: enable TLS there'
  if (tlsFault(code, false) === undefined) return undefined
  return (
    `has a certificate that is not trusted (${code}): add the CA file to its URL ` +
    '(&sslrootcert=…), and use the host name of the certificate'
  )
}

export function sqlStateOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : undefined
}

/**
 * Returns host and database of a URL for an error message, in parentheses and after a space. Returns an empty string if
 * the URL may have a password that is not percent-encoded, because a part of the password could then be mistaken for
 * the host or the database.
 */
export function hostAndDatabase(url: string): string {
  if (!URL.canParse(url)) return ''
  const { host, pathname, search, hash } = new URL(url)
  return `${pathname}${search}${hash}`.includes('@') ? '' : ` (${host}${pathname})`
}
