/** Formats of strings that both the runtime and the edit dialogs check. */

export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Pattern of a destination slug: the readable name of a destination in the FHIR API. */
export const SLUG = /^[A-Za-z0-9][A-Za-z0-9._-]*$/

/** Pattern of a value that consists of one environment variable, `${NAME}`, which Node-RED replaces. */
export const VARIABLE = /^\$\{([^}]+)\}$/

/** Pattern of a date. {@link isRealDate} checks that the date exists. */
export const DAY = /^\d{4}-\d{2}-\d{2}$/

/** Pattern of a date and time in ISO 8601 with a time zone. */
export const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/

const DATABASE_URL = /^(postgres(?:ql)?:\/\/(?:[^/?#]*@)?)([^/?#]*)(.*)$/s

/**
 * Returns a URL for each host of a database URL, which may name several, as libpq allows:
 * `postgresql://user:password@host1:5432,host2:5432/database`. Returns undefined if the URL is not valid.
 */
export function databaseUrls(url: string): string[] | undefined {
  const [, start, hosts, rest] = DATABASE_URL.exec(url) ?? []
  if (start === undefined || hosts === undefined || rest === undefined) return undefined
  const named = hosts.split(',')
  if (named.length > 1 && named.includes('')) return undefined
  const urls = named.map((host) => `${start}${host}${rest}`)
  return urls.every((one) => URL.canParse(one)) ? urls : undefined
}

export const isDatabaseUrl = (url: string): boolean => databaseUrls(url) !== undefined

/** Schema of the tables of a PostgreSQL store, unless the connection names another. */
export const DEFAULT_SCHEMA = 'redox'

/**
 * Returns true for a name that a schema of a PostgreSQL store may have: what PostgreSQL accepts without quotes and does
 * not change, so that the name is the same in psql and in backups. Names with `pg_` belong to the server.
 */
export const isSchemaName = (name: string): boolean =>
  /^(?!pg_|information_schema$)[a-z_][a-z0-9_]{0,62}$/.test(name)

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Returns true if the host of a URL is this machine. Requests to any other host require TLS. */
export const isLoopback = ({ hostname }: { hostname: string }): boolean => LOOPBACK.has(hostname)
