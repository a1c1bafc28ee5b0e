/** Contract tests of AdminStore, run with every kind of store. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Action, StoredMessage } from '../../../src/queue/types'
import {
  START,
  LEASE,
  DAY,
  message,
  free,
  idsOf,
  text,
  DELIVERED,
  PARKED,
  later,
  rejectsWith,
  store,
  eachStore,
  reopen,
  accept,
  chunksOf,
  get,
  claimed,
  settled,
  destinationState,
} from './store'

eachStore('admin', () => {
  it('knows the bytes that count for a limit, which deleted messages free', async () => {
    const before = await store.used()
    const piece = 'x'.repeat(500_000)
    await store.putFile('big', chunksOf(piece, piece))
    await accept(message('a1', { files: ['big'] }))
    assert.ok((await store.used()) - before >= 2 * piece.length)
    await store.applyAction('a1', 'discard', { who: 'ann', reason: 'wrong', now: START })
    assert.equal(await store.purge(START + 1, START + 1), 1)
    assert.ok((await store.used()) - before < piece.length)
  })

  it('gives the bytes of a few messages back at once if space is needed', async () => {
    const before = await store.used()
    // More than LevelDB collects in memory before it writes a table.
    const content = randomBytes(1_000_000)
    const ids = Array.from({ length: 12 }, (_, index) => `a${index}`)
    for (const id of ids) await accept(free(id, { content, files: [] }))
    assert.ok((await store.used()) - before >= 12 * content.length)
    for (const id of ids) await store.applyAction(id, 'discard', { who: 'ann', reason: 'wrong', now: START })
    assert.equal(await store.evict('finished', 100, START + 1), 12)
    assert.ok((await store.used()) - before < 6 * content.length)
  })

  it('reports the bytes that the store occupies, which grow with its files', async () => {
    const before = await store.size()
    assert.ok(before > 0)
    const chunk = randomBytes(1_000_000)
    await store.putFile(
      'f'.repeat(64),
      (async function* () {
        yield chunk
      })(),
    )
    const grown = (await store.size()) - before
    assert.ok(grown >= 1_000_000, String(grown))
  })

  it('finds messages by each filter, and by all together, in the order of acceptance', async () => {
    await accept(
      free('m1', { destination: 'a', tags: ['x'], acceptedAt: START + 40 }),
      free('m2', { destination: 'b', tags: ['x', 'y'], acceptedAt: START + 30 }),
      free('m3', { destination: 'a', tags: ['y'], acceptedAt: START + 20 }),
      free('m4', { destination: 'a', tags: ['xy'], acceptedAt: START + 10 }),
    )
    await settled('m3', DELIVERED, START + 20)
    const found = async (query: object) => idsOf(await store.find({ limit: 10, ...query }))
    assert.deepEqual(await found({}), ['m1', 'm2', 'm3', 'm4'])
    assert.deepEqual(await found({ state: 'delivered' }), ['m3'])
    assert.deepEqual(await found({ destination: 'a' }), ['m1', 'm3', 'm4'])
    assert.deepEqual(await found({ id: 'm2' }), ['m2'])
    assert.deepEqual(await found({ id: 'm' }), [])
    assert.deepEqual(await found({ tag: 'x' }), ['m1', 'm2'])
    assert.deepEqual(await found({ since: START + 20 }), ['m1', 'm2', 'm3'])
    assert.deepEqual(await found({ till: START + 20 }), ['m3', 'm4'])
    assert.deepEqual(await found({ since: START + 20, till: START + 30 }), ['m2', 'm3'])
    assert.deepEqual(await found({ after: 'm2' }), ['m3', 'm4'])
    assert.deepEqual(await found({ after: 'm1', limit: 2 }), ['m2', 'm3'])
    assert.deepEqual(await found({ tag: 'y', destination: 'a', state: 'delivered', after: 'm1' }), ['m3'])
    assert.deepEqual(await found({ tag: 'y', destination: 'b', state: 'delivered' }), [])
    assert.deepEqual(await found({ tag: 'x', after: 'm1', since: START, till: START + 30 }), ['m2'])
    const newest = (query: object) => found({ newestFirst: true, ...query })
    assert.deepEqual(await newest({}), ['m4', 'm3', 'm2', 'm1'])
    assert.deepEqual(await newest({ limit: 2 }), ['m4', 'm3'])
    assert.deepEqual(await newest({ after: 'm3', limit: 1 }), ['m2'])
    assert.deepEqual(await newest({ destination: 'a', after: 'm4' }), ['m3', 'm1'])
    assert.deepEqual(await newest({ tag: 'x', after: 'm2' }), ['m1'])
    assert.deepEqual(await found({ id: 'm2', tag: 'y', after: 'm1' }), ['m2'])
    assert.deepEqual(await found({ id: 'm2', tag: 'z' }), [])
    assert.deepEqual(await found({ id: 'm2', after: 'm2' }), [])
    assert.deepEqual(await newest({ id: 'm2', after: 'm3' }), ['m2'])
    assert.deepEqual(await newest({ id: 'm2', after: 'm1' }), [])
  })

  it('finds messages by the exact error code for which they wait or are parked', async () => {
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
    // The decision to send a message again removes the reason for which the message was parked.
    await store.applyAction('m1', 'resend', { who: 'ann', reason: 'again', now: START })
    assert.equal((await get('m1'))?.reason, undefined)
    assert.deepEqual(await found({ code: 'REDOX_REJECTED' }), [])
  })

  it('returns the ids of all matching messages in several states, in the order of acceptance', async () => {
    const acceptedAt = START + 9
    await accept(
      free('m1', { destination: 'a', tags: ['x'] }),
      free('m2', { destination: 'b', tags: ['x'] }),
      free('m3', { destination: 'a', tags: ['y'] }),
      free('m4', { destination: 'a', acceptedAt }),
    )
    await settled('m3', PARKED)
    await store.settle('m1', 'me', later(START), START)
    await store.settle('m2', 'me', PARKED, START)
    const open = ['parked', 'sending', 'waiting'] as const
    assert.deepEqual(await store.ids({}, open), ['m1', 'm2', 'm3', 'm4'])
    assert.deepEqual(await store.ids({}, ['parked']), ['m2', 'm3'])
    assert.deepEqual(await store.ids({}, []), [])
    assert.deepEqual(await store.ids({ destination: 'a' }, open), ['m1', 'm3', 'm4'])
    assert.deepEqual(await store.ids({ tag: 'x' }, open), ['m1', 'm2'])
    assert.deepEqual(await store.ids({ tag: 'x' }, ['waiting', 'sending']), ['m1'])
    assert.deepEqual(await store.ids({ id: 'm2' }, open), ['m2'])
    assert.deepEqual(await store.ids({ id: 'm2' }, ['waiting']), [])
    assert.deepEqual(await store.ids({ code: 'REDOX_REJECTED' }, open), ['m2', 'm3'])
    assert.deepEqual(await store.ids({ till: START }, open), ['m1', 'm2', 'm3'])
    assert.deepEqual(await store.ids({ since: START + 1 }, open), ['m4'])
    assert.deepEqual(await store.ids({ after: 'm2' }, open), ['m3', 'm4'])
  })

  it('refuses to continue a list after a message that no longer exists', async () => {
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
    it(`accepts and finds nothing that contains ${what}`, async () => {
      const odd = `a${character}b`
      for (const change of [{ id: odd }, { destination: odd }, { owner: odd }, { tags: [odd] }])
        await rejectsWith(store.accept(message('m1', change)), 'REDOX_BAD_INPUT')
      await accept(message('m2'))
      for (const query of [{ id: odd }, { destination: odd }, { tag: odd }])
        assert.deepEqual(await store.find({ ...query, limit: 9 }), [])
      await rejectsWith(
        store.applyAction(odd, 'discard', { who: 'ann', reason: 'x', now: START }),
        'REDOX_STORE_LOST',
      )
      await rejectsWith(store.pause(odd, true, { who: 'ann', reason: 'x', now: START }), 'REDOX_BAD_INPUT')
      assert.deepEqual(idsOf(await store.find({ limit: 9 })), ['m2'])
    })

  it('lists destinations with their open messages, the age of the oldest and the blocking message', async () => {
    await accept(
      message('a1', { acceptedAt: START + 1 }),
      message('a2', { acceptedAt: START + 2 }),
      message('a3', { acceptedAt: START + 3 }),
      free('b1', { destination: 'b', acceptedAt: START + 4 }),
      message('c1', { destination: 'c' }),
    )
    await claimed(START + 10)
    await store.settle('a1', 'me', PARKED, START + 10)
    await store.settle('c1', 'me', DELIVERED, START + 10)
    await store.pause('empty', true, { who: 'ann', reason: 'works', now: START })
    assert.deepEqual(await destinationState('a'), {
      ...{ destination: 'a', open: 2, parked: 1, owners: ['node'], oldest: START + 2, paused: false },
      blockedBy: { id: 'a1', reason: 'REDOX_REJECTED' },
    })
    assert.deepEqual(await destinationState('b'), {
      ...{ destination: 'b', open: 1, parked: 0, owners: ['node'], oldest: START + 4, paused: false },
    })
    assert.equal(await destinationState('c'), undefined)
    assert.deepEqual(await destinationState('empty'), {
      ...{ destination: 'empty', open: 0, parked: 0, owners: [], paused: true },
    })
    await store.pause('empty', false, { who: 'ann', reason: 'done', now: START })
    assert.equal(await destinationState('empty'), undefined)
    await store.applyAction('a1', 'mark-delivered', { who: 'ann', reason: 'phoned', now: START })
    assert.equal((await destinationState('a'))?.blockedBy, undefined)
  })

  it('lists a destination that has only a parked message; an unordered message blocks nothing', async () => {
    await accept(free('f1'), free('f2', { destination: 'b' }), free('f3', { destination: 'b' }))
    await claimed(START)
    await store.settle('f1', 'me', PARKED, START)
    await store.settle('f2', 'me', PARKED, START)
    assert.equal((await destinationState('a'))?.open, 0)
    assert.equal((await destinationState('b'))?.open, 1)
    assert.equal((await destinationState('b'))?.blockedBy, undefined)
  })

  it('counts messages by state', async () => {
    await accept(...['m1', 'm2', 'm3', 'm4', 'm5', 'm6'].map((id) => free(id)))
    await claimed(START, { limit: 4 })
    await store.settle('m1', 'me', PARKED, START)
    await store.settle('m2', 'me', DELIVERED, START)
    await store.applyAction('m5', 'discard', { who: 'ann', reason: 'wrong', now: START })
    assert.deepEqual(await store.counts(), {
      waiting: 1,
      sending: 2,
      parked: 1,
      delivered: 1,
      discarded: 1,
    })
  })

  for (const state of ['parked', 'delivered', 'discarded'] as const)
    it(`sends a ${state} message again at its old place, with a deadline of the same length`, async () => {
      await accept(message('a1'), message('a2'))
      await claimed()
      if (state === 'discarded') {
        await store.settle('a1', 'me', PARKED, START)
        await store.applyAction('a1', 'discard', { who: 'ann', reason: 'wrong', now: START })
      } else await store.settle('a1', 'me', state === 'parked' ? PARKED : DELIVERED, START)
      await store.markAnnounced('a1')
      await store.applyAction('a1', 'resend', { who: 'ann', reason: 'again', now: START + 100 })
      const again = (await get('a1'))!
      assert.deepEqual(
        [again.state, again.attempts, again.requestStarted, again.announced, again.endedAt, again.deadline],
        ['waiting', 0, false, false, undefined, START + 100 + DAY],
      )
      assert.equal(text(again.content), 'content of a1')
      assert.ok(again.notes)
      assert.deepEqual(await claimed(START + 100), ['a1'])
      await store.settle('a1', 'me', PARKED, START + 200)
      await store.applyAction('a1', 'resend', { who: 'ann', reason: 'once more', now: START + 300 })
      assert.equal((await get('a1'))?.deadline, START + 300 + DAY)
    })

  it('announces the result of a message that was sent again', async () => {
    const told = async (holder: string) =>
      idsOf(await store.claimUnannounced({ holder, leaseMs: LEASE, limit: 9, owners: ['node'] }))
    await accept(message('a1'))
    await settled('a1', PARKED)
    assert.deepEqual(await told('me'), ['a1'])
    await store.markAnnounced('a1')
    await store.applyAction('a1', 'resend', { who: 'ann', reason: 'again', now: START })
    assert.deepEqual(await told('me'), [])
    await settled('a1', DELIVERED)
    assert.deepEqual(await told('other'), ['a1'])
  })

  for (const [action, state] of [
    ['discard', 'discarded'],
    ['mark-delivered', 'delivered'],
  ] as const)
    it(`${action} ends a waiting or parked message and announces nothing`, async () => {
      await accept(message('a1'), message('b1', { destination: 'b' }))
      await settled('b1', PARKED)
      await store.settle('a1', 'me', later(START), START)
      for (const id of ['a1', 'b1']) {
        await store.applyAction(id, action, { who: 'ann', reason: 'because', now: START + 7 })
        const { state: now, endedAt, reason } = (await get(id))!
        assert.deepEqual([now, endedAt, reason], [state, START + 7, action])
      }
      const asked = { holder: 'x', leaseMs: 1, limit: 9, owners: ['node'] }
      assert.deepEqual(await store.claimUnannounced(asked), [])
      assert.deepEqual(await claimed(START + DAY), [])
    })

  it('extend gives a waiting message a later deadline, never an earlier one, and changes nothing else', async () => {
    const extend = (id: string, deadline: number) =>
      store.applyAction(id, 'extend', { who: 'ann', reason: 'long outage', now: START + 7 }, { deadline })
    await accept(message('a1'), message('a2'))
    await settled('a1', later(START + 500))
    const before = (await get('a1'))!
    await extend('a1', START + 3 * DAY)
    assert.deepEqual(await get('a1'), { ...before, deadline: START + 3 * DAY })
    // A deadline that is not later than the present one is refused and writes no record in the audit log.
    for (const deadline of [START + 2 * DAY, START + 3 * DAY])
      await rejectsWith(extend('a1', deadline), 'REDOX_STORE_LOST')
    assert.equal((await get('a1'))?.deadline, START + 3 * DAY)
    assert.deepEqual(await claimed(START + 499), [])
    assert.deepEqual(await claimed(START + 500), ['a1'])
    // The deadline of a message that is being sent or is parked cannot be extended.
    await rejectsWith(extend('a1', START + 9 * DAY), 'REDOX_STORE_LOST')
    await store.settle('a1', 'me', PARKED, START)
    await rejectsWith(extend('a1', START + 9 * DAY), 'REDOX_STORE_LOST')
    await store.applyAction('a1', 'resend', { who: 'ann', reason: 'again', now: START })
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

  it('leaves a message whose state has changed since the user saw it, and writes no record', async () => {
    await accept(message('a1', { tags: ['own'] }))
    await settled('a1', PARKED)
    const seen = (await get('a1'))!
    await store.applyAction('a1', 'resend', { who: 'bob', reason: 'again', now: START })
    await settled('a1', { ...PARKED, reason: 'REDOX_OUTCOME_UNKNOWN' }, START)
    const decide = (about: StoredMessage) =>
      store.applyAction(
        'a1',
        'resend',
        { who: 'ann', reason: 'again', now: START },
        { seen: about, notes: Buffer.from('new'), tags: ['found', 'own'] },
      )
    await rejectsWith(decide(seen), 'REDOX_STORE_LOST')
    const now = (await get('a1'))!
    await rejectsWith(decide({ ...now, endedAt: START + 1 }), 'REDOX_STORE_LOST')
    await rejectsWith(decide({ ...now, state: 'delivered' }), 'REDOX_STORE_LOST')
    assert.equal(text(now.notes), 'refused')
    assert.deepEqual(await store.find({ tag: 'found', limit: 9 }), [])
    assert.equal((await store.audit({ skip: 0, limit: 9 })).length, 1)
    await decide(now)
    const { state, notes, tags } = (await get('a1'))!
    assert.deepEqual([state, text(notes), tags.sort()], ['waiting', 'new', ['found', 'own']])
    for (const tag of ['found', 'own'])
      assert.deepEqual(await store.find({ tag, limit: 9 }).then(idsOf), ['a1'])
  })

  it('refuses a decision about a message in another state, and writes no record', async () => {
    const lost = (id: string, ...actions: Action[]) =>
      Promise.all(
        actions.map((one) =>
          rejectsWith(store.applyAction(id, one, { who: 'ann', reason: '', now: START }), 'REDOX_STORE_LOST'),
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
    await store.applyAction('a2', 'discard', { who: 'ann', reason: 'wrong', now: START })
    await lost('a2', 'mark-delivered', 'discard')
    assert.equal((await store.audit({ skip: 0, limit: 10 })).length, 1)
  })

  it('tries waiting messages now: makes them due, of one destination or of all', async () => {
    const [ofA, ofB] = [{ destination: 'a' }, { destination: 'b' }]
    await accept(message('a1', ofA), free('b1', ofB), free('b2', ofB))
    await claimed()
    for (const id of ['a1', 'b1', 'b2']) await store.settle(id, 'me', later(START + DAY), START)
    assert.deepEqual(await claimed(), [])
    assert.equal(await store.tryNow('b', { who: 'ann', reason: 'it is back', now: START }), 2)
    assert.deepEqual((await claimed()).sort(), ['b1', 'b2'])
    assert.equal(await store.tryNow(undefined, { who: 'ann', reason: 'all of it', now: START }), 1)
    assert.deepEqual(await claimed(), ['a1'])
    assert.equal(await store.tryNow('nowhere', { who: 'ann', reason: 'x', now: START }), 0)
    const lines = await store.audit({ skip: 0, limit: 10 })
    assert.deepEqual(
      lines.map(({ who, action, subject, reason }) => [who, action, subject, reason]),
      [
        ['ann', 'try-now', 'b', 'it is back'],
        ['ann', 'try-now', '*', 'all of it'],
        ['ann', 'try-now', 'nowhere', 'x'],
      ],
    )
  })

  it('tries the waiting messages of all order keys now', async () => {
    await accept(message('p1', { orderKey: 'p' }), message('q1', { orderKey: 'q' }))
    await accept(message('p2', { orderKey: 'p' }))
    for (const id of await claimed()) await store.settle(id, 'me', later(START + DAY), START)
    assert.deepEqual(await claimed(), [])
    assert.equal(await store.tryNow('a', { who: 'ann', reason: 'it is back', now: START }), 2)
    assert.deepEqual(await claimed(), ['p1', 'q1'])
  })

  it('records user and action, and never changes a record', async () => {
    await accept(message('a1'))
    assert.equal(await store.auditLength(), 0)
    await store.recordAccess('a1', 'look', { who: 'bob', reason: 'asked by phone', now: START + 1 })
    await store.pause('a', true, { who: 'ann', reason: 'works', now: START + 2 })
    await store.pause('a', false, { who: 'ann', reason: 'done', now: START + 3 })
    await store.applyAction('a1', 'discard', { who: 'eve', reason: 'wrong patient', now: START + 4 })
    await store.applyAction('a1', 'resend', { who: 'eve', reason: 'after all', now: START + 5 })
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
    await store.recordAccess('a1', 'look-up', { who: 'bob', reason: 'once more', now: START })
    assert.equal(await store.auditLength(), 6)
    const [last] = await store.audit({ skip: 5, limit: 10 })
    assert.deepEqual([last?.action, last?.subject], ['look-up', 'a1'])
    assert.deepEqual((await store.audit({ skip: 0, limit: 10 })).slice(0, 5), lines)
  })
})
