import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { runInNewContext } from 'node:vm'
import type { Node, NodeAPI, NodeDef } from 'node-red'
import helper from 'node-red-node-test-helper'
import redoxConfig from '../../nodes/redox-config/redox-config'
import datamodelMedia from '../../nodes/redox-datamodel-media/redox-datamodel-media'
import datamodelNote from '../../nodes/redox-datamodel-note/redox-datamodel-note'
import datamodelResults from '../../nodes/redox-datamodel-results/redox-datamodel-results'
import fhirDocument from '../../nodes/redox-fhir-document/redox-fhir-document'
import fhirResult from '../../nodes/redox-fhir-result/redox-fhir-result'
import redoxLog from '../../nodes/redox-log/redox-log'
import redoxOutbox from '../../nodes/redox-outbox/redox-outbox'
import redoxUpload from '../../nodes/redox-upload/redox-upload'
import { runningSandbox, stopSandbox } from '../../nodes/lib/connection/sandbox-host'
import type { RedoxErrorDetail } from '../../src/errors'
import type { ReceivedMessage, Sandbox } from '../../src/sandbox'
import { eventually } from './eventually'

helper.init(require.resolve('node-red'))

// Internals with which node-red-node-test-helper deploys. Its own deploy function waits only 0.3 s for the flows to
// start, which is too short on a busy machine.
const { _redNodes: runtime, _events: events } = helper as unknown as {
  _redNodes: {
    setFlows(flows: object[], credentials: object, type: string): Promise<unknown>
    startFlows(): Promise<unknown>
  }
  _events: EventEmitter
}

async function deployed(deploy: () => Promise<unknown>): Promise<void> {
  const started = once(events, 'flows:started')
  await deploy()
  await started
}

const REGISTER = [
  redoxConfig,
  redoxUpload,
  fhirResult,
  fhirDocument,
  datamodelNote,
  datamodelResults,
  datamodelMedia,
  redoxOutbox,
  redoxLog,
]
/**
 * Node-RED's own nodes for the tests: config nodes to which a connection can refer, and nodes that create and pass
 * messages. Node-RED publishes no types for these nodes and no other way to load them.
 */
const loadCore = createRequire(require.resolve('node-red'))
const CORE = ['network/05-tls', 'network/06-httpproxy', 'function/10-function', 'common/60-link'].map(
  (name): unknown => loadCore(`@node-red/nodes/core/${name}.js`),
)
const NODES = path.join(__dirname, '../../nodes')
/** Content of a file in the `nodes` folder of the build. */
const built = (file: string): string => readFileSync(path.join(NODES, file), 'utf8')

export type Settings = Record<string, unknown>
// Message with properties of any type, because tests read arbitrary paths of messages.
export type Message = Record<string, any>
export interface CaughtError {
  message: string
  code: string
  cause: RedoxErrorDetail
}

interface Outcome {
  id: string
  answer: Message | undefined
  caught: Message | undefined
  error: CaughtError | undefined
}

/** Patient of all test messages. These values must not be in any error text, status or log. */
export const PATIENT = { id: 'ZX81-7745', first: 'Zebedina Ottoline', last: 'Quuxworth', dob: '1931-07-19' }
const CANARIES = [...Object.values(PATIENT).flatMap((value) => value.split(' ')), '19310719']

export function assertNoPatient(text: string, where: string): void {
  const found = CANARIES.filter((canary) => text.toLowerCase().includes(canary.toLowerCase()))
  assert.deepEqual(found, [], `patient data in ${where}: ${text}`)
}

/** Private key for servers that do not check signatures. */
export const PRIVATE_KEY = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
}) as string

export const pathsOf = ({ cause }: CaughtError): string[] => cause.problems!.map((problem) => problem.path)

// ---- Editor definitions ------------------------------------------------------------------------------

const anything: unknown = new Proxy(() => anything, { get: () => anything })

interface Definition {
  defaults: Record<string, { value: unknown }>
  credentials?: Record<string, object>
}

/** Definition that the built HTML file of a node type passes to `RED.nodes.registerType`. */
export function definitionOf(type: string): Definition {
  let found: Definition = { defaults: {} }
  const registerType = (_type: string, definition: Definition): void => {
    found = definition
  }
  const [, script] = /<script type="text\/javascript">([\s\S]*?)<\/script>/.exec(
    built(`${type}/${type}.html`),
  )!
  runInNewContext(script!, {
    RED: { nodes: { registerType } },
    RedoxEditor: anything,
    RedoxValidators: anything,
  })
  return found
}

/** Default values of the properties of a new node. */
export const defaultsOf = (type: string): Settings =>
  Object.fromEntries(Object.entries(definitionOf(type).defaults).map(([name, { value }]) => [name, value]))

const STATUS = '@ehr-flows/node-red-redox/redox-config:redox.status.'
const catalogue = JSON.parse(built('redox-config/locales/en-US/redox-config.json')) as Message

/** String of the English catalogue. The test helper's own `RED._` returns the key, but tests compare status texts. */
function translate(key: string, values: Record<string, string | number> = {}): string {
  const [, steps] = /^@ehr-flows\/node-red-redox\/redox-config:(.+)$/.exec(key)!
  const text: unknown = steps!.split('.').reduce((part, step) => part[step] as Message, catalogue)
  assert.equal(typeof text, 'string', `${key} is not in the catalogue`)
  return Object.entries(values).reduce(
    (words, [name, value]) => words.replaceAll(`__${name}__`, String(value)),
    text as string,
  )
}

// ---- Flows --------------------------------------------------------------------------------------------

export interface FlowOptions {
  type: string
  /** settings that replace the defaults of a new node */
  node?: Settings
  /** true: node and connection have only the given properties, as an earlier release saved them, and no defaults */
  bare?: boolean
  config?: Settings
  secrets?: Record<string, string>
  /** further config nodes, with their credentials by id */
  others?: (Settings & { id: string; type: string })[]
  otherSecrets?: Record<string, Record<string, string>>
  /** environment variables of the tab */
  env?: Record<string, string>
  /** false: the flow has no Catch node */
  catches?: boolean
  /** true: the node under test is inside a subflow that has one instance in the tab */
  inSubflow?: boolean
}

type NodeDefinition = helper.TestFlows[number]

const onTab = (definition: Settings & { id: string; type: string }): NodeDefinition => ({
  ...{ z: 'tab', x: 100, y: 100 },
  ...definition,
})
const watch = (type: string, scope: string[] | null): NodeDefinition[] => [
  onTab({ id: type, type, scope, wires: [[`${type}-out`]] }),
  onTab({ id: `${type}-out`, type: 'collector' }),
]

/** Subflow with these nodes, and one instance in the tab. Its input and output belong to the node under test. */
function subflowOf(nodes: NodeDefinition[]): NodeDefinition[] {
  const subflow = {
    ...{ id: 'subflow', type: 'subflow', in: [{ wires: [{ id: 'node' }] }] },
    out: [{ wires: [{ id: 'node', port: 0 }] }],
  }
  const inside = nodes.map((node) => ({ ...node, z: 'subflow', ...(node.id === 'node' && { wires: [[]] }) }))
  const instance = onTab({ id: 'instance', type: 'subflow:subflow', wires: [['emitted']] })
  return [subflow, ...inside, instance]
}

/** Definition of a node type that passes each message to `collect`, before and after deploys. */
const collectorOf = (RED: NodeAPI, collect: (id: string, msg: Message) => void) =>
  function Collector(this: Node, definition: NodeDef): void {
    RED.nodes.createNode(this, definition)
    // A node inside a subflow gets a new id at each start; Node-RED keeps the saved id in `_alias`.
    const { _alias = this.id } = this as Node & { _alias?: string }
    this.on('input', (msg) => collect(_alias, msg))
  }

/** Tab with one node under test. Collects the node's output and the messages of Catch, Complete and Status nodes. */
export class Flow {
  readonly emitted: Message[] = []
  readonly caught: Message[] = []
  readonly completed: Message[] = []
  readonly statuses: string[] = []
  readonly #ended = new EventEmitter().setMaxListeners(0)
  #sent = 0
  #deploys = 0
  #credentials: Record<string, Record<string, string>> = {}
  #clone: (message: Message) => Message = (message) => message
  readonly #definition: NodeDefinition[]
  readonly #receiver: string
  readonly #isDurable: boolean
  readonly #isFollower: boolean

  constructor({
    type,
    node,
    config,
    others = [],
    env = {},
    bare = false,
    catches = true,
    inSubflow,
  }: FlowOptions) {
    const variables = Object.entries(env).map(([name, value]) => ({ name, value, type: 'str' }))
    const tested = {
      ...{ id: 'node', type, ...(bare ? {} : defaultsOf(type)), connection: 'config', ...node },
      // Tab and wires of the test flow replace those in a node that an earlier release saved.
      ...{ z: 'tab', wires: [['emitted']] },
    }
    const observed = [onTab(tested), ...watch('complete', ['node']), ...watch('status', ['node'])]
    this.#receiver = inSubflow ? 'instance' : 'node'
    this.#isFollower = type === 'redox-log'
    this.#isDurable = config?.['delivery'] === 'durable'
    this.#definition = [
      { id: 'tab', type: 'tab', env: variables } as NodeDefinition,
      {
        id: 'config',
        type: 'redox-config',
        ...(bare && config ? {} : defaultsOf('redox-config')),
        ...config,
      },
      ...(others as NodeDefinition[]),
      ...(inSubflow ? subflowOf(observed) : observed),
      onTab({ id: 'emitted', type: 'collector' }),
      ...(catches ? watch('catch', null) : []),
    ]
  }

  get node(): Node {
    return helper.getNode(this.#receiver)
  }

  get status(): string {
    return this.statuses.at(-1) ?? ''
  }

  async load(credentials: Record<string, Record<string, string>>): Promise<void> {
    this.#credentials = credentials
    const prepare = (RED: NodeAPI): void => {
      RED._ = translate
      this.#clone = (message) => RED.util.cloneMessage(message)
      RED.nodes.registerType(
        'collector',
        collectorOf(RED, (id, msg) => this.#collect(id, msg)),
      )
    }
    await helper.load([prepare, ...REGISTER, ...CORE] as never, this.#definition, credentials)
  }

  #collect(id: string, msg: Message): void {
    if (id === 'status-out') {
      const { text } = msg['status']
      if (text !== undefined) this.statuses.push(text)
      return
    }
    const lists = { emitted: this.emitted, 'catch-out': this.caught, 'complete-out': this.completed }
    lists[id as keyof typeof lists].push(msg)
    this.#ended.emit('one')
  }

  /**
   * Deploys changed nodes. By default only the node under test is restarted ("modified nodes").
   * @param changes by node id; null removes the node
   */
  async redeploy(
    type: 'full' | 'flows' | 'nodes' = 'nodes',
    changes: Record<string, Settings | null> = { node: { name: `deployed ${++this.#deploys}` } },
  ): Promise<void> {
    const flows = this.#definition.flatMap((node) => {
      const change = changes[node.id]
      return change === null ? [] : [{ ...node, ...change }]
    })
    await deployed(() => runtime.setFlows(flows, this.#credentials, type))
  }

  stop(): Promise<void> {
    return helper.clearFlows()
  }

  /** Starts the flow again after it was stopped. */
  async start(): Promise<void> {
    await deployed(() => runtime.startFlows())
  }

  /** Passes a message to the node and returns the answer that the node emits. */
  async send(message: Message): Promise<Message> {
    const { answer, error, id } = await this.outcome(message)
    assert.ok(answer, `${error?.code}: ${error?.message}`)
    const { payload, statusCode, redox } = answer
    assert.deepEqual(answer, { ...message, _msgid: id, payload, statusCode, redox }, 'the other properties')
    assert.ok(payload !== undefined && payload !== message['payload'] && statusCode >= 200)
    assertPlain(redox, 'msg.redox')
    return answer
  }

  /** Passes a message to the node and returns the error that the Catch node gets, which must have this code. */
  async fail(message: Message, code: string): Promise<CaughtError> {
    const { answer, error, caught, id } = await this.outcome(message)
    assert.equal(answer, undefined, `delivered, but expected ${code}`)
    assert.equal(error!.code, code, error!.message)
    // A message that is followed was accepted: no status may invite the caller of the flow to send it again.
    const statusCode = this.#isFollower ? 500 : (STATUS_CODES[code] ?? 500)
    assert.deepEqual(caught, { ...message, _msgid: id, statusCode, error }, 'the properties of the message')
    assert.ok(!error!.message.includes('RedoxError'), error!.message)
    // The debug sidebar shows only the beginning of an error text, so the text has to begin with a word or a quotation.
    assert.match(error!.message, /^[\w"]/)
    const { answer: _answer, ...cause } = error!.cause
    assertPlain(cause, 'error.cause')
    assertNoPatient(`${error!.message} ${JSON.stringify(cause)}`, 'the error')
    await this.showsStatus((text) => reasonOf(error!).test(text))
    return error!
  }

  /** Passes a message to the node and waits until the node emits its answer or the Catch node gets its error. */
  async outcome(message: Message): Promise<Outcome> {
    const id = `message-${++this.#sent}`
    const isThis = ({ _msgid }: Message): boolean => _msgid === id
    this.node.receive(this.#clone({ ...message, _msgid: id }))
    while (![...this.completed, ...this.caught].some(isThis)) await once(this.#ended, 'one')
    for (let turn = 0; turn < 3; turn++) await nextTurn()
    const caught = this.caught.find(isThis)
    return { id, answer: this.emitted.find(isThis), caught, error: caught?.['error'] }
  }

  /** Waits until the node shows a status. Except for the first statuses, these change at most once a second. */
  async showsStatus(isWanted: (text: string) => boolean): Promise<void> {
    await eventually(
      () => this.statuses.join(' | '),
      () => isWanted(this.status),
    )
  }

  /** Asserts that each message ended exactly once: with an answer and at the Complete node, or at the Catch node. */
  assertDoneOnce(): void {
    // With durable delivery, `done` is called when the store has accepted the message. The answer is emitted later,
    // possibly in another flow.
    if (this.#isDurable) return
    const count = (list: Message[]): Record<string, number> =>
      list.reduce<Record<string, number>>((sum, { _msgid: id }) => ({ ...sum, [id]: (sum[id] ?? 0) + 1 }), {})
    // A redox-outbox node of the flow emits messages of its own.
    const answers = this.emitted.filter(({ topic }) => !String(topic).startsWith('redox/outbox/'))
    assert.deepEqual(count(this.completed), count(answers), 'done() without an answer, or the reverse')
    const ended = count([...this.completed, ...this.caught])
    assert.ok(
      Object.values(ended).every((times) => times === 1),
      'done() more than once',
    )
  }
}

/** `msg.statusCode` of a failed message, for a flow with an HTTP response node, by error code; otherwise 500. */
const STATUS_CODES: Record<string, number> = {
  ...{ REDOX_BAD_INPUT: 400, REDOX_INVALID_MESSAGE: 400, REDOX_TOO_LARGE: 413 },
  ...{ REDOX_REJECTED: 422, REDOX_FORBIDDEN: 422 },
  ...{ REDOX_QUEUE_FULL: 503, REDOX_RATE_LIMITED: 503, REDOX_UNAVAILABLE: 503, REDOX_NETWORK: 503 },
  ...{ REDOX_TIMEOUT: 503, REDOX_ABORTED: 503, REDOX_STORE_UNAVAILABLE: 503 },
  ...{ REDOX_STORE_LOCKED: 503, REDOX_STORE_FULL: 503 },
}

/** Pattern of a node's status text for an error. If a message is invalid, the text has the number of other problems. */
function reasonOf({ code, cause: { problems = [] } }: CaughtError): RegExp {
  // The most frequent errors about files have their own status texts.
  const briefly = ['text', 'path', 'folder', 'notAccepted'].map((kind) => translate(`${STATUS}brief.${kind}`))
  const phrases = [translate(`${STATUS}error.${code}`), ...(code === 'REDOX_BAD_INPUT' ? briefly : [])]
  const phrase = `(${phrases.join('|')})`
  const more = problems.length > 1 ? ` \\+${problems.length - 1}` : ''
  return problems.length === 0 ? new RegExp(`${phrase}$`) : new RegExp(`(missing|wrong|${phrase})${more}$`)
}

/** Asserts that a value is equal to its copy from JSON and contains no credentials. */
function assertPlain(value: unknown, where: string): void {
  const text = JSON.stringify(value)
  assert.deepEqual(JSON.parse(text), value, `${where} is not plain data`)
  assert.doesNotMatch(text, /authorization|bearer|cookie|PRIVATE KEY|token-\d/i, where)
}

let current: Flow | undefined

export async function startFlow(options: FlowOptions): Promise<Flow> {
  if (current) await endFlow()
  current = new Flow(options)
  await current.load({ config: options.secrets ?? {}, ...options.otherSecrets })
  return current
}

/** Starts a flow whose connection uses a test server in place of Redox. */
export function startFlowTo(url: string, { config, secrets, ...options }: FlowOptions): Promise<Flow> {
  const hosts = { environment: 'Development', apiBase: url, blobUploadUrl: `${url}/upload`, attempts: '1' }
  return startFlow({
    ...options,
    config: { ...hosts, clientId: 'client-1', keyId: 'key-1', ...config },
    secrets: { privateKey: PRIVATE_KEY, ...secrets },
  })
}

export const logged = (): string[] =>
  helper.log().args.map(([event]: { msg?: unknown }[]) => String(event?.msg))

async function endFlow(): Promise<void> {
  current?.assertDoneOnce()
  assertNoPatient([...logged(), ...(current?.statuses ?? [])].join('\n'), 'log or status')
  current = undefined
  await helper.unload()
}

/** Registers mocha hooks that run Node-RED for the enclosing suite and stop all flows after each test. */
export function useNodeRed(): void {
  before(async () => {
    await (helper.startServer() as unknown as Promise<void>)
  })
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') current = undefined
    await (current ? endFlow() : helper.unload())
    ;(await runningSandbox())?.clear()
  })
  after(async () => {
    await (helper.stopServer() as unknown as Promise<void>)
  })
}

// The sandbox is stopped once, after all suites, because each start of a sandbox generates keys.
after(() => stopSandbox())

/** Sandbox that all connections of the process share; it starts with the first message for the sandbox. */
export const sandbox = async (): Promise<Sandbox> => (await runningSandbox())!

export async function lastReceived(): Promise<ReceivedMessage> {
  const message = (await sandbox()).received.at(-1)
  assert.ok(message, 'the sandbox has received nothing')
  return message
}
