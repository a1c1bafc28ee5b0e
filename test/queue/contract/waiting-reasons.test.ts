/** Contract tests of AdminStore about what holds messages back, run with every kind of store. */
import assert from 'node:assert/strict'
import type { WaitingReason } from '../../../src/shared/outbox-api'
import {
  ANN,
  START,
  of,
  message,
  free,
  DELIVERED,
  PARKED,
  store,
  eachStore,
  reopen,
  accept,
  claimed,
  settled,
  destinationState,
} from './store'

const behindParked = (id: string): WaitingReason => ({ waitsBehind: id, blockedReason: 'REDOX_REJECTED' })

async function reasons(...ids: string[]): Promise<Record<string, WaitingReason>> {
  return Object.fromEntries(await store.waitingReasons(ids))
}

eachStore('waiting reasons', () => {
  it('names the message that an ordered one follows', async () => {
    await accept(message('a1'), message('a2'), of('p', 'p1'), free('f1'), message('b1', { destination: 'b' }))
    assert.deepEqual(await reasons('a1', 'a2', 'p1', 'f1', 'b1'), {
      a2: { waitsBehind: 'a1' },
      p1: { waitsBehind: 'a1' },
    })
    await claimed()
    assert.deepEqual(await reasons('a1', 'a2'), { a2: { waitsBehind: 'a1' } })
  })

  it('names the parked message of the same order key, for each message behind it', async () => {
    await accept(of('p', 'p1'), of('q', 'q1'), of('p', 'p2'), of('q', 'q2'), of('p', 'p3'), of('r', 'r1'))
    for (const id of await claimed()) await store.settle(id, 'me', id === 'r1' ? DELIVERED : PARKED, START)
    await reopen()
    assert.deepEqual(await reasons('p1', 'q1', 'p2', 'q2', 'p3', 'r1'), {
      ...{ p2: behindParked('p1'), p3: behindParked('p1'), q2: behindParked('q1') },
    })
    await store.applyAction('p1', 'discard', ANN)
    assert.deepEqual(await reasons('p2', 'p3'), { p3: { waitsBehind: 'p2' } })
  })

  it('names the parked message rather than an earlier one that a person sent again', async () => {
    await accept(message('a0'), message('a1'), message('a2'), message('a3'))
    await settled('a0', DELIVERED)
    await settled('a1', PARKED)
    await store.applyAction('a0', 'resend', ANN)
    assert.deepEqual(await reasons('a0', 'a2', 'a3'), { a2: behindParked('a1'), a3: behindParked('a1') })
    assert.deepEqual((await destinationState('a'))?.blockedBy, { id: 'a1', reason: 'REDOX_REJECTED' })
  })

  it('names the parked message of an order key rather than an earlier one that a person sent again', async () => {
    await accept(of('p', 'p0'), of('p', 'p1'), of('p', 'p2'))
    await settled('p0', DELIVERED)
    await settled('p1', PARKED)
    await store.applyAction('p0', 'resend', ANN)
    assert.deepEqual(await reasons('p0', 'p2'), { p2: behindParked('p1') })
    const { blockedBy, blockedPatients } = (await destinationState('a'))!
    assert.deepEqual([blockedBy, blockedPatients], [undefined, undefined])
    await settled('p0', DELIVERED)
    assert.equal((await destinationState('a'))?.blockedPatients, 1)
  })

  it('tells that a destination is paused, for unordered messages too', async () => {
    await accept(free('f1'), message('a1'), message('b1', { destination: 'b' }))
    await settled('b1', PARKED)
    await accept(message('b2', { destination: 'b' }), message('c1', { destination: 'c' }))
    for (const name of ['a', 'b']) await store.pause(name, true, ANN)
    assert.deepEqual(await reasons('b1', 'b2', 'c1'), { b2: { paused: true, ...behindParked('b1') } })
    await store.settle('f1', 'me', { state: 'waiting', dueAt: START, reason: 'REDOX_UNAVAILABLE' }, START)
    assert.deepEqual(await reasons('f1', 'a1'), {
      f1: { paused: true },
      a1: { paused: true, waitsBehind: 'f1' },
    })
  })

  it('names a parked message without an order key to all later ones, and one with a key to those without', async () => {
    await accept(of('p', 'p0'), message('a1'), of('p', 'p1'), of('q', 'q1'))
    await settled('p0', DELIVERED)
    await settled('a1', PARKED)
    await store.applyAction('p0', 'resend', ANN)
    assert.deepEqual(await reasons('p0', 'p1', 'q1'), { p1: behindParked('a1'), q1: behindParked('a1') })
    await settled('p0', PARKED)
    await accept(message('a2'))
    assert.deepEqual(await reasons('p1', 'q1', 'a2'), {
      ...{ p1: behindParked('p0'), q1: behindParked('a1'), a2: behindParked('p0') },
    })
  })

  it('names no unordered message that is parked', async () => {
    await accept(free('f1'), message('a1'), of('p', 'p1'))
    await settled('f1', PARKED)
    assert.deepEqual(await reasons('f1', 'a1', 'p1'), { p1: { waitsBehind: 'a1' } })
  })

  it('leaves out messages that do not wait, and unknown ids', async () => {
    await accept(message('a1'), message('a2'))
    await settled('a1', DELIVERED)
    await settled('a2', PARKED)
    await store.pause('a', true, ANN)
    assert.deepEqual(await reasons('a1', 'a2', 'never', '\0', ''), {})
    assert.deepEqual(await reasons(), {})
  })

  it('calls a destination blocked as soon as a message without an order key is parked', async () => {
    await accept(message('a1'), of('p', 'p1', { destination: 'b' }))
    for (const id of await claimed()) await store.settle(id, 'me', PARKED, START)
    assert.equal((await destinationState('a'))?.blockedBy?.id, 'a1')
    assert.equal((await destinationState('b'))?.blockedBy, undefined)
  })

  it('calls a destination blocked by a message with an order key if one without waits behind it', async () => {
    await accept(message('a0'), of('p', 'p1'), of('q', 'q1'), message('a2'), of('r', 'r1'))
    await settled('a0', DELIVERED)
    for (const id of await claimed()) await store.settle(id, 'me', id === 'p1' ? PARKED : DELIVERED, START)
    await store.applyAction('a0', 'resend', ANN)
    assert.equal((await destinationState('a'))?.blockedBy?.id, 'p1')
    await reopen()
    assert.equal((await destinationState('a'))?.blockedBy?.id, 'p1')
    await store.applyAction('a2', 'discard', ANN)
    assert.equal((await destinationState('a'))?.blockedBy, undefined)
  })
})
