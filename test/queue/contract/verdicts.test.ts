/** Contract tests of what a store keeps about a delivered message, run with every kind of store. */
import assert from 'node:assert/strict'
import type { VerdictChange } from '../../../src/queue/types'
import {
  accept,
  claimed,
  DAY,
  DELIVERED,
  eachStore,
  free,
  get,
  idsOf,
  later,
  PARKED,
  rejectsWith,
  reopen,
  settled,
  START,
  store,
  text,
} from './store'

const by = { who: 'ann', reason: 'mended', now: START + 5 }
const change = (notes: string, seen = DELIVERED.notes.toString()): VerdictChange => ({
  reason: 'REDOX_NOT_DELIVERED',
  ...{ notes: Buffer.from(notes), seen: Buffer.from(seen) },
})
const seen = async (): Promise<unknown[]> => {
  const { state, reason, notes, endedAt } = (await get('one'))!
  return [state, reason, text(notes), endedAt]
}

eachStore('verdicts', () => {
  it('keeps a verdict over a restart, and until the message is purged', async () => {
    await accept(free('one'))
    await settled('one', DELIVERED, START + 1)
    assert.equal(await store.recordVerdict('one', change('refused')), true)
    await store.markAnnounced('one')
    await reopen()
    assert.deepEqual(await seen(), ['delivered', 'REDOX_NOT_DELIVERED', 'refused', START + 1])
    assert.equal(await store.purge(START + 2, START + 31 * DAY), 1)
    assert.equal(await get('one'), undefined)
  })

  it('keeps a refused message for 30 days, unless a person has decided about it', async () => {
    const ids = ['open', 'marked', 'refused']
    await accept(...ids.map((id) => free(id)))
    await claimed()
    for (const id of ids) {
      await store.settle(id, 'me', DELIVERED, START + 1)
      await store.markAnnounced(id)
    }
    for (const id of ['marked', 'refused']) await store.recordVerdict(id, change('refused'))
    await store.applyAction('marked', 'mark-delivered', by)
    const [soon, before] = [START + 9 * DAY, START + 30 * DAY + 1]
    assert.equal(await store.purge(soon, before), 2)
    assert.deepEqual(idsOf(await store.find({ limit: 9 })), ['refused'])
    assert.equal(await store.purge(soon, before), 0)
    assert.equal(await store.purge(soon, before + 1), 1)
  })

  it('does not replace the decision of a person who has marked a refused message as delivered', async () => {
    await accept(free('one'))
    await settled('one', DELIVERED)
    await store.recordVerdict('one', change('refused'))
    await store.applyAction('one', 'mark-delivered', by)
    // The attempt record is still the one that was read before the decision.
    assert.equal(await store.recordVerdict('one', change('again', 'refused')), false)
    assert.deepEqual((await seen()).slice(0, 3), ['delivered', 'mark-delivered', 'refused'])
  })

  it('records nothing at a message that is not delivered, or has changed', async () => {
    assert.equal(await store.recordVerdict('unknown', change('x')), false)
    await accept(free('one'))
    assert.equal(await store.recordVerdict('one', change('x')), false)
    await settled('one', PARKED)
    assert.equal(await store.recordVerdict('one', change('x', text(PARKED.notes))), false)
    await store.applyAction('one', 'resend', by)
    await settled('one', DELIVERED, START + 9)
    assert.equal(await store.recordVerdict('one', change('x', 'another record')), false)
    assert.deepEqual(await seen(), ['delivered', undefined, 'it arrived', START + 9])
  })

  it('records one of two verdicts that come at the same time from the same record', async () => {
    await accept(free('one'))
    await settled('one', DELIVERED)
    const both = [store.recordVerdict('one', change('a')), store.recordVerdict('one', change('b'))]
    assert.deepEqual((await Promise.all(both)).sort(), [false, true])
  })

  it('does not bring back a message that a person sends again', async () => {
    await accept(free('one'))
    await settled('one', DELIVERED)
    await store.recordVerdict('one', change('refused'))
    await store.applyAction('one', 'resend', by)
    assert.equal(await store.recordVerdict('one', change('x', 'refused')), false)
    assert.deepEqual((await seen()).slice(0, 2), ['waiting', undefined])
    await settled('one', DELIVERED, START + 9)
    assert.deepEqual(await seen(), ['delivered', undefined, 'it arrived', START + 9])
  })

  it('finds what a destination refused by its code', async () => {
    await accept(free('one'))
    await settled('one', DELIVERED)
    await accept(free('two'))
    await settled('two', DELIVERED)
    await store.recordVerdict('two', change('refused'))
    const wanted = { code: 'REDOX_NOT_DELIVERED' }
    assert.deepEqual(idsOf(await store.find({ ...wanted, state: 'delivered', limit: 9 })), ['two'])
    assert.deepEqual(await store.ids(wanted, ['delivered']), ['two'])
  })

  it('counts what a destination refused until a person has decided about it, also after a restart', async () => {
    const ids = ['one', 'two', 'three', 'four']
    for (const id of ids) {
      await accept(free(id))
      await settled(id, DELIVERED)
    }
    for (const id of ids) await store.recordVerdict(id, change('refused'))
    assert.equal(await store.refusedLater(), 4)
    await store.recordVerdict('four', { ...change('accepted', 'refused'), reason: 'accepted' })
    await store.applyAction('one', 'resend', by)
    await reopen()
    assert.equal(await store.refusedLater(), 2)
    await store.applyAction('two', 'mark-delivered', by)
    await store.applyAction('three', 'discard', by)
    assert.equal(await store.refusedLater(), 0)
    const ended = await Promise.all(['two', 'three'].map(async (id) => (await get(id))!))
    assert.deepEqual(
      ended.map(({ state, reason, announced, endedAt }) => [state, reason, announced, endedAt]),
      [
        ['delivered', 'mark-delivered', true, by.now],
        ['discarded', 'discard', true, by.now],
      ],
    )
    assert.deepEqual((await store.counts()).delivered, 2)
    assert.equal((await store.audit({ skip: 0, limit: 9 })).length, 3)
  })

  it('counts no refused message that was deleted', async () => {
    await accept(free('one'))
    await settled('one', DELIVERED, START + 1)
    await store.recordVerdict('one', change('refused'))
    await store.markAnnounced('one')
    assert.equal(await store.purge(START + 2, START + 31 * DAY), 1)
    assert.equal(await store.refusedLater(), 0)
    assert.deepEqual(await store.ids({ code: 'REDOX_NOT_DELIVERED' }, ['delivered']), [])
  })

  it('lets a person decide about what a destination refused only by sending, marking or discarding it', async () => {
    await accept(free('one'), free('two'))
    await claimed()
    for (const id of ['one', 'two']) await store.settle(id, 'me', DELIVERED, START)
    await store.recordVerdict('one', change('refused'))
    await store.recordVerdict('two', { ...change('open'), reason: 'REDOX_NOT_CONFIRMED' })
    const longer = store.applyAction('one', 'extend', by, { deadline: START + 9 * DAY })
    await rejectsWith(longer, 'REDOX_STORE_LOST')
    for (const action of ['discard', 'mark-delivered'] as const)
      await rejectsWith(store.applyAction('two', action, by), 'REDOX_STORE_LOST')
    await store.applyAction('one', 'mark-delivered', by)
    await rejectsWith(store.applyAction('one', 'discard', by), 'REDOX_STORE_LOST')
  })

  it('finds a message by the tags of its settlement, also after it was sent again and moved its state', async () => {
    await accept(free('one', { tags: ['own'] }))
    const found = async (tag: string): Promise<string[]> => idsOf(await store.find({ tag, limit: 9 }))
    await settled('one', { ...DELIVERED, tags: ['log-1', 'own'] })
    await accept(free('two'))
    await settled('two', { ...PARKED, tags: ['log-2'] })
    await store.applyAction('one', 'resend', by)
    await settled('one', later(START), START + 6)
    await settled('one', { ...DELIVERED, tags: ['log-3'] }, START + 7)
    await reopen()
    for (const tag of ['own', 'log-1', 'log-3']) assert.deepEqual(await found(tag), ['one'])
    assert.deepEqual(await found('log-2'), ['two'])
    assert.deepEqual((await get('one'))?.tags.sort(), ['log-1', 'log-3', 'own'])
    await store.markAnnounced('one')
    await store.purge(START + 8, START + DAY)
    for (const tag of ['own', 'log-1', 'log-3']) assert.deepEqual(await found(tag), [])
  })
})
