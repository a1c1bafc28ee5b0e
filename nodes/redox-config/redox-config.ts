import type { NodeAPI, NodeDef } from 'node-red'
import {
  environmentOf,
  openConnection,
  type Connection,
  type ConnectionConfig,
  type ConnectionSecrets,
  type RedoxConfigNode,
} from '../lib/connection'
import { registerEditorRoutes } from '../lib/editor-routes'
import { migrated } from '../lib/migrations'
import { enterSandbox, type SandboxEntry } from '../lib/sandbox-host'

export = function register(RED: NodeAPI): void {
  function RedoxConfig(this: RedoxConfigNode, saved: NodeDef & ConnectionConfig): void {
    RED.nodes.createNode(this, saved)
    let opened: Promise<Connection> | undefined
    let entry: SandboxEntry | undefined

    const open = async (): Promise<Connection> => {
      const config = migrated('redox-config', saved)
      const fromEnv = config.environmentType === 'env' && config.environment !== undefined
      const name: unknown = fromEnv
        ? RED.util.evaluateNodeProperty(config.environment!, 'env', this, {})
        : config.environment
      const target = environmentOf(name)
      if (target === 'Sandbox') entry = await enterSandbox(config.faults)
      return openConnection(
        config,
        this.credentials ?? {},
        target,
        entry?.sandbox,
        RED.settings.userDir ?? process.cwd(),
      )
    }

    this.connection = () => (opened ??= open())

    this.on('close', (_removed: boolean, done: () => void) => {
      const closing = opened?.then(({ client }) => client.close()) ?? Promise.resolve()
      closing
        .finally(() => entry?.leave())
        .catch(() => undefined)
        .finally(done)
    })
  }

  RED.nodes.registerType<RedoxConfigNode, NodeDef & ConnectionConfig, object, ConnectionSecrets>(
    'redox-config',
    RedoxConfig,
    {
      credentials: {
        privateKey: { type: 'password' },
        apiKey: { type: 'password' },
        secret: { type: 'password' },
      },
    },
  )
  registerEditorRoutes(RED)
}
