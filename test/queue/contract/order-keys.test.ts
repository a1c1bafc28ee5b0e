/** Contract tests of QueueStore and AdminStore about order keys (patients), run with every kind of store. */
import assert from 'node:assert/strict'
import {
  ANN,
  START,
  of,
  LEASE,
  message,
  free,
  DELIVERED,
  PARKED,
  later,
  store,
  eachStore,
  reopen,
  accept,
  get,
  claimed,
  settled,
  destinationState,
} from './store'

eachStore('order keys', () => {
  it('returns a message with its order key', async () => {
    await accept(of('p', 'p1'), message('a1'))
    assert.equal((await get('p1'))?.orderKey, 'p')
    assert.ok(!('orderKey' in (await get('a1'))!))
  })

  it('gives the first message of each order key, and the next one after its delivery', async () => {
    await accept(of('p', 'p1'), of('p', 'p2'), of('q', 'q1'), of('p', 'p3'), of('q', 'q2'))
    assert.deepEqual(await claimed(), ['p1', 'q1'])
    assert.deepEqual(await claimed(), [])
    await store.settle('q1', 'me', DELIVERED, START)
    assert.deepEqual(await claimed(), ['q2'])
    await store.settle('p1', 'me', DELIVERED, START)
    await reopen()
    assert.deepEqual(await claimed(START + LEASE), ['p2', 'q2'])
    await store.settle('p2', 'me', DELIVERED, START + LEASE)
    assert.deepEqual(await claimed(START + LEASE), ['p3'])
  })

  it('holds only the messages of a parked message with the same order key', async () => {
    await accept(of('p', 'p1'), of('p', 'p2'), of('q', 'q1'), of('q', 'q2'))
    await settled('p1', PARKED)
    await store.settle('q1', 'me', DELIVERED, START)
    assert.deepEqual(await claimed(), ['q2'])
    await store.applyAction('p1', 'discard', ANN)
    assert.deepEqual(await claimed(START), ['p2'])
  })

  it('gives the first messages in the order of acceptance, at most as many as the limit', async () => {
    for (let index = 0; index < 5; index++)
      await accept(of(`p${index}`, `m${index}`, { acceptedAt: START + index }))
    assert.deepEqual(await claimed(START + 9, { limit: 2 }), ['m0', 'm1'])
    assert.deepEqual(await claimed(START + 9, { limit: 2 }), ['m2', 'm3'])
  })

  it('gives no message while the first one with its order key is not due, paused or excluded', async () => {
    await accept(of('p', 'p1'), of('p', 'p2'), of('q', 'q1', { acceptedAt: START }))
    await settled('p1', later(START + 500))
    await store.settle('q1', 'me', later(START + 700), START)
    assert.equal(await store.nextDue(START, []), START + 500)
    assert.equal(await store.nextDue(START, ['a']), undefined)
    assert.deepEqual(await claimed(START + 499), [])
    assert.deepEqual(await claimed(START + 500, { except: ['a'] }), [])
    await store.pause('a', true, ANN)
    assert.deepEqual(await claimed(START + 500), [])
    await store.pause('a', false, ANN)
    assert.deepEqual(await claimed(START + 500), ['p1'])
  })

  it('gives a message again after its lease has expired, with those of other order keys', async () => {
    await accept(of('p', 'p1'), of('p', 'p2'), of('q', 'q1'))
    assert.deepEqual(await claimed(START, { holder: 'gone' }), ['p1', 'q1'])
    assert.deepEqual(await claimed(START + LEASE - 1), [])
    assert.deepEqual(await claimed(START + LEASE), ['p1', 'q1'])
  })

  it('gives one message of an order key at a time, also when a person sends an earlier one again', async () => {
    await accept(of('p', 'p1'), of('p', 'p2'), of('q', 'q1'))
    await settled('p1', DELIVERED)
    assert.deepEqual(await claimed(), ['p2'])
    await store.applyAction('p1', 'resend', ANN)
    assert.deepEqual(await claimed(), [])
    assert.ok(((await store.nextDue(START, [])) ?? Infinity) > START)
    await store.settle('p2', 'me', later(START), START)
    assert.deepEqual(await claimed(), ['p1'])
    await store.settle('p1', 'me', DELIVERED, START)
    assert.deepEqual(await claimed(), ['p2'])
  })

  it('gives the earlier message first when the lease of the later one has expired', async () => {
    await accept(of('p', 'p1'), of('p', 'p2'))
    await settled('p1', DELIVERED)
    await claimed(START, { holder: 'gone' })
    await store.applyAction('p1', 'resend', ANN)
    assert.deepEqual(await claimed(START + LEASE), ['p1'])
  })

  it('sends what follows its whole destination before later order keys, and after earlier ones', async () => {
    await accept(message('a1'), of('p', 'p1'), of('q', 'q1'), message('a2'), of('q', 'q2'))
    assert.deepEqual(await claimed(), ['a1'])
    await store.settle('a1', 'me', DELIVERED, START)
    assert.deepEqual(await claimed(), ['p1', 'q1'])
    await store.settle('p1', 'me', DELIVERED, START)
    assert.deepEqual(await claimed(), [])
    await store.settle('q1', 'me', DELIVERED, START)
    assert.deepEqual(await claimed(), ['a2'])
    assert.deepEqual(await claimed(), [])
    await store.settle('a2', 'me', DELIVERED, START)
    assert.deepEqual(await claimed(), ['q2'])
  })

  it('sends messages with an order key after earlier unordered ones, and unordered ones at any time', async () => {
    await accept(free('f1'), of('p', 'p1'), of('p', 'p2'), free('f2'))
    assert.deepEqual(await claimed(), ['f1', 'f2'])
    await store.settle('f1', 'me', PARKED, START)
    assert.deepEqual(await claimed(), ['p1'])
  })

  it('keeps the calls to accept in order that do not wait for each other', async () => {
    const ids = Array.from({ length: 30 }, (_, index) => `m${index}`)
    await Promise.all(ids.map((id, index) => store.accept(of(`p${index % 2}`, id))))
    const sent: string[] = []
    for (let taken = await claimed(); taken.length > 0; taken = await claimed()) {
      sent.push(...taken)
      for (const id of taken) await store.settle(id, 'me', DELIVERED, START)
    }
    const even = ids.filter((_, index) => index % 2 === 0)
    assert.deepEqual(
      sent.filter((id) => even.includes(id)),
      even,
    )
    assert.equal(sent.length, ids.length)
  })

  it('counts the order keys that are blocked, and does not call their destination blocked', async () => {
    await accept(of('p', 'p1'), of('p', 'p2'), of('q', 'q1'), of('q', 'q2'), of('r', 'r1'), of('s', 's1'))
    for (const id of await claimed()) await store.settle(id, 'me', id === 's1' ? DELIVERED : PARKED, START)
    const state = await destinationState('a')
    assert.deepEqual(
      [state?.open, state?.parked, state?.blockedPatients, state?.blockedBy],
      [2, 3, 2, undefined],
    )
    await store.applyAction('p1', 'mark-delivered', ANN)
    await store.applyAction('q2', 'discard', ANN)
    assert.equal((await destinationState('a'))?.blockedPatients, undefined)
    await store.applyAction('q1', 'resend', ANN)
    await accept(of('r', 'r2'))
    await reopen()
    assert.equal((await destinationState('a'))?.blockedPatients, 1)
  })

  it('calls a destination blocked if a message that follows all of it waits for a parked one', async () => {
    await accept(of('p', 'p1'), message('a1'), of('q', 'q1'))
    await settled('p1', PARKED)
    assert.equal((await destinationState('a'))?.blockedBy?.id, 'p1')
    await store.applyAction('p1', 'discard', ANN)
    await settled('a1', PARKED)
    assert.equal((await destinationState('a'))?.blockedBy?.id, 'a1')
    assert.deepEqual(await claimed(), [])
    await store.applyAction('a1', 'discard', ANN)
    assert.deepEqual(await claimed(), ['q1'])
  })

  it('keeps the order key of a message from another store', async () => {
    await accept(of('p', 'p1'), of('q', 'q1'))
    const [first, second] = await store.find({ limit: 2 })
    const moved = { ...first!, id: 'p2' }
    await store.insertMoved({ ...moved, state: 'parked', reason: 'REDOX_STORE_MOVING', announced: true })
    await store.remove(second!.id)
    assert.deepEqual(await claimed(), ['p1'])
    await store.settle('p1', 'me', DELIVERED, START)
    assert.deepEqual(await claimed(), [])
    const standing = { state: 'waiting', dueAt: 0, announced: false, notes: Buffer.from('n') } as const
    await store.setStatus('p2', standing)
    assert.deepEqual([(await get('p2'))?.orderKey, await claimed()], ['p', ['p2']])
  })

  it('gives the next message of an order key when the first one is deleted', async () => {
    await accept(of('p', 'p1'), of('p', 'p2'))
    await store.remove('p1')
    assert.deepEqual(await claimed(), ['p2'])
  })
})
