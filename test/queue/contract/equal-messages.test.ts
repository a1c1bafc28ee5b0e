/** Contract tests of QueueStore about equal messages, run with every kind of store. */
import assert from 'node:assert/strict'
import type { EqualCheck } from '../../../src/queue/equal-message'
import {
  START,
  free,
  idsOf,
  message,
  DELIVERED,
  PARKED,
  store,
  eachStore,
  accept,
  claimed,
  reopen,
} from './store'

const ANN = { who: 'ann', reason: 'wrong', now: START }
const tagged = (id: string, tag = 'tag') => free(id, { tags: ['other', tag] })
const check = (change: Partial<EqualCheck> = {}): EqualCheck => ({
  ...{ tag: 'tag', deliveredSince: START, acceptsEqual: false },
  ...change,
})
const stored = async (): Promise<string[]> => idsOf(await store.find({ limit: 99 }))

eachStore('equal messages', () => {
  it('stores a message without an equal one', async () => {
    await accept(tagged('other', 'another'))
    assert.equal(await store.accept(tagged('first'), check()), undefined)
    assert.deepEqual(await stored(), ['other', 'first'])
  })

  it('returns an open or parked equal message, and stores the second one only if it may', async () => {
    await store.accept(tagged('first'), check())
    assert.deepEqual(await store.accept(tagged('second'), check()), { id: 'first', state: 'waiting' })
    await claimed()
    assert.deepEqual(await store.accept(tagged('second'), check()), { id: 'first', state: 'sending' })
    await store.settle('first', 'me', PARKED, START)
    await reopen()
    assert.deepEqual(await store.accept(tagged('second'), check()), { id: 'first', state: 'parked' })
    assert.deepEqual(await stored(), ['first'])
    const allowing = check({ acceptsEqual: true })
    assert.deepEqual(await store.accept(tagged('second'), allowing), { id: 'first', state: 'parked' })
    assert.deepEqual(await stored(), ['first', 'second'])
  })

  it('returns a delivered equal message rather than one that waits', async () => {
    await accept(tagged('first'), tagged('second'))
    await claimed()
    await store.settle('second', 'me', DELIVERED, START)
    assert.deepEqual(await store.accept(tagged('third'), check()), { id: 'second', state: 'delivered' })
  })

  it('does not count a message that was delivered too long ago, or discarded', async () => {
    await accept(tagged('first'), tagged('second'))
    await claimed(START, { limit: 1 })
    await store.settle('first', 'me', DELIVERED, START)
    await store.applyAction('second', 'discard', ANN)
    assert.equal(await store.accept(tagged('third'), check({ deliveredSince: START + 1 })), undefined)
    assert.deepEqual(await stored(), ['first', 'second', 'third'])
  })

  it('does not compare a message with itself when it is accepted again', async () => {
    await store.accept(tagged('first'), check())
    assert.equal(await store.accept(tagged('first'), check()), undefined)
    assert.deepEqual(await stored(), ['first'])
  })

  for (const ordered of [false, true])
    it(`stores one of several equal messages that are accepted at once (ordered: ${ordered})`, async () => {
      // PostgreSQL: all connections of the pool are open then, so that the acceptances really run at once.
      await Promise.all(Array.from({ length: 20 }, () => store.counts()))
      for (let round = 0; round < 30; round++) {
        const tag = `tag ${round}`
        // Different order keys: only the tag makes them wait for each other.
        const copies = ['a', 'b', 'c', 'd'].map((key) => ({
          ...{ ...tagged(`${round} ${key}`, tag), ordered },
          ...(ordered && { orderKey: key }),
        }))
        const found = await Promise.all(copies.map((copy) => store.accept(copy, check({ tag }))))
        const [first, ...others] = idsOf(await store.find({ tag, limit: 99 }))
        assert.deepEqual(others, [])
        assert.equal(found.filter((equal) => equal === undefined).length, 1)
        assert.ok(found.every((equal) => equal === undefined || equal.id === first))
      }
    })

  it('sends a message again that a person decides about', async () => {
    await store.accept(message('first', { tags: ['tag'] }), check())
    await claimed()
    await store.settle('first', 'me', DELIVERED, START)
    await store.applyAction('first', 'resend', ANN)
    assert.deepEqual(await claimed(), ['first'])
  })
})
