/** Contract tests of QueueStore, run with every kind of store. */
import assert from 'node:assert/strict'
import { eventually } from '../../lib/eventually'
import {
  START,
  LEASE,
  HOUR,
  DAY,
  message,
  never,
  free,
  idsOf,
  text,
  DELIVERED,
  PARKED,
  later,
  rejectsWith,
  chunksOf,
  readAll,
  place,
  store,
  eachStore,
  reopen,
  accept,
  get,
  claim,
  claimed,
  settled,
  destinationState,
} from './store'

eachStore('queue', () => {
  it('keeps the first key check value', async () => {
    assert.equal(text(await store.keyCheckValue(Buffer.from('first'))), 'first')
    assert.equal(text(await store.keyCheckValue(Buffer.from('second'))), 'first')
    await reopen()
    assert.equal(text(await store.keyCheckValue(Buffer.from('third'))), 'first')
  })

  it('returns a message as it was accepted', async () => {
    const given = free('one', {
      destination: 'lane ✓',
      owner: 'n1',
      tags: ['t1', 't2'],
      acceptedAt: START + 5,
    })
    await accept(given)
    const { dueAt, ...found } = (await get('one'))!
    assert.deepEqual(found, {
      ...given,
      state: 'waiting',
      attempts: 0,
      requestStarted: false,
      announced: false,
    })
    assert.ok(dueAt <= given.acceptedAt)
  })

  it('accepts an id once, and keeps the first message', async () => {
    await accept(
      message('one'),
      message('two'),
      message('one', { content: Buffer.from('other'), destination: 'b' }),
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

  it('accepts an id once also when it is given twice at the same time, or after the message has ended', async () => {
    await Promise.all([store.accept(free('one')), store.accept(free('one')), store.accept(free('one'))])
    await settled('one', DELIVERED)
    await accept(free('one'))
    assert.equal((await store.counts()).delivered, 1)
    assert.equal((await store.counts()).waiting, 0)
  })

  it('keeps the order of calls to accept that do not wait for each other', async () => {
    const ids = Array.from({ length: 50 }, (_, index) => `m${index}`)
    await Promise.all(ids.map((id) => store.accept(message(id))))
    assert.deepEqual(idsOf(await store.find({ limit: 100 })), ids)
  })

  it('gives the first message of each ordered destination, and the next one after its delivery', async () => {
    await accept(message('a1'), message('a2'), message('b1', { destination: 'b' }), message('a3'))
    assert.deepEqual(await claimed(), ['a1', 'b1'])
    assert.deepEqual(await claimed(), [])
    await store.settle('a1', 'me', DELIVERED, START)
    assert.deepEqual(await claimed(), ['a2'])
    await store.settle('a2', 'me', DELIVERED, START)
    assert.deepEqual(await claimed(), ['a3'])
  })

  it('gives no message that another sender has leased', async () => {
    await accept(message('a1'), free('b1', { destination: 'b' }))
    assert.deepEqual(await claimed(START, { holder: 'me' }), ['a1', 'b1'])
    assert.deepEqual(await claimed(START + 1, { holder: 'other' }), [])
    assert.equal((await get('a1'))?.state, 'sending')
  })

  it('gives no message of an ordered destination while its first one is not due', async () => {
    await accept(message('a1'), message('a2'))
    await settled('a1', later(START + 500))
    assert.deepEqual(await claimed(START + 499), [])
    assert.deepEqual(await claimed(START + 500), ['a1'])
  })

  it('gives no message of an ordered destination while its first one is parked', async () => {
    await accept(message('a1'), message('a2'), message('b1', { destination: 'b' }))
    await settled('a1', PARKED)
    assert.deepEqual(await claimed(START + DAY), ['b1'])
    await store.applyAction('a1', 'discard', { who: 'ann', reason: 'not needed', now: START })
    assert.deepEqual(await claimed(START), ['a2'])
  })

  it('gives unordered messages also after a parked, leased or not yet due one', async () => {
    await accept(message('a1'), free('f1'), free('f2'), free('f3'))
    assert.deepEqual(await claimed(START, { limit: 2 }), ['a1', 'f1'])
    await store.settle('a1', 'me', PARKED, START)
    await store.settle('f1', 'me', later(START + 500), START)
    assert.deepEqual(await claimed(START), ['f2', 'f3'])
    assert.deepEqual(await claimed(START + 500), ['f1'])
  })

  it('gives an ordered message after all earlier messages of its destination, unordered ones too', async () => {
    await accept(free('f1'), message('a1'))
    assert.deepEqual(await claimed(), ['f1'])
    await store.settle('f1', 'me', DELIVERED, START)
    assert.deepEqual(await claimed(), ['a1'])
  })

  it('gives an ordered message after an unordered one that is parked, as after none', async () => {
    await accept(free('f1'), message('a1'))
    await settled('f1', PARKED)
    assert.deepEqual(await claimed(), ['a1'])
    assert.equal((await destinationState('a'))?.blockedBy, undefined)
  })

  it('gives at most as many messages as the limit, the oldest first', async () => {
    for (let index = 0; index < 5; index++) await accept(free(`f${index}`, { acceptedAt: START + index }))
    assert.deepEqual(await claimed(START + 10, { limit: 2 }), ['f0', 'f1'])
    assert.deepEqual(await claimed(START + 10, { limit: 2 }), ['f2', 'f3'])
  })

  it('does not let one destination use up the limit', async () => {
    for (let index = 0; index < 20; index++) await accept(free(`f${index}`))
    await accept(free('b1', { destination: 'b', acceptedAt: START + 1 }))
    assert.ok((await claimed(START + 1, { limit: 4 })).includes('b1'))
  })

  it('gives no message of excluded destinations, nor of paused ones until they are resumed', async () => {
    await accept(message('a1'), free('b1', { destination: 'b' }), message('c1', { destination: 'c' }))
    await store.pause('b', true, { who: 'ann', reason: 'works', now: START })
    await store.pause('b', true, { who: 'ann', reason: 'works', now: START })
    assert.deepEqual(await claimed(START, { except: ['a'] }), ['c1'])
    await store.pause('b', false, { who: 'ann', reason: 'done', now: START })
    assert.deepEqual(await claimed(START), ['a1', 'b1'])
  })

  it('gives a message again after its lease has expired, with the information that a request had started', async () => {
    await accept(message('a1'), free('f1'), message('a2'))
    await claim(START, { holder: 'gone' })
    await store.recordRequestStart('a1', 'gone')
    assert.deepEqual(await claimed(START + LEASE - 1), [])
    const taken = await claim(START + LEASE)
    assert.deepEqual(
      taken.map(({ id, requestStarted, attempts }) => ({ id, begun: requestStarted, attempts })),
      [
        { id: 'a1', begun: true, attempts: 0 },
        { id: 'f1', begun: false, attempts: 0 },
      ],
    )
  })

  it('gives no message with an expired lease in a paused or excluded destination', async () => {
    await accept(message('a1'), free('b1', { destination: 'b' }))
    await claimed(START, { holder: 'gone' })
    await store.pause('a', true, { who: 'ann', reason: 'works', now: START })
    assert.deepEqual(await claimed(START + LEASE, { except: ['b'] }), [])
  })

  it('extends a lease for its holder only', async () => {
    await accept(message('a1'), free('f1'))
    await claimed(START)
    await store.renew('me', ['a1', 'unknown'], 2 * LEASE)
    await store.renew('other', ['f1'], 2 * LEASE)
    assert.deepEqual(await claimed(START + LEASE, { holder: 'other' }), ['f1'])
    await store.settle('f1', 'other', DELIVERED, START + LEASE)
    assert.deepEqual(await claimed(START + 2 * LEASE, { holder: 'other' }), ['a1'])
  })

  it('gives one message of a destination at a time, also when a user sends an earlier one again meanwhile', async () => {
    await accept(message('a1'), message('a2'), message('a3'))
    await settled('a1', DELIVERED)
    assert.deepEqual(await claimed(), ['a2'])
    await store.applyAction('a1', 'resend', { who: 'ann', reason: 'lost there', now: START })
    assert.deepEqual(await claimed(), [])
    await store.settle('a2', 'me', DELIVERED, START)
    assert.deepEqual(await claimed(), ['a1'])
  })

  it('gives the earlier message first when the lease of the later one has expired', async () => {
    await accept(message('a1'), message('a2'))
    await settled('a1', DELIVERED)
    await claimed(START, { holder: 'gone' })
    await store.applyAction('a1', 'resend', { who: 'ann', reason: 'lost there', now: START })
    assert.deepEqual(await claimed(START + LEASE), ['a1'])
    await rejectsWith(store.recordRequestStart('a2', 'gone'), 'REDOX_STORE_LOST')
    await store.settle('a1', 'me', DELIVERED, START + LEASE)
    assert.deepEqual(await claimed(START + LEASE), ['a2'])
  })

  it('settles a message as waiting again', async () => {
    await accept(message('a1'))
    await claimed()
    await store.recordRequestStart('a1', 'me')
    assert.equal((await get('a1'))?.requestStarted, true)
    await store.recordNotes('a1', 'me', Buffer.from('uploaded'))
    await store.settle('a1', 'me', later(START + 9), START + 1)
    const { state, attempts, dueAt, requestStarted, reason, notes, endedAt } = (await get('a1'))!
    assert.deepEqual(
      { state, attempts, dueAt, begun: requestStarted, reason, notes: text(notes), endedAt },
      {
        ...{ state: 'waiting', attempts: 1, dueAt: START + 9, begun: false, reason: 'REDOX_UNAVAILABLE' },
        ...{ notes: 'uploaded', endedAt: undefined },
      },
    )
  })

  it('settles messages as parked and delivered', async () => {
    await accept(message('a1'), message('b1', { destination: 'b' }))
    await claimed()
    await store.settle('a1', 'me', PARKED, START + 1)
    await store.settle('b1', 'me', DELIVERED, START + 2)
    const [parked, delivered] = await store.find({ limit: 2 })
    assert.deepEqual(
      [parked?.state, parked?.reason, text(parked?.notes), parked?.endedAt, parked?.attempts],
      ['parked', 'REDOX_REJECTED', 'refused', START + 1, 1],
    )
    assert.deepEqual(
      [delivered?.state, delivered?.reason, text(delivered?.notes), delivered?.endedAt, delivered?.announced],
      ['delivered', undefined, 'it arrived', START + 2, false],
    )
  })

  it('refuses changes by a sender without the lease', async () => {
    await accept(message('a1'), message('a2'))
    await claimed(START, { holder: 'late' })
    await claimed(START + LEASE, { holder: 'me' })
    for (const [id, holder] of [
      ['a1', 'late'],
      ['a2', 'me'],
      ['unknown', 'me'],
    ] as const) {
      await rejectsWith(store.recordRequestStart(id, holder), 'REDOX_STORE_LOST')
      await rejectsWith(store.recordNotes(id, holder, Buffer.from('x')), 'REDOX_STORE_LOST')
      await rejectsWith(store.settle(id, holder, DELIVERED, START), 'REDOX_STORE_LOST')
    }
    await store.settle('a1', 'me', DELIVERED, START)
    await rejectsWith(store.settle('a1', 'me', PARKED, START), 'REDOX_STORE_LOST')
    assert.equal((await get('a1'))?.state, 'delivered')
  })

  it('returns when the next message is due', async () => {
    assert.equal(await store.nextDue(START, []), undefined)
    await accept(
      message('a1'),
      message('a2'),
      free('b1', { destination: 'b' }),
      free('b2', { destination: 'b' }),
    )
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

  it('returns no due time for messages after a leased, parked or not yet due one', async () => {
    await accept(message('a1'), message('a2'))
    await claimed()
    assert.ok(((await store.nextDue(START, [])) ?? Infinity) > START)
    await store.settle('a1', 'me', later(START + 500), START)
    assert.equal(await store.nextDue(START, []), START + 500)
    await settled('a1', PARKED, START + 500)
    assert.equal(await store.nextDue(START + 500, []), undefined)
  })

  it('gives each ended message to one announcer, oldest first, until it is marked as announced', async () => {
    await accept(
      message('a1'),
      message('b1', { destination: 'b', owner: 'other' }),
      message('c1', { destination: 'c' }),
    )
    await accept(message('d1', { destination: 'd' }))
    const told = async (now: number, holder: string, owners = ['node', 'absent'], limit = 10) => {
      await place.at(now)
      return idsOf(await store.claimUnannounced({ holder, leaseMs: LEASE, limit, owners }))
    }
    await claimed()
    assert.deepEqual(await told(START, 'me'), [])
    await store.settle('a1', 'me', PARKED, START + 1)
    await store.settle('b1', 'me', DELIVERED, START + 2)
    await store.settle('c1', 'me', DELIVERED, START + 3)
    assert.deepEqual(await told(START + 5, 'me', ['node'], 1), ['a1'])
    assert.deepEqual(await told(START + 5, 'you'), ['c1'])
    assert.deepEqual(await told(START + 6, 'me', ['other']), ['b1'])
    // The owner of the message was removed before it could emit the result, and is deployed again later.
    await store.releaseUnannounced('b1', 'me')
    assert.deepEqual(await told(START + 6, 'me', ['other']), ['b1'])
    await store.markAnnounced('a1')
    assert.equal((await get('a1'))?.announced, true)
    assert.deepEqual(await told(START + 4 + LEASE, 'third'), [])
    assert.deepEqual(await told(START + 5 + LEASE, 'third'), ['c1'])
  })

  it('gives no ended message to two announcers at the same time', async () => {
    for (let index = 0; index < 20; index++) await accept(free(`f${index}`))
    for (const id of await claimed()) await store.settle(id, 'me', DELIVERED, START)
    const ask = (holder: string) =>
      store.claimUnannounced({ holder, leaseMs: LEASE, limit: 5, owners: ['node'] })
    const got = (await Promise.all(['a', 'b', 'c', 'd'].map(ask))).flatMap(idsOf)
    assert.equal(new Set(got).size, got.length)
    assert.ok(got.length > 0)
  })

  it('purges messages that were delivered or discarded before the given time, and no others', async () => {
    const states = ['waiting', 'sending', 'parked', 'delivered', 'discarded', 'recent']
    await accept(...states.map((id) => message(id, { destination: id, files: [], tags: ['t'] })))
    await store.pause('waiting', true, { who: 'ann', reason: 'works', now: START })
    await store.applyAction('discarded', 'discard', { who: 'ann', reason: 'wrong', now: START })
    await claimed()
    await store.settle('parked', 'me', PARKED, START)
    await store.settle('delivered', 'me', DELIVERED, START)
    await store.settle('recent', 'me', DELIVERED, START + 1)
    for (const id of ['delivered', 'recent']) await store.markAnnounced(id)
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

  it('keeps unannounced messages for 72 hours longer', async () => {
    await accept(
      message('told'),
      message('untold', { destination: 'b' }),
      message('discarded', { destination: 'c' }),
    )
    await store.applyAction('discarded', 'discard', { who: 'ann', reason: 'wrong', now: START })
    await claimed()
    for (const id of ['told', 'untold']) await store.settle(id, 'me', DELIVERED, START)
    await store.markAnnounced('told')
    assert.equal(await store.purge(START + 1, START + 72 * HOUR), 2)
    assert.deepEqual(idsOf(await store.find({ limit: 10 })), ['untold'])
    assert.equal(await store.purge(START + 1, START + 72 * HOUR + 1), 1)
    assert.deepEqual(await store.find({ limit: 10 }), [])
  })

  it('keeps unannounced messages even longer if the given time says so', async () => {
    await accept(message('untold'))
    await claimed()
    await store.settle('untold', 'me', DELIVERED, START)
    assert.equal(await store.purge(START, START + 100 * HOUR), 0)
  })

  it('purges many messages at once', async () => {
    const ids = Array.from({ length: 250 }, (_, index) => `f${index}`)
    await Promise.all(ids.map((id) => store.accept(free(id))))
    for (const id of ids) await store.applyAction(id, 'discard', { who: 'ann', reason: 'wrong', now: START })
    assert.equal(await store.purge(START + 1, START), 250)
    assert.deepEqual(await store.find({ limit: 10 }), [])
  })

  it('deletes a file with its last message', async () => {
    for (const name of ['shared', 'own', 'kept']) await store.putFile(name, chunksOf(name))
    await accept(
      free('m1', { files: ['shared', 'own'] }),
      free('m2', { files: ['shared'] }),
      free('m3', { files: ['kept'] }),
    )
    await claimed()
    await store.settle('m1', 'me', DELIVERED, START)
    await store.settle('m3', 'me', PARKED, START)
    for (const id of ['m1', 'm3']) await store.markAnnounced(id)
    await store.purge(START + 1, START)
    const there = async () => Promise.all(['shared', 'own', 'kept'].map((name) => store.hasFile(name)))
    assert.deepEqual(await there(), [true, false, true])
    await store.settle('m2', 'me', DELIVERED, START)
    await store.markAnnounced('m2')
    await store.purge(START + 1, START)
    assert.deepEqual(await there(), [false, false, true])
    assert.deepEqual(await readAll(store.readFile('kept')), ['kept'])
  })

  it('deletes files without a message one hour after they were stored', async () => {
    const now = Date.now()
    await store.putFile('nobodys', chunksOf('x'))
    await store.putFile('used', chunksOf('x'))
    await accept(message('a1', { files: ['used'] }))
    await store.sweep(now + HOUR - 60_000)
    assert.equal(await store.hasFile('nobodys'), true)
    await store.sweep(now + HOUR + 60_000)
    assert.equal(await store.hasFile('nobodys'), false)
    assert.equal(await store.hasFile('used'), true)
  })

  it('counts requests up to the limit, for all rate limiters of the store together', async () => {
    const [one, other] = [store.rateLimiter(3), store.rateLimiter(3)]
    for (const pace of [one, other, one]) assert.equal(await pace.acquire(never, performance.now()), 0)
    for (const pace of [one, other]) {
      const left = await pace.acquire(never, performance.now())
      assert.ok(left > 290_000 && left <= 300_000, `${left}`)
      assert.ok(pace.millisecondsLeft() > 0)
    }
  })

  it('never allows more requests than the limit at the same time', async () => {
    const paces = Array.from({ length: 10 }, () => store.rateLimiter(4))
    const turns = await Promise.all(paces.map((pace) => pace.acquire(never, performance.now() + 1000)))
    assert.equal(turns.filter((left) => left === 0).length, 4)
  })

  it('pauses all rate limiters, for as long as requested', async () => {
    const [one, other] = [store.rateLimiter(0), store.rateLimiter(100)]
    const began = performance.now()
    one.pause(2000)
    assert.ok(one.millisecondsLeft() > 1000)
    assert.ok((await one.acquire(never, performance.now())) > 1000)
    await eventually('it waits, too', async () => (await other.acquire(never, performance.now())) > 0)
    assert.equal(await other.acquire(never), 0)
    assert.ok(performance.now() - began >= 1900)
    assert.equal(await one.acquire(never), 0)
  })

  it('pauses for at most the window of the limit, whatever a server requests', async () => {
    const pace = store.rateLimiter(0)
    pace.pause(DAY)
    assert.ok(pace.millisecondsLeft() <= 300_000)
  })

  it('ends the wait for a request slot on abort', async () => {
    const pace = store.rateLimiter(0)
    pace.pause(60_000)
    await assert.rejects(pace.acquire(AbortSignal.timeout(50)))
  })

  it('keeps everything over a restart, and gives the leased messages of the ended process again', async () => {
    await store.putFile('f', chunksOf('one', 'two'))
    await accept(
      message('a1', { files: ['f'], tags: ['t'] }),
      message('a2'),
      message('b1', { destination: 'b' }),
    )
    await claimed(START, { holder: 'gone' })
    await store.recordRequestStart('a1', 'gone')
    await store.recordNotes('a1', 'gone', Buffer.from('uploaded'))
    await store.settle('b1', 'gone', PARKED, START)
    await store.pause('c', true, { who: 'ann', reason: 'works', now: START })
    const [found, lanes, counts] = [
      await store.find({ limit: 9 }),
      await store.destinations(),
      await store.counts(),
    ]
    await reopen()
    assert.equal((await destinationState('c'))?.paused, true)
    assert.deepEqual(idsOf(await store.find({ tag: 't', limit: 9 })), ['a1'])
    assert.deepEqual(await readAll(store.readFile('f')), ['one', 'two'])
    assert.deepEqual(
      (await store.find({ limit: 9 })).map(({ id, content, attempts }) => [id, text(content), attempts]),
      found.map(({ id, content, attempts }) => [id, text(content), attempts]),
    )
    assert.equal((await store.destinations()).length, lanes.length)
    assert.equal((await store.counts()).parked, counts.parked)
    const again = await claim(START + LEASE)
    assert.deepEqual(
      again.map(({ id, requestStarted, notes }) => [id, requestStarted, text(notes)]),
      [['a1', true, 'uploaded']],
    )
    await store.settle('a1', 'me', DELIVERED, START + LEASE)
    await accept(message('a3'))
    assert.deepEqual(await claimed(START + LEASE), ['a2'])
    assert.deepEqual(idsOf(await store.find({ destination: 'a', limit: 9 })), ['a1', 'a2', 'a3'])
  })

  it('can be closed twice', async () => {
    await store.close()
    await assert.doesNotReject(store.close())
  })
})
