/** Limit of a store: which messages are refused, and when there is room for them again. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { StoreUsage } from '../../../src/queue/store-usage'
import type { Verdict } from '../../../src/shared/values'
import { eventually } from '../../lib/eventually'
import * as contract from './store'
import { accept, claim, DELIVERED, eachStore, free, get, idsOf, rejectsWith, START } from './store'

const LIMIT = 1_000_000
const FILE = 200_000

async function* noise(): AsyncGenerator<Buffer> {
  yield randomBytes(FILE)
}

async function acceptWithFile(id: string): Promise<void> {
  await contract.store.putFile(id, noise())
  await accept(free(id, { files: [id] }))
}

/** Delivers messages, one each five seconds. A second after the last one, all can be deleted. */
async function deliver(...ids: string[]): Promise<void> {
  await claim(START)
  for (const [index, id] of ids.entries()) {
    const at = START + index * 5000
    await contract.store.settle(id, 'me', DELIVERED, at)
    await contract.store.markAnnounced(id)
    await contract.place.at(at + 1000)
  }
  // A store in a database learns the time of the database with this call.
  await contract.store.nextDue(START, [])
}

async function verdict(id: string, reason: Verdict): Promise<void> {
  const change = { reason, notes: DELIVERED.notes, seen: DELIVERED.notes }
  assert.ok(await contract.store.recordVerdict(id, change))
}

const stored = async (): Promise<string[]> => idsOf(await contract.store.find({ limit: 100 }))

eachStore('limit', () => {
  let usage: StoreUsage
  const refused = (): number => usage.figures.refused
  beforeEach(async () => {
    await contract.place.at(START)
    usage = new StoreUsage(contract.store)
    usage.limit = LIMIT
  })

  /** Accepts messages until there is no room for one more. */
  async function fill(): Promise<void> {
    for (const id of ['0', '1', '2', '3']) {
      await usage.count(FILE)
      await acceptWithFile(id)
    }
    await usage.update(true)
    assert.equal(refused(), 0)
    await rejectsWith(usage.count(FILE), 'REDOX_STORE_FULL')
  }

  /** Counts a message as soon as room is searched again. */
  const eventuallyCounted = (): Promise<void> =>
    eventually('it is accepted', () =>
      usage.count(FILE).then(
        () => true,
        () => false,
      ),
    )

  it('is full from a refusal until there is room for a message of that size, also without a new message', async () => {
    await fill()
    await usage.count(1000)
    await usage.update(true)
    assert.ok(refused() >= FILE, `${refused()}`)
    await deliver('0')
    await eventually('there is room', async () => {
      await usage.update(true)
      return refused() === 0
    })
    assert.equal(await get('0'), undefined)
    assert.notEqual(await get('1'), undefined)
    await usage.count(FILE)
  })

  it('is no longer full when a message of that size was accepted, or the limit was raised', async () => {
    await fill()
    await deliver('0')
    await eventuallyCounted()
    assert.equal(refused(), 0)
    await acceptWithFile('4')
    await rejectsWith(usage.count(FILE), 'REDOX_STORE_FULL')
    usage.limit = Infinity
    await usage.update(true)
    assert.equal(refused(), 0)
  })

  it('deletes the oldest ones only, also of messages that were delivered within a minute', async () => {
    await fill()
    await deliver('0', '1', '2')
    await eventuallyCounted()
    assert.deepEqual([await get('0'), await get('1')], [undefined, undefined])
    assert.equal((await get('2'))?.state, 'delivered')
  })

  it('deletes messages that a destination refused last, and those without a verdict after accepted ones', async () => {
    await fill()
    await deliver('0', '1', '2', '3')
    await verdict('0', 'REDOX_NOT_DELIVERED')
    await verdict('1', 'REDOX_NOT_CONFIRMED')
    await verdict('3', 'accepted')
    await eventuallyCounted()
    assert.deepEqual(await stored(), ['0', '2'])
    assert.deepEqual(usage.figures.evicted, { finished: 1, unconfirmed: 1, refused: 0 })
    for (const id of ['4', '5']) {
      await usage.count(FILE)
      await acceptWithFile(id)
    }
    await usage.count(FILE)
    assert.deepEqual(await stored(), ['0', '4', '5'])
    await acceptWithFile('6')
    await usage.count(FILE)
    assert.deepEqual(await stored(), ['4', '5', '6'])
    assert.deepEqual(usage.figures.evicted, { finished: 1, unconfirmed: 2, refused: 1 })
  })

  it('keeps a result that its node has not emitted', async () => {
    await fill()
    await claim(START)
    await contract.store.settle('0', 'me', DELIVERED, START)
    await contract.place.at(START + 1000)
    await contract.store.nextDue(START, [])
    assert.equal(await contract.store.evict('unconfirmed', 1, contract.store.clock.now()), 0)
    await contract.store.markAnnounced('0')
    assert.equal(await contract.store.evict('unconfirmed', 5, contract.store.clock.now()), 1)
  })

  it('deletes nothing for a message that is larger than the limit, and is not full because of it', async () => {
    await acceptWithFile('0')
    await deliver('0')
    await rejectsWith(usage.count(LIMIT), 'REDOX_STORE_FULL')
    await usage.update(true)
    assert.notEqual(await get('0'), undefined)
    assert.equal(refused(), 0)
  })
})
