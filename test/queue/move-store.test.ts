/** Moves of messages from one store to another. If a move is interrupted at any point, the next move completes it. */
import assert from 'node:assert/strict'
import { SealedStore, type AttemptRecord } from '../../src/queue/jobs'
import { moveMessages } from '../../src/queue/move-store'
import { MOVING, type DeliveryStore, type Settlement } from '../../src/queue/types'
import { accept, all, describeAll } from './messages'
import { LEVEL, POSTGRES, type Kind, type Place } from './stores'
import { NO_POSTGRES, skip } from '../lib/skip'

const MOVER = { who: 'ann', reason: 'the store moves to PostgreSQL' }
const HOUR = 3_600_000
const LOG_ID = 'd9f5d293-7110-461e-a875-3beb089e79f3'

/**
 * Accepts six messages, returns their ids, and brings them into different states: waiting, interrupted after the
 * request was started, parked, and delivered but unannounced.
 */
async function fill(contents: SealedStore): Promise<string[]> {
  const { store } = contents
  const ids = await accept(contents, 6)
  const hold = { holder: 'me', leaseMs: HOUR, limit: 4, except: [] }
  const claimed = await store.claim(hold)
  assert.equal(claimed.length, 4)
  const [begun, parked, delivered, again] = claimed.map(({ id }) => id) as [string, string, string, string]
  const record = (id: string): AttemptRecord => ({ uploaded: {}, uploadAccount: `account of ${id}` })
  const notes = (id: string): Promise<Buffer> => contents.sealRecord(id, record(id))
  const settle = (id: string, settlement: Settlement): Promise<void> =>
    store.settle(id, 'me', settlement, Date.now())
  await store.recordRequestStart(begun, 'me')
  await store.renew('me', [begun], 1)
  await settle(parked, { state: 'parked', reason: 'REDOX_REJECTED', notes: await notes(parked) })
  const delivery = { status: 200, body: {}, facts: { logIds: [LOG_ID], locations: [] } }
  const answered = { ...record(delivered), delivery } as unknown as AttemptRecord
  await settle(delivered, {
    ...{ state: 'delivered', tags: contents.logTags(answered) },
    notes: await contents.sealRecord(delivered, answered),
  })
  const dueAt = Date.now() + HOUR
  await settle(again, { state: 'waiting', dueAt, reason: 'REDOX_UNAVAILABLE', notes: await notes(again) })
  return ids
}

const sorted = (messages: Record<string, unknown>[]): unknown[] =>
  messages.sort((a, b) => String(a['id']).localeCompare(String(b['id'])))

/** Ids of the waiting messages, which the queue sender would send. */
const sendable = async ({ store }: SealedStore): Promise<string[]> =>
  (await store.find({ state: 'waiting', limit: 100 })).map(({ id }) => id)

/** Store that fails before or after its write number `count.left`, as if its process had ended at this point. */
function endingAt(store: DeliveryStore, count: { left: number }, isBehind: boolean): DeliveryStore {
  const writes = new Set(['setStatus', 'insertMoved', 'remove', 'putFile'])
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      const method = value.bind(target) as (...values: unknown[]) => Promise<unknown>
      if (!writes.has(String(name))) return method
      return async (...values: unknown[]) => {
        const ends = count.left-- === 0
        if (ends && !isBehind) throw new Error('ended here')
        const result = await method(...values)
        if (ends) throw new Error('ended here')
        return result
      }
    },
  })
}

const PAIRS: [from: Kind, to: Kind][] = [
  [LEVEL, LEVEL],
  [LEVEL, POSTGRES],
  [POSTGRES, LEVEL],
  [POSTGRES, POSTGRES],
]

for (const [fromKind, toKind] of PAIRS)
  describe(`move from ${fromKind.name} to ${toKind.name}`, () => {
    const kinds = new Set([fromKind, toKind])
    const places: Place[] = []
    const opened: DeliveryStore[] = []
    before(async function () {
      if ([...kinds].some((kind) => kind.missing() !== undefined)) skip(this, NO_POSTGRES)
      for (const kind of kinds) await kind.start()
    })
    after(async () => {
      for (const kind of kinds) await kind.stop()
    })
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((store) => store.close()))
      await Promise.all(places.splice(0).map((place) => place.remove()))
    })

    async function start(kind: Kind): Promise<DeliveryStore> {
      const place = await kind.place()
      const store = await place.open()
      places.push(place)
      opened.push(store)
      return store
    }

    async function pair(): Promise<{
      from: SealedStore
      to: SealedStore
      stores: [DeliveryStore, DeliveryStore]
    }> {
      const stores: [DeliveryStore, DeliveryStore] = [await start(fromKind), await start(toKind)]
      const from = await SealedStore.open(stores[0], 'the key of the first store')
      const to = await SealedStore.open(stores[1], 'the key of the second store')
      return { from, to, stores }
    }

    it('keeps ids, order, states, accounts, deadlines, notes and files, also with another store key', async () => {
      const { from, to } = await pair()
      const ids = await fill(from)
      const before = (await describeAll(from)).map((one) =>
        one['state'] === 'sending' ? { ...one, state: 'waiting' } : one,
      )
      assert.deepEqual(await moveMessages(from, to, MOVER), { moved: 6, left: [] })
      assert.deepEqual(await describeAll(to), before)
      assert.deepEqual(
        (await all(to.store)).map(({ id }) => id),
        ids,
      )
      assert.deepEqual(await all(from.store), [])
      const lines = await to.store.audit({ skip: 0, limit: 100 })
      assert.deepEqual(
        lines.map(({ at: _at, ...line }) => line),
        ids.map((subject) => ({ ...MOVER, action: 'move', subject })),
      )
      const idsOfTag = async (name: string): Promise<string[]> =>
        (await to.store.find({ tag: to.seal.nameFor(name), limit: 2 })).map(({ id }) => id)
      assert.deepEqual(await idsOfTag('doc-3'), [ids[3]])
      assert.deepEqual(await idsOfTag(LOG_ID), [ids[2]])
    })

    it('loses and doubles nothing when it is interrupted before or after any write', async () => {
      let ends = 0
      for (let at = 0, isOver = false; !isOver; at++)
        for (const isBehind of [false, true]) {
          const { from, to, stores } = await pair()
          const ids = await accept(from, 2)
          const before = await describeAll(from)
          const count = { left: at }
          const [endingFrom, endingTo] = stores.map((store) => endingAt(store, count, isBehind))
          const first = await SealedStore.open(endingFrom!, 'the key of the first store')
          const second = await SealedStore.open(endingTo!, 'the key of the second store')
          isOver = await moveMessages(first, second, MOVER).then(
            () => true,
            () => false,
          )
          // After an interrupted move, no message can be sent from both stores.
          const here = await sendable(from)
          const there = await sendable(to)
          assert.deepEqual(
            here.filter((id) => there.includes(id)),
            [],
          )
          if (!isOver) ends++
          await moveMessages(from, to, MOVER)
          const moved = await describeAll(to)
          assert.deepEqual(
            (await all(to.store)).map(({ id }) => id).sort(),
            [...ids].sort(),
            `ended ${isBehind ? 'behind' : 'before'} write ${at}`,
          )
          assert.deepEqual(sorted(moved), sorted(before))
          assert.deepEqual(await all(from.store), [])
        }
      assert.ok(ends >= 18, String(ends))
    })

    it('lets no user decide about a message that is being moved, and moves it to no third store', async () => {
      const { from, to, stores } = await pair()
      const [id] = (await accept(from, 1)) as [string]
      const ending = await SealedStore.open(
        endingAt(stores[0], { left: 1 }, false),
        'the key of the first store',
      )
      await assert.rejects(moveMessages(ending, to, MOVER), /ended here/)
      for (const { store } of [from, to]) {
        const [message] = await all(store)
        assert.deepEqual([message!.state, message!.reason], ['parked', MOVING])
        for (const action of ['resend', 'discard', 'mark-delivered'] as const)
          await assert.rejects(store.applyAction(id, action, { who: 'ann', reason: 'x', now: Date.now() }), {
            code: 'REDOX_STORE_LOST',
          })
      }
      const third = await SealedStore.open(await start(toKind), 'the key of a third store')
      await assert.rejects(moveMessages(from, third, MOVER), { code: 'REDOX_STORE_LOCKED' })
      assert.deepEqual(await all(third.store), [])
    })

    it('leaves unreadable messages in place and moves the others', async () => {
      const { from, to } = await pair()
      const [first, second] = (await accept(from, 2)) as [string, string]
      const [damaged] = await from.store.find({ id: first, limit: 1 })
      await from.store.setStatus(first, { ...damaged!, notes: Buffer.from('damaged') })
      assert.deepEqual(await moveMessages(from, to, MOVER), {
        moved: 1,
        left: [{ id: first, code: 'REDOX_STORE_UNREADABLE' }],
      })
      assert.deepEqual(
        [(await all(from.store)).map(({ id }) => id), (await all(to.store)).map(({ id }) => id)],
        [[first], [second]],
      )
    })

    it('is refused while a message is being sent, and to the same store', async () => {
      const { from, to } = await pair()
      await accept(from, 1)
      await from.store.claim({
        holder: 'me',
        leaseMs: HOUR,
        limit: 1,
        except: [],
      })
      await assert.rejects(moveMessages(from, to, MOVER), { code: 'REDOX_STORE_LOCKED' })
      await assert.rejects(moveMessages(from, from, MOVER), { code: 'REDOX_BAD_INPUT' })
      assert.deepEqual(await all(to.store), [])
    })
  })
