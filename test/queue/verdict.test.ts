/** Verdicts about delivered messages: which logs count, and what several of them say together. */
import assert from 'node:assert/strict'
import type { FollowedLog } from '../../src/platform/log-watch'
import { SealedStore, type AttemptRecord } from '../../src/queue/jobs'
import { recordVerdict } from '../../src/queue/verdict'
import type { LogStatus } from '../../src/shared/values'
import { rejectsWith } from './contract/store'
import { accept } from './messages'
import { LEVEL, type Place } from './stores'

const log = (id: string, status?: LogStatus): FollowedLog => ({
  id,
  ...(status && { log: { status }, lookup: 'answered' }),
})

describe('verdict about a delivered message', () => {
  let place: Place
  let sealed: SealedStore
  let id: string

  beforeEach(async () => {
    place = await LEVEL.place()
    sealed = await SealedStore.open(await place.open(), 'a store key that is hard to guess')
    ;[id] = (await accept(sealed, 1)) as [string]
    await delivered('log-1', 'log-2')
  })
  afterEach(async () => {
    await sealed.store.close()
    await place.remove()
  })

  async function delivered(...logIds: string[]): Promise<void> {
    const { store } = sealed
    await store.claim({ holder: 'me', leaseMs: 60_000, limit: 1, except: [] })
    const record = { uploaded: {}, delivery: { status: 200, body: {}, facts: { logIds, locations: [] } } }
    const notes = await sealed.sealRecord(id, record as unknown as AttemptRecord)
    await store.settle(id, 'me', { state: 'delivered', notes }, Date.now())
  }
  const reason = async (): Promise<string | undefined> =>
    (await sealed.store.find({ id, limit: 1 }))[0]!.reason
  const statuses = async (): Promise<unknown> => {
    const [message] = await sealed.store.find({ id, limit: 1 })
    return (await sealed.recordOf(message!)).verdict?.logs.map((one) => [one.logId, one.status])
  }

  it('is accepted only if all destinations accepted', async () => {
    await recordVerdict(sealed, id, [log('log-1', 'succeeded')])
    assert.equal(await reason(), 'REDOX_NOT_CONFIRMED')
    await recordVerdict(sealed, id, [log('log-2', 'succeeded')])
    assert.equal(await reason(), 'accepted')
  })

  for (const status of ['failed', 'filtered'] as const)
    it(`is refused if one destination ${status}, whatever the others did`, async () => {
      await recordVerdict(sealed, id, [log('log-1', 'succeeded'), log('log-2', status)])
      assert.equal(await reason(), 'REDOX_NOT_DELIVERED')
    })

  it('keeps a final status when a later look-up finds less', async () => {
    await recordVerdict(sealed, id, [log('log-1', 'failed'), log('log-2', 'pending')])
    await recordVerdict(sealed, id, [log('log-1'), log('log-2')])
    assert.equal(await reason(), 'REDOX_NOT_DELIVERED')
    assert.deepEqual(await statuses(), [
      ['log-1', 'failed'],
      ['log-2', 'unknown'],
    ])
    // Redox can repeat a failed delivery when a person asks for it.
    await recordVerdict(sealed, id, [log('log-1', 'succeeded'), log('log-2', 'succeeded')])
    assert.equal(await reason(), 'accepted')
  })

  it('keeps both of two verdicts that are recorded at the same time', async () => {
    const both = [[log('log-1', 'failed')], [log('log-2', 'succeeded')]]
    await Promise.all(both.map((logs) => recordVerdict(sealed, id, logs)))
    assert.equal(((await statuses()) as unknown[]).length, 2)
    assert.equal(await reason(), 'REDOX_NOT_DELIVERED')
  })

  it('leaves out the logs of an earlier delivery', async () => {
    const now = sealed.store.clock.now()
    await sealed.store.applyAction(id, 'resend', { who: 'ann', reason: 'again', now })
    await recordVerdict(sealed, id, [log('log-1', 'failed')])
    assert.equal(await reason(), undefined)
    await delivered('log-3')
    await recordVerdict(sealed, id, [log('log-1', 'failed')])
    assert.equal(await reason(), undefined)
    await recordVerdict(sealed, id, [log('log-3', 'succeeded')])
    assert.equal(await reason(), 'accepted')
  })

  it('leaves the decision of a person who has marked a refused message as delivered', async () => {
    await recordVerdict(sealed, id, [log('log-1', 'failed')])
    const by = { who: 'ann', reason: 'they have it', now: sealed.store.clock.now() }
    await sealed.store.applyAction(id, 'mark-delivered', by)
    await recordVerdict(sealed, id, [log('log-1', 'failed'), log('log-2', 'failed')])
    assert.equal(await reason(), 'mark-delivered')
  })

  it('rejects if the message is no longer stored', () =>
    rejectsWith(recordVerdict(sealed, 'unknown', [log('log-1', 'failed')]), 'REDOX_STORE_LOST'))
})
