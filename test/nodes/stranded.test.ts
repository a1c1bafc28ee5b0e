/**
 * Accepted messages whose connection was removed: the log and the outbox report them, and an operator assigns them to a
 * connection or discards them.
 */
import assert from 'node:assert/strict'
import { Client } from 'pg'
import { startWithUsers, type GuardedNodeRed } from '../lib/admin'
import { eventually } from '../lib/eventually'
import { flowTo, OutboxClient, type Json } from '../lib/outbox'
import { Postgres, postgresBinaries } from '../lib/postgres'
import { reply, ScriptedServer } from '../lib/scripted-server'
import { NO_POSTGRES, skip } from '../lib/skip'

const DOWN = reply(503, { error: 'down' })
const TAKEN = reply(200, { Meta: { Logs: [{ ID: 'log-1' }] } })
const OTHER_KEY = 'another key that is not guessed'

type Flows = Json[]

describe('accepted messages without a connection', function () {
  this.timeout(60_000)
  let nodeRed: GuardedNodeRed<'admin'>
  let redox: ScriptedServer
  let admin: OutboxClient
  beforeEach(async () => {
    nodeRed = await startWithUsers({ admin: '*' })
    admin = new OutboxClient(nodeRed.url, nodeRed.tokens.admin)
    redox = await ScriptedServer.start()
    redox.script('send', DOWN)
  })
  afterEach(async () => {
    await nodeRed.stop()
    await redox.close()
  })

  const flows = (settings: object = {}, storeUrl?: string): Flows => {
    const made = flowTo(redox.url, settings) as Flows
    if (storeUrl !== undefined) Object.assign(made[1]!['credentials'], { storeUrl })
    return made
  }
  /** Flow in which the id of the connection is replaced. */
  const renamed = (id: string, from: Flows): Flows =>
    JSON.parse(JSON.stringify(from).replaceAll('outboxconfig', id)) as Flows
  const overview = async (): Promise<Json> => (await (await admin.ask('redox/outbox')).json()) as Json
  const stranded = async (): Promise<Json[]> => (await overview())['stranded'] as Json[]
  const isOpen = (id: string): Promise<void> =>
    eventually(`${id} is open`, async () =>
      ((await overview())['connections'] as Json[]).some((one) => one['id'] === id && 'counts' in one),
    )
  const decide = async (store: string, decision: object): Promise<[number, Json]> => {
    const answer = await admin.post(`redox/outbox/stranded/${store}`, { reason: 'x', ...decision })
    return [answer.status, (await answer.json()) as Json]
  }

  async function isStranded(name: string, waiting: number): Promise<void> {
    const id = name.replace(/^.*[:/]/, '')
    await eventually(`${name} is stranded`, async () => (await stranded()).length > 0)
    assert.deepEqual(await stranded(), [{ store: name, id, waiting, parked: 0 }])
    const lines = nodeRed.log().split('\n')
    const told = lines.filter((line) => line.includes(`(waiting ${waiting}, parked 0) in the store ${name}`))
    assert.equal(told.length, 1, nodeRed.log())
  }

  const changes: [name: string, change: (from: Flows) => Flows][] = [
    ['its connection delivers directly now', () => flows({ delivery: 'direct' })],
    ['its connection has another id', (from) => renamed('copied', from)],
    ['its connection was removed', (from) => from.filter(({ id }) => id === 'outboxtab')],
    [
      'its tab is disabled',
      (from) => from.map((node) => (node['id'] === 'outboxtab' ? { ...node, disabled: true } : node)),
    ],
    [
      'its connection has another store',
      () => flows({ store: 'postgresql' }, 'postgresql://unknown@127.0.0.1:9/none'),
    ],
  ]
  for (const [name, change] of changes)
    it(`${name}: are reported after a deploy, and after a restart of the flows`, async () => {
      const onTab = flows().map((node) =>
        node['id'] === 'outboxconfig' ? { ...node, z: 'outboxtab' } : node,
      )
      await admin.deployFlows(onTab)
      await isOpen('outboxconfig')
      await admin.accept({ documentId: 'doc-1' })
      await admin.accept({ documentId: 'doc-2' })
      assert.deepEqual(await stranded(), [])
      await admin.deployFlows(change(onTab))
      await isStranded('embedded:outboxconfig', 2)
      redox.script('send', TAKEN)
      await admin.deployFlows(onTab)
      await eventually('it is found', async () => (await stranded()).length === 0)
      await eventually('emitted', async () => (await admin.emitted()).length === 2)
    })

  it('are reported for the store of a deleted subflow instance', async () => {
    const inside = flows().map((node) =>
      node['id'] === 'outboxconfig'
        ? { ...node, z: 'subflow' }
        : node['id'] === 'outboxtab'
          ? { id: 'subflow', type: 'subflow', name: 'letters', in: [], out: [] }
          : { ...node, z: 'subflow' },
    )
    const tab = { id: 'tab', type: 'tab', label: 'tab' }
    const instance = { id: 'instance', type: 'subflow:subflow', z: 'tab', x: 10, y: 10, wires: [] }
    await admin.deployFlows([...inside, tab, instance])
    let id = ''
    await eventually('it is open', async () => {
      const [one] = (await overview())['connections'] as Json[]
      id = one && 'counts' in one ? String(one['id']) : ''
      return id !== ''
    })
    const store = `embedded:${id}`
    // The button of an Inject node in a subflow cannot be pressed, so the same flow is deployed without a subflow.
    await admin.deployFlows(renamed(id, flows()))
    await isOpen(id)
    const press = new OutboxClient(nodeRed.url, nodeRed.tokens.admin)
    await press.press({ documentId: 'doc-1' })
    await eventually('accepted', async () => {
      const [one] = (await overview())['connections'] as Json[]
      return one!['counts'].waiting + one!['counts'].sending === 1
    })
    await admin.deployFlows([...inside, tab])
    await isStranded(store, 1)
  })

  describe('operator', () => {
    const accept = async (): Promise<string> => {
      await admin.deployFlows(flows())
      await isOpen('outboxconfig')
      return (await admin.accept({ documentId: 'doc-1' }))['id'] as string
    }

    it('assigns them to another connection, which delivers them in order', async () => {
      const first = await accept()
      const { id: second } = await admin.accept({ documentId: 'doc-2' })
      await admin.deployFlows(renamed('copied', flows()))
      await isOpen('copied')
      await isStranded('embedded:outboxconfig', 2)
      redox.script('send', TAKEN)
      const sent = redox.of('send').length
      assert.deepEqual(await decide('embedded:outboxconfig', { action: 'give', to: 'copied' }), [
        200,
        { moved: 2, left: [] },
      ])
      await eventually('sent', () => Promise.resolve(redox.of('send').length >= sent + 2))
      const documents = redox
        .of('send')
        .slice(sent)
        .map(({ body }) => (JSON.parse(body.toString()) as Json)['Note'].DocumentID as string)
      assert.deepEqual(documents, ['doc-1', 'doc-2'])
      assert.deepEqual(await stranded(), [])
      await eventually('emitted', async () => (await admin.emitted()).length === 2)
      assert.deepEqual(await admin.emitted(), [first, second])
    })

    it('assigns them to a connection with another store key by giving the old key', async () => {
      await accept()
      const other = renamed('copied', flows())
      other[1]!['credentials'].storeKey = OTHER_KEY
      await admin.deployFlows(other)
      await isOpen('copied')
      await isStranded('embedded:outboxconfig', 1)
      const give = { action: 'give', to: 'copied' }
      const [status, { code }] = await decide('embedded:outboxconfig', give)
      assert.deepEqual([status, code], [503, 'REDOX_STORE_UNREADABLE'])
      redox.script('send', TAKEN)
      const key = 'a store key that is hard to guess'
      assert.deepEqual(await decide('embedded:outboxconfig', { ...give, key }), [200, { moved: 1, left: [] }])
      await eventually('emitted', async () => (await admin.emitted()).length === 1)
      assert.ok(!nodeRed.log().includes(key))
    })

    it('assigns them to a connection with another account, where they are parked', async () => {
      const id = await accept()
      await admin.deployFlows(renamed('copied', flows({ clientId: 'another client' })))
      await isOpen('copied')
      redox.script('send', TAKEN)
      const sent = redox.of('send').length
      await isStranded('embedded:outboxconfig', 1)
      await decide('embedded:outboxconfig', { action: 'give', to: 'copied' })
      await eventually('parked', async () => {
        const answer = await admin.ask(`redox/outbox/copied/messages/${id}`)
        return ((await answer.json()) as Json)['reason'] === 'REDOX_OTHER_ACCOUNT'
      })
      assert.equal(redox.of('send').length, sent)
    })

    it('discards them, with a line of the audit log', async () => {
      const id = await accept()
      await admin.deployFlows(flows({ delivery: 'direct' }))
      await isStranded('embedded:outboxconfig', 1)
      assert.deepEqual(
        await decide('embedded:outboxconfig', { action: 'discard', reason: 'tests of last week' }),
        [200, { discarded: 1 }],
      )
      assert.deepEqual(await stranded(), [])
      await admin.deployFlows(flows())
      await isOpen('outboxconfig')
      const { lines } = await admin.get('audit')
      assert.deepEqual(
        (lines as Json[]).map(({ at: _at, ...line }) => line),
        [{ who: 'admin', action: 'discard', subject: id, reason: 'tests of last week' }],
      )
    })

    it('gets an error for invalid requests and unknown stores', async () => {
      await accept()
      await admin.deployFlows(renamed('copied', flows()))
      await isOpen('copied')
      await isStranded('embedded:outboxconfig', 1)
      const wrong: [store: string, decision: object, status: number][] = [
        ['embedded:nothing', { action: 'discard' }, 404],
        ['embedded:outboxconfig', { action: 'keep' }, 400],
        ['embedded:outboxconfig', { action: 'give' }, 400],
        ['embedded:outboxconfig', { action: 'give', to: 'nothing' }, 404],
        ['embedded:outboxconfig', { action: 'discard', reason: '' }, 400],
      ]
      for (const [store, decision, status] of wrong)
        assert.equal((await decide(store, decision))[0], status, JSON.stringify(decision))
      assert.equal((await stranded()).length, 1)
    })
  })

  describe('in PostgreSQL', () => {
    let postgres: Postgres
    before(async function () {
      if (postgresBinaries() === undefined && process.env.CI !== 'true') skip(this, NO_POSTGRES)
      postgres = await Postgres.start()
    })
    after(() => postgres?.stop())

    for (const [storeSchema, name] of [
      ['', 'postgresql:outboxconfig'],
      ['ward', 'postgresql:ward/outboxconfig'],
    ] as const)
      it(`are reported for a connection that delivers directly now, once no Node-RED maintains the store: ${name}`, async () => {
        const shared = { store: 'postgresql', storeSchema }
        await admin.deployFlows(flows(shared, postgres.url()))
        await isOpen('outboxconfig')
        await admin.accept({ documentId: 'doc-1' })
        const direct = flows({ ...shared, delivery: 'direct' }, postgres.url())
        await admin.deployFlows(direct)
        // A store that a Node-RED has maintained until recently does not count as stranded: it may still be in use.
        await admin.deployFlows(renamed('copied', flows(shared, postgres.url())))
        await isOpen('copied')
        assert.deepEqual(await stranded(), [])
        await ended(storeSchema || 'redox')
        await admin.deployFlows(renamed('copied', flows({ ...shared, attempts: '2' }, postgres.url())))
        await isOpen('copied')
        await isStranded(name, 1)
        redox.script('send', TAKEN)
        assert.deepEqual(await decide(encodeURIComponent(name), { action: 'give', to: 'copied' }), [
          200,
          { moved: 1, left: [] },
        ])
        await eventually('emitted', async () => (await admin.emitted()).length === 1)
      })

    it('are reported for a connection that has another schema now, as long as a connection names the old one', async () => {
      const inSchema = (storeSchema: string): Flows =>
        flows({ store: 'postgresql', storeSchema }, postgres.url())
      await admin.deployFlows(inSchema('before'))
      await isOpen('outboxconfig')
      await admin.accept({ documentId: 'doc-1' })
      await admin.deployFlows([])
      await ended('before')
      const other = renamed('copied', inSchema('before')).map(
        (node) => JSON.parse(JSON.stringify(node).replaceAll('"outbox', '"second')) as Json,
      )
      await admin.deployFlows([...inSchema('after'), ...other])
      await isOpen('copied')
      await isStranded('postgresql:before/outboxconfig', 1)
    })

    /** Makes the store of the connection look as if no Node-RED had maintained it for a long time. */
    async function ended(schema: string): Promise<void> {
      const database = new Client({ connectionString: postgres.url() })
      await database.connect()
      await database.query(`UPDATE ${schema}.queue SET seen_at = 1 WHERE queue = 'outboxconfig'`)
      await database.end()
    }
  })
})
