/**
 * Two checks: messages and errors that the nodes emit are plain data, and the package loads the modules for sending
 * only when a message is sent.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { inspect } from 'node:util'
import { PRIVATE_KEY, startFlowTo, useNodeRed, type Message } from '../lib/flow'
import { startNodeRed, type NodeRed } from '../lib/node-red'
import { isToken, serve, type Server } from '../lib/redox'
import { reply, reset, ScriptedServer } from '../lib/scripted-server'
import { ALL_NODES, DESTINATION, fileMessage, PDF, purposeOf, startTo } from '../lib/send-nodes'
import { eventually } from '../lib/eventually'

// ---- Messages --------------------------------------------------------------------------------------------

const PLAIN = new Set<unknown>([Object.prototype, Array.prototype, null])

const TEXT_FORM: (string | symbol)[] = ['toString', inspect.custom]

/** Paths of the parts of a value that are not plain data and therefore cannot be copied, stored or serialized. */
function strangers(value: unknown, where = 'msg'): string[] {
  if (typeof value === 'function' || typeof value === 'symbol') return [`${where}: a ${typeof value}`]
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return []
  const prototype: unknown = Object.getPrototypeOf(value)
  if (!PLAIN.has(prototype)) return [`${where}: a ${value.constructor.name}`]
  return Reflect.ownKeys(value).flatMap((key) => {
    const held = Object.getOwnPropertyDescriptor(value, key)!
    // The text form (`toString`) of an error's cause is not enumerable, so copies do not contain it.
    if (!held.enumerable && TEXT_FORM.includes(key)) return []
    const place = `${where}.${String(key)}`
    return 'get' in held || typeof key === 'symbol' ? [`${place}: hidden`] : strangers(held.value, place)
  })
}

describe('messages of the nodes', () => {
  useNodeRed()
  let server: ScriptedServer

  beforeEach(async () => {
    server = await ScriptedServer.start()
  })
  afterEach(() => server.close())

  it('are searched at every depth', () => {
    const hidden = Object.defineProperty({}, 'a', { get: () => 1 })
    const found = [new Uint8Array(1), () => 1, hidden, new Map(), PDF].map((held) => strangers({ x: [held] }))
    const told = found.map(([one = '']) => one.split(': ')[1])
    assert.deepEqual(told, ['a Uint8Array', 'a function', 'hidden', 'a Map', undefined])
  })

  for (const node of ALL_NODES) {
    const title = `${node.type} (${node.api})`
    for (const way of node.operation === 'upload' ? ['upload'] : ['embed', 'upload'])
      it(`contain only plain data: ${title}, ${way}`, async () => {
        const flow = await startTo(server, node, { way })
        const { answer } = await flow.outcome(fileMessage())
        assert.ok(answer?.['redox'], 'it was not delivered')
        assert.deepEqual(strangers(answer), [])
      })

    it(`contain only plain data at the Catch node: ${title}`, async () => {
      const refusal = reply(400, { Meta: { Errors: [{ Text: 'No' }] } }, { 'redox-trace-id': 't-1' })
      server.script(purposeOf(node), refusal, reset)
      const flow = await startTo(server, node, { way: 'embed' })
      const messages: Message[] = [fileMessage(), fileMessage(), fileMessage(42)]
      for (const [at, message] of messages.entries()) {
        const { caught, error } = await flow.outcome(message)
        assert.match(error!.code, [/REJECTED/, /NETWORK|UNKNOWN/, /BAD_INPUT/][at]!)
        assert.deepEqual(strangers(caught), [])
      }
    })
  }
})

describe('messages of redox-log', () => {
  useNodeRed()

  it('contain only plain data beside what came in', async () => {
    const failed = { status: 'failed', attempts: { latest: { failedStage: 'request' } } }
    const server = await serve((request) => ({
      body: isToken(request)
        ? { access_token: 'token', expires_in: 300 }
        : { payload: request.path.endsWith('/bad') ? failed : { status: 'succeeded' } },
    }))
    const flow = await startFlowTo(server.url, {
      type: 'redox-log',
      config: { platformClientId: 'user', platformKeyId: 'key', organizationId: 'org' },
      secrets: { platformPrivateKey: PRIVATE_KEY },
    })
    const kept = { payload: PDF, topic: 'kept', list: [1, { deep: true }] }
    const good = await flow.outcome({ ...kept, redox: { logIds: ['good'], way: 'embed' } })
    const { redox, ...others } = good.answer!
    assert.deepEqual(others, { ...kept, _msgid: good.id })
    assert.deepEqual(redox, {
      logIds: ['good'],
      way: 'embed',
      deliveries: [{ logId: 'good', status: 'succeeded' }],
    })
    const bad = await flow.outcome({ ...kept, redox: { logIds: ['bad'] } })
    assert.deepEqual([...strangers(good.answer), ...strangers(bad.caught)], [])
    await server.close()
  })
})

// ---- Modules ---------------------------------------------------------------------------------------------

/** Source of a Node-RED node that lists the modules that the process has loaded, and the first parent of each. */
const TELLER = `module.exports = (RED) => RED.httpAdmin.get('/loaded', (_request, response) =>
  response.json(Object.values(require.cache).map(({ id, parent }) => [id, parent ? parent.id : ''])))`

interface Loaded {
  /** loaded files of this package, e.g. `dist/src/errors.js` */
  own: string[]
  /** npm packages that this package was the first to load; packages that Node-RED had loaded before are not included */
  packages: string[]
}

const ENTRY = 'dist/nodes/redox-config/redox-config.js'

async function loadedBy({ url }: NodeRed): Promise<Loaded> {
  const told = (await (await fetch(`${url}loaded`)).json()) as [id: string, parent: string][]
  const parents = new Map(told.map(([id, parent]) => [posix(id), posix(parent)]))
  const entry = [...parents.keys()].find((id) => id.endsWith(`/${ENTRY}`))
  assert.ok(entry, 'the package is not there')
  const root = entry.slice(0, -ENTRY.length)
  const isOwn = (id: string): boolean => id.startsWith(root) && !id.startsWith(`${root}node_modules/`)
  const isFor = (id: string | undefined): boolean => id !== undefined && (isOwn(id) || isFor(parents.get(id)))
  const nameOf = (id: string): string => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1] ?? id
  const ids = [...parents.keys()].filter(isFor)
  return {
    own: ids.filter(isOwn).map((id) => id.slice(root.length)),
    packages: [...new Set(ids.filter((id) => !isOwn(id)).map(nameOf))].sort(),
  }
}

const posix = (file: string): string => file.replaceAll('\\', '/')

/**
 * Modules that are needed only for sending. The pattern excludes short modules with other uses, such as proxy rules and
 * those that the field tables import.
 */
const SENDS =
  /^dist\/src\/(sandbox|platform|redox\/(?!(?:direct-messages|public-facts)\.js)|message\/(?!(?:json|problems|setters)\.js)|auth|file|transport\/(?!proxy\.js))/

describe('a Node-RED with the package', function () {
  this.timeout(60_000)
  let nodeRed: NodeRed
  let server: Server
  let folder: string

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'redox-loaded-'))
    writeFileSync(path.join(folder, 'teller.js'), TELLER)
    writeFileSync(path.join(folder, 'teller.html'), '<script type="text/html"></script>')
    server = await serve((request) => ({
      body: isToken(request) ? { access_token: 'token', expires_in: 300 } : { Meta: {} },
    }))
    nodeRed = await startNodeRed({ nodesDir: folder })
  })
  after(async () => {
    await nodeRed?.stop()
    await server?.close()
    rmSync(folder, { recursive: true })
  })

  const text = (values: Record<string, string>): object =>
    Object.fromEntries(
      Object.entries(values).flatMap(([name, value]) => [
        [name, value],
        [`${name}Type`, 'str'],
      ]),
    )
  const FLOW = (): object[] => [
    { id: 'tab', type: 'tab', label: '' },
    {
      ...{ id: 'config', type: 'redox-config', environment: 'Development', apiBase: server.url },
      ...{ clientId: 'client', keyId: 'key', attempts: '1', credentials: { privateKey: PRIVATE_KEY } },
    },
    {
      ...{ id: 'button', type: 'inject', z: 'tab', x: 1, y: 1, once: true, onceDelay: 0, repeat: '' },
      ...{ props: [{ p: 'payload', v: PDF.toString('base64'), vt: 'str' }], wires: [['note']] },
    },
    {
      ...{ id: 'note', type: 'redox-datamodel-note', z: 'tab', x: 1, y: 1, version: 1, wires: [[]] },
      ...{ connection: 'config', fileFrom: 'message', file: 'payload', fileType: 'msg', way: 'embed' },
      ...text({ destination: DESTINATION, patientId: '1', typeOfPatientId: 'MR' }),
      ...text({ documentType: 'Letter', documentId: 'd-1', providerId: '1' }),
    },
  ]

  it('loads no module that sends before a node is in a flow', async () => {
    const { own, packages } = await loadedBy(nodeRed)
    assert.deepEqual(
      own.filter((file) => SENDS.test(file)),
      [],
    )
    assert.deepEqual(packages, [])
  })

  it('never loads the sandbox when another server is used', async () => {
    const answer = await fetch(`${nodeRed.url}flows`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(FLOW()),
    })
    assert.equal(answer.status, 204)
    await eventually('nothing was sent', () => server.to('/endpoint').length > 0)
    const { own, packages } = await loadedBy(nodeRed)
    assert.deepEqual(
      own.filter((file) => file.startsWith('dist/src/sandbox/')),
      [],
    )
    assert.ok(!packages.includes('@fastify/busboy'))
    // Proves that the list of loaded modules is complete: after a message was sent, it has the modules for sending.
    assert.ok(own.includes('dist/src/transport/http.js') && packages.includes('undici'))
  })
})
