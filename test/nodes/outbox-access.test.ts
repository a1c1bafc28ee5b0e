/** Permissions for the outbox, refused requests, and stores that cannot be opened. */
import assert from 'node:assert/strict'
import { startWithUsers, type GuardedNodeRed } from '../lib/admin'
import { askRaw } from '../lib/client'
import { eventually } from '../lib/eventually'
import { FILE_NAME, flowTo, OTHER_DESTINATION, OUTBOX_PATIENT, OutboxClient, type Json } from '../lib/outbox'
import { reply, reset, ScriptedServer } from '../lib/scripted-server'
import {
  AT,
  clientsOf,
  DESTINATION_NAME,
  errorOf,
  REFUSED,
  startOutbox,
  UNKNOWN,
  useOutbox,
  type User,
  type Users,
} from './outbox-support'

const CANARIES = [...Object.values(OUTBOX_PATIENT), FILE_NAME, 'befund', 'a store key']

const assertSilent = (text: string, where: string): void => {
  const lower = text.toLowerCase()
  assert.deepEqual(
    CANARIES.filter((canary) => lower.includes(canary.toLowerCase())),
    [],
    `in ${where}: ${text}`,
  )
}

describe('access to the outbox', function () {
  this.timeout(60_000)
  const outbox = useOutbox()
  const { parked, audit, lastLine } = outbox
  let redox: ScriptedServer
  let users: Users

  before(() => ({ redox, users } = outbox))

  it('returns the content to users with the permission, and records the access', async () => {
    const { id } = await parked()
    const content = await users.contentReader.get(
      `messages/${id}/content?reason=${encodeURIComponent('call of Dr Ötzi')}`,
    )
    assert.equal(content['body'].Patient.Demographics.LastName, OUTBOX_PATIENT.last)
    assert.deepEqual(content['files'], [FILE_NAME])
    assert.match(JSON.stringify(content['answer']), /no Quuxworth/)
    const { at: _at, ...line } = await lastLine()
    assert.deepEqual(line, { who: 'contentReader', action: 'look', subject: id, reason: 'call of Dr Ötzi' })
    for (const query of [
      '',
      '?reason=',
      '?reason=%20',
      '?reason=a%0Ab',
      `?reason=${'x'.repeat(201)}`,
      '?reason=a&b=c',
    ])
      assert.deepEqual(
        await errorOf(await users.contentReader.ask(`${AT}/messages/${id}/content${query}`)),
        [400, 'bad_request'],
        query,
      )
    assert.deepEqual(await lastLine(), { at: _at, ...line })
  })

  it('returns document and order IDs to users with the permission for content only', async () => {
    const { id } = await parked()
    const place = `messages/${id}/identifiers`
    const known = { identifiers: { DocumentID: outbox.documentIds.at(-1) } }
    for (const user of [users.admin, users.contentReader]) assert.deepEqual(await user.get(place), known)
    for (const user of [users.reader, users.decider, users.all])
      assert.equal((await user.ask(`${AT}/${place}`)).status, 401)
    assert.deepEqual(
      (await users.reader.messages(`search=${outbox.documentIds.at(-1)}`)).map((one) => one['id']),
      [id],
    )
  })

  it('returns a location or _msgid that contains an ID only with the document and order IDs', async () => {
    const documentId = outbox.documentId()
    const random = 'Binary/0ad2e563-2c19-44a9-a9e3-25d2a5c55aa5'
    const withIds = [`Patient/${OUTBOX_PATIENT.id}/_history/1`, `DocumentReference/${documentId}`]
    const entry = [random, ...withIds].map((location) => ({ response: { status: '201', location } }))
    redox.script('send', reply(200, { resourceType: 'Bundle', type: 'transaction-response', entry }))
    const { id } = await users.admin.accept({ documentId })
    await users.admin.until(id, 'delivered')
    const { delivery, msgid } = await users.reader.get(`messages/${id}`)
    assert.deepEqual([delivery.locations, typeof msgid], [[random], 'string'])
    const { identifiers } = await users.contentReader.get(`messages/${id}/identifiers`)
    assert.deepEqual(identifiers, {
      ...{ DocumentID: documentId, 'location[0]': withIds[0], 'location[1]': withIds[1] },
    })
    const flow = JSON.stringify(flowTo(redox.url, {})).replace(
      '"documentId":"documentId"',
      '"documentId":"_msgid"',
    )
    await users.admin.deployFlows(JSON.parse(flow) as object[])
    await eventually('the outbox is open', async () => 'counts' in (await users.admin.connection()))
    await users.admin.press({ documentId: 'ignored' })
    let named = id
    await eventually('it is accepted', async () => {
      named = (await users.admin.messages('order=newest'))[0]!['id'] as string
      return named !== id
    })
    const { identifiers: own } = await users.contentReader.get(`messages/${named}/identifiers`)
    assert.match(own['DocumentID'], /^[0-9a-f]{16}$/)
    assert.ok(!JSON.stringify(await users.reader.get(`messages/${named}`)).includes(own['DocumentID']))
    await users.admin.deploy(redox.url)
  })

  it('returns no patient, ID, file name or secret to users without the permission for content', async () => {
    const { id } = await parked()
    const other = await parked(reset, OTHER_DESTINATION)
    await users.admin.get(`messages/${id}/content?reason=why`)
    const seen = await Promise.all(
      [
        'redox/outbox',
        ...['messages', `messages/${id}`, `messages/${other['id']}`, 'audit?limit=500'].map(
          (place) => `${AT}/${place}`,
        ),
      ].map(async (place) => [place, await (await users.reader.ask(place)).text()] as const),
    )
    for (const [place, text] of seen) {
      assert.ok(text.length > 100)
      for (const documentId of outbox.documentIds) assert.ok(!text.includes(documentId), `${place}: ${text}`)
      assertSilent(text, place)
    }
    assertSilent(outbox.nodeRed.log(), 'log')
  })

  it('distinguishes all permissions', async () => {
    const { id } = await parked()
    const decision = { action: 'discard', reason: 'x' }
    const pause = { destination: DESTINATION_NAME, action: 'pause', reason: 'x' }
    type Use = (user: OutboxClient) => Promise<Response>
    const uses: [name: string, use: Use, allowed: User[]][] = [
      ...['redox/outbox', `${AT}/messages`, `${AT}/messages/${id}`, `${AT}/audit`].map(
        (place): [string, Use, User[]] => [
          place,
          (user) => user.ask(place),
          ['admin', 'reader', 'decider', 'all'],
        ],
      ),
      ['content', (user) => user.ask(`${AT}/messages/${id}/content?reason=x`), ['admin', 'contentReader']],
      ['pause', (user) => user.post(`${AT}/destinations`, pause), ['admin', 'decider', 'all']],
      ['decide', (user) => user.post(`${AT}/messages/${UNKNOWN}`, decision), ['admin', 'decider', 'all']],
    ]
    for (const [name, use, allowed] of uses)
      for (const [user, client] of [
        ...Object.entries(users),
        ['not logged in', new OutboxClient(outbox.nodeRed.url)] as const,
      ]) {
        const { status } = await use(client)
        assert.equal(status === 401, !allowed.includes(user as User), `${name}, ${user}: ${status}`)
      }
    const before = await audit()
    assert.equal((await users.reader.decide(id, 'discard', 'x')).status, 401)
    assert.equal((await users.reader.pause(DESTINATION_NAME, 'pause', 'x')).status, 401)
    assert.equal((await users.all.ask(`${AT}/messages/${id}/content?reason=x`)).status, 401)
    assert.deepEqual(await audit(), before)
    assert.equal((await users.reader.get(`messages/${id}`))['state'], 'parked')
  })

  it('refuses invalid requests without an effect', async () => {
    const { id } = await parked()
    const before = await audit()
    for (const query of [
      ...[
        'state=gone',
        'state=waiting&state=parked',
        'limit=0',
        'limit=201',
        'limit=-1',
        'limit=x',
        'stat=parked',
      ],
      ...[
        'since=yesterday',
        'till=',
        'search=',
        `search=${'x'.repeat(201)}`,
        'search[a]=b',
        '__proto__[a]=b&x=1',
      ],
    ])
      assert.deepEqual(
        await errorOf(await users.admin.ask(`${AT}/messages?${query}`)),
        [400, 'bad_request'],
        query,
      )
    for (const query of ['skip=-1', 'limit=501', 'skip=1e3'])
      assert.deepEqual(
        await errorOf(await users.admin.ask(`${AT}/audit?${query}`)),
        [400, 'bad_request'],
        query,
      )
    const good = { action: 'discard', reason: 'x' }
    for (const body of [
      ...[
        { ...good, reason: '' },
        { ...good, reason: ' ' },
        { ...good, reason: 'x'.repeat(201) },
        { action: 'discard' },
      ],
      ...['a\nb', 'a\u0000', 'a\u2028b', 'a\u202eb'].map((reason) => ({ ...good, reason })),
      ...[{ ...good, action: 'delete' }, { ...good, more: 1 }, { ...good, reason: ['x'] }, [good], null, 7],
    ])
      assert.equal((await users.admin.post(`${AT}/messages/${id}`, body)).status, 400, JSON.stringify(body))
    for (const destination of ['', 7, null, 'x'.repeat(2001)])
      assert.equal(
        (await users.admin.post(`${AT}/destinations`, { destination, action: 'pause', reason: 'x' })).status,
        400,
      )
    // Decision sent as an HTML form: a page of another origin can send a form, and Node-RED parses forms.
    const pause = { destination: DESTINATION_NAME, action: 'pause', reason: 'x' }
    for (const [place, fields] of [
      [`messages/${id}`, good],
      ['destinations', pause],
    ] as const)
      for (const [type, body] of [
        ['text/plain', JSON.stringify(fields)],
        ['application/x-www-form-urlencoded', new URLSearchParams(fields).toString()],
      ] as const) {
        const init = { method: 'POST', headers: { 'content-type': type }, body }
        assert.equal((await users.admin.ask(`${AT}/${place}`, init)).status, 400, `${type} ${place}`)
      }
    assert.deepEqual(await audit(), before)
    assert.equal((await users.reader.get(`messages/${id}`))['state'], 'parked')
  })

  it('answers 404 for unknown messages, destinations and connections', async () => {
    const cases = [
      ...[UNKNOWN, '__proto__', '..%2f..', 'a'.repeat(5000)].map((id) =>
        users.admin.ask(`${AT}/messages/${id}`),
      ),
      users.admin.ask(`${AT}/messages/${UNKNOWN}/content?reason=x`),
      users.admin.decide(UNKNOWN, 'discard', 'x'),
      users.admin.pause('datamodel elsewhere', 'pause', 'x'),
      ...['outboxsend', '__proto__', 'constructor'].map((id) =>
        users.admin.ask(`redox/outbox/${id}/messages`),
      ),
    ]
    for (const answer of await Promise.all(cases)) assert.deepEqual(await errorOf(answer), [404, 'not_found'])
  })

  it('returns the reason when the store of a connection is not open', async () => {
    const closed = {
      ...{
        id: 'closed',
        type: 'redox-config',
        name: '',
        environment: 'Sandbox',
        environmentType: 'environment',
      },
      ...{ delivery: 'durable', credentials: { storeKey: 'too short' } },
    }
    const user = {
      id: 'user',
      type: 'redox-upload',
      z: 'outboxtab',
      connection: 'closed',
      x: 1,
      y: 1,
      wires: [[]],
    }
    await users.admin.deploy(redox.url, {}, [closed, user])
    await eventually('it says why', async () => {
      const { connections } = (await (await users.reader.ask('redox/outbox')).json()) as {
        connections: Json[]
      }
      const { code, counts } = connections.find(({ id }) => id === 'closed') ?? {}
      return code === 'REDOX_CONFIGURATION' && counts === undefined
    })
    assert.deepEqual(await errorOf(await users.reader.ask('redox/outbox/closed/messages')), [
      503,
      'REDOX_CONFIGURATION',
    ])
    await users.admin.deploy(redox.url)
    const { connections } = (await (await users.reader.ask('redox/outbox')).json()) as { connections: Json[] }
    assert.deepEqual(
      connections.map(({ id }) => id as string),
      ['outboxconfig'],
    )
  })
})

describe('document and order IDs for readers of the outbox', function () {
  this.timeout(60_000)
  let nodeRed: GuardedNodeRed<'admin' | 'reader' | 'other'>
  let redox: ScriptedServer
  before(async () => {
    const users = { admin: '*', reader: 'redox-outbox.read', other: 'redox-outbox.write' }
    nodeRed = await startWithUsers(users, { redox: { identifiersForReaders: true } }, { permissions: '*' })
    redox = await ScriptedServer.start()
  })
  after(async () => {
    await nodeRed?.stop()
    await redox?.close()
  })

  it('are shown if settings.js says so, but not to others or to visitors', async () => {
    const admin = new OutboxClient(nodeRed.url, nodeRed.tokens.admin)
    await admin.deploy(redox.script('send', REFUSED).url)
    const { id } = await admin.accept({ documentId: 'doc-for-readers' })
    await admin.until(id, 'parked')
    const reader = new OutboxClient(nodeRed.url, nodeRed.tokens.reader)
    const details = await reader.get(`messages/${id}`)
    assert.equal(details['identifiersForReaders'], true)
    assert.doesNotMatch(JSON.stringify(details), /doc-for-readers/)
    const place = `messages/${id}/identifiers`
    assert.deepEqual(await reader.get(place), { identifiers: { DocumentID: 'doc-for-readers' } })
    const other = new OutboxClient(nodeRed.url, nodeRed.tokens.other)
    assert.equal((await other.ask(`${AT}/${place}`)).status, 401)
    // Node-RED listens on this machine only, so that only the Host header makes the request one of a visitor.
    const headers = { host: 'nodered.example' }
    const answer = await askRaw(`${nodeRed.url}${AT}/${place}`, { headers })
    assert.deepEqual([answer.status, /REDOX_CONTENT_CLOSED/.test(answer.text)], [403, true])
    const seen = await askRaw(`${nodeRed.url}${AT}/messages/${id}`, { headers })
    const { contentIsClosed, identifiersForReaders } = JSON.parse(seen.text) as Json
    assert.deepEqual([contentIsClosed, identifiersForReaders], [true, undefined])
  })
})

describe('store that cannot be read', function () {
  this.timeout(60_000)
  let nodeRed: GuardedNodeRed<User>
  before(async () => void (nodeRed = await startOutbox()))
  after(() => nodeRed?.stop())

  it('is replaced only by users with the permission, with a reason', async () => {
    const { admin, reader, decider } = clientsOf(nodeRed)
    const begin = (by: OutboxClient, fields: object): Promise<Response> =>
      by.post(`${AT}/store`, {
        action: 'begin-new',
        reason: 'the key is lost',
        ...fields,
      })
    const statusOf = async (answer: Promise<Response>): Promise<number> => (await answer).status
    await admin.deploy('http://127.0.0.1:9')
    assert.equal(await statusOf(begin(decider, {})), 409)
    await admin.pause(DESTINATION_NAME, 'pause', 'x')
    await admin.deployFlows(flowTo('http://127.0.0.1:9', {}, 'quite another key of the store'))
    await eventually('it cannot be read', async () => {
      const { code, counts } = await admin.connection()
      return code === 'REDOX_STORE_UNREADABLE' && counts === undefined
    })
    assert.equal(await statusOf(begin(reader, {})), 401)
    for (const wrong of [{ reason: '' }, { reason: 'a\nb' }, { action: 'remove' }, { more: 1 }])
      assert.equal(await statusOf(begin(decider, wrong)), 400)
    const answer = await begin(decider, {})
    assert.equal(answer.status, 200)
    const { setAside } = (await answer.json()) as Json
    assert.match(setAside as string, /^outboxconfig\.unreadable-/)
    const { code, counts } = await admin.connection()
    assert.deepEqual([code, counts.waiting], [undefined, 0])
    const { lines } = await admin.get('audit')
    const { at: _at, ...line } = lines[0] as Json
    assert.deepEqual(line, {
      ...{ who: 'decider', action: 'begin-new', subject: setAside, reason: 'the key is lost' },
    })
    assert.ok(nodeRed.log().includes('decider began a new store'))
    await admin.accept({ documentId: 'after' })
    assert.equal(await statusOf(begin(decider, {})), 409)
  })

  it('is replaced also while messages arrive, each of which tries to open it', async () => {
    const { admin, decider } = clientsOf(nodeRed)
    for (const key of ['a third key of the store', 'a fourth key of the store']) {
      await admin.deployFlows(flowTo('http://127.0.0.1:9', {}, key))
      await eventually(
        'it cannot be read',
        async () => (await admin.connection())['code'] === 'REDOX_STORE_UNREADABLE',
      )
      const arriving = Array.from({ length: 20 }, (_, index) => admin.press({ documentId: `${index}` }))
      const answer = await decider.post(`${AT}/store`, { action: 'begin-new', reason: 'the key is lost' })
      assert.equal(answer.status, 200, await answer.text())
      await Promise.all(arriving)
      assert.equal((await admin.connection())['code'], undefined)
    }
  })
})
