import { X509Certificate } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import { createSecureContext, type SecureContext } from 'node:tls'
import { buildConnector } from 'undici'
import { RedoxError } from '../errors'
import { isProxied, type Proxy } from './proxy'

/** TLS settings that replace the defaults of Node.js (its built-in certificate authorities and NODE_EXTRA_CA_CERTS). */
export interface TlsOptions {
  /** certificates (PEM) of the trusted authorities, in place of the default ones of Node.js */
  ca?: string | Buffer
  /** client certificate (PEM) */
  cert?: string | Buffer
  key?: string | Buffer
  passphrase?: string
  /** server name for SNI and for the check of the server's certificate */
  servername?: string
  /** false: accepts any certificate, so that an attacker's server in the network can read all traffic */
  rejectUnauthorized?: boolean
}

/**
 * Failure to open a tunnel through the proxy. No byte of the request was sent. The code is `PROXY_` with an HTTP status
 * or a system error code.
 */
class ProxyError extends Error {
  readonly code: string

  constructor(reason: string | number) {
    super('no tunnel')
    this.code = `PROXY_${reason}`
  }
}

/**
 * undici connector that opens sockets directly to the server, or through a tunnel of the proxy. In a tunnel TLS is end
 * to end, so the proxy sees only the server's name.
 *
 * undici's ProxyAgent is not used: up to version 7 it reconnects forever to a proxy that closes connections, and
 * reports a refusal by the proxy only as an English sentence.
 * @throws RedoxError REDOX_CONFIGURATION for unusable certificates or keys
 */
export function connector(
  timeout: number,
  tls: TlsOptions | undefined,
  proxy: Proxy | undefined,
): buildConnector.connector {
  const build = buildConnector({ timeout, allowH2: false, ...(tls && tlsSettings(tls)) })
  const connect: buildConnector.connector = (options, callback) =>
    build(options, (...result) => {
      const [, socket] = result
      // The socket is destroyed with its first error. Otherwise undici reports "other side closed" instead of the TLS
      // alert of a server that does not accept the client certificate.
      socket?.once('error', (error: Error) => socket.destroy(error))
      callback(...result)
    })
  if (proxy === undefined) return connect
  return (options, callback) => {
    if (!isProxied(options, proxy)) return connect(options, callback)
    tunnelTo(`${bracketed(options.hostname)}:${options.port || 443}`, proxy, timeout).then(
      (httpSocket) => connect({ ...options, httpSocket }, callback),
      (error: Error) => callback(error, null),
    )
  }
}

// The TLS context is created once and not for each socket: parsing the certificates takes time, and errors in them are
// reported before anything is sent.
function tlsSettings({ ca, cert, key, passphrase, servername, rejectUnauthorized }: TlsOptions): {
  secureContext: SecureContext
  servername?: string
  rejectUnauthorized: boolean
} {
  try {
    // OpenSSL ignores a `ca` that it cannot parse, so the certificates are parsed here first.
    if (ca !== undefined) new X509Certificate(ca)
    return {
      secureContext: createSecureContext({ ca, cert, key, passphrase }),
      ...(servername !== undefined && { servername }),
      rejectUnauthorized: rejectUnauthorized !== false,
    }
  } catch (error) {
    const { code } = error as { code?: unknown }
    throw new RedoxError(
      'REDOX_CONFIGURATION',
      `TLS cannot be used: the certificate, the private key or the passphrase is wrong (${String(code)}). Correct the ` +
        'tls-config node.',
      { field: 'tls' },
    )
  }
}

const bracketed = (hostname: string): string => (hostname.includes(':') ? `[${hostname}]` : hostname)

function tunnelTo(target: string, { origin, authorization }: Proxy, timeout: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const request = (origin.startsWith('https:') ? httpsRequest : httpRequest)(origin, {
      method: 'CONNECT',
      path: target,
      agent: false,
      headers: { host: target, ...(authorization !== undefined && { 'proxy-authorization': authorization }) },
    })
    const timer = setTimeout(() => request.destroy(new ProxyError('TIMEOUT')), timeout)
    request.once('connect', ({ statusCode = 0 }, socket: Socket) => {
      clearTimeout(timer)
      if (statusCode >= 200 && statusCode < 300) return resolve(socket)
      socket.destroy()
      reject(new ProxyError(statusCode))
    })
    // The listener is not removed: without one, a later error of the tunnel would end the process. The connection that
    // uses the tunnel reports such errors.
    request.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      reject(error instanceof ProxyError ? error : new ProxyError(error.code ?? error.name))
    })
    request.end()
  })
}
