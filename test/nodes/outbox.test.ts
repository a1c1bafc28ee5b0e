/** Messages and destinations in the admin API of the outbox, and the outbox's events for open editors. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { EventEmitter } from 'node:events'
import type { NodeAPI } from 'node-red'
import { PARKED_EVENT, REFUSED_LATER_EVENT } from '../../nodes/lib/connection/outbox-events'
import register from '../../plugins/redox-outbox-tab/redox-outbox-tab'
import { eventually } from '../lib/eventually'
import { OTHER_DESTINATION, OUTBOX_PATIENT, type Json } from '../lib/outbox'
import { reply, reset, type ScriptedServer } from '../lib/scripted-server'
import {
  AT,
  DESTINATION_NAME,
  DOWN,
  LOG_ID,
  OTHER_DESTINATION_NAME,
  REFUSED,
  TAKEN,
  useOutbox,
  type Users,
} from './outbox-support'

describe('outbox', function () {
  this.timeout(60_000)
  const outbox = useOutbox()
  const { documentId, parked } = outbox
  let redox: ScriptedServer
  let users: Users

  before(() => ({ redox, users } = outbox))
  /** Has a message accepted, and returns its id. */
  const accept = async (): Promise<string> =>
    (await users.admin.accept({ documentId: documentId() }))['id'] as string

  it('lists the number and age of messages and the reason of a stopped destination', async () => {
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

  it('gives the reason for which a message waits, without advice meant for its sender', async () => {
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
    const tryNow = { action: 'try-now', reason: 'it is back' }
    const tried = await users.decider.post(`${AT}/destinations`, { ...tryNow, destination: DESTINATION_NAME })
    assert.deepEqual([tried.status, await tried.json()], [200, { due: 1 }])
    const { at: _at, ...line } = await outbox.lastLine()
    assert.deepEqual(line, {
      ...{ who: 'decider', action: 'try-now', subject: DESTINATION_NAME, reason: 'it is back' },
    })
    await eventually(
      'it is tried at once',
      async () => (await users.reader.get(`messages/${first['id']}`))['attempts'] === 2,
    )
    assert.equal((await users.decider.post(`${AT}/destinations`, { action: 'try-now' })).status, 200)
    const { at: _later, ...without } = await outbox.lastLine()
    assert.deepEqual(without, { who: 'decider', action: 'try-now', subject: '*', reason: '' })
    for (const [user, wrong, status] of [
      ['decider', { destination: 'datamodel elsewhere' }, 404],
      ['decider', { reason: '' }, 400],
      ['reader', {}, 401],
    ] as const)
      assert.equal((await users[user].post(`${AT}/destinations`, { ...tryNow, ...wrong })).status, status)
    assert.equal((await users.decider.pause(DESTINATION_NAME, 'pause', 'x')).status, 204)
    assert.equal((await users.reader.get(`messages/${second['id']}`))['paused'], true)
    for (const { id } of [second, first]) await users.decider.decide(id, 'discard', `not needed: ${id}`)
    const discarded = await users.reader.get(`messages/${second['id']}`)
    assert.deepEqual(
      [discarded['decision'], discarded['arrival'], discarded['waitsBehind']],
      [{ who: 'decider', reason: `not needed: ${second['id']}` }, 'never-sent', undefined],
    )
  })

  for (const [storeOrder, order] of [
    ['destination', 'oldest'],
    ['destination', 'newest'],
    ['patient', 'oldest'],
  ])
    it(`lists which messages wait for a parked one (order by ${storeOrder}), ${order} first`, async () => {
      await users.admin.deploy(redox.url, { storeOrder })
      const reasons = async (): Promise<unknown[]> =>
        (await users.reader.messages(`state=waiting&order=${order}`)).map(
          ({ id, waitsBehind, blockedReason, paused }) => [id, waitsBehind, blockedReason, paused],
        )
      const inOrder = <Row>(...rows: Row[]): Row[] => (order === 'oldest' ? rows : rows.toReversed())
      const { id: first } = await parked()
      const [second, third] = [await accept(), await accept()]
      const behind = (isPaused?: true): unknown[] =>
        inOrder(...[second, third].map((id) => [id, first, 'REDOX_REJECTED', isPaused]))
      assert.deepEqual(await reasons(), behind())
      assert.equal((await users.admin.pause(DESTINATION_NAME, 'pause', 'x')).status, 204)
      assert.deepEqual(await reasons(), behind(true))
    })

  it('lists no reason for a message that waits for one that is not parked', async () => {
    redox.script('send', reply(503, {}, { 'retry-after': '100' }))
    const [first, second] = [await accept(), await accept()]
    // While it is being sent, it is not listed as waiting.
    await eventually('the first was tried', async () => {
      const { state, attempts } = await users.reader.get(`messages/${first}`)
      return state === 'waiting' && attempts === 1
    })
    const listed = await users.reader.messages('state=waiting')
    assert.deepEqual(
      listed.map(({ id, waitsBehind }) => [id, waitsBehind]),
      [
        [first, undefined],
        [second, undefined],
      ],
    )
    assert.equal((await users.reader.get(`messages/${second}`))['waitsBehind'], first)
    for (const id of [second, first]) await users.decider.decide(id, 'discard', 'x')
  })

  it('lists no waiting message behind a parked one that comes later', async () => {
    // An order by patient does not hold back the messages of a destination.
    await users.admin.deploy(redox.url, { storeOrder: 'patient' })
    redox.script('send', TAKEN)
    const earlier = await accept()
    await users.admin.until(earlier, 'delivered')
    await users.admin.deploy(redox.url, { storeOrder: 'destination' })
    const { id: blocker } = await parked()
    assert.equal((await users.admin.pause(DESTINATION_NAME, 'pause', 'x')).status, 204)
    await users.decider.decide(earlier, 'resend', 'x')
    const later = await accept()
    const expected = [
      [earlier, undefined],
      [later, blocker],
    ]
    for (const [order, rows] of [
      ['oldest', expected],
      ['newest', expected.toReversed()],
    ] as const) {
      const listed = await users.reader.messages(`state=waiting&order=${order}`)
      assert.deepEqual(
        listed.map(({ id, waitsBehind }) => [id, waitsBehind]),
        rows,
      )
    }
  })

  it('marks messages that may have arrived', async () => {
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

  it('finds messages by id, document id, hash, message id, state, destination and time', async () => {
    redox.script('send', DOWN)
    const bytes = Buffer.from('%PDF-1.7 found by its hash %%EOF')
    const here = { documentId: documentId(), bytes }
    const there = { documentId: documentId(), destination: OTHER_DESTINATION }
    const first = await users.admin.accept(here)
    const second = await users.admin.accept(there)
    // The destinations are paused, so that their messages keep their state.
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

  it('returns a list page by page', async () => {
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

  it('returns the result of a refused and of a delivered message', async () => {
    const refused = await parked()
    const { operation, environment, files, error, owner, attempts, destination, endedAt } = refused
    assert.deepEqual(
      [operation, environment, owner, attempts, destination],
      ['Notes:New', 'Development', 'outboxsend', 1, DESTINATION_NAME],
    )
    const sha256 = createHash('sha256').update('%PDF-1.7 %%EOF').digest('hex')
    assert.deepEqual(files, [{ kind: 'stored', contentType: 'application/pdf', size: 14, sha256 }])
    assert.equal(error.code, 'REDOX_REJECTED')
    assert.deepEqual([error.cause.status, error.cause.logIds], [400, ['log-1']])
    assert.ok(!('answer' in error.cause))
    assert.ok(Date.parse(endedAt) >= Date.parse(refused.acceptedAt))

    redox.script('send', TAKEN)
    assert.equal((await users.decider.decide(refused.id, 'resend', 'mended')).status, 204)
    const { delivery, error: gone } = await users.reader.until(refused.id, 'delivered')
    assert.deepEqual([delivery.status, delivery.logIds, gone], [200, [LOG_ID], undefined])
  })

  it('returns the time of the next attempt, not that of the last one', async () => {
    redox.script('send', reply(503, {}))
    const { id } = await users.admin.accept({ documentId: documentId() })
    await eventually('the next attempt is ahead', async () => {
      const { attempts, dueAt } = await users.reader.get(`messages/${id}`)
      return attempts > 0 && Date.parse(dueAt) > Date.now()
    })
    assert.equal((await users.decider.decide(id, 'discard', 'not needed')).status, 204)
  })
})

describe('events of the outbox for open editors', () => {
  const state = { connection: 'outboxconfig', waiting: 0, parked: 1, stopped: [DESTINATION_NAME] }

  for (const name of [PARKED_EVENT, REFUSED_LATER_EVENT])
    it(`contain that a person has to decide, and no data of the message: ${name}`, () => {
      const events = new EventEmitter()
      const { heard, remove } = listen(events)
      events.emit(name, state)
      assert.deepEqual(heard, [{ topic: 'redox/outbox', data: { news: true }, retain: false }])
      remove()
      events.emit(name, state)
      assert.equal(heard.length, 1)
    })

  it('are sent once, also after Node-RED was started again in this process', () => {
    const events = new EventEmitter()
    const before = listen(events)
    const { heard, remove } = listen(events)
    events.emit(PARKED_EVENT, state)
    remove()
    assert.deepEqual([before.heard.length, heard.length], [0, 1])
  })
})

/** Registers the outbox plugin on a runtime that records the published events. */
function listen(events: EventEmitter): { heard: object[]; remove: () => void } {
  const heard: object[] = []
  let remove = (): void => undefined
  const ignore = (): void => undefined
  register({
    httpAdmin: { get: ignore, post: ignore },
    auth: { needsPermission: () => ignore },
    settings: {},
    comms: {
      publish: (topic: string, data: unknown, retain: boolean) => heard.push({ topic, data, retain }),
    },
    events,
    plugins: { registerPlugin: (_id: string, { onremove }: { onremove: () => void }) => (remove = onremove) },
  } as unknown as NodeAPI)
  return { heard, remove: () => remove() }
}
