import { X509Certificate } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import { createSecureContext, type SecureContext } from 'node:tls'
import { buildConnector } from 'undici'
import { RedoxError } from '../errors'
import { isProxied, type Proxy } from './proxy'

/** What TLS is spoken with, instead of the defaults of Node.js (its own authorities and NODE_EXTRA_CA_CERTS). */
export interface TlsOptions {
  /** PEM of the authorities that are trusted, in place of those that Node.js knows */
  ca?: string | Buffer
  /** PEM of this machine's own certificate, with its key */
  cert?: string | Buffer
  key?: string | Buffer
  passphrase?: string
  /** name that the server is asked for (SNI), and that its certificate must have */
  servername?: string
  /** false: any certificate is taken, so that a server in between can read along */
  rejectUnauthorized?: boolean
}

/** The proxy gave no tunnel: nothing of the request has left. Its code is `PROXY_` and a status or a system's code. */
class ProxyError extends Error {
  readonly code: string

  constructor(reason: string | number) {
    super('no tunnel')
    this.code = `PROXY_${reason}`
  }
}

/**
 * How undici gets its sockets: straight to the server, or through a tunnel of the proxy. In a tunnel TLS is spoken
 * with the server itself, so the proxy sees its name and nothing else.
 *
 * Not undici's ProxyAgent: up to its version 7 that one calls a proxy which hangs up again and again, for ever, and
 * tells a refusal only in an English sentence.
 * @throws RedoxError REDOX_CONFIGURATION for certificates or keys that cannot be used
 */
export function connector(
  timeout: number,
  tls: TlsOptions | undefined,
  proxy: Proxy | undefined,
): buildConnector.connector {
  const build = buildConnector({ timeout, allowH2: false, ...(tls && secured(tls)) })
  const connect: buildConnector.connector = (options, callback) =>
    build(options, (...result) => {
      const [, socket] = result
      // Ended by its first fault: else undici puts "other side closed" in place of the alert that a server sends
      // when it does not accept our certificate.
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

// Made once and not for each socket: reading the certificates takes its time, and their faults show before anything
// is sent.
function secured({ ca, cert, key, passphrase, servername, rejectUnauthorized }: TlsOptions): {
  secureContext: SecureContext
  servername?: string
  rejectUnauthorized: boolean
} {
  try {
    // OpenSSL passes over what it cannot read here.
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
    // Stays: what ends a tunnel later is told by the connection that uses it.
    request.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      reject(error instanceof ProxyError ? error : new ProxyError(error.code ?? error.name))
    })
    request.end()
  })
}
