/** All routes that the package adds to Node-RED's admin API: required permissions, and reaction to hostile input. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import type { OutgoingHttpHeaders, RequestOptions } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { startWithUsers, type GuardedNodeRed } from '../lib/admin'
import { askRaw, type RawAnswer } from '../lib/client'
import { eventually } from '../lib/eventually'
import { INBOX_FLOW, InboxClient } from '../lib/inbox'
import { startNodeRed, type NodeRed } from '../lib/node-red'
import { DESTINATION, OutboxClient } from '../lib/outbox'
import { reply, ScriptedServer } from '../lib/scripted-server'
import { skip } from '../lib/skip'
import { errorOf } from './outbox-support'

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
  metricsReader: 'redox-metrics.read',
} as const
type User = keyof typeof USERS

interface Route {
  method: 'GET' | 'POST' | 'DELETE'
  /** path of the route as the package registers it, with parameters */
  path: string
  /** path of a request to the route, with ids that exist in the test */
  place: () => string
  /** body of the request, and the HTTP status that a user with the permission gets */
  body?: object
  good: number
  allowed: User[]
  /** true: a request without credentials gets an answer without names, with the same status */
  isOpen?: true
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
const METRICS_READERS: User[] = ['admin', 'reader', 'metricsReader']
const PAUSE = { destination: `datamodel ${DESTINATION}`, action: 'pause', reason: 'a test' }
// Id of a message that does not exist, so that the test can send the same decision for every user.
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
  { method: 'GET', path: '/redox/outbox/:connection/direct', place: () => `${OUTBOX}/direct`, good: 200, allowed: OUTBOX_READERS },
  { method: 'POST', path: '/redox/outbox/:connection/direct/:id', place: () => `${OUTBOX}/direct/1`, body: { action: 'try-now' }, good: 409, allowed: OUTBOX_WRITERS },
  { method: 'GET', path: '/redox/outbox/:connection/messages', place: () => `${OUTBOX}/messages`, good: 200, allowed: OUTBOX_READERS },
  { method: 'GET', path: '/redox/outbox/:connection/messages/:id', place: () => `${OUTBOX}/messages/${accepted}`, good: 200, allowed: OUTBOX_READERS },
  { method: 'GET', path: '/redox/outbox/:connection/messages/:id/content', place: () => `${OUTBOX}/messages/${accepted}/content?reason=test`, good: 200, allowed: ['admin', 'outboxSeer'] },
  { method: 'GET', path: '/redox/outbox/:connection/messages/:id/identifiers', place: () => `${OUTBOX}/messages/${accepted}/identifiers`, good: 200, allowed: ['admin', 'outboxSeer'] },
  { method: 'GET', path: '/redox/outbox/:connection/messages/:id/files/:index', place: () => `${OUTBOX}/messages/${accepted}/files/0?reason=test`, good: 200, allowed: ['admin', 'outboxSeer'] },
  { method: 'POST', path: '/redox/outbox/:connection/messages/:id', place: () => `${OUTBOX}/messages/${NOBODYS}`, body: DECISION, good: 404, allowed: OUTBOX_WRITERS },
  { method: 'POST', path: '/redox/outbox/:connection/messages/:id/look-up', place: () => `${OUTBOX}/messages/${NOBODYS}/look-up`, body: { reason: 'a test' }, good: 404, allowed: OUTBOX_WRITERS },
  { method: 'GET', path: '/redox/outbox/:connection/count', place: () => `${OUTBOX}/count`, good: 200, allowed: OUTBOX_READERS },
  { method: 'POST', path: '/redox/outbox/:connection/decisions', place: () => `${OUTBOX}/decisions`, body: { ...DECISION, filter: { search: NOBODYS }, count: 0 }, good: 200, allowed: OUTBOX_WRITERS },
  { method: 'POST', path: '/redox/outbox/:connection/destinations', place: () => `${OUTBOX}/destinations`, body: PAUSE, good: 204, allowed: OUTBOX_WRITERS },
  { method: 'POST', path: '/redox/outbox/stranded/:id', place: () => 'redox/outbox/stranded/nobodys', body: DECISION, good: 404, allowed: OUTBOX_WRITERS },
  { method: 'POST', path: '/redox/outbox/:connection/store', place: () => `${OUTBOX}/store`, body: { action: 'begin-new', reason: 'a test' }, good: 409, allowed: OUTBOX_WRITERS },
  { method: 'GET', path: '/redox/outbox/:connection/audit', place: () => `${OUTBOX}/audit`, good: 200, allowed: OUTBOX_READERS },
  { method: 'GET', path: '/redox/metrics', place: () => 'redox/metrics', good: 200, allowed: METRICS_READERS },
  { method: 'GET', path: '/redox/health', place: () => 'redox/health', good: 200, allowed: METRICS_READERS, isOpen: true },
]
const POSTS = ROUTES.filter(({ method }) => method === 'POST')

/** Source of a Node-RED node with an admin route that lists all routes below `/redox`, whichever module added them. */
const TELLER = `module.exports = ({ httpAdmin }) => httpAdmin.get('/added-routes', (_request, response) =>
  response.json((httpAdmin._router ?? httpAdmin.router).stack
    .flatMap(({ route }) => (route ? Object.keys(route.methods).map((one) => [one.toUpperCase(), route.path]) : []))
    .filter(([, path]) => path.startsWith('/redox'))
    .map((route) => route.join(' '))))`

const folders: string[] = []
after(() => folders.forEach((folder) => rmSync(folder, { recursive: true })))

function folderWithTeller(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'redox-routes-'))
  folders.push(folder)
  writeFileSync(path.join(folder, 'teller.js'), TELLER)
  writeFileSync(path.join(folder, 'teller.html'), '<script type="text/html"></script>')
  return folder
}

describe('admin routes', function () {
  this.timeout(60_000)
  let nodeRed: GuardedNodeRed<User>
  let redox: ScriptedServer

  before(async () => {
    nodeRed = await startWithUsers<User>(USERS, { nodesDir: folderWithTeller() })
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
  const assertSafe = ({ headers }: Response): void => {
    assert.equal(headers.get('cache-control'), 'no-store')
    assert.equal(headers.get('x-content-type-options'), 'nosniff')
    assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin')
    assert.equal(headers.get('referrer-policy'), 'no-referrer')
  }
  const assertAlive = async (): Promise<void> =>
    assert.equal((await ask('GET', 'redox/inbox', nodeRed.tokens.admin)).status, 200)

  it('are exactly those of this list', async () => {
    const told = (await (await ask('GET', 'added-routes')).json()) as string[]
    assert.deepEqual(told.sort(), ROUTES.map((route) => `${route.method} ${route.path}`).sort())
  })

  it('are added in one place, which checks permission and origin at each request', () => {
    const root = path.join(__dirname, '../../..')
    const adding = ['nodes', 'plugins', 'src'].flatMap((folder) =>
      readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts'))
        .map((file) => path.posix.join(folder, file.replaceAll(path.sep, '/')))
        .filter((file) => /httpAdmin|httpNode/.test(readFileSync(path.join(root, file), 'utf8'))),
    )
    assert.deepEqual(adding, ['nodes/lib/runtime/admin-routes.ts'])
  })

  for (const route of ROUTES) {
    const name = `${route.method} ${route.path}`

    it(`${name}: 401 without a token, with a wrong token and without the permission, and no data`, async () => {
      const refused = (Object.keys(USERS) as User[]).filter((user) => !route.allowed.includes(user))
      for (const token of [undefined, 'wrong', ...refused.map((user) => nodeRed.tokens[user])]) {
        const answer = await use(route, token)
        if (route.isOpen && token === undefined) {
          assert.deepEqual([answer.status, await answer.text()], [200, '{"status":"ok"}'])
          continue
        }
        assert.equal(answer.status, 401)
        assertSafe(answer)
        assert.match(await answer.text(), /^(Unauthorized)?$/)
      }
    })

    it(`${name}: other methods are not handled`, async () => {
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
    it(`${route.method} ${route.path}: a user with the permission gets an answer that no cache keeps`, async () => {
      for (const user of route.allowed) {
        const answer = await use(route, nodeRed.tokens[user])
        assert.equal(answer.status, route.good, user)
        assertSafe(answer)
      }
    })
  }

  const FOREIGN: Record<string, string>[] = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'cross-site', origin: 'null' },
    // The Sec-Fetch-Site header decides, even if the Origin header is that of Node-RED.
    { 'sec-fetch-site': 'same-site', origin: 'HOST' },
    { 'sec-fetch-site': 'same-origin, cross-site' },
    { origin: 'null' },
    { origin: 'https://evil.example' },
    { origin: 'http://127.0.0.1:1' },
    { origin: 'http://localhost' },
    { origin: 'file://' },
    { origin: 'chrome-extension://abcdefgh' },
    { origin: 'not an origin' },
    { origin: 'https://evil.example', 'x-forwarded-host': 'evil.example' },
    { origin: 'https://evil.example', forwarded: 'host=evil.example' },
  ]
  const ownHost = (headers: Record<string, string>): Record<string, string> => ({
    ...headers,
    ...(headers['origin'] === 'HOST' && { origin: new URL(nodeRed.url).origin }),
  })
  const useAs = ({ method, place, body }: Route, headers: object, token: string): Promise<RawAnswer> =>
    askRaw(
      nodeRed.url + place(),
      { method, headers: { ...headers, authorization: `Bearer ${token}` } },
      body && JSON.stringify(body),
    )

  for (const route of ROUTES) {
    it(`${route.method} ${route.path}: a page of another origin is refused before any other check, with any login`, async () => {
      const methods = route.method === 'GET' ? (['GET', 'HEAD'] as const) : [route.method]
      for (const method of methods)
        for (const headers of FOREIGN)
          for (const token of [nodeRed.tokens.admin, 'wrong']) {
            const asked = { ...route, method } as Route
            const answer = await useAs(asked, ownHost(headers), token)
            const what = `${method} ${JSON.stringify(headers)} ${token === 'wrong' ? token : ''}`
            assert.equal(answer.status, 403, what)
            assert.equal(answer.headers['cache-control'], 'no-store', what)
            if (method === 'HEAD') continue
            const refusal = JSON.parse(answer.text) as { code: string; message: string }
            assert.equal(refusal.code, 'REDOX_FOREIGN_ORIGIN', what)
            assert.match(refusal.message, /settings\.js, e\.g\. redox: \{ allowedOrigins:/)
          }
    })
  }

  for (const route of ROUTES.filter(({ method }) => method !== 'DELETE')) {
    it(`${route.method} ${route.path}: the editor's own page and scripts are answered`, async () => {
      for (const headers of [
        { 'sec-fetch-site': 'same-origin' },
        { 'sec-fetch-site': 'none' },
        { origin: 'HOST' },
      ])
        assert.equal((await useAs(route, ownHost(headers), nodeRed.tokens.admin)).status, route.good)
    })
  }

  it('prevent changes by a foreign page, although Node-RED 4.1 allows it to the browser', async () => {
    const lines = async (): Promise<unknown> =>
      ((await (await ask('GET', `${OUTBOX}/audit`, nodeRed.tokens.admin)).json()) as { total: number }).total
    const before = await lines()
    const headers = { origin: 'https://evil.example', 'access-control-request-method': 'POST' }
    for (const route of ROUTES) {
      const asked = { ...headers, 'access-control-request-headers': 'content-type,x-forwarded-host' }
      await askRaw(nodeRed.url + route.place(), { method: 'OPTIONS', headers: asked })
      await useAs(route, { origin: 'https://evil.example' }, nodeRed.tokens.admin)
    }
    assert.equal(await lines(), before)
    const inbox = await new InboxClient(nodeRed.url, nodeRed.tokens.admin).list()
    assert.equal(inbox.messages.length, 1)
  })

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
          .filter((value) => typeof value === 'object' || typeof value !== typeof (body as never)[field])
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

    it(`POST ${route.path}: ${hostile.length} kinds of hostile input are refused and not repeated, and Node-RED keeps running`, async () => {
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

  it('of the inbox answer 404 for invalid ids and for ids with path segments', async () => {
    // prettier-ignore
    const IDS = ['../../flows', '..%2f..%2fflows', '%2e%2e/settings', '%00', '__proto__', 'constructor', '[object%20Object]', 'a'.repeat(8000), '%F0%9F%A9%BA', `${message}/files/__proto__`, `${message}/files/..%2f0`, `${message}/files/1e0`, `${message}/files/-1`, `${message}/files/0/0`]
    for (const id of IDS) {
      const answer = await ask('GET', `redox/inbox/${id}`, nodeRed.tokens.inboxReader)
      // Some of these ids form the path of another admin route, which responds with 401.
      assert.ok([401, 404].includes(answer.status), `${id}: ${answer.status}`)
      assert.ok(!(await answer.text()).includes(CANARY), id)
    }
    await assertAlive()
  })

  it('delete nothing for a refused DELETE, and everything for an allowed one', async () => {
    const count = async (): Promise<number> =>
      (await new InboxClient(nodeRed.url, nodeRed.tokens.reader).list()).messages.length
    for (const user of ['reader', 'inboxReader', 'editor'] as const)
      await ask('DELETE', 'redox/inbox', nodeRed.tokens[user])
    assert.equal(await count(), 1)
    assert.equal((await ask('DELETE', 'redox/inbox', nodeRed.tokens.inboxWriter)).status, 204)
    assert.equal(await count(), 0)
  })
})

describe('admin routes without a login', function () {
  this.timeout(60_000)
  const CONTENT = 'redox/outbox/outboxconfig/messages/any/content?reason=test'
  let nodeRed: NodeRed | undefined
  afterEach(async () => {
    await nodeRed?.stop()
    nodeRed = undefined
  })

  /**
   * HTTP status and error code of a request for the content of a message that does not exist: 404 if the request is
   * allowed, otherwise 403.
   */
  const content = async (headers: object = {}, options: RequestOptions = {}, root = ''): Promise<string> => {
    const url = nodeRed!.url + root + CONTENT
    const answer = await askRaw(url, { ...options, headers: headers as OutgoingHttpHeaders })
    const { code } = JSON.parse(answer.text) as { code: string }
    return `${answer.status} ${code}`
  }
  const CLOSED = '403 REDOX_CONTENT_CLOSED'
  const SHOWN = '404 not_found'

  it('show content to users of this machine if Node-RED listens on the loopback interface only', async () => {
    nodeRed = await startNodeRed()
    const { host, port } = new URL(nodeRed.url)
    for (const asked of [host, `localhost:${port}`, `[::1]:${port}`])
      assert.equal(await content({ host: asked }), SHOWN, asked)
    // Requests through proxies, which keep the host name or add headers, and requests with foreign host names that
    // resolve to this machine.
    for (const headers of [
      { host: 'nodered.example' },
      { host: `localhost.evil.example:${port}` },
      { host: `127.0.0.1.evil.example:${port}` },
      { host: 'evil.example', 'x-forwarded-host': 'localhost' },
      { 'x-forwarded-for': '127.0.0.1' },
      { forwarded: 'for=127.0.0.1' },
      { via: '1.1 proxy' },
    ])
      assert.equal(await content(headers), CLOSED, JSON.stringify(headers))
  })

  it('show no content if other computers can reach Node-RED, and report the settings for it', async () => {
    const redox = await ScriptedServer.start()
    try {
      nodeRed = await startNodeRed({ uiHost: '0.0.0.0', redox: { identifiersForReaders: true } })
      const client = new OutboxClient(nodeRed.url)
      await client.deploy(redox.script('send', reply(400, {})).url, {}, INBOX_FLOW)
      const { id } = await client.accept({ documentId: 'doc-1' })
      await client.until(id, 'parked')
      const answer = await client.ask(`${OUTBOX}/messages/${id}/content?reason=test`)
      const refusal = (await answer.json()) as { code: string; message: string }
      assert.deepEqual([answer.status, refusal.code], [403, 'REDOX_CONTENT_CLOSED'])
      assert.match(
        refusal.message,
        /adminAuth .*uiHost to 127\.0\.0\.1.*redox: \{ contentWithoutAdminAuth: true \}/,
      )
      for (const place of ['identifiers', 'files/0?reason=test'])
        assert.deepEqual(await errorOf(await client.ask(`${OUTBOX}/messages/${id}/${place}`)), [
          ...[403, 'REDOX_CONTENT_CLOSED'],
        ])
      // No content was returned, so the audit log contains no access to content.
      assert.deepEqual((await client.get('audit'))['lines'], [])
      // The sandbox inbox still shows content, with a warning, because its patients are invented.
      const inbox = new InboxClient(nodeRed.url)
      await inbox.send({ bytes: Buffer.from('%PDF-1.7 %%EOF'), filename: 'a.pdf' })
      const list = await inbox.list()
      assert.deepEqual([list.messages.length, list.openToAll], [1, true])
    } finally {
      await redox.close()
    }
  })

  it('show content if settings.js declares a login in front of Node-RED', async () => {
    nodeRed = await startNodeRed({ uiHost: '0.0.0.0', redox: { contentWithoutAdminAuth: true } })
    assert.equal(await content({ host: 'nodered.example', via: '1.1 proxy' }), SHOWN)
  })

  it('accept only true for this setting', async () => {
    nodeRed = await startNodeRed({ uiHost: '0.0.0.0', redox: { contentWithoutAdminAuth: 'no' } })
    assert.equal(await content(), CLOSED)
  })

  it('show no content to the default user of adminAuth, who is any visitor', async () => {
    const guarded = await startWithUsers({ admin: '*' }, { uiHost: '0.0.0.0' }, { permissions: '*' })
    nodeRed = guarded
    assert.equal(await content(), CLOSED)
    assert.equal(await content({ authorization: `Bearer ${guarded.tokens.admin}` }), SHOWN)
  })

  it('show no content through a Unix socket, which a proxy uses', async function () {
    if (process.platform === 'win32') skip(this, 'Windows has no Unix sockets')
    const socketPath = path.join(folderWithTeller(), 'socket')
    nodeRed = await startNodeRed({ uiPort: socketPath })
    await eventually('the socket is there', async () => existsSync(socketPath))
    assert.equal(await content({ host: 'localhost' }, { socketPath }), CLOSED)
  })

  it('apply the same rules below another admin root', async () => {
    nodeRed = await startNodeRed({ uiHost: '0.0.0.0', httpAdminRoot: '/admin' })
    assert.equal(await content({}, {}, 'admin/'), CLOSED)
    assert.equal(await content({ origin: 'https://evil.example' }, {}, 'admin/'), '403 REDOX_FOREIGN_ORIGIN')
  })

  describe('behind a proxy', () => {
    const decide = async (headers: object): Promise<number> => {
      const url = `${nodeRed!.url}redox/outbox/outboxconfig/messages/any`
      const options = { method: 'POST', headers: headers as OutgoingHttpHeaders }
      return (await askRaw(url, options, JSON.stringify(DECISION))).status
    }
    const [REFUSED, TAKEN] = [403, 404]

    it("that keeps the Host header, accept the editor's own page", async () => {
      nodeRed = await startNodeRed()
      for (const [origin, host] of [
        ['http://nodered.example', 'nodered.example'],
        ['http://nodered.example', 'NodeRed.example:80'],
        ['https://nodered.example', 'nodered.example'],
        ['https://nodered.example', 'nodered.example:443'],
        ['http://[fd00::1]:8080', '[fd00::1]:8080'],
      ])
        assert.equal(await decide({ origin, host }), TAKEN, `${origin} ${host}`)
      for (const [origin, host] of [
        ['http://nodered.example:8080', 'nodered.example'],
        ['http://nodered.example', 'nodered.example:8080'],
        ['http://nodered.example', 'nodered.example.evil.example'],
        ['http://nodered.example', 'not a host'],
      ])
        assert.equal(await decide({ origin, host }), REFUSED, `${origin} ${host}`)
    })

    it('that changes the Host header, need the origin in settings.js', async () => {
      const allowedOrigins = ['http://nodered.example', 'https://red.example:8443/', 7, 'nodered.example']
      nodeRed = await startNodeRed({ redox: { allowedOrigins } })
      for (const origin of ['http://nodered.example', 'https://red.example:8443'])
        assert.equal(await decide({ origin }), TAKEN, origin)
      for (const headers of [
        { origin: 'https://nodered.example' },
        { origin: 'http://nodered.example:8080' },
        { origin: 'https://red.example' },
        { origin: 'null' },
        { origin: 'not an origin' },
        { origin: 'http://nodered.example', 'sec-fetch-site': 'cross-site' },
      ])
        assert.equal(await decide(headers), REFUSED, JSON.stringify(headers))
    })
  })
})
