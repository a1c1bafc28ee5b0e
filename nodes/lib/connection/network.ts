import type { Node, NodeAPI } from 'node-red'
import { RedoxError } from '../../../src/errors'
import type { TlsOptions } from '../../../src/transport/connector'
import { proxyAt, proxyOfEnvironment, type Proxy } from '../../../src/transport/proxy'
import { labelOf } from '../runtime/labels'
import type { ConnectionConfig } from './read-settings'

/** TLS and proxy settings of a Redox client. */
export interface Network {
  tls?: TlsOptions
  proxy?: Proxy
}

/** Node of Node-RED's own type tls-config. */
interface TlsConfigNode extends Node {
  /**
   * false if a certificate or key file of the node cannot be read, or if the certificate or the private key is missing
   */
  valid: boolean
  addTLSOptions(options: TlsOptions): TlsOptions
}

/** Node of Node-RED's own type http proxy. */
interface HttpProxyNode extends Node<{ username?: string; password?: string }> {
  url?: string
  noproxy?: string[]
}

/**
 * Returns TLS and proxy settings from Node-RED's own config nodes. Without a proxy node, the proxy comes from
 * environment variables, as in Node-RED's own nodes. A missing config node is an error, so that no request takes
 * another route than the chosen one.
 * @throws RedoxError REDOX_CONFIGURATION
 */
export function networkOf(RED: NodeAPI, config: ConnectionConfig): Network {
  const tls = config.tls ? tlsOf(referenced<TlsConfigNode>(RED, config.tls, 'tls-config', 'tls')) : undefined
  const proxy = config.proxy
    ? proxyOf(referenced<HttpProxyNode>(RED, config.proxy, 'http proxy', 'proxy'))
    : proxyOfEnvironment()
  return { ...(tls && { tls }), ...(proxy && { proxy }) }
}

function referenced<T extends Node>(RED: NodeAPI, id: string, type: string, field: string): T {
  const node = RED.nodes.getNode(id)
  if (node?.type === type) return node as T
  throw new RedoxError(
    'REDOX_CONFIGURATION',
    `${labelOf(field)} is missing: the ${type} node of the connection does not exist, is disabled, or is not ` +
      'deployed. Deploy it, or choose another one.',
    { field },
  )
}

function tlsOf(node: TlsConfigNode): TlsOptions {
  if (node.valid) return node.addTLSOptions({})
  throw new RedoxError(
    'REDOX_CONFIGURATION',
    'TLS cannot be used: a file of the tls-config node cannot be read, or its certificate or private key is ' +
      'missing. The Node-RED log has the details.',
    { field: 'tls' },
  )
}

function proxyOf({ url = '', noproxy = [], credentials }: HttpProxyNode): Proxy {
  const { username = '', password = '' } = credentials ?? {}
  return proxyAt(url, noproxy.join(), username + password === '' ? undefined : { username, password })
}

/** Warning for the log if a tls-config node turns off the verification of server certificates. */
export const UNVERIFIED =
  'The server certificate is not verified, because "Verify server certificate" is off in the tls-config node. An ' +
  'attacker on the network can read and change tokens and patient data. Add the CA certificate there instead.'
