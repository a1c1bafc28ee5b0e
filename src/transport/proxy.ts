import { RedoxError } from '../errors'

/** An HTTP proxy that opens tunnels (CONNECT). */
export interface Proxy {
  /** scheme, host and port; no user and no password */
  origin: string
  /** `Proxy-Authorization`: a secret, for the proxy alone */
  authorization?: string
  /** hosts that are reached without it, written as in `no_proxy` */
  noProxy: string
}

/**
 * The proxy that the environment names for https, by the same variables and in the same order as Node-RED's own
 * nodes in their standard mode.
 * @throws RedoxError REDOX_CONFIGURATION for one that cannot be used
 */
export function proxyOfEnvironment(env: NodeJS.ProcessEnv = process.env): Proxy | undefined {
  const first = (...names: string[]): string | undefined =>
    names.map((name) => env[name] || env[name.toUpperCase()]).find(Boolean)
  const url = first('npm_config_https_proxy', 'https_proxy', 'npm_config_proxy', 'all_proxy')
  return url === undefined ? undefined : proxyAt(url, first('npm_config_no_proxy', 'no_proxy') ?? '')
}

/**
 * @param text URL of the proxy, with user and password or without
 * @param login instead of the one in the URL
 * @throws RedoxError REDOX_CONFIGURATION; the URL is not repeated, it may hold a password
 */
export function proxyAt(
  text: string,
  noProxy: string,
  login?: { username: string; password: string },
): Proxy {
  // Without a scheme: as curl and most others read it.
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
 * Whether a request goes through the proxy, by Node-RED's reading of `no_proxy`: a name stands for itself, one with
 * a dot or a star before it for all that end so. Plain http never does: it is for this machine only, and the proxy
 * would read the token.
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
