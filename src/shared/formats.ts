/** Regular expressions for texts that both the runtime and the dialogs check. */

export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Destination slug: the readable name of a destination of the FHIR API. */
export const SLUG = /^[A-Za-z0-9][A-Za-z0-9._-]*$/

/** A value that is one environment variable, `${NAME}`. Node-RED replaces it. */
export const VARIABLE = /^\$\{([^}]+)\}$/

/** A day; whether it exists, says `isRealDate`. */
export const DAY = /^\d{4}-\d{2}-\d{2}$/

/** Date and time in ISO 8601 with a time zone. */
export const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/

export const isDatabaseUrl = (url: string): boolean => /^postgres(ql)?:\/\//.test(url) && URL.canParse(url)

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Returns true if a URL leads to this machine. Other hosts are refused without TLS. */
export const isLoopback = ({ hostname }: { hostname: string }): boolean => LOOPBACK.has(hostname)
