import type { Node, NodeAPI } from 'node-red'
import { openConnection, type Connection, type ConnectionConfig, type ConnectionSecrets } from './connection'
import type { TargetEnvironment } from '../../../src/shared/values'
import { VARIABLE } from '../../../src/shared/formats'
import { networkOf } from './network'
import { acquireSandbox, releaseSandbox } from './sandbox-host'

/**
 * Returns the values of a form with `${NAME}` replaced by environment variables, as Node-RED does in the next deploy.
 * The `${NAME}` of an unset variable is kept, so that a later check reports the variable.
 */
export function withVariables(
  RED: NodeAPI,
  node: Node | null,
  values: Record<string, unknown>,
): ConnectionConfig {
  const filled: Record<string, unknown> = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, variable(RED, node, value)]),
  )
  if (values.environmentType === 'env') {
    filled.environment = valueOf(RED, node, String(values.environment))
  }
  return filled
}

const valueOf = (RED: NodeAPI, node: Node | null, name: string): unknown =>
  RED.util.evaluateNodeProperty(name, 'env', node as never, {})

export function variable(RED: NodeAPI, node: Node | null, value: unknown): unknown {
  const name = typeof value === 'string' ? VARIABLE.exec(value)?.[1] : undefined
  return name === undefined ? value : (valueOf(RED, node, name) ?? value)
}

interface Form {
  config: ConnectionConfig
  secrets: ConnectionSecrets
  target: TargetEnvironment
}

/** Opens the connection that a form describes, deployed or not, for the duration of one call. */
export async function withConnection<T>(
  RED: NodeAPI,
  { config, secrets, target }: Form,
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  const sandbox = target === 'Sandbox' ? await acquireSandbox() : undefined
  try {
    const userDir = RED.settings.userDir ?? process.cwd()
    const network = sandbox ? {} : networkOf(RED, config)
    const connection = openConnection(config, secrets, target, { sandbox, userDir, network })
    return await use(connection).finally(() =>
      Promise.all([connection.platform.close(), connection.client.close()]),
    )
  } finally {
    if (sandbox) releaseSandbox()
  }
}
