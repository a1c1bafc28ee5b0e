/** Contract tests of what a store keeps about a delivered message, run with every kind of store. */
import assert from 'node:assert/strict'
import type { VerdictChange } from '../../../src/queue/types'
import {
  accept,
  DAY,
  DELIVERED,
  eachStore,
  free,
  get,
  idsOf,
  later,
  PARKED,
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
    assert.equal(await store.purge(START + 2, START + DAY), 1)
    assert.equal(await get('one'), undefined)
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
