import { createHash, timingSafeEqual } from 'node:crypto'
import type { NodeAPI } from 'node-red'

/** Settings of metrics and health, under `redox` in Node-RED's `settings.js`. */
export interface MonitoringSettings {
  /** token that gives access to metrics and health without a login; undefined: none */
  token?: string
  /** port on which metrics and health are served in addition to the admin API; undefined: none */
  port?: number
  /** address of that port */
  host: string
  /** errors in the settings, for the log */
  problems: string[]
}

/** Minimum length of the token, in characters. */
const MIN_TOKEN_LENGTH = 16
const LOOPBACK = '127.0.0.1'

export function monitoringSettings({ settings }: NodeAPI): MonitoringSettings {
  const { redox } = settings as { redox?: Record<string, unknown> | null }
  const { metricsToken: token, metricsPort: port, metricsHost: host = LOOPBACK } = redox ?? {}
  const isToken = typeof token === 'string' && token.length >= MIN_TOKEN_LENGTH && !/\s/.test(token)
  const isPort = Number.isInteger(port) && Number(port) > 0 && Number(port) < 65_536
  const problems = [
    token === undefined || isToken
      ? ''
      : `metricsToken is not text of at least ${MIN_TOKEN_LENGTH} characters without spaces`,
    port === undefined || isPort ? '' : 'metricsPort is not a number from 1 to 65535',
    typeof host === 'string' ? '' : 'metricsHost is not text',
    isPort && token === undefined
      ? 'metricsPort needs metricsToken: without it, the port answers no metrics'
      : '',
  ]
  return {
    ...(isToken && { token }),
    ...(isPort && { port: Number(port) }),
    host: typeof host === 'string' ? host : LOOPBACK,
    problems: problems.filter((problem) => problem !== ''),
  }
}

/**
 * Returns true if the header `Authorization` of a request has the token. Hashes are compared, in constant time, so that
 * the duration says nothing about the token or its length.
 */
export function hasToken(authorization: string | undefined, token: string | undefined): boolean {
  const [, given] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? []
  return given !== undefined && token !== undefined && timingSafeEqual(hashOf(given), hashOf(token))
}

const hashOf = (text: string): Buffer => createHash('sha256').update(text).digest()
