/** Every route that the package adds to Node-RED's admin API: who may use it, and what it does with hostile input. */
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { startWithUsers, type GuardedNodeRed } from '../lib/admin'
import { INBOX_FLOW, InboxClient } from '../lib/inbox'
import { DESTINATION, OutboxClient } from '../lib/outbox'
import { reply, ScriptedServer } from '../lib/scripted-server'

const USERS = {
  admin: '*',
  reader: 'read',
  deployer: 'flows.write',
  redoxOnly: 'redox.write',
  editor: ['flows.write', 'redox.write'],
  inboxReader: 'redox-inbox.read',
  inboxWriter: 'redox-inbox.write',
  outboxReader: 'redox-outbox.read',
  outboxWriter: 'redox-outbox.write',
  outboxSeer: 'redox-outbox.content',
} as const
type User = keyof typeof USERS

interface Route {
  method: 'GET' | 'POST' | 'DELETE'
  /** as it is registered */
  path: string
  /** where a test finds it */
  place: () => string
  /** what it is asked with, and what it answers whoever may ask */
  body?: object
  good: number
  allowed: User[]
}

const CANARY = 'Quuxworth-8814'
const CONNECTION = { environment: 'Sandbox', environmentType: 'environment' }
let message: string
let accepted: string

const EDITORS: User[] = ['admin', 'editor']
const READERS: User[] = ['admin', 'reader', 'inboxReader']
const TEST = { id: 'new', config: CONNECTION, secrets: {} }
const PREVIEW = {
  ...{ id: 'new', type: 'redox-upload', config: { api: 'fhir' } },
  ...{ connectionId: '', connection: CONNECTION },
}
const OUTBOX = 'redox/outbox/outboxconfig'
const OUTBOX_READERS: User[] = ['admin', 'reader', 'outboxReader']
const OUTBOX_WRITERS: User[] = ['admin', 'outboxWriter']
const PAUSE = { lane: `datamodel ${DESTINATION}`, action: 'pause', reason: 'a test' }
// Of a message that is not there: it can be decided about as often as a test likes.
const NOBODYS = '00000000-0000-4000-8000-000000000000'
const DECISION = { action: 'discard', reason: 'a test' }
// prettier-ignore
const ROUTES: Route[] = [
  { method: 'POST', path: '/redox/test', place: () => 'redox/test', body: TEST, good: 200, allowed: EDITORS },
  { method: 'POST', path: '/redox/preview', place: () => 'redox/preview', body: PREVIEW, good: 200, allowed: EDITORS },
  { method: 'POST', path: '/redox/key-pair', place: () => 'redox/key-pair', body: {}, good: 200, allowed: EDITORS },
  { method: 'GET', path: '/redox/inbox', place: () => 'redox/inbox', good: 200, allowed: READERS },
  { method: 'GET', path: '/redox/inbox/:id', place: () => `redox/inbox/${message}`, good: 200, allowed: READERS },
  { method: 'GET', path: '/redox/inbox/:id/files/:index', place: () => `redox/inbox/${message}/files/0`, good: 200, allowed: READERS },
  { method: 'DELETE', path: '/redox/inbox', place: () => 'redox/inbox', good: 204, allowed: ['admin', 'inboxWriter'] },
  { method: 'GET', path: '/redox/outbox', place: () => 'redox/outbox', good: 200, allowed: OUTBOX_READERS },
  { method: 'GET', path: '/redox/outbox/:connection/messages', place: () => `${OUTBOX}/messages`, good: 200, allowed: OUTBOX_READERS },
  { method: 'GET', path: '/redox/outbox/:connection/messages/:id', place: () => `${OUTBOX}/messages/${accepted}`, good: 200, allowed: OUTBOX_READERS },
  { method: 'GET', path: '/redox/outbox/:connection/messages/:id/content', place: () => `${OUTBOX}/messages/${accepted}/content?reason=test`, good: 200, allowed: ['admin', 'outboxSeer'] },
  { method: 'POST', path: '/redox/outbox/:connection/messages/:id', place: () => `${OUTBOX}/messages/${NOBODYS}`, body: DECISION, good: 404, allowed: OUTBOX_WRITERS },
  { method: 'POST', path: '/redox/outbox/:connection/lanes', place: () => `${OUTBOX}/lanes`, body: PAUSE, good: 204, allowed: OUTBOX_WRITERS },
  { method: 'POST', path: '/redox/outbox/:connection/store', place: () => `${OUTBOX}/store`, body: { action: 'begin-new', reason: 'a test' }, good: 409, allowed: OUTBOX_WRITERS },
  { method: 'GET', path: '/redox/outbox/:connection/audit', place: () => `${OUTBOX}/audit`, good: 200, allowed: OUTBOX_READERS },
]
// Registered together, by a function of their own.
const OF_DIALOGS = ['/redox/test', '/redox/preview', '/redox/key-pair']
const POSTS = ROUTES.filter(({ method }) => method === 'POST')

describe('admin routes', function () {
  this.timeout(60_000)
  let nodeRed: GuardedNodeRed<User>
  let redox: ScriptedServer

  before(async () => {
    nodeRed = await startWithUsers<User>(USERS)
    redox = await ScriptedServer.start()
    const outbox = new OutboxClient(nodeRed.url, nodeRed.tokens.admin)
    await outbox.deploy(redox.script('send', reply(400, {})).url, {}, INBOX_FLOW)
    accepted = (await outbox.accept({ documentId: 'doc-1' })).id
    await outbox.until(accepted, 'parked')
    const admin = new InboxClient(nodeRed.url, nodeRed.tokens.admin)
    message = (
      await admin.send({ bytes: Buffer.from('%PDF-1.7 %%EOF'), filename: `${CANARY}.pdf`, family: CANARY })
    ).id
  })
  after(async () => {
    await nodeRed?.stop()
    await redox?.close()
  })

  const ask = (method: string, place: string, token?: string, init: RequestInit = {}): Promise<Response> =>
    fetch(nodeRed.url + place, {
      method,
      ...init,
      headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...init.headers },
    })
  const json = (body: unknown): RequestInit => ({
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  const use = ({ method, place, body }: Route, token?: string): Promise<Response> =>
    ask(method, place(), token, body === undefined ? {} : json(body))
  const assertAlive = async (): Promise<void> =>
    assert.equal((await ask('GET', 'redox/inbox', nodeRed.tokens.admin)).status, 200)

  it('are these and no others', () => {
    const root = path.join(__dirname, '../../..')
    const files = ['nodes', 'plugins'].flatMap((folder) =>
      readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts'))
        .map((file) => readFileSync(path.join(root, folder, file), 'utf8')),
    )
    const found = files.flatMap((source) =>
      [...source.matchAll(/(?:httpAdmin\.(get|post|put|patch|delete|all|use)|\broute)\(\s*'(\/[^']*)'/g)].map(
        ([, method = 'post', place]) => `${method.toUpperCase()} ${place}`,
      ),
    )
    assert.deepEqual(found.sort(), ROUTES.map(({ method, path }) => `${method} ${path}`).sort())
    // None is registered in a way that the search does not see, and none where no permission is asked for.
    const calls = files.join('\n').match(/httpAdmin\.\w+\(|httpNode/g)
    assert.equal(calls?.length, ROUTES.length - OF_DIALOGS.length + 1)
  })

  for (const route of ROUTES) {
    const name = `${route.method} ${route.path}`

    it(`${name}: without a token, with a wrong one and without the permission 401, and nothing told`, async () => {
      const refused = (Object.keys(USERS) as User[]).filter((user) => !route.allowed.includes(user))
      for (const token of [undefined, 'wrong', ...refused.map((user) => nodeRed.tokens[user])]) {
        const answer = await use(route, token)
        assert.equal(answer.status, 401)
        assert.match(await answer.text(), /^(Unauthorized)?$/)
      }
    })

    it(`${name}: other methods are none of its own`, async () => {
      const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].filter(
        (method) => !ROUTES.some((other) => other.method === method && other.path === route.path),
      )
      for (const method of methods) {
        const answer = await ask(method, route.place(), nodeRed.tokens.admin)
        assert.equal(answer.status, 404, method)
        assert.ok(!(await answer.text()).includes(CANARY))
      }
    })
  }

  for (const route of ROUTES.filter(({ method }) => method !== 'DELETE')) {
    it(`${route.method} ${route.path}: whoever has the permission gets it, and no cache keeps it`, async () => {
      for (const user of route.allowed) {
        const answer = await use(route, nodeRed.tokens[user])
        assert.equal(answer.status, route.good, user)
        assert.equal(answer.headers.get('cache-control'), 'no-store')
      }
    })
  }

  const nested = (levels: number): string => `${'{"config":'.repeat(levels)}"${CANARY}"${'}'.repeat(levels)}`
  for (const route of POSTS) {
    const { body = {} } = route
    const fields = Object.keys(body)
    const wrongTypes: unknown[] = [null, 7, true, [], [body], CANARY, { toString: { $gt: CANARY } }]
    const inForm = (value: unknown): object[] =>
      fields
        .filter((field) => /config|connection$/.test(field))
        .map((field) => ({ ...body, [field]: { ...CONNECTION, apiBase: value } }))
    const hostile: [string, RequestInit][] = [
      ...fields.flatMap((field) =>
        wrongTypes
          .filter((value) => !(typeof value === 'string' && typeof (body as never)[field] === 'string'))
          .map((value): [string, RequestInit] => [
            `${field}: ${JSON.stringify(value)}`,
            json({ ...body, [field]: value }),
          ]),
      ),
      ...fields.map((field): [string, RequestInit] => [`no ${field}`, json({ ...body, [field]: undefined })]),
      ...[[CANARY], { toString: CANARY }, { a: { b: CANARY } }, 'x'.repeat(200_000)]
        .flatMap(inForm)
        .map((form): [string, RequestInit] => ['a form with more than texts', json(form)]),
      ['more than it takes', json({ ...body, [CANARY]: CANARY })],
      [
        'a prototype',
        json(`{"__proto__":{"isAdmin":true},"constructor":{"prototype":{}},"id":["${CANARY}"]}`),
      ],
      ['a list', json([body])],
      ['a deep one', json(nested(5000))],
      ['a long id', json({ ...body, id: CANARY.repeat(100) })],
      ['a text', { headers: { 'content-type': 'text/plain' }, body: JSON.stringify(body) }],
      ['no type', { body: new Uint8Array(Buffer.from(JSON.stringify(body))) }],
      ['a form of a page', { body: new URLSearchParams({ id: 'new', [CANARY]: CANARY }) }],
      ['nothing', {}],
      ['too much', json({ ...body, id: 'x'.repeat(6_000_000) })],
      ['half a JSON', json('{"id":')],
      ['another charset', { headers: { 'content-type': 'application/json; charset=x' }, body: '{}' }],
      [
        'bytes that are no gzip',
        { headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' }, body: CANARY },
      ],
    ]

    it(`POST ${route.path}: ${hostile.length} kinds of hostile input are refused, not repeated, and survived`, async () => {
      for (const [what, init] of hostile) {
        const answer = await ask('POST', route.place(), nodeRed.tokens.admin, init)
        const text = await answer.text()
        assert.ok(
          answer.status >= 400 && answer.status < 500,
          `${what}: ${answer.status} ${text.slice(0, 80)}`,
        )
        assert.ok(!text.includes(CANARY), `${what}: ${text}`)
      }
      assert.equal(({} as Record<string, unknown>)['isAdmin'], undefined)
      await assertAlive()
      assert.equal((await use(route, nodeRed.tokens.admin)).status, route.good)
    })
  }

  it('of the inbox: ids that are none, or lead elsewhere, are not found', async () => {
    // prettier-ignore
    const IDS = ['../../flows', '..%2f..%2fflows', '%2e%2e/settings', '%00', '__proto__', 'constructor', '[object%20Object]', 'a'.repeat(8000), '%F0%9F%A9%BA', `${message}/files/__proto__`, `${message}/files/..%2f0`, `${message}/files/1e0`, `${message}/files/-1`, `${message}/files/0/0`]
    for (const id of IDS) {
      const answer = await ask('GET', `redox/inbox/${id}`, nodeRed.tokens.inboxReader)
      // Some are another route by the time they arrive: then that one says no.
      assert.ok([401, 404].includes(answer.status), `${id}: ${answer.status}`)
      assert.ok(!(await answer.text()).includes(CANARY), id)
    }
    await assertAlive()
  })

  it('a refused DELETE deletes nothing, a granted one all', async () => {
    const count = async (): Promise<number> =>
      (await new InboxClient(nodeRed.url, nodeRed.tokens.reader).list()).messages.length
    for (const user of ['reader', 'inboxReader', 'editor'] as const)
      await ask('DELETE', 'redox/inbox', nodeRed.tokens[user])
    assert.equal(await count(), 1)
    assert.equal((await ask('DELETE', 'redox/inbox', nodeRed.tokens.inboxWriter)).status, 204)
    assert.equal(await count(), 0)
  })
})
