import type { Node, NodeAPI } from 'node-red'
import { RedoxError } from '../../../src/errors'
import type { TlsOptions } from '../../../src/transport/connector'
import { proxyAt, proxyOfEnvironment, type Proxy } from '../../../src/transport/proxy'
import { labelOf } from '../runtime/labels'
import type { ConnectionConfig } from './read-settings'

/** How the network is reached, as the client takes it. */
export interface Network {
  tls?: TlsOptions
  proxy?: Proxy
}

/** Node-RED's own tls-config node. */
interface TlsConfigNode extends Node {
  /** false: its files cannot be read, or one of certificate and key is missing */
  valid: boolean
  addTLSOptions(options: TlsOptions): TlsOptions
}

/** Node-RED's own http proxy node. */
interface HttpProxyNode extends Node<{ username?: string; password?: string }> {
  url?: string
  noproxy?: string[]
}

/**
 * TLS and proxy from Node-RED's own config nodes; without a proxy node from the environment, as Node-RED's own nodes
 * do it. A node that is named but not there is an error: nothing goes another way than the one that was chosen.
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

/** For the log, when a tls-config node says that certificates are not to be checked. */
export const UNVERIFIED =
  'The server certificate is not verified, because "Verify server certificate" is off in the tls-config node. An ' +
  'attacker on the network can read and change tokens and patient data. Add the CA certificate there instead.'
