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
import { registerMonitoring } from '../lib/monitoring/monitoring-routes'
import { labelDestinations } from '../lib/connection/destination-names'
import { DurableConnection } from '../lib/connection/durable-connection'
import { migrated } from '../lib/runtime/migrations'
import { networkOf, UNVERIFIED } from '../lib/connection/network'
import { openSandboxAccess, type SandboxAccess } from '../lib/connection/sandbox-host'
import { watchForStrandedStores } from '../lib/connection/stranded-stores'
import { isDeploying } from '../lib/node/handover'
import { fields } from './fields'

const CREDENTIALS = Object.fromEntries(
  fields.fields.flatMap(({ kind, name }) =>
    kind === 'secret' ? [[name, { type: 'password' as const }]] : [],
  ),
)

/** Returns the name of the environment in the settings, which an environment variable may contain. */
const environmentIn = (RED: NodeAPI, node: RedoxConfigNode, config: ConnectionConfig): unknown =>
  config.environmentType === 'env' && config.environment !== undefined
    ? RED.util.evaluateNodeProperty(config.environment, 'env', node, {})
    : config.environment

/**
 * Resolves when the time in which a connection may close is over. A connection that is still opening gets less time: no
 * message is being sent, and a database that hangs would use up all of the time.
 */
async function waitToEnd(withinMs: number, isOpening: () => boolean): Promise<void> {
  const hurryAfter = Math.min(HURRY_AFTER_MS, withinMs)
  await timer(hurryAfter, undefined)
  if (!isOpening()) await timer(withinMs - hurryAfter, undefined)
}

/**
 * Sets an environment variable with Node-RED's user directory: allowed folders may be relative to this directory, and
 * no node of Node-RED has another way to refer to it, e.g. to write a file there.
 */
function exposeUserDir(RED: NodeAPI): void {
  process.env['REDOX_USER_DIR'] = path.resolve(RED.settings.userDir ?? process.cwd())
}

/** Forgets the limits and direct messages of a connection that was removed. */
async function forget(id: string): Promise<void> {
  ;(await import('../lib/connection/connection.js')).forgetConnection(id)
}

/** Opens the connection of a node, with the store and the sandbox if the settings require them. */
async function openNode(
  RED: NodeAPI,
  node: RedoxConfigNode,
  saved: NodeDef & ConnectionConfig,
  parts: { durable: DurableConnection; enterSandbox: (config: ConnectionConfig) => Promise<SandboxAccess> },
): Promise<Connection> {
  const { CREDENTIALS_IN_SANDBOX, environmentOf, hasCredentials, openConnection } =
    await import('../lib/connection/connection.js')
  const { durableSettingsOf } = await import('../lib/connection/durable-settings.js')
  const { id } = node
  const config = migrated('redox-config', saved)
  const target = environmentOf(environmentIn(RED, node, config))
  const userDir = RED.settings.userDir ?? process.cwd()
  const secrets = node.credentials ?? {}
  const durable = durableSettingsOf(config, secrets, target, { id, userDir: RED.settings.userDir })
  const outbox = durable && (await parts.durable.openOutbox(durable))
  const access = target === 'Sandbox' ? await parts.enterSandbox(config) : undefined
  const network = access ? {} : networkOf(RED, config)
  const { sandbox } = access ?? {}
  const connection = openConnection(config, secrets, target, { sandbox, userDir, network, outbox, id })
  if (access && hasCredentials(config, secrets)) node.warn(CREDENTIALS_IN_SANDBOX)
  if (network.tls?.rejectUnauthorized === false) node.warn(UNVERIFIED)
  if (durable) parts.durable.startSending(connection, durable)
  return connection
}

export = function register(RED: NodeAPI): void {
  exposeUserDir(RED)

  function RedoxConfig(this: RedoxConfigNode, saved: NodeDef & ConnectionConfig): void {
    RED.nodes.createNode(this, saved)
    let opened: Promise<Connection> | undefined
    let isOpen = false
    let entry: SandboxAccess | undefined
    const durable = new DurableConnection(RED, this, () => this.connection())

    const { id } = this
    const removeLabels = labelDestinations(id, saved.destinationNames)
    const enterSandbox = async ({
      faults,
      subscribed,
      deliveries,
    }: ConnectionConfig): Promise<SandboxAccess> =>
      (entry ??= await openSandboxAccess({ faults, subscribed, deliveries }))
    const open = async (): Promise<Connection> => {
      const connection = await openNode(RED, this, saved, { durable, enterSandbox })
      isOpen = true
      return connection
    }

    // After a failure, the next call tries again, because a database may have started or a variable may have been set.
    this.connection = () =>
      (opened ??= open().catch((error: unknown) => {
        opened = undefined
        throw error
      }))
    this.users = {}
    this.subscribe = (user, listener) => durable.subscribe(user, listener)
    this.watch = (listener) => durable.watch(listener)

    if (/^\s*durable\s*$/i.test(saved.delivery ?? '')) durable.start()
    else durable.forgetTold()

    this.on('close', (removed: boolean, done: () => void) => {
      removeLabels()
      const within = isDeploying() ? undefined : closeWithinMs(RED)
      // The send nodes limit how long their own messages continue. Sockets and sandbox stay open until these have
      // ended.
      const ended = durable
        .close(within, removed)
        .then(() => opened)
        .then((connection) => Promise.all([connection?.platform.close(), connection?.client.end()]))
        .finally(() => entry?.leave())
        .then(() => (removed && opened ? forget(id) : undefined))
        .catch(() => undefined)
      const isOpening = (): boolean => opened !== undefined && !isOpen
      void Promise.race([ended, within === undefined ? undefined : waitToEnd(within, isOpening)]).then(done)
    })
  }

  RED.nodes.registerType<RedoxConfigNode, NodeDef & ConnectionConfig, object, ConnectionSecrets>(
    'redox-config',
    RedoxConfig,
    { credentials: CREDENTIALS },
  )
  registerEditorRoutes(RED)
  registerMonitoring(RED)
  watchForStrandedStores(RED)
}
