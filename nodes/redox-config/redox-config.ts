import type { NodeAPI, NodeDef } from 'node-red'
import { closeWithinMs, timer } from '../lib/closing'
import type { Connection, ConnectionConfig, ConnectionSecrets, RedoxConfigNode } from '../lib/connection'
import { registerEditorRoutes } from '../lib/editor-routes'
import { migrated } from '../lib/migrations'
import { networkOf, UNVERIFIED } from '../lib/network'
import { enterSandbox, type SandboxEntry } from '../lib/sandbox-host'
import { isDeploying } from '../lib/succession'

export = function register(RED: NodeAPI): void {
  function RedoxConfig(this: RedoxConfigNode, saved: NodeDef & ConnectionConfig): void {
    RED.nodes.createNode(this, saved)
    let opened: Promise<Connection> | undefined
    let entry: SandboxEntry | undefined

    const open = async (): Promise<Connection> => {
      const { environmentOf, openConnection } = await import('../lib/connection.js')
      const config = migrated('redox-config', saved)
      const fromEnv = config.environmentType === 'env' && config.environment !== undefined
      const name: unknown = fromEnv
        ? RED.util.evaluateNodeProperty(config.environment!, 'env', this, {})
        : config.environment
      const target = environmentOf(name)
      if (target === 'Sandbox') entry = await enterSandbox(config.faults)
      const network = entry ? {} : networkOf(RED, config)
      if (network.tls?.rejectUnauthorized === false) this.warn(UNVERIFIED)
      return openConnection(
        config,
        this.credentials ?? {},
        target,
        entry?.sandbox,
        RED.settings.userDir ?? process.cwd(),
        network,
      )
    }

    this.connection = () => (opened ??= open())

    this.on('close', (_removed: boolean, done: () => void) => {
      // The nodes that send decide how long their work goes on; sockets and sandbox stay as long.
      const ended = (opened?.then(({ client }) => client.end()) ?? Promise.resolve())
        .finally(() => entry?.leave())
        .catch(() => undefined)
      void (
        isDeploying() ? Promise.resolve() : Promise.race([ended, timer(closeWithinMs(RED), undefined)])
      ).then(done)
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
