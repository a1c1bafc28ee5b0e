/** Errors of the PostgreSQL store, with messages for operators. No message contains a password or stored data. */
import { RedoxError, type RedoxErrorCode } from '../../errors'
import { databaseUrls, DEFAULT_SCHEMA } from '../../shared/formats'
import { tlsFault } from '../../transport/network-advice'

/** Greatest number of database connections of one process. */
export const CONNECTIONS = 4
/**
 * Longest wait of a statement for a lock, in milliseconds. A statement for which this process no longer waits must not
 * run later.
 */
export const LOCK_MS = 30_000
export const INSUFFICIENT_PRIVILEGE = '42501'
/** A write in a transaction that may only read, or a server on which every transaction is such a one. */
export const READ_ONLY = '25006'

export const otherDatabase = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNREADABLE',
    'Wrong database: it is not the one that this connection used before, or it has another schema, or its tables were ' +
      'removed. Nothing was created in it. Set the right URL and schema, restore a backup, or begin a new store in the ' +
      'outbox: see docs/operations.md.',
  )

export const messageLost = (id: string): RedoxError =>
  new RedoxError(
    'REDOX_STORE_LOST',
    `Message has changed: the message ${id} was removed, or its state has changed. Look at it again.`,
  )

export const fileLost = (): RedoxError =>
  new RedoxError('REDOX_STORE_LOST', 'File is missing: a file of the message is no longer in the store.')

/**
 * Error for a user who may not create or change the tables.
 * @param hasTables true if the tables exist, as an earlier release created them
 */
export const mayNotSetUp = (schema: string, hasTables: boolean): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNAVAILABLE',
    hasTables
      ? `PostgreSQL store has tables of an earlier release in the schema "${schema}", and its user may not change them: ` +
          'run `redox-store migrate` with the URL of their owner, see docs/operations.md.'
      : `PostgreSQL store does not allow its user to create the schema "${schema}" and its tables: run ` +
          '`redox-store migrate` with the URL of a user who may, or grant CREATE on the database, see docs/operations.md.',
    { fault: INSUFFICIENT_PRIVILEGE },
  )

/**
 * Error for a server that lacks what the store needs.
 * @param version `server_version_num`, e.g. 110022 for 11.22 and 90624 for 9.6
 */
export function unsupportedVersion(version = 0): RedoxError {
  const minor = version < 100_000 ? Math.floor(version / 100) % 100 : version % 10_000
  return new RedoxError(
    'REDOX_STORE_UNAVAILABLE',
    `PostgreSQL server is too old: it is version ${Math.floor(version / 10_000)}.${minor}, and the store needs 12 or ` +
      'later. Upgrade the server.',
  )
}

/** Error for a URL that asks for a server which cannot be written. */
export const unusableSession = (wanted: string): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNAVAILABLE',
    `PostgreSQL store has a URL with target_session_attrs=${/^[a-z-]{1,20}$/.exec(wanted)?.[0] ?? '…'}: the store needs ` +
      'read-write or primary. Remove the parameter; the server that can be written is found without it.',
  )

/** Failure of one of the hosts of a URL. */
export interface HostFailure {
  /** URL with this host only */
  url: string
  error: unknown
}

/** Returns the error for a URL none of whose hosts can be used: for a single host, its own error. */
export function allHostsFailed(failures: HostFailure[]): unknown {
  const [first] = failures
  if (failures.length === 1) return first?.error
  const errors = failures.map(({ url, error }) => storeErrorOf(error, { place: hostAndDatabase(url) }))
  const fault = errors.find(({ cause }) => cause.fault !== undefined)?.cause.fault
  return new RedoxError(
    'REDOX_STORE_UNAVAILABLE',
    `PostgreSQL store has ${failures.length} hosts, and none of them can be used. ` +
      errors.map(({ message }) => message).join(' '),
    fault === undefined ? {} : { fault },
  )
}

/**
 * Error texts by the beginning of the SQLSTATE, or by the error code of the operating system. The first match applies.
 * `%s` stands for the name of the schema.
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
    'does not allow its user to read and write in the schema "%s": its owner must GRANT USAGE ON SCHEMA %s, ' +
      'SELECT, INSERT, UPDATE, DELETE ON ALL TABLES, USAGE ON ALL SEQUENCES and EXECUTE ON ALL FUNCTIONS IN SCHEMA ' +
      '%s to it (`redox-store migrate --grant` does), see docs/operations.md',
  ],
  [
    READ_ONLY,
    'REDOX_STORE_UNAVAILABLE',
    'cannot be written: use the primary server in its URL, not a replica, or name all of them',
  ],
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
  ['42P01', 'REDOX_STORE_UNREADABLE', 'lacks a table of the schema "%s": restore it from a backup'],
  ['42883', 'REDOX_STORE_UNREADABLE', 'lacks a function of the schema "%s": restore it from a backup'],
  ['22', 'REDOX_INTERNAL', 'rejects a value: please report this'],
  ['XX001', 'REDOX_STORE_UNREADABLE', 'reports damaged data: restore it from a backup'],
  ['XX002', 'REDOX_STORE_UNREADABLE', 'reports a damaged index: see REINDEX in the PostgreSQL manual'],
]
const CONNECTION_CLASSES = ['08', '57P']

/**
 * Converts an error of the database driver to a RedoxError. The driver's message is dropped, because it may contain
 * stored data or the password.
 */
export function storeErrorOf(
  error: unknown,
  { place, schema = DEFAULT_SCHEMA }: { place: string; schema?: string },
): RedoxError {
  if (error instanceof RedoxError) return error
  const code = sqlStateOf(error)
  const known = FAILURES.find(([start]) => code?.startsWith(start))
  const detail = code === undefined ? {} : { fault: code }
  if (known)
    return new RedoxError(
      known[1],
      `PostgreSQL store${place} ${known[2].replaceAll('%s', () => schema)}.`,
      detail,
    )
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
 * Returns hosts and database of a URL for an error message, in parentheses and after a space. Returns an empty string if
 * the URL may have a password that is not percent-encoded, because a part of the password could then be mistaken for
 * the host or the database.
 */
export function hostAndDatabase(url: string): string {
  const parts = (databaseUrls(url) ?? []).map((one) => new URL(one))
  const [first] = parts
  if (!first) return ''
  const { pathname, search, hash } = first
  const hosts = parts.map(({ host }) => host).join(',')
  return `${pathname}${search}${hash}`.includes('@') ? '' : ` (${hosts}${pathname})`
}
