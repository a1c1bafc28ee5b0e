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

export const isDatabaseUrl = (url: string): boolean => /^postgres(ql)?:\/\//.test(url) && URL.canParse(url)

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Returns true if the host of a URL is this machine. Requests to any other host require TLS. */
export const isLoopback = ({ hostname }: { hostname: string }): boolean => LOOPBACK.has(hostname)
