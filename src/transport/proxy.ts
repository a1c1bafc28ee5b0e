import { RedoxError } from '../errors'

/** HTTP proxy that opens tunnels (CONNECT). */
export interface Proxy {
  /** scheme, host and port, without user name and password */
  origin: string
  /** value of the `Proxy-Authorization` header: a secret that only the proxy may receive */
  authorization?: string
  /** hosts that are reached without the proxy, in the format of `no_proxy` */
  noProxy: string
}

/**
 * Returns the proxy for https from the environment variables of the process. The variables and their priority are those
 * of Node-RED's own nodes in standard mode.
 * @throws RedoxError REDOX_CONFIGURATION for an invalid proxy URL
 */
export function proxyOfEnvironment(env: NodeJS.ProcessEnv = process.env): Proxy | undefined {
  const first = (...names: string[]): string | undefined =>
    names.map((name) => env[name] || env[name.toUpperCase()]).find(Boolean)
  const url = first('npm_config_https_proxy', 'https_proxy', 'npm_config_proxy', 'all_proxy')
  return url === undefined ? undefined : proxyAt(url, first('npm_config_no_proxy', 'no_proxy') ?? '')
}

/**
 * Returns the proxy with the given URL.
 * @param text URL of the proxy, with or without user name and password
 * @param login user name and password, which replace the ones in the URL
 * @throws RedoxError REDOX_CONFIGURATION for an invalid URL; the error does not repeat the URL, which may contain a
 *   password
 */
export function proxyAt(
  text: string,
  noProxy: string,
  login?: { username: string; password: string },
): Proxy {
  // A URL without a scheme is treated as http, as for curl and most other programs.
  const full = text.includes('://') ? text : `http://${text}`
  const url = URL.canParse(full) ? new URL(full) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw new RedoxError(
      'REDOX_CONFIGURATION',
      'Proxy is not a valid URL: the URL in the http proxy node, or in the variables https_proxy and all_proxy, must ' +
        'begin with http:// or https://.',
      { field: 'proxy' },
    )
  }
  const { username, password } = login ?? { username: decoded(url.username), password: decoded(url.password) }
  return {
    origin: url.origin,
    ...(username + password !== '' && {
      authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
    }),
    noProxy,
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/**
 * Returns true if a request must go through the proxy. `no_proxy` is interpreted as in Node-RED: a name matches itself,
 * and a name after a dot or a star matches all hosts that end with it. Plain http never uses the proxy: it is allowed
 * only for servers on this machine, and the proxy could read the token.
 */
export function isProxied(
  target: { protocol: string; hostname: string; port: string },
  proxy: Proxy,
): boolean {
  if (target.protocol !== 'https:') return false
  const hostname = target.hostname.toLowerCase()
  const port = target.port || '443'
  return !proxy.noProxy
    .toLowerCase()
    .split(/[,\s]+/)
    .filter(Boolean)
    .some((entry) => {
      const [, name = entry, onlyPort = port] = /^(.+):(\d+)$/.exec(entry) ?? []
      if (onlyPort !== port) return false
      return /^[.*]/.test(name)
        ? hostname.endsWith(name.replace(/^\*/, ''))
        : hostname === name.replace(/^\[(.*)\]$/, '$1')
    })
}
