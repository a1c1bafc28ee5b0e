/** The admin API of the outbox: what it shows and to whom, what a person decides, and what is written down of it. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { NodeAPI } from 'node-red'
import { PARKED_EVENT } from '../../nodes/lib/connection/durable-connection'
import register from '../../plugins/redox-outbox-tab/redox-outbox-tab'
import { startWithUsers, type GuardedNodeRed } from '../lib/admin'
import { eventually } from '../lib/eventually'
import {
  DESTINATION,
  FILE_NAME,
  flowTo,
  OUTBOX_PATIENT,
  OTHER_DESTINATION,
  OutboxClient,
  type Json,
} from '../lib/outbox'
import { reply, reset, ScriptedServer } from '../lib/scripted-server'

const USERS = {
  admin: '*',
  nobody: ['flows.read', 'redox-inbox.read', 'redox-inbox.write'],
  reader: 'redox-outbox.read',
  decider: ['redox-outbox.read', 'redox-outbox.write'],
  seer: 'redox-outbox.content',
  all: ['read', 'write'],
} as const
type User = keyof typeof USERS

const DESTINATION_NAME = `datamodel ${DESTINATION}`
const OTHER_DESTINATION_NAME = `datamodel ${OTHER_DESTINATION}`
const UNKNOWN = '00000000-0000-4000-8000-000000000000'
const DOWN = reply(503, { error: 'down' })
// Redox repeats what it was sent.
const REFUSED = reply(400, {
  Meta: { Errors: [{ Text: `no ${OUTBOX_PATIENT.last}` }], Logs: [{ ID: 'log-1' }] },
})
const LOG_ID = 'd9f5d293-7110-461e-a875-3beb089e79f3'
const TAKEN = reply(200, { Meta: { Logs: [{ ID: LOG_ID }] } })
const CANARIES = [...Object.values(OUTBOX_PATIENT), FILE_NAME, 'befund', 'a store key']

const assertSilent = (text: string, where: string): void => {
  const lower = text.toLowerCase()
  assert.deepEqual(
    CANARIES.filter((canary) => lower.includes(canary.toLowerCase())),
    [],
    `in ${where}: ${text}`,
  )
}

describe('outbox', function () {
  this.timeout(60_000)
  let nodeRed: GuardedNodeRed<User>
  let redox: ScriptedServer
  const users = {} as Record<User, OutboxClient>
  let count = 0

  before(async () => {
    nodeRed = await startWithUsers<User>(USERS)
    for (const name of Object.keys(USERS) as User[])
      users[name] = new OutboxClient(nodeRed.url, nodeRed.tokens[name])
    redox = await ScriptedServer.start()
    await users.admin.deploy(redox.url)
  })
  after(async () => {
    await nodeRed?.stop()
    await redox?.close()
  })
  afterEach(async () => {
    redox.script('send')
    const { destinations } = (await users.admin.connection()) as { destinations: Json[] }
    for (const { destination } of destinations.filter(({ paused }) => paused))
      await users.admin.pause(destination, 'resume', 'end of test')
    for (const { id } of await users.admin.messages('state=parked'))
      await users.admin.decide(id, 'discard', 'end of test')
    await eventually('all is sent', async () => {
      const { counts } = (await users.admin.connection()) as { counts: Record<string, number> }
      return counts['waiting']! + counts['sending']! + counts['parked']! === 0
    })
  })

  const documentId = (): string => `doc-${++count}-of-the-test`
  const parked = async (answer = REFUSED, destination = DESTINATION): Promise<Json> => {
    redox.script('send', answer)
    const { id } = await users.admin.accept({ documentId: documentId(), destination })
    return users.admin.until(id, 'parked')
  }
  const audit = async (): Promise<Json[]> => {
    const { total } = await users.reader.get('audit?limit=1')
    return (await users.reader.get(`audit?skip=${Math.max(0, total - 5)}`))['lines'] as Json[]
  }
  const lastLine = async (): Promise<Json> => (await audit()).at(-1)!
  const errorOf = async (answer: Response): Promise<[number, string]> => {
    const { code, message } = (await answer.json()) as { code: string; message: string }
    assert.equal(typeof message, 'string')
    assert.ok(message.length > 10, message)
    return [answer.status, code]
  }

  it('shows depth, age and why a destination is stopped', async () => {
    const first = await parked()
    const second = await users.admin.accept({ documentId: documentId() })
    const answer = await users.reader.ask('redox/outbox')
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    const { connections } = (await answer.json()) as { connections: Json[] }
    assert.equal(connections.length, 1)
    const [{ id, name, counts, oldest, destinations, destinationsInAll }] = connections as [Json]
    assert.deepEqual([id, name, destinationsInAll], ['outboxconfig', 'Hospital', 1])
    assert.deepEqual([counts.waiting, counts.sending, counts.parked], [1, 0, 1])
    assert.equal(oldest, second.acceptedAt)
    assert.deepEqual(destinations, [
      {
        ...{
          destination: DESTINATION_NAME,
          open: 1,
          parked: 1,
          owners: ['outboxsend'],
          oldest: second.acceptedAt,
          paused: false,
        },
        blockedBy: { id: first.id, reason: 'REDOX_REJECTED' },
      },
    ])
  })

  it('tells why a message waits, and not what only its sender would have to do', async () => {
    redox.script('send', reply(503, {}, { 'retry-after': '100' }))
    const first = await users.admin.accept({ documentId: documentId() })
    const second = await users.admin.accept({ documentId: documentId() })
    await eventually(
      'it failed',
      async () => (await users.reader.get(`messages/${first['id']}`))['attempts'] === 1,
    )
    const { error, waitsBehind, arrival } = await users.reader.get(`messages/${first['id']}`)
    assert.deepEqual([error.code, waitsBehind, arrival], ['REDOX_UNAVAILABLE', undefined, 'no'])
    assert.match(error.message, /HTTP 503/)
    assert.doesNotMatch(error.message, /again later/)
    const behind = await users.reader.get(`messages/${second['id']}`)
    assert.deepEqual([behind['waitsBehind'], behind['arrival']], [first['id'], 'never-sent'])
    assert.equal((await users.reader.connection())['retryForHours'], 72)
    assert.equal((await users.decider.pause(DESTINATION_NAME, 'pause', 'x')).status, 204)
    assert.equal((await users.reader.get(`messages/${second['id']}`))['paused'], true)
    for (const { id } of [second, first]) await users.decider.decide(id, 'discard', `not needed: ${id}`)
    const discarded = await users.reader.get(`messages/${second['id']}`)
    assert.deepEqual(
      [discarded['decision'], discarded['arrival'], discarded['waitsBehind']],
      [{ who: 'decider', reason: `not needed: ${second['id']}` }, 'never-sent', undefined],
    )
  })

  it('tells whether a message may have arrived', async () => {
    const arrival = async (id: string): Promise<string> =>
      (await users.reader.get(`messages/${id}`))['arrival']
    const refused = await parked(REFUSED)
    assert.equal(await arrival(refused['id']), 'no')
    const unknown = await parked(reset, OTHER_DESTINATION)
    assert.equal(await arrival(unknown['id']), 'maybe')
    await users.decider.decide(unknown['id'], 'discard', 'x')
    assert.equal(await arrival(unknown['id']), 'maybe')
    redox.script('send', TAKEN)
    await users.decider.decide(refused['id'], 'resend', 'x')
    await users.reader.until(refused['id'], 'delivered')
    assert.equal(await arrival(refused['id']), 'yes')
  })

  it('finds by id, document id, hash and message id, state, destination and time', async () => {
    redox.script('send', DOWN)
    const bytes = Buffer.from('%PDF-1.7 found by its hash %%EOF')
    const here = { documentId: documentId(), bytes }
    const there = { documentId: documentId(), destination: OTHER_DESTINATION }
    const first = await users.admin.accept(here)
    const second = await users.admin.accept(there)
    // From now on none is being sent: their state stays.
    for (const name of [DESTINATION_NAME, OTHER_DESTINATION_NAME])
      assert.equal((await users.admin.pause(name, 'pause', 'x')).status, 204)
    for (const { id } of [first, second]) await users.admin.until(id, 'waiting')
    const ids = async (query: string): Promise<string[]> =>
      (await users.reader.messages(query)).map(({ id }) => id)
    const hash = createHash('sha256').update(bytes).digest('hex')
    assert.deepEqual(await ids(`search=${first.id}`), [first.id])
    assert.deepEqual(await ids(`search=${here.documentId}`), [first.id])
    assert.deepEqual(await ids(`search=${hash}`), [first.id])
    assert.deepEqual(await ids(`search=${hash.toUpperCase()}`), [first.id])
    assert.deepEqual(await ids(`search=${there.documentId}`), [second.id])
    assert.deepEqual(await ids('search=doc-'), [])
    assert.deepEqual(await ids(`search=${OUTBOX_PATIENT.last}`), [])
    assert.deepEqual(await ids(`state=waiting&destination=${encodeURIComponent(OTHER_DESTINATION_NAME)}`), [
      second.id,
    ])
    assert.deepEqual(await ids(`search=${first.id}&state=parked`), [])
    const { acceptedAt } = second
    assert.deepEqual(await ids(`since=${acceptedAt}`), [second.id])
    assert.deepEqual(await ids(`state=waiting&till=${Date.parse(acceptedAt) - 1}`), [first.id])
  })

  it('gives a list page by page', async () => {
    await parked()
    const accepted: string[] = []
    for (let times = 0; times < 5; times++)
      accepted.push((await users.admin.accept({ documentId: documentId() })).id)
    const pages = async (order: string): Promise<string[][]> => {
      const all: string[][] = []
      for (let after = ''; ;) {
        const { messages, next } = await users.reader.get(`messages?state=waiting&limit=2${order}${after}`)
        all.push(messages.map(({ id }: Json) => id as string))
        if (next === undefined) return all
        after = `&after=${next}`
      }
    }
    const [a, b, c, d, e] = accepted as [string, string, string, string, string]
    assert.deepEqual(await pages(''), [[a, b], [c, d], [e]])
    assert.deepEqual(await pages('&order=newest'), [[e, d], [c, b], [a]])
  })

  it('tells what became of a message: refused, and delivered', async () => {
    const refused = await parked()
    const { operation, environment, identifiers, files, error, owner, attempts, destination, endedAt } =
      refused
    assert.deepEqual(
      [operation, environment, owner, attempts, destination],
      ['Notes:New', 'Development', 'outboxsend', 1, DESTINATION_NAME],
    )
    assert.deepEqual(identifiers, { DocumentID: `doc-${count}-of-the-test` })
    const sha256 = createHash('sha256').update('%PDF-1.7 %%EOF').digest('hex')
    assert.deepEqual(files, [{ contentType: 'application/pdf', size: 14, sha256 }])
    assert.equal(error.code, 'REDOX_REJECTED')
    assert.deepEqual([error.cause.status, error.cause.logIds], [400, ['log-1']])
    assert.ok(!('answer' in error.cause))
    assert.ok(Date.parse(endedAt) >= Date.parse(refused.acceptedAt))

    redox.script('send', TAKEN)
    assert.equal((await users.decider.decide(refused.id, 'resend', 'mended')).status, 204)
    const { delivery, error: gone } = await users.reader.until(refused.id, 'delivered')
    assert.deepEqual([delivery.status, delivery.logIds, gone], [200, [LOG_ID], undefined])
  })

  it('has a parked message sent again, and its node emits the answer', async () => {
    for (const answer of [REFUSED, reset]) {
      const { id, reason } = await parked(answer)
      assert.equal(reason, answer === reset ? 'REDOX_OUTCOME_UNKNOWN' : 'REDOX_REJECTED')
      const behind = await users.admin.accept({ documentId: documentId() })
      redox.script('send', TAKEN)
      const sent = redox.of('send').length
      assert.equal((await users.decider.decide(id, 'resend', 'looked it up: not there')).status, 204)
      await users.admin.until(behind.id, 'delivered')
      await eventually('emitted', async () => (await users.admin.emitted()).includes(behind.id))
      assert.equal((await users.admin.emitted()).filter((one) => one === id).length, 1)
      const documents = redox
        .of('send')
        .slice(sent)
        .map(({ body }) => JSON.parse(body.toString()).Note.DocumentID)
      assert.deepEqual(documents, [`doc-${count - 1}-of-the-test`, `doc-${count}-of-the-test`])
      const { at, ...line } = await lastLine()
      assert.ok(Math.abs(Date.parse(at) - Date.now()) < 20_000)
      assert.deepEqual(line, {
        who: 'decider',
        action: 'resend',
        subject: id,
        reason: 'looked it up: not there',
      })
    }
  })

  it('lets a message go over another account only when the one who decides says so', async () => {
    redox.script('send', DOWN)
    const first = await users.admin.accept({ documentId: documentId() })
    const second = await users.admin.accept({ documentId: documentId() })
    await users.admin.deploy(redox.url, { clientId: 'another client' })
    try {
      const { otherAccount, error } = await users.reader.until(first.id, 'parked')
      redox.script('send', TAKEN)
      assert.deepEqual([otherAccount, error.code], [true, 'REDOX_OTHER_ACCOUNT'])
      const plain = await users.decider.decide(first.id, 'resend', 'x')
      assert.deepEqual(await errorOf(plain), [409, 'REDOX_OTHER_ACCOUNT'])
      const sent = redox.of('send').length
      const place = `redox/outbox/outboxconfig/messages/${first.id}`
      const decision = { action: 'resend', reason: 'the client was replaced', otherAccount: true }
      assert.equal((await users.decider.post(place, decision)).status, 204)
      await users.reader.until(first.id, 'delivered')
      assert.equal(redox.of('send').length, sent + 1)
      // Of this one it was not said.
      await users.reader.until(second.id, 'parked')
    } finally {
      await users.admin.deploy(redox.url)
    }
    assert.equal((await users.reader.get(`messages/${second.id}`))['otherAccount'], false)
    assert.equal((await users.decider.decide(second.id, 'resend', 'set back')).status, 204)
    await users.reader.until(second.id, 'delivered')
  })

  it('tells when the next attempt is due, not when the last one was', async () => {
    redox.script('send', reply(503, {}))
    const { id } = await users.admin.accept({ documentId: documentId() })
    await eventually('the next attempt is ahead', async () => {
      const { attempts, dueAt } = await users.reader.get(`messages/${id}`)
      return attempts > 0 && Date.parse(dueAt) > Date.now()
    })
    assert.equal((await users.decider.decide(id, 'discard', 'not needed')).status, 204)
  })

  it('sends what is behind a discarded message at once, however long that one had to wait', async () => {
    redox.script('send', reply(503, {}, { 'retry-after': '100' }))
    const { id } = await users.admin.accept({ documentId: documentId() })
    const behind = await users.admin.accept({ documentId: documentId() })
    await eventually('it failed', async () => (await users.reader.get(`messages/${id}`))['attempts'] === 1)
    const { dueAt } = await users.reader.get(`messages/${id}`)
    assert.ok(Date.parse(dueAt) - Date.now() > 30_000, dueAt)
    redox.script('send', TAKEN)
    assert.equal((await users.decider.decide(id, 'discard', 'not needed')).status, 204)
    await users.reader.until(behind.id, 'delivered')
  })

  for (const [action, state] of [
    ['mark-delivered', 'delivered'],
    ['discard', 'discarded'],
  ] as const)
    it(`${action}: nothing is sent, nothing emitted, and what is behind goes on`, async () => {
      const { id } = await parked()
      const behind = await users.admin.accept({ documentId: documentId() })
      redox.script('send', TAKEN)
      const sent = redox.of('send').length
      assert.equal((await users.decider.decide(id, action, '  it is there  ')).status, 204)
      assert.deepEqual((await users.reader.get(`messages/${id}`))['state'], state)
      await users.admin.until(behind.id, 'delivered')
      await eventually('emitted', async () => (await users.admin.emitted()).includes(behind.id))
      assert.ok(!(await users.admin.emitted()).includes(id))
      assert.equal(redox.of('send').length, sent + 1)
      const { at: _at, ...line } = await lastLine()
      assert.deepEqual(line, { who: 'decider', action, subject: id, reason: 'it is there' })
      if (action === 'discard') return
      assert.deepEqual(await errorOf(await users.decider.decide(id, 'discard', 'x')), [
        409,
        'REDOX_STORE_LOST',
      ])
    })

  describe('decisions for many at once', () => {
    const AT = 'redox/outbox/outboxconfig'
    const post = (body: object, user: User = 'decider'): Promise<Response> =>
      users[user].post(`${AT}/decisions`, { reason: 'long outage', ...body })
    const decideAll = async (body: object): Promise<Json> => {
      const answer = await post(body)
      assert.equal(answer.status, 200, await answer.clone().text())
      return (await answer.json()) as Json
    }
    const linesSince = async (total: number): Promise<Json[]> =>
      (await users.reader.get(`audit?skip=${total}&limit=500`))['lines'] as Json[]
    const total = async (): Promise<number> => (await users.reader.get('audit?limit=1'))['total'] as number
    /** Messages to a destination that is paused. */
    async function waiting(number: number): Promise<string[]> {
      redox.script('send', DOWN)
      const first = await users.admin.accept({ documentId: documentId() })
      assert.equal((await users.admin.pause(DESTINATION_NAME, 'pause', 'x')).status, 204)
      const ids = [first['id'] as string]
      while (ids.length < number)
        ids.push((await users.admin.accept({ documentId: documentId() }))['id'] as string)
      await eventually(
        'nothing is being sent',
        async () => (await users.reader.messages('state=sending')).length === 0,
      )
      return ids
    }

    it('counts, decides about as many and no more, and writes a line for each', async () => {
      const ids = await waiting(4)
      const { count: waitingCount, till } = await users.reader.get('count?state=waiting&action=discard')
      assert.equal(waitingCount, 4)
      assert.equal(
        (
          await users.reader.get(
            `count?state=waiting&destination=${encodeURIComponent(OTHER_DESTINATION_NAME)}`,
          )
        )['count'],
        0,
      )
      const before = await total()
      // One that is accepted after the count is not meant.
      const later = await users.admin.accept({ documentId: documentId() })
      const asked = { action: 'discard', count: waitingCount, filter: { state: 'waiting' } }
      assert.deepEqual(await errorOf(await post(asked)), [409, 'more_match'])
      assert.equal(await total(), before)
      const filter = { state: 'waiting', till }
      assert.deepEqual(await decideAll({ ...asked, filter }), { decided: 4, left: 0 })
      const lines = await linesSince(before)
      assert.deepEqual(
        lines.map(({ who, action, subject, reason }) => [who, action, subject, reason]),
        ids.map((id) => ['decider', 'discard', id, 'long outage']),
      )
      assert.equal((await users.reader.get(`messages/${later['id']}`))['state'], 'waiting')
    })

    it('goes on step by step where it is asked to', async () => {
      const ids = await waiting(5)
      const before = await total()
      const step = { action: 'extend', hours: 100, count: 5, filter: { state: 'waiting' }, limit: 2 }
      const first = await decideAll(step)
      assert.deepEqual(first, { decided: 2, left: 0, next: ids[1] })
      const second = await decideAll({ ...step, after: first['next'] })
      assert.deepEqual(second, { decided: 2, left: 0, next: ids[3] })
      assert.deepEqual(await decideAll({ ...step, after: second['next'] }), { decided: 1, left: 0 })
      assert.deepEqual(
        (await linesSince(before)).map(({ subject }) => subject as string),
        ids,
      )
      for (const id of ids) {
        const { deadline, state } = await users.reader.get(`messages/${id}`)
        assert.ok(Date.parse(deadline) - Date.now() > 99 * 3_600_000, deadline)
        assert.equal(state, 'waiting')
      }
      assert.deepEqual(await errorOf(await post({ ...step, after: UNKNOWN })), [409, 'REDOX_STORE_LOST'])
    })

    it('leaves the rest when the one who asked is gone, and goes on when it is asked again', async () => {
      await waiting(1)
      const many = Array.from({ length: 299 }, () => users.admin.press({ documentId: documentId() }))
      await Promise.all(many)
      const place = 'count?state=waiting'
      await eventually('all are accepted', async () => (await users.reader.get(place))['count'] === 300)
      const before = await total()
      const gone = new AbortController()
      const asked = { action: 'discard', reason: 'long outage', count: 300, filter: { state: 'waiting' } }
      const asking = users.decider.ask(`${AT}/decisions`, {
        ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
        ...{ body: JSON.stringify(asked), signal: gone.signal },
      })
      await eventually('some are decided', async () => (await total()) > before)
      gone.abort()
      await assert.rejects(asking)
      const left = async (): Promise<number> => (await users.reader.get(place))['count'] as number
      let known = -1
      await eventually('it has stopped', async () => known === (known = await left()))
      assert.ok(known > 0, 'all were decided')
      assert.equal(await total(), before + 300 - known)
      assert.deepEqual(await decideAll(asked), { decided: known, left: 0 })
    })

    it('tries one message for longer', async () => {
      const [id] = (await waiting(1)) as [string]
      const longer = { action: 'extend', hours: 200, reason: 'long outage' }
      for (const wrong of [
        { ...longer, hours: undefined },
        { ...longer, hours: 721 },
        { ...longer, action: 'discard' },
      ])
        assert.equal((await users.decider.post(`${AT}/messages/${id}`, wrong)).status, 400)
      assert.equal((await users.decider.post(`${AT}/messages/${id}`, longer)).status, 204)
      const { deadline } = await users.reader.get(`messages/${id}`)
      assert.ok(Math.abs(Date.parse(deadline) - Date.now() - 200 * 3_600_000) < 60_000, deadline)
      const { at: _at, ...line } = await lastLine()
      const reason = `long outage (until ${deadline.replace(/\.\d+/, '')})`
      assert.deepEqual(line, { who: 'decider', action: 'extend', subject: id, reason })
      const before = await total()
      const shorter = await users.decider.post(`${AT}/messages/${id}`, { ...longer, hours: 100 })
      const { code, message, deadline: until } = (await shorter.json()) as Json
      assert.deepEqual([shorter.status, code, until], [409, 'unchanged', deadline])
      assert.ok(message.includes(`already retried until ${deadline}`), message)
      assert.equal(await total(), before)
      const many = { action: 'extend', hours: 100, count: 1, filter: { search: id } }
      assert.deepEqual(await decideAll(many), { decided: 0, left: 1, unchanged: 1 })
      assert.equal(await total(), before)
    })

    it('sends again what was refused, and what may have arrived only when the filter names it', async () => {
      const refused = await parked(REFUSED)
      const unknown = await parked(reset, OTHER_DESTINATION)
      const idOf = ({ id }: Json): string => id as string
      redox.script('send', TAKEN)
      const all = { action: 'resend', count: 2, filter: {} }
      assert.deepEqual(await decideAll(all), { decided: 1, left: 1 })
      await users.reader.until(idOf(refused), 'delivered')
      assert.equal((await users.reader.get(`messages/${idOf(unknown)}`))['state'], 'parked')
      const found = await users.reader.messages('code=REDOX_OUTCOME_UNKNOWN&state=parked')
      assert.deepEqual(found.map(idOf), [idOf(unknown)])
      const { count: unknownCount } = await users.reader.get('count?code=REDOX_OUTCOME_UNKNOWN&state=parked')
      const named = { action: 'resend', count: unknownCount, filter: { code: 'REDOX_OUTCOME_UNKNOWN' } }
      assert.deepEqual(await decideAll(named), { decided: 1, left: 0 })
      await users.reader.until(idOf(unknown), 'delivered')
    })

    it('lets nothing go over another account that was parked for another reason', async () => {
      const refused = await parked(REFUSED)
      await users.admin.deploy(redox.url, { clientId: 'another client' })
      try {
        for (const filter of [{ code: 'REDOX_REJECTED' }, {}]) {
          const asked = { action: 'resend', count: 1, filter, otherAccount: true }
          assert.deepEqual(await decideAll(asked), { decided: 0, left: 1 })
        }
        assert.equal((await users.reader.get(`messages/${refused['id']}`))['state'], 'parked')
      } finally {
        await users.admin.deploy(redox.url)
      }
    })

    it('lets messages go over another account only when the filter and the one who decides say so', async () => {
      redox.script('send', DOWN)
      const first = await users.admin.accept({ documentId: documentId() })
      const second = await users.admin.accept({ documentId: documentId(), destination: OTHER_DESTINATION })
      await users.admin.deploy(redox.url, { clientId: 'another client' })
      try {
        for (const { id } of [first, second]) await users.reader.until(id as string, 'parked')
        redox.script('send', TAKEN)
        const sent = redox.of('send').length
        const code = 'REDOX_OTHER_ACCOUNT'
        const left = { decided: 0, left: 2 }
        const resend = { action: 'resend', count: 2 }
        assert.deepEqual(await decideAll({ ...resend, filter: {} }), left)
        assert.deepEqual(await decideAll({ ...resend, filter: {}, otherAccount: true }), left)
        assert.deepEqual(await decideAll({ ...resend, filter: { code } }), left)
        assert.equal(redox.of('send').length, sent)
        const filter = { code, destination: DESTINATION_NAME }
        const allowed = { ...resend, count: 1, filter, otherAccount: true }
        assert.deepEqual(await decideAll(allowed), { decided: 1, left: 0 })
        await users.reader.until(first['id'] as string, 'delivered')
      } finally {
        await users.admin.deploy(redox.url)
      }
      // Set back, it needs no permission any more; the filter has to name it all the same.
      const again = { action: 'resend', count: 1, filter: { state: 'parked' } }
      assert.deepEqual(await decideAll(again), { decided: 0, left: 1 })
      const named = { ...again, filter: { code: 'REDOX_OTHER_ACCOUNT' } }
      assert.deepEqual(await decideAll(named), { decided: 1, left: 0 })
      await users.reader.until(second['id'] as string, 'delivered')
    })

    it('refuses what is no question, by whom it is not to be asked, and does nothing', async () => {
      await waiting(2)
      const before = await total()
      const good = { action: 'discard', count: 9, filter: { state: 'waiting' } }
      for (const wrong of [
        ...[
          { ...good, action: 'delete' },
          { ...good, reason: ' ' },
          { ...good, reason: 'a\nb' },
        ],
        ...[
          { ...good, count: -1 },
          { ...good, count: '9' },
          { ...good, count: undefined },
        ],
        ...[
          { ...good, filter: undefined },
          { ...good, filter: { stat: 'waiting' } },
        ],
        ...[
          { ...good, filter: { code: 'a b' } },
          { ...good, filter: [] },
          { ...good, more: 1 },
        ],
        ...[
          { ...good, hours: 5 },
          { ...good, action: 'extend' },
          { ...good, limit: 0 },
        ],
        ...[0, -1, 720.1, '5', null].map((hours) => ({ ...good, action: 'extend', hours })),
      ])
        assert.deepEqual(await errorOf(await post(wrong)), [400, 'bad_request'], JSON.stringify(wrong))
      for (const query of ['stat=waiting', 'action=delete', 'code=', 'limit=5', 'after=x'])
        assert.equal((await users.admin.ask(`${AT}/count?${query}`)).status, 400, query)
      for (const user of ['reader', 'nobody', 'seer'] as const)
        assert.equal((await post(good, user)).status, 401, user)
      for (const user of ['nobody', 'seer'] as const)
        assert.equal((await users[user].ask(`${AT}/count`)).status, 401, user)
      assert.equal((await users.reader.ask('redox/outbox/elsewhere/count')).status, 404)
      assert.equal(await total(), before)
      assert.deepEqual(await decideAll(good), { decided: 2, left: 0 })
    })
  })

  it('pauses a destination and no other, and resumes it', async () => {
    redox.script('send', DOWN)
    const waiting = await users.admin.accept({ documentId: documentId() })
    assert.equal((await users.decider.pause(DESTINATION_NAME, 'pause', 'maintenance')).status, 204)
    const other = await users.admin.accept({ documentId: documentId(), destination: OTHER_DESTINATION })
    redox.script('send', TAKEN)
    await users.reader.until(other.id, 'delivered')
    await sleep(2500)
    assert.equal((await users.reader.get(`messages/${waiting.id}`))['state'], 'waiting')
    const [listed] = (await users.reader.connection())['destinations']
    assert.deepEqual([listed.destination, listed.paused, listed.open], [DESTINATION_NAME, true, 1])
    assert.equal((await users.decider.pause(DESTINATION_NAME, 'resume', 'over')).status, 204)
    await users.reader.until(waiting.id, 'delivered')
    const lines = (await audit())
      .slice(-2)
      .map(({ who, action, subject, reason }) => [who, action, subject, reason])
    assert.deepEqual(lines, [
      ['decider', 'pause', DESTINATION_NAME, 'maintenance'],
      ['decider', 'resume', DESTINATION_NAME, 'over'],
    ])
  })

  it('gives the content to whom it may concern, and writes down who looked', async () => {
    const { id } = await parked()
    const content = await users.seer.get(
      `messages/${id}/content?reason=${encodeURIComponent('call of Dr Ötzi')}`,
    )
    assert.equal(content['body'].Patient.Demographics.LastName, OUTBOX_PATIENT.last)
    assert.deepEqual(content['files'], [FILE_NAME])
    assert.match(JSON.stringify(content['answer']), /no Quuxworth/)
    const { at: _at, ...line } = await lastLine()
    assert.deepEqual(line, { who: 'seer', action: 'look', subject: id, reason: 'call of Dr Ötzi' })
    for (const query of [
      '',
      '?reason=',
      '?reason=%20',
      '?reason=a%0Ab',
      `?reason=${'x'.repeat(201)}`,
      '?reason=a&b=c',
    ])
      assert.deepEqual(
        await errorOf(await users.seer.ask(`redox/outbox/outboxconfig/messages/${id}/content${query}`)),
        [400, 'bad_request'],
        query,
      )
    assert.deepEqual(await lastLine(), { at: _at, ...line })
  })

  it('shows no patient, no file name and no secret to those who may not see the content', async () => {
    const { id } = await parked()
    const other = await parked(reset, OTHER_DESTINATION)
    await users.admin.get(`messages/${id}/content?reason=why`)
    const seen = await Promise.all(
      [
        'redox/outbox',
        ...['messages', `messages/${id}`, `messages/${other['id']}`, 'audit?limit=500'].map(
          (place) => `redox/outbox/outboxconfig/${place}`,
        ),
      ].map(async (place) => [place, await (await users.reader.ask(place)).text()] as const),
    )
    for (const [place, text] of seen) {
      assert.ok(text.length > 100)
      assertSilent(text, place)
    }
    assertSilent(nodeRed.log(), 'log')
  })

  it('tells each permission from the others', async () => {
    const { id } = await parked()
    const decision = { action: 'discard', reason: 'x' }
    const pause = { destination: DESTINATION_NAME, action: 'pause', reason: 'x' }
    const at = 'redox/outbox/outboxconfig'
    type Use = (user: OutboxClient) => Promise<Response>
    const uses: [name: string, use: Use, allowed: User[]][] = [
      ...['redox/outbox', `${at}/messages`, `${at}/messages/${id}`, `${at}/audit`].map(
        (place): [string, Use, User[]] => [
          place,
          (user) => user.ask(place),
          ['admin', 'reader', 'decider', 'all'],
        ],
      ),
      ['content', (user) => user.ask(`${at}/messages/${id}/content?reason=x`), ['admin', 'seer']],
      ['pause', (user) => user.post(`${at}/destinations`, pause), ['admin', 'decider', 'all']],
      ['decide', (user) => user.post(`${at}/messages/${UNKNOWN}`, decision), ['admin', 'decider', 'all']],
    ]
    for (const [name, use, allowed] of uses)
      for (const [user, client] of [
        ...Object.entries(users),
        ['stranger', new OutboxClient(nodeRed.url)] as const,
      ]) {
        const { status } = await use(client)
        assert.equal(status === 401, !allowed.includes(user as User), `${name}, ${user}: ${status}`)
      }
    const before = await audit()
    assert.equal((await users.reader.decide(id, 'discard', 'x')).status, 401)
    assert.equal((await users.reader.pause(DESTINATION_NAME, 'pause', 'x')).status, 401)
    assert.equal((await users.all.ask(`${at}/messages/${id}/content?reason=x`)).status, 401)
    assert.deepEqual(await audit(), before)
    assert.equal((await users.reader.get(`messages/${id}`))['state'], 'parked')
  })

  it('refuses what is no question, and does nothing', async () => {
    const { id } = await parked()
    const at = 'redox/outbox/outboxconfig'
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
        await errorOf(await users.admin.ask(`${at}/messages?${query}`)),
        [400, 'bad_request'],
        query,
      )
    for (const query of ['skip=-1', 'limit=501', 'skip=1e3'])
      assert.deepEqual(
        await errorOf(await users.admin.ask(`${at}/audit?${query}`)),
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
      assert.equal((await users.admin.post(`${at}/messages/${id}`, body)).status, 400, JSON.stringify(body))
    for (const destination of ['', 7, null, 'x'.repeat(2001)])
      assert.equal(
        (await users.admin.post(`${at}/destinations`, { destination, action: 'pause', reason: 'x' })).status,
        400,
      )
    // What a page of a stranger can post: Node-RED reads forms, too.
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
        assert.equal((await users.admin.ask(`${at}/${place}`, init)).status, 400, `${type} ${place}`)
      }
    assert.deepEqual(await audit(), before)
    assert.equal((await users.reader.get(`messages/${id}`))['state'], 'parked')
  })

  it('knows no other messages, destinations and connections', async () => {
    const cases = [
      ...[UNKNOWN, '__proto__', '..%2f..', 'a'.repeat(5000)].map((id) =>
        users.admin.ask(`redox/outbox/outboxconfig/messages/${id}`),
      ),
      users.admin.ask(`redox/outbox/outboxconfig/messages/${UNKNOWN}/content?reason=x`),
      users.admin.decide(UNKNOWN, 'discard', 'x'),
      users.admin.pause('datamodel elsewhere', 'pause', 'x'),
      ...['outboxsend', '__proto__', 'constructor'].map((id) =>
        users.admin.ask(`redox/outbox/${id}/messages`),
      ),
    ]
    for (const answer of await Promise.all(cases)) assert.deepEqual(await errorOf(answer), [404, 'not_found'])
  })

  it('has nothing to show for a connection whose store is not open, but says why', async () => {
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

describe('a store that cannot be read', function () {
  this.timeout(60_000)
  let nodeRed: GuardedNodeRed<User>
  before(async () => void (nodeRed = await startWithUsers<User>(USERS)))
  after(() => nodeRed?.stop())

  it('a new one is begun by those who may decide, for a reason, and only then', async () => {
    const { admin, reader, decider } = Object.fromEntries(
      Object.entries(nodeRed.tokens).map(([name, token]) => [name, new OutboxClient(nodeRed.url, token)]),
    ) as Record<User, OutboxClient>
    const begin = (by: OutboxClient, fields: object): Promise<Response> =>
      by.post('redox/outbox/outboxconfig/store', {
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
})

describe('what open editors hear of the outbox', () => {
  const state = { connection: 'outboxconfig', waiting: 0, parked: 1, stopped: [DESTINATION_NAME] }

  it('is that a message is parked, and nothing of it', () => {
    const events = new EventEmitter()
    const { heard, remove } = listen(events)
    events.emit(PARKED_EVENT, state)
    assert.deepEqual(heard, [{ topic: 'redox/outbox', data: { news: true }, retain: false }])
    remove()
    events.emit(PARKED_EVENT, state)
    assert.equal(heard.length, 1)
  })

  it('comes once, also after Node-RED was started again in this process', () => {
    const events = new EventEmitter()
    const before = listen(events)
    const { heard, remove } = listen(events)
    events.emit(PARKED_EVENT, state)
    remove()
    assert.deepEqual([before.heard.length, heard.length], [0, 1])
  })
})

/** The plugin, on a runtime that only writes down what it is told to publish. */
function listen(events: EventEmitter): { heard: object[]; remove: () => void } {
  const heard: object[] = []
  let remove = (): void => undefined
  const ignore = (): void => undefined
  register({
    httpAdmin: { get: ignore, post: ignore },
    auth: { needsPermission: () => ignore },
    comms: {
      publish: (topic: string, data: unknown, retain: boolean) => heard.push({ topic, data, retain }),
    },
    events,
    plugins: { registerPlugin: (_id: string, { onremove }: { onremove: () => void }) => (remove = onremove) },
  } as unknown as NodeAPI)
  return { heard, remove: () => remove() }
}
