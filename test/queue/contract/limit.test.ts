/** Limit of a store: which messages are refused, and when there is room for them again. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { StoreUsage } from '../../../src/queue/store-usage'
import { eventually } from '../../lib/eventually'
import * as contract from './store'
import { accept, claim, DELIVERED, eachStore, free, get, HOUR, rejectsWith, START } from './store'

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
      await usage.count(FILE, HOUR)
      await acceptWithFile(id)
    }
    await usage.update(HOUR)
    assert.equal(refused(), 0)
    await rejectsWith(usage.count(FILE, HOUR), 'REDOX_STORE_FULL')
  }

  it('is full from a refusal until there is room for a message of that size, also without a new message', async () => {
    await fill()
    await usage.count(1000, HOUR)
    await usage.update(HOUR)
    assert.ok(refused() >= FILE, `${refused()}`)
    await deliver('0')
    await eventually('there is room', async () => {
      await usage.update(HOUR)
      return refused() === 0
    })
    assert.equal(await get('0'), undefined)
    assert.notEqual(await get('1'), undefined)
    await usage.count(FILE, HOUR)
  })

  it('is no longer full when a message of that size was accepted, or the limit was raised', async () => {
    await fill()
    await deliver('0')
    await eventually('it is accepted', () =>
      usage.count(FILE, HOUR).then(
        () => true,
        () => false,
      ),
    )
    assert.equal(refused(), 0)
    await acceptWithFile('4')
    await rejectsWith(usage.count(FILE, HOUR), 'REDOX_STORE_FULL')
    usage.limit = Infinity
    await usage.update(HOUR)
    assert.equal(refused(), 0)
  })

  it('deletes the oldest ones only, also of messages that were delivered within a minute', async () => {
    await fill()
    await deliver('0', '1', '2')
    await eventually('it is accepted', () =>
      usage.count(FILE, HOUR).then(
        () => true,
        () => false,
      ),
    )
    assert.deepEqual([await get('0'), await get('1')], [undefined, undefined])
    assert.equal((await get('2'))?.state, 'delivered')
  })

  it('deletes nothing for a message that is larger than the limit, and is not full because of it', async () => {
    await acceptWithFile('0')
    await deliver('0')
    await rejectsWith(usage.count(LIMIT, HOUR), 'REDOX_STORE_FULL')
    await usage.update(HOUR)
    assert.notEqual(await get('0'), undefined)
    assert.equal(refused(), 0)
  })
})
