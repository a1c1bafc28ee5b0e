import path from 'node:path'
import type { NodeAPI, NodeDef } from 'node-red'
import { closeWithinMs, HURRY_AFTER_MS, timer } from '../lib/runtime/closing'
import type {
  Connection,
  ConnectionConfig,
  ConnectionSecrets,
  RedoxConfigNode,
} from '../lib/connection/connection'
import { registerEditorRoutes } from '../lib/editor/editor-routes'
import { DurableConnection } from '../lib/connection/durable-connection'
import { migrated } from '../lib/runtime/migrations'
import { networkOf, UNVERIFIED } from '../lib/connection/network'
import { enterSandbox, type SandboxEntry } from '../lib/connection/sandbox-host'
import { watchForStrandedStores } from '../lib/connection/stranded-stores'
import { isDeploying } from '../lib/node/handover'
import { fields } from './fields'

export = function register(RED: NodeAPI): void {
  // Base of relative allowed folders. Other nodes of Node-RED can refer to this folder only by the variable, e.g. to
  // write or move a file there.
  process.env['REDOX_USER_DIR'] = path.resolve(RED.settings.userDir ?? process.cwd())

  function RedoxConfig(this: RedoxConfigNode, saved: NodeDef & ConnectionConfig): void {
    RED.nodes.createNode(this, saved)
    let opened: Promise<Connection> | undefined
    let isOpen = false
    let entry: SandboxEntry | undefined
    const durable = new DurableConnection(RED, this, () => this.connection())

    const open = async (): Promise<Connection> => {
      const { CREDENTIALS_IN_SANDBOX, durabilityOf, environmentOf, hasCredentials, openConnection } =
        await import('../lib/connection/connection.js')
      const config = migrated('redox-config', saved)
      const fromEnv = config.environmentType === 'env' && config.environment !== undefined
      const name: unknown = fromEnv
        ? RED.util.evaluateNodeProperty(config.environment!, 'env', this, {})
        : config.environment
      const target = environmentOf(name)
      const userDir = RED.settings.userDir ?? process.cwd()
      const secrets = this.credentials ?? {}
      const durability = durabilityOf(config, secrets, this.id, RED.settings.userDir, target)
      const outbox = durability && (await durable.openOutbox(durability))
      if (target === 'Sandbox') entry ??= await enterSandbox(config.faults, config.subscribed)
      const network = entry ? {} : networkOf(RED, config)
      const { sandbox } = entry ?? {}
      const connection = openConnection(config, secrets, target, sandbox, userDir, network, outbox, this.id)
      if (entry && hasCredentials(config, secrets)) this.warn(CREDENTIALS_IN_SANDBOX)
      if (network.tls?.rejectUnauthorized === false) this.warn(UNVERIFIED)
      if (durability) durable.startSending(connection, durability)
      isOpen = true
      return connection
    }

    const forget = async (): Promise<void> => {
      if (opened) (await import('../lib/connection/connection.js')).forgetConnection(this.id)
    }

    // The next call tries again after a failure, because a database may have started or a variable may have been set.
    this.connection = () =>
      (opened ??= open().catch((error: unknown) => {
        opened = undefined
        throw error
      }))
    this.users = {}
    this.subscribe = (user, listener) => durable.subscribe(user, listener)

    if (/^\s*durable\s*$/i.test(saved.delivery ?? '')) durable.start()
    else durable.forgetParkedCount()

    this.on('close', (removed: boolean, done: () => void) => {
      const within = isDeploying() ? undefined : closeWithinMs(RED)
      // The send nodes limit how long their messages continue. Sockets and sandbox stay open until then.
      const ended = durable
        .close(within, removed)
        .then(() => opened)
        .then((connection) => connection?.client.end())
        .finally(() => entry?.leave())
        .then(() => (removed ? forget() : undefined))
        .catch(() => undefined)
      // No request is on its way over a connection that is still opening, and a database that hangs would delay the
      // close.
      const isLongEnough = async (withinMs: number): Promise<void> => {
        const hurryAfter = Math.min(HURRY_AFTER_MS, withinMs)
        await timer(hurryAfter, undefined)
        const isOpening = opened !== undefined && !isOpen
        if (!isOpening) await timer(withinMs - hurryAfter, undefined)
      }
      void Promise.race([ended, within === undefined ? undefined : isLongEnough(within)]).then(done)
    })
  }

  RED.nodes.registerType<RedoxConfigNode, NodeDef & ConnectionConfig, object, ConnectionSecrets>(
    'redox-config',
    RedoxConfig,
    {
      credentials: Object.fromEntries(
        fields.fields.flatMap(({ kind, name }) => (kind === 'secret' ? [[name, { type: 'password' }]] : [])),
      ),
    },
  )
  registerEditorRoutes(RED)
  watchForStrandedStores(RED)
}
