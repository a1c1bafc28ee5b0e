/** What DeliveryStore promises, sentence by sentence, of every store there is. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { RedoxError, type RedoxErrorCode } from '../../src/errors'
import type { Action, DeliveryStore, NewMessage, Settlement, StoredMessage } from '../../src/queue/types'
import { sizedFile } from '../lib/fixtures'
import { STORES, type Place } from './stores'
import { NO_POSTGRES, skip } from '../lib/skip'

// Far from the time of the test: whatever looked at a clock of its own would show.
const START = 1_000_000_000_000
const LEASE = 60_000
const HOUR = 3_600_000
const DAY = 24 * HOUR

const message = (id: string, change: Partial<NewMessage> = {}): NewMessage => ({
  id,
  lane: 'a',
  ordered: true,
  owner: 'node',
  acceptedAt: START,
  deadline: START + DAY,
  files: [],
  tags: [],
  content: Buffer.from(`content of ${id}`),
  ...change,
})
const free = (id: string, change: Partial<NewMessage> = {}): NewMessage =>
  message(id, { ordered: false, ...change })

const hold = (change: { holder?: string; limit?: number; except?: string[] } = {}) => ({
  ...{ holder: 'me', limit: 100, except: [], leaseMs: LEASE },
  ...change,
})
const idsOf = (messages: StoredMessage[]): string[] => messages.map(({ id }) => id)
const text = (bytes: Buffer | undefined): string | undefined => bytes?.toString()

const DELIVERED: Settlement = { state: 'delivered', notes: Buffer.from('it arrived') }
const PARKED: Settlement = { state: 'parked', reason: 'REDOX_REJECTED', notes: Buffer.from('refused') }
const later = (dueAt: number): Settlement => ({ state: 'waiting', dueAt, reason: 'REDOX_UNAVAILABLE' })

const rejectsWith = (promise: Promise<unknown>, code: RedoxErrorCode): Promise<void> =>
  assert.rejects(promise, (error) => error instanceof RedoxError && error.code === code)

async function* chunksOf(...texts: string[]): AsyncGenerator<Buffer> {
  for (const one of texts) yield Buffer.from(one)
}

async function readAll(chunks: AsyncIterable<Buffer>): Promise<string[]> {
  const read: string[] = []
  for await (const chunk of chunks) read.push(chunk.toString())
  return read
}

for (const kind of STORES) {
  describe(`store of accepted messages: ${kind.name}`, function () {
    this.timeout(60_000)
    let place: Place
    let store: DeliveryStore

    before(async function () {
      if (kind.missing() !== undefined) skip(this, NO_POSTGRES)
      await kind.start()
    })
    after(() => kind.stop())
    beforeEach(async () => {
      place = await kind.place()
      store = await place.open()
    })
    afterEach(async () => {
      await store.close()
      await place.remove()
    })

    /** As after a new start of Node-RED. */
    const reopen = async (): Promise<void> => {
      await store.close()
      store = await place.open()
    }
    const accept = async (...messages: NewMessage[]): Promise<void> => {
      for (const one of messages) await store.accept(one)
    }
    const get = async (id: string): Promise<StoredMessage | undefined> =>
      (await store.find({ id, limit: 1 }))[0]
    const claim = async (now = START, ...args: Parameters<typeof hold>): Promise<StoredMessage[]> => {
      await place.at(now)
      return store.claim(hold(...args))
    }
    const claimed = async (...args: Parameters<typeof claim>): Promise<string[]> =>
      idsOf(await claim(...args))
    /** Brings a message that is first in its lane to its end. */
    const settled = async (id: string, settlement: Settlement, now = START): Promise<void> => {
      assert.ok((await claimed(now)).includes(id), `${id} is not to be had`)
      await store.settle(id, 'me', settlement, now)
    }
    const lane = async (name: string) => (await store.lanes()).find((one) => one.lane === name)

    // ---- Accepting ------------------------------------------------------------------------------------

    it('keeps the mark that the first one brought', async () => {
      assert.equal(text(await store.mark(Buffer.from('first'))), 'first')
      assert.equal(text(await store.mark(Buffer.from('second'))), 'first')
      await reopen()
      assert.equal(text(await store.mark(Buffer.from('third'))), 'first')
    })

    it('keeps a message as it was accepted', async () => {
      const given = free('one', { lane: 'lane ✓', owner: 'n1', tags: ['t1', 't2'], acceptedAt: START + 5 })
      await accept(given)
      const { dueAt, ...found } = (await get('one'))!
      assert.deepEqual(found, { ...given, state: 'waiting', attempts: 0, begun: false, told: false })
      assert.ok(dueAt <= given.acceptedAt)
    })

    it('accepts the same id once, and keeps the first', async () => {
      await accept(
        message('one'),
        message('two'),
        message('one', { content: Buffer.from('other'), lane: 'b' }),
      )
      const [first] = await store.find({ limit: 10 })
      assert.equal(text(first?.content), 'content of one')
      assert.deepEqual(await store.counts(), {
        waiting: 2,
        sending: 0,
        parked: 0,
        delivered: 0,
        discarded: 0,
      })
    })

    it('accepts the same id once also when it is given twice at the same time, or has ended', async () => {
      await Promise.all([store.accept(free('one')), store.accept(free('one')), store.accept(free('one'))])
      await settled('one', DELIVERED)
      await accept(free('one'))
      assert.equal((await store.counts()).delivered, 1)
      assert.equal((await store.counts()).waiting, 0)
    })

    it('keeps the order in which it was called, without waiting', async () => {
      const ids = Array.from({ length: 50 }, (_, index) => `m${index}`)
      await Promise.all(ids.map((id) => store.accept(message(id))))
      assert.deepEqual(idsOf(await store.find({ limit: 100 })), ids)
    })

    // ---- Claiming -------------------------------------------------------------------------------------

    it('gives of each ordered lane the first, and the next when that one was delivered', async () => {
      await accept(message('a1'), message('a2'), message('b1', { lane: 'b' }), message('a3'))
      assert.deepEqual(await claimed(), ['a1', 'b1'])
      assert.deepEqual(await claimed(), [])
      await store.settle('a1', 'me', DELIVERED, START)
      assert.deepEqual(await claimed(), ['a2'])
      await store.settle('a2', 'me', DELIVERED, START)
      assert.deepEqual(await claimed(), ['a3'])
    })

    it('gives what it holds to nobody else', async () => {
      await accept(message('a1'), free('b1', { lane: 'b' }))
      assert.deepEqual(await claimed(START, { holder: 'me' }), ['a1', 'b1'])
      assert.deepEqual(await claimed(START + 1, { holder: 'other' }), [])
      assert.equal((await get('a1'))?.state, 'sending')
    })

    it('gives nothing of an ordered lane while its first is not due', async () => {
      await accept(message('a1'), message('a2'))
      await settled('a1', later(START + 500))
      assert.deepEqual(await claimed(START + 499), [])
      assert.deepEqual(await claimed(START + 500), ['a1'])
    })

    it('gives nothing of an ordered lane while its first is parked', async () => {
      await accept(message('a1'), message('a2'), message('b1', { lane: 'b' }))
      await settled('a1', PARKED)
      assert.deepEqual(await claimed(START + DAY), ['b1'])
      await store.decide('a1', 'discard', { who: 'ann', reason: 'not needed', now: START })
      assert.deepEqual(await claimed(START), ['a2'])
    })

    it('gives what has no order as it comes, also behind what is parked, held or not due', async () => {
      await accept(message('a1'), free('f1'), free('f2'), free('f3'))
      assert.deepEqual(await claimed(START, { limit: 2 }), ['a1', 'f1'])
      await store.settle('a1', 'me', PARKED, START)
      await store.settle('f1', 'me', later(START + 500), START)
      assert.deepEqual(await claimed(START), ['f2', 'f3'])
      assert.deepEqual(await claimed(START + 500), ['f1'])
    })

    it('gives an ordered message after all that its lane has accepted before, unordered ones too', async () => {
      await accept(free('f1'), message('a1'))
      assert.deepEqual(await claimed(), ['f1'])
      await store.settle('f1', 'me', DELIVERED, START)
      assert.deepEqual(await claimed(), ['a1'])
    })

    it('gives no more than the limit, the oldest first', async () => {
      for (let index = 0; index < 5; index++) await accept(free(`f${index}`, { acceptedAt: START + index }))
      assert.deepEqual(await claimed(START + 10, { limit: 2 }), ['f0', 'f1'])
      assert.deepEqual(await claimed(START + 10, { limit: 2 }), ['f2', 'f3'])
    })

    it('does not let one lane use up the limit', async () => {
      for (let index = 0; index < 20; index++) await accept(free(`f${index}`))
      await accept(free('b1', { lane: 'b', acceptedAt: START + 1 }))
      assert.ok((await claimed(START + 1, { limit: 4 })).includes('b1'))
    })

    it('gives nothing of the lanes that are excepted, or paused until they are resumed', async () => {
      await accept(message('a1'), free('b1', { lane: 'b' }), message('c1', { lane: 'c' }))
      await store.pause('b', true, { who: 'ann', reason: 'works', now: START })
      await store.pause('b', true, { who: 'ann', reason: 'works', now: START })
      assert.deepEqual(await claimed(START, { except: ['a'] }), ['c1'])
      await store.pause('b', false, { who: 'ann', reason: 'done', now: START })
      assert.deepEqual(await claimed(START), ['a1', 'b1'])
    })

    it('takes what somebody held too long, and tells whether a request had begun', async () => {
      await accept(message('a1'), free('f1'), message('a2'))
      await claim(START, { holder: 'gone' })
      await store.begin('a1', 'gone')
      assert.deepEqual(await claimed(START + LEASE - 1), [])
      const taken = await claim(START + LEASE)
      assert.deepEqual(
        taken.map(({ id, begun, attempts }) => ({ id, begun, attempts })),
        [
          { id: 'a1', begun: true, attempts: 0 },
          { id: 'f1', begun: false, attempts: 0 },
        ],
      )
    })

    it('does not give what is held too long in a lane that is paused or excepted', async () => {
      await accept(message('a1'), free('b1', { lane: 'b' }))
      await claimed(START, { holder: 'gone' })
      await store.pause('a', true, { who: 'ann', reason: 'works', now: START })
      assert.deepEqual(await claimed(START + LEASE, { except: ['b'] }), [])
    })

    it('keeps what is renewed for longer, for its holder alone', async () => {
      await accept(message('a1'), free('f1'))
      await claimed(START)
      await store.renew('me', ['a1', 'unknown'], 2 * LEASE)
      await store.renew('other', ['f1'], 2 * LEASE)
      assert.deepEqual(await claimed(START + LEASE, { holder: 'other' }), ['f1'])
      await store.settle('f1', 'other', DELIVERED, START + LEASE)
      assert.deepEqual(await claimed(START + 2 * LEASE, { holder: 'other' }), ['a1'])
    })

    it('sends one at a time also when a person sends an earlier one again meanwhile', async () => {
      await accept(message('a1'), message('a2'), message('a3'))
      await settled('a1', DELIVERED)
      assert.deepEqual(await claimed(), ['a2'])
      await store.decide('a1', 'resend', { who: 'ann', reason: 'lost there', now: START })
      assert.deepEqual(await claimed(), [])
      await store.settle('a2', 'me', DELIVERED, START)
      assert.deepEqual(await claimed(), ['a1'])
    })

    it('gives the earlier one first when the one behind it was held too long', async () => {
      await accept(message('a1'), message('a2'))
      await settled('a1', DELIVERED)
      await claimed(START, { holder: 'gone' })
      await store.decide('a1', 'resend', { who: 'ann', reason: 'lost there', now: START })
      assert.deepEqual(await claimed(START + LEASE), ['a1'])
      await rejectsWith(store.begin('a2', 'gone'), 'REDOX_STORE_LOST')
      await store.settle('a1', 'me', DELIVERED, START + LEASE)
      assert.deepEqual(await claimed(START + LEASE), ['a2'])
    })

    // ---- Settling -------------------------------------------------------------------------------------

    it('settles: waiting again', async () => {
      await accept(message('a1'))
      await claimed()
      await store.begin('a1', 'me')
      assert.equal((await get('a1'))?.begun, true)
      await store.note('a1', 'me', Buffer.from('uploaded'))
      await store.settle('a1', 'me', later(START + 9), START + 1)
      const { state, attempts, dueAt, begun, reason, notes, endedAt } = (await get('a1'))!
      assert.deepEqual(
        { state, attempts, dueAt, begun, reason, notes: text(notes), endedAt },
        {
          ...{ state: 'waiting', attempts: 1, dueAt: START + 9, begun: false, reason: 'REDOX_UNAVAILABLE' },
          ...{ notes: 'uploaded', endedAt: undefined },
        },
      )
    })

    it('settles: parked, delivered', async () => {
      await accept(message('a1'), message('b1', { lane: 'b' }))
      await claimed()
      await store.settle('a1', 'me', PARKED, START + 1)
      await store.settle('b1', 'me', DELIVERED, START + 2)
      const [parked, delivered] = await store.find({ limit: 2 })
      assert.deepEqual(
        [parked?.state, parked?.reason, text(parked?.notes), parked?.endedAt, parked?.attempts],
        ['parked', 'REDOX_REJECTED', 'refused', START + 1, 1],
      )
      assert.deepEqual(
        [delivered?.state, delivered?.reason, text(delivered?.notes), delivered?.endedAt, delivered?.told],
        ['delivered', undefined, 'it arrived', START + 2, false],
      )
    })

    it('lets nobody change what somebody else has, or nobody', async () => {
      await accept(message('a1'), message('a2'))
      await claimed(START, { holder: 'late' })
      await claimed(START + LEASE, { holder: 'me' })
      for (const [id, holder] of [
        ['a1', 'late'],
        ['a2', 'me'],
        ['unknown', 'me'],
      ] as const) {
        await rejectsWith(store.begin(id, holder), 'REDOX_STORE_LOST')
        await rejectsWith(store.note(id, holder, Buffer.from('x')), 'REDOX_STORE_LOST')
        await rejectsWith(store.settle(id, holder, DELIVERED, START), 'REDOX_STORE_LOST')
      }
      await store.settle('a1', 'me', DELIVERED, START)
      await rejectsWith(store.settle('a1', 'me', PARKED, START), 'REDOX_STORE_LOST')
      assert.equal((await get('a1'))?.state, 'delivered')
    })

    // ---- When the next is due -------------------------------------------------------------------------

    it('says when the next is due', async () => {
      assert.equal(await store.nextDue(START, []), undefined)
      await accept(message('a1'), message('a2'), free('b1', { lane: 'b' }), free('b2', { lane: 'b' }))
      assert.equal(await store.nextDue(START + 3, []), START + 3)
      await claimed()
      await store.settle('a1', 'me', later(START + 500), START)
      await store.settle('b1', 'me', later(START + 400), START)
      await store.settle('b2', 'me', later(START + 300), START)
      assert.equal(await store.nextDue(START, []), START + 300)
      assert.equal(await store.nextDue(START, ['b']), START + 500)
      assert.equal(await store.nextDue(START, ['a', 'b']), undefined)
      await store.pause('b', true, { who: 'ann', reason: 'works', now: START })
      assert.equal(await store.nextDue(START, []), START + 500)
      assert.equal(await store.nextDue(START + 600, []), START + 600)
    })

    it('does not call due what waits behind what is held, parked, or not due', async () => {
      await accept(message('a1'), message('a2'))
      await claimed()
      assert.ok(((await store.nextDue(START, [])) ?? Infinity) > START)
      await store.settle('a1', 'me', later(START + 500), START)
      assert.equal(await store.nextDue(START, []), START + 500)
      await settled('a1', PARKED, START + 500)
      assert.equal(await store.nextDue(START + 500, []), undefined)
    })

    // ---- Telling --------------------------------------------------------------------------------------

    it('tells each ended message to one alone, oldest first, until it is marked', async () => {
      await accept(message('a1'), message('b1', { lane: 'b', owner: 'other' }), message('c1', { lane: 'c' }))
      await accept(message('d1', { lane: 'd' }))
      const told = async (now: number, holder: string, owners = ['node', 'absent'], limit = 10) => {
        await place.at(now)
        return idsOf(await store.untold({ holder, leaseMs: LEASE, limit, owners }))
      }
      await claimed()
      assert.deepEqual(await told(START, 'me'), [])
      await store.settle('a1', 'me', PARKED, START + 1)
      await store.settle('b1', 'me', DELIVERED, START + 2)
      await store.settle('c1', 'me', DELIVERED, START + 3)
      assert.deepEqual(await told(START + 5, 'me', ['node'], 1), ['a1'])
      assert.deepEqual(await told(START + 5, 'you'), ['c1'])
      assert.deepEqual(await told(START + 6, 'me', ['other']), ['b1'])
      // Its node has gone meanwhile, and comes back.
      await store.leaveUntold('b1', 'me')
      assert.deepEqual(await told(START + 6, 'me', ['other']), ['b1'])
      await store.markTold('a1')
      assert.equal((await get('a1'))?.told, true)
      assert.deepEqual(await told(START + 4 + LEASE, 'third'), [])
      assert.deepEqual(await told(START + 5 + LEASE, 'third'), ['c1'])
    })

    it('tells nobody twice at the same time', async () => {
      for (let index = 0; index < 20; index++) await accept(free(`f${index}`))
      for (const id of await claimed()) await store.settle(id, 'me', DELIVERED, START)
      const ask = (holder: string) => store.untold({ holder, leaseMs: LEASE, limit: 5, owners: ['node'] })
      const got = (await Promise.all(['a', 'b', 'c', 'd'].map(ask))).flatMap(idsOf)
      assert.equal(new Set(got).size, got.length)
      assert.ok(got.length > 0)
    })

    // ---- Looking --------------------------------------------------------------------------------------

    it('finds by each filter, and by all together, in the order of acceptance', async () => {
      await accept(
        free('m1', { lane: 'a', tags: ['x'], acceptedAt: START + 40 }),
        free('m2', { lane: 'b', tags: ['x', 'y'], acceptedAt: START + 30 }),
        free('m3', { lane: 'a', tags: ['y'], acceptedAt: START + 20 }),
        free('m4', { lane: 'a', tags: ['xy'], acceptedAt: START + 10 }),
      )
      await settled('m3', DELIVERED, START + 20)
      const found = async (query: object) => idsOf(await store.find({ limit: 10, ...query }))
      assert.deepEqual(await found({}), ['m1', 'm2', 'm3', 'm4'])
      assert.deepEqual(await found({ state: 'delivered' }), ['m3'])
      assert.deepEqual(await found({ lane: 'a' }), ['m1', 'm3', 'm4'])
      assert.deepEqual(await found({ id: 'm2' }), ['m2'])
      assert.deepEqual(await found({ id: 'm' }), [])
      assert.deepEqual(await found({ tag: 'x' }), ['m1', 'm2'])
      assert.deepEqual(await found({ since: START + 20 }), ['m1', 'm2', 'm3'])
      assert.deepEqual(await found({ till: START + 20 }), ['m3', 'm4'])
      assert.deepEqual(await found({ since: START + 20, till: START + 30 }), ['m2', 'm3'])
      assert.deepEqual(await found({ after: 'm2' }), ['m3', 'm4'])
      assert.deepEqual(await found({ after: 'm1', limit: 2 }), ['m2', 'm3'])
      assert.deepEqual(await found({ tag: 'y', lane: 'a', state: 'delivered', after: 'm1' }), ['m3'])
      assert.deepEqual(await found({ tag: 'y', lane: 'b', state: 'delivered' }), [])
      assert.deepEqual(await found({ tag: 'x', after: 'm1', since: START, till: START + 30 }), ['m2'])
      const newest = (query: object) => found({ newestFirst: true, ...query })
      assert.deepEqual(await newest({}), ['m4', 'm3', 'm2', 'm1'])
      assert.deepEqual(await newest({ limit: 2 }), ['m4', 'm3'])
      assert.deepEqual(await newest({ after: 'm3', limit: 1 }), ['m2'])
      assert.deepEqual(await newest({ lane: 'a', after: 'm4' }), ['m3', 'm1'])
      assert.deepEqual(await newest({ tag: 'x', after: 'm2' }), ['m1'])
      assert.deepEqual(await found({ id: 'm2', tag: 'y', after: 'm1' }), ['m2'])
      assert.deepEqual(await found({ id: 'm2', tag: 'z' }), [])
      assert.deepEqual(await found({ id: 'm2', after: 'm2' }), [])
      assert.deepEqual(await newest({ id: 'm2', after: 'm3' }), ['m2'])
      assert.deepEqual(await newest({ id: 'm2', after: 'm1' }), [])
    })

    it('finds by the code that a message waits or is parked with, exactly', async () => {
      await accept(...['m1', 'm2', 'm3', 'm4'].map((id) => free(id)))
      await claimed()
      await store.settle('m1', 'me', PARKED, START)
      await store.settle('m2', 'me', later(START), START)
      await store.settle('m3', 'me', { ...PARKED, reason: 'REDOX_REJECTED_NOT' }, START)
      const found = async (query: object) => idsOf(await store.find({ limit: 10, ...query }))
      assert.deepEqual(await found({ code: 'REDOX_REJECTED' }), ['m1'])
      assert.deepEqual(await found({ code: 'REDOX_UNAVAILABLE' }), ['m2'])
      assert.deepEqual(await found({ code: 'REDOX_UNAVAILABLE', state: 'parked' }), [])
      assert.deepEqual(await found({ code: 'REDOX_' }), [])
      // What is sent again has no reason any more.
      await store.decide('m1', 'resend', { who: 'ann', reason: 'again', now: START })
      assert.equal((await get('m1'))?.reason, undefined)
      assert.deepEqual(await found({ code: 'REDOX_REJECTED' }), [])
    })

    it('tells the ids of all that match, in several states, in the order of acceptance', async () => {
      const acceptedAt = START + 9
      await accept(
        free('m1', { lane: 'a', tags: ['x'] }),
        free('m2', { lane: 'b', tags: ['x'] }),
        free('m3', { lane: 'a', tags: ['y'] }),
        free('m4', { lane: 'a', acceptedAt }),
      )
      await settled('m3', PARKED)
      await store.settle('m1', 'me', later(START), START)
      await store.settle('m2', 'me', PARKED, START)
      const open = ['parked', 'sending', 'waiting'] as const
      assert.deepEqual(await store.ids({}, open), ['m1', 'm2', 'm3', 'm4'])
      assert.deepEqual(await store.ids({}, ['parked']), ['m2', 'm3'])
      assert.deepEqual(await store.ids({}, []), [])
      assert.deepEqual(await store.ids({ lane: 'a' }, open), ['m1', 'm3', 'm4'])
      assert.deepEqual(await store.ids({ tag: 'x' }, open), ['m1', 'm2'])
      assert.deepEqual(await store.ids({ tag: 'x' }, ['waiting', 'sending']), ['m1'])
      assert.deepEqual(await store.ids({ id: 'm2' }, open), ['m2'])
      assert.deepEqual(await store.ids({ id: 'm2' }, ['waiting']), [])
      assert.deepEqual(await store.ids({ code: 'REDOX_REJECTED' }, open), ['m2', 'm3'])
      assert.deepEqual(await store.ids({ till: START }, open), ['m1', 'm2', 'm3'])
      assert.deepEqual(await store.ids({ since: START + 1 }, open), ['m4'])
      assert.deepEqual(await store.ids({ after: 'm2' }, open), ['m3', 'm4'])
    })

    it('refuses a page that goes on after a message that is not there any more', async () => {
      await accept(free('m1'), free('m2'))
      for (const after of ['gone', 'g\0ne', ''])
        for (const newestFirst of [false, true])
          await rejectsWith(store.find({ after, newestFirst, limit: 9 }), 'REDOX_STORE_LOST')
      assert.deepEqual(idsOf(await store.find({ after: 'm1', limit: 9 })), ['m2'])
    })

    for (const [what, character] of [
      ['NUL', '\0'],
      ['half a surrogate pair', '\ud800'],
    ] as const)
      it(`accepts and finds nothing that has ${what} in it`, async () => {
        const odd = `a${character}b`
        for (const change of [{ id: odd }, { lane: odd }, { owner: odd }, { tags: [odd] }])
          await rejectsWith(store.accept(message('m1', change)), 'REDOX_BAD_INPUT')
        await accept(message('m2'))
        for (const query of [{ id: odd }, { lane: odd }, { tag: odd }])
          assert.deepEqual(await store.find({ ...query, limit: 9 }), [])
        await rejectsWith(
          store.decide(odd, 'discard', { who: 'ann', reason: 'x', now: START }),
          'REDOX_STORE_LOST',
        )
        await rejectsWith(store.pause(odd, true, { who: 'ann', reason: 'x', now: START }), 'REDOX_BAD_INPUT')
        assert.deepEqual(idsOf(await store.find({ limit: 9 })), ['m2'])
      })

    it('lists lanes: what is open, since when, and what blocks them', async () => {
      await accept(
        message('a1', { acceptedAt: START + 1 }),
        message('a2', { acceptedAt: START + 2 }),
        message('a3', { acceptedAt: START + 3 }),
        free('b1', { lane: 'b', acceptedAt: START + 4 }),
        message('c1', { lane: 'c' }),
      )
      await claimed(START + 10)
      await store.settle('a1', 'me', PARKED, START + 10)
      await store.settle('c1', 'me', DELIVERED, START + 10)
      await store.pause('empty', true, { who: 'ann', reason: 'works', now: START })
      assert.deepEqual(await lane('a'), {
        ...{ lane: 'a', open: 2, parked: 1, owners: ['node'], oldest: START + 2, paused: false },
        blockedBy: { id: 'a1', reason: 'REDOX_REJECTED' },
      })
      assert.deepEqual(await lane('b'), {
        ...{ lane: 'b', open: 1, parked: 0, owners: ['node'], oldest: START + 4, paused: false },
      })
      assert.equal(await lane('c'), undefined)
      assert.deepEqual(await lane('empty'), {
        ...{ lane: 'empty', open: 0, parked: 0, owners: [], paused: true },
      })
      await store.pause('empty', false, { who: 'ann', reason: 'done', now: START })
      assert.equal(await lane('empty'), undefined)
      await store.decide('a1', 'mark-delivered', { who: 'ann', reason: 'phoned', now: START })
      assert.equal((await lane('a'))?.blockedBy, undefined)
    })

    it('lists a lane that only something parked is in; what has no order blocks nobody', async () => {
      await accept(free('f1'), free('f2', { lane: 'b' }), free('f3', { lane: 'b' }))
      await claimed(START)
      await store.settle('f1', 'me', PARKED, START)
      await store.settle('f2', 'me', PARKED, START)
      assert.equal((await lane('a'))?.open, 0)
      assert.equal((await lane('b'))?.open, 1)
      assert.equal((await lane('b'))?.blockedBy, undefined)
    })

    it('counts by state', async () => {
      await accept(...['m1', 'm2', 'm3', 'm4', 'm5', 'm6'].map((id) => free(id)))
      await claimed(START, { limit: 4 })
      await store.settle('m1', 'me', PARKED, START)
      await store.settle('m2', 'me', DELIVERED, START)
      await store.decide('m5', 'discard', { who: 'ann', reason: 'wrong', now: START })
      assert.deepEqual(await store.counts(), {
        waiting: 1,
        sending: 2,
        parked: 1,
        delivered: 1,
        discarded: 1,
      })
    })

    // ---- Deciding -------------------------------------------------------------------------------------

    for (const state of ['parked', 'delivered', 'discarded'] as const)
      it(`sends again what is ${state}: at its old place, with as long a deadline`, async () => {
        await accept(message('a1'), message('a2'))
        await claimed()
        if (state === 'discarded') {
          await store.settle('a1', 'me', PARKED, START)
          await store.decide('a1', 'discard', { who: 'ann', reason: 'wrong', now: START })
        } else await store.settle('a1', 'me', state === 'parked' ? PARKED : DELIVERED, START)
        await store.markTold('a1')
        await store.decide('a1', 'resend', { who: 'ann', reason: 'again', now: START + 100 })
        const again = (await get('a1'))!
        assert.deepEqual(
          [again.state, again.attempts, again.begun, again.told, again.endedAt, again.deadline],
          ['waiting', 0, false, false, undefined, START + 100 + DAY],
        )
        assert.equal(text(again.content), 'content of a1')
        assert.ok(again.notes)
        assert.deepEqual(await claimed(START + 100), ['a1'])
        await store.settle('a1', 'me', PARKED, START + 200)
        await store.decide('a1', 'resend', { who: 'ann', reason: 'once more', now: START + 300 })
        assert.equal((await get('a1'))?.deadline, START + 300 + DAY)
      })

    it('tells the outcome of what was sent again', async () => {
      const told = async (holder: string) =>
        idsOf(await store.untold({ holder, leaseMs: LEASE, limit: 9, owners: ['node'] }))
      await accept(message('a1'))
      await settled('a1', PARKED)
      assert.deepEqual(await told('me'), ['a1'])
      await store.markTold('a1')
      await store.decide('a1', 'resend', { who: 'ann', reason: 'again', now: START })
      assert.deepEqual(await told('me'), [])
      await settled('a1', DELIVERED)
      assert.deepEqual(await told('other'), ['a1'])
    })

    for (const [action, state] of [
      ['discard', 'discarded'],
      ['mark-delivered', 'delivered'],
    ] as const)
      it(`${action}: of what is waiting or parked; its node is not told`, async () => {
        await accept(message('a1'), message('b1', { lane: 'b' }))
        await settled('b1', PARKED)
        await store.settle('a1', 'me', later(START), START)
        for (const id of ['a1', 'b1']) {
          await store.decide(id, action, { who: 'ann', reason: 'because', now: START + 7 })
          const { state: now, endedAt, reason } = (await get(id))!
          assert.deepEqual([now, endedAt, reason], [state, START + 7, action])
        }
        const asked = { holder: 'x', leaseMs: 1, limit: 9, owners: ['node'] }
        assert.deepEqual(await store.untold(asked), [])
        assert.deepEqual(await claimed(START + DAY), [])
      })

    it('extend: what waits is tried for longer, and never for less; all else stays', async () => {
      const extend = (id: string, deadline: number) =>
        store.decide(id, 'extend', { who: 'ann', reason: 'long outage', now: START + 7 }, { deadline })
      await accept(message('a1'), message('a2'))
      await settled('a1', later(START + 500))
      const before = (await get('a1'))!
      await extend('a1', START + 3 * DAY)
      assert.deepEqual(await get('a1'), { ...before, deadline: START + 3 * DAY })
      // Nothing changes, and nothing is written of it.
      for (const deadline of [START + 2 * DAY, START + 3 * DAY])
        await rejectsWith(extend('a1', deadline), 'REDOX_STORE_LOST')
      assert.equal((await get('a1'))?.deadline, START + 3 * DAY)
      assert.deepEqual(await claimed(START + 499), [])
      assert.deepEqual(await claimed(START + 500), ['a1'])
      // What is being sent, and what has ended, is left.
      await rejectsWith(extend('a1', START + 9 * DAY), 'REDOX_STORE_LOST')
      await store.settle('a1', 'me', PARKED, START)
      await rejectsWith(extend('a1', START + 9 * DAY), 'REDOX_STORE_LOST')
      await store.decide('a1', 'resend', { who: 'ann', reason: 'again', now: START })
      assert.equal((await get('a1'))?.deadline, START + DAY)
      assert.deepEqual(
        (await store.audit({ skip: 0, limit: 9 })).map(({ action, subject, reason }) => [
          action,
          subject,
          reason,
        ]),
        [
          ['extend', 'a1', 'long outage'],
          ['resend', 'a1', 'again'],
        ],
      )
    })

    it('leaves a message that stands otherwise than it was seen, and writes nothing', async () => {
      await accept(message('a1'))
      await settled('a1', PARKED)
      const seen = (await get('a1'))!
      await store.decide('a1', 'resend', { who: 'bob', reason: 'again', now: START })
      await settled('a1', { ...PARKED, reason: 'REDOX_OUTCOME_UNKNOWN' }, START)
      const decide = (about: StoredMessage) =>
        store.decide(
          'a1',
          'resend',
          { who: 'ann', reason: 'again', now: START },
          { seen: about, notes: Buffer.from('new') },
        )
      await rejectsWith(decide(seen), 'REDOX_STORE_LOST')
      const now = (await get('a1'))!
      await rejectsWith(decide({ ...now, endedAt: START + 1 }), 'REDOX_STORE_LOST')
      await rejectsWith(decide({ ...now, state: 'delivered' }), 'REDOX_STORE_LOST')
      assert.equal(text(now.notes), 'refused')
      assert.equal((await store.audit({ skip: 0, limit: 9 })).length, 1)
      await decide(now)
      const { state, notes } = (await get('a1'))!
      assert.deepEqual([state, text(notes)], ['waiting', 'new'])
    })

    it('refuses a decision about a message in another state, and writes nothing', async () => {
      const lost = (id: string, ...actions: Action[]) =>
        Promise.all(
          actions.map((one) =>
            rejectsWith(store.decide(id, one, { who: 'ann', reason: '', now: START }), 'REDOX_STORE_LOST'),
          ),
        )
      await lost('unknown', 'resend', 'mark-delivered', 'discard', 'extend')
      await accept(message('a1'))
      await lost('a1', 'resend')
      await claimed()
      await lost('a1', 'resend', 'mark-delivered', 'discard')
      await store.settle('a1', 'me', DELIVERED, START)
      await lost('a1', 'mark-delivered', 'discard')
      await accept(message('a2'))
      await store.decide('a2', 'discard', { who: 'ann', reason: 'wrong', now: START })
      await lost('a2', 'mark-delivered', 'discard')
      assert.equal((await store.audit({ skip: 0, limit: 10 })).length, 1)
    })

    it('writes down who did what, and only ever adds to it', async () => {
      await accept(message('a1'))
      assert.equal(await store.auditLength(), 0)
      await store.looked('a1', { who: 'bob', reason: 'asked by phone', now: START + 1 })
      await store.pause('a', true, { who: 'ann', reason: 'works', now: START + 2 })
      await store.pause('a', false, { who: 'ann', reason: 'done', now: START + 3 })
      await store.decide('a1', 'discard', { who: 'eve', reason: 'wrong patient', now: START + 4 })
      await store.decide('a1', 'resend', { who: 'eve', reason: 'after all', now: START + 5 })
      await settled('a1', DELIVERED, START + 5)
      await store.purge(START + DAY, START + DAY)
      const lines = await store.audit({ skip: 0, limit: 10 })
      assert.deepEqual(
        lines.map(({ at, who, action, subject, reason }) => [at - START, who, action, subject, reason]),
        [
          [1, 'bob', 'look', 'a1', 'asked by phone'],
          [2, 'ann', 'pause', 'a', 'works'],
          [3, 'ann', 'resume', 'a', 'done'],
          [4, 'eve', 'discard', 'a1', 'wrong patient'],
          [5, 'eve', 'resend', 'a1', 'after all'],
        ],
      )
      assert.deepEqual(await store.audit({ skip: 1, limit: 2 }), lines.slice(1, 3))
      assert.deepEqual(await store.audit({ skip: 5, limit: 2 }), [])
      assert.equal(await store.auditLength(), 5)
      await reopen()
      assert.equal(await store.auditLength(), 5)
      await store.looked('a1', { who: 'bob', reason: 'once more', now: START })
      assert.equal(await store.auditLength(), 6)
      assert.deepEqual((await store.audit({ skip: 0, limit: 10 })).slice(0, 5), lines)
    })

    // ---- Files ----------------------------------------------------------------------------------------

    it('gives the chunks of a file as they were given', async () => {
      await store.putFile('f', chunksOf('one', '', 'three'))
      assert.deepEqual(await readAll(store.readFile('f')), ['one', '', 'three'])
      assert.equal(await store.hasFile('f'), true)
      assert.equal(await store.hasFile('g'), false)
      await rejectsWith(readAll(store.readFile('g')), 'REDOX_STORE_LOST')
    })

    it('stores a file once', async () => {
      await store.putFile('f', chunksOf('first'))
      await store.putFile('f', chunksOf('second'))
      assert.deepEqual(await readAll(store.readFile('f')), ['first'])
    })

    it('stores a file once when two bring it at the same time', async () => {
      await Promise.all([store.putFile('f', chunksOf('a', 'b')), store.putFile('f', chunksOf('a', 'b'))])
      assert.deepEqual(await readAll(store.readFile('f')), ['a', 'b'])
    })

    it('never shows a file that is not complete', async () => {
      let go = (): void => undefined
      const waits = new Promise<void>((resolve) => (go = resolve))
      const broken = new Error('the source broke')
      const putting = store.putFile(
        'f',
        (async function* () {
          yield Buffer.from('first half')
          await waits
          throw broken
        })(),
      )
      await sleep(50)
      assert.equal(await store.hasFile('f'), false)
      await rejectsWith(readAll(store.readFile('f')), 'REDOX_STORE_LOST')
      go()
      await assert.rejects(putting, broken)
      assert.equal(await store.hasFile('f'), false)
      await store.putFile('f', chunksOf('whole'))
      assert.deepEqual(await readAll(store.readFile('f')), ['whole'])
    })

    it('streams 30 MB in and out, in little memory', async () => {
      const chunk = sizedFile(255 * 1024)
      const hash = createHash('sha256')
      const before = process.memoryUsage.rss()
      let most = 0
      await store.putFile(
        'large',
        (async function* () {
          for (let index = 0; index < 120; index++) {
            const bytes = Buffer.from(chunk)
            bytes.writeUInt32BE(index)
            hash.update(bytes)
            most = Math.max(most, process.memoryUsage.rss())
            yield bytes
          }
        })(),
      )
      const read = createHash('sha256')
      let size = 0
      for await (const bytes of store.readFile('large')) {
        read.update(bytes)
        size += bytes.length
        most = Math.max(most, process.memoryUsage.rss())
      }
      assert.equal(size, 120 * 255 * 1024)
      assert.equal(read.digest('hex'), hash.digest('hex'))
      assert.ok(most - before < 100e6, `${((most - before) / 1e6).toFixed(0)} MB more`)
    })

    // ---- Forgetting -----------------------------------------------------------------------------------

    it('forgets what was delivered or discarded before, and nothing else', async () => {
      const states = ['waiting', 'sending', 'parked', 'delivered', 'discarded', 'recent']
      await accept(...states.map((id) => message(id, { lane: id, files: [], tags: ['t'] })))
      await store.pause('waiting', true, { who: 'ann', reason: 'works', now: START })
      await store.decide('discarded', 'discard', { who: 'ann', reason: 'wrong', now: START })
      await claimed()
      await store.settle('parked', 'me', PARKED, START)
      await store.settle('delivered', 'me', DELIVERED, START)
      await store.settle('recent', 'me', DELIVERED, START + 1)
      for (const id of ['delivered', 'recent']) await store.markTold(id)
      assert.equal(await store.purge(START, START), 0)
      assert.equal(await store.purge(START + 1, START + 1), 2)
      const left = ['waiting', 'sending', 'parked', 'recent']
      assert.deepEqual(idsOf(await store.find({ limit: 10 })), left)
      assert.deepEqual(idsOf(await store.find({ tag: 't', limit: 10 })), left)
      assert.deepEqual(await store.counts(), {
        waiting: 1,
        sending: 1,
        parked: 1,
        delivered: 1,
        discarded: 0,
      })
    })

    it('keeps what its node was not told of for 72 hours more', async () => {
      await accept(message('told'), message('untold', { lane: 'b' }), message('discarded', { lane: 'c' }))
      await store.decide('discarded', 'discard', { who: 'ann', reason: 'wrong', now: START })
      await claimed()
      for (const id of ['told', 'untold']) await store.settle(id, 'me', DELIVERED, START)
      await store.markTold('told')
      assert.equal(await store.purge(START + 1, START + 72 * HOUR), 2)
      assert.deepEqual(idsOf(await store.find({ limit: 10 })), ['untold'])
      assert.equal(await store.purge(START + 1, START + 72 * HOUR + 1), 1)
      assert.deepEqual(await store.find({ limit: 10 }), [])
    })

    it('keeps for longer than that what is to be kept for longer', async () => {
      await accept(message('untold'))
      await claimed()
      await store.settle('untold', 'me', DELIVERED, START)
      assert.equal(await store.purge(START, START + 100 * HOUR), 0)
    })

    it('forgets many at once', async () => {
      const ids = Array.from({ length: 250 }, (_, index) => `f${index}`)
      await Promise.all(ids.map((id) => store.accept(free(id))))
      for (const id of ids) await store.decide(id, 'discard', { who: 'ann', reason: 'wrong', now: START })
      assert.equal(await store.purge(START + 1, START), 250)
      assert.deepEqual(await store.find({ limit: 10 }), [])
    })

    it('forgets a file with its last message', async () => {
      for (const name of ['shared', 'own', 'kept']) await store.putFile(name, chunksOf(name))
      await accept(
        free('m1', { files: ['shared', 'own'] }),
        free('m2', { files: ['shared'] }),
        free('m3', { files: ['kept'] }),
      )
      await claimed()
      await store.settle('m1', 'me', DELIVERED, START)
      await store.settle('m3', 'me', PARKED, START)
      for (const id of ['m1', 'm3']) await store.markTold(id)
      await store.purge(START + 1, START)
      const there = async () => Promise.all(['shared', 'own', 'kept'].map((name) => store.hasFile(name)))
      assert.deepEqual(await there(), [true, false, true])
      await store.settle('m2', 'me', DELIVERED, START)
      await store.markTold('m2')
      await store.purge(START + 1, START)
      assert.deepEqual(await there(), [false, false, true])
      assert.deepEqual(await readAll(store.readFile('kept')), ['kept'])
    })

    it('forgets files that belong to no message an hour after they were stored', async () => {
      const now = Date.now()
      await store.putFile('nobodys', chunksOf('x'))
      await store.putFile('used', chunksOf('x'))
      await accept(message('a1', { files: ['used'] }))
      await store.purge(START, now + HOUR - 60_000)
      assert.equal(await store.hasFile('nobodys'), true)
      await store.purge(START, now + HOUR + 60_000)
      assert.equal(await store.hasFile('nobodys'), false)
      assert.equal(await store.hasFile('used'), true)
    })

    // ---- Pace -----------------------------------------------------------------------------------------

    const never = new AbortController().signal

    it('counts requests up to the limit, for all paces of the store together', async () => {
      const [one, other] = [store.pace(3), store.pace(3)]
      for (const pace of [one, other, one]) assert.equal(await pace.turn(never, performance.now()), 0)
      for (const pace of [one, other]) {
        const left = await pace.turn(never, performance.now())
        assert.ok(left > 290_000 && left <= 300_000, `${left}`)
        assert.ok(pace.wait() > 0)
      }
    })

    it('never lets more than the limit through at the same time', async () => {
      const paces = Array.from({ length: 10 }, () => store.pace(4))
      const turns = await Promise.all(paces.map((pace) => pace.turn(never, performance.now() + 1000)))
      assert.equal(turns.filter((left) => left === 0).length, 4)
    })

    it('pauses for all, for as long as was asked', async () => {
      const [one, other] = [store.pace(0), store.pace(100)]
      one.pause(400)
      assert.ok(one.wait() > 300)
      assert.ok((await one.turn(never, performance.now())) > 300)
      await sleep(50)
      const began = performance.now()
      assert.ok((await other.turn(never, began)) > 200)
      assert.equal(await other.turn(never), 0)
      assert.ok(performance.now() - began > 200)
      assert.equal(await one.turn(never), 0)
    })

    it('pauses no longer than the window, whatever a server says', async () => {
      const pace = store.pace(0)
      pace.pause(DAY)
      assert.ok(pace.wait() <= 300_000)
    })

    it('gives up waiting for a turn when it is aborted', async () => {
      const pace = store.pace(0)
      pace.pause(60_000)
      await assert.rejects(pace.turn(AbortSignal.timeout(50)))
    })

    // ---- Starting again -------------------------------------------------------------------------------

    it('has everything after a new start, and gives back what its dead holder held', async () => {
      await store.putFile('f', chunksOf('one', 'two'))
      await accept(message('a1', { files: ['f'], tags: ['t'] }), message('a2'), message('b1', { lane: 'b' }))
      await claimed(START, { holder: 'gone' })
      await store.begin('a1', 'gone')
      await store.note('a1', 'gone', Buffer.from('uploaded'))
      await store.settle('b1', 'gone', PARKED, START)
      await store.pause('c', true, { who: 'ann', reason: 'works', now: START })
      const [found, lanes, counts] = [
        await store.find({ limit: 9 }),
        await store.lanes(),
        await store.counts(),
      ]
      await reopen()
      assert.equal((await lane('c'))?.paused, true)
      assert.deepEqual(idsOf(await store.find({ tag: 't', limit: 9 })), ['a1'])
      assert.deepEqual(await readAll(store.readFile('f')), ['one', 'two'])
      assert.deepEqual(
        (await store.find({ limit: 9 })).map(({ id, content, attempts }) => [id, text(content), attempts]),
        found.map(({ id, content, attempts }) => [id, text(content), attempts]),
      )
      assert.equal((await store.lanes()).length, lanes.length)
      assert.equal((await store.counts()).parked, counts.parked)
      const again = await claim(START + LEASE)
      assert.deepEqual(
        again.map(({ id, begun, notes }) => [id, begun, text(notes)]),
        [['a1', true, 'uploaded']],
      )
      await store.settle('a1', 'me', DELIVERED, START + LEASE)
      await accept(message('a3'))
      assert.deepEqual(await claimed(START + LEASE), ['a2'])
      assert.deepEqual(idsOf(await store.find({ lane: 'a', limit: 9 })), ['a1', 'a2', 'a3'])
    })

    it('can be closed twice', async () => {
      await store.close()
      await store.close()
    })
  })
}
