import assert from 'node:assert/strict'
import { mock } from 'node:test'
import {
  directConnections,
  DirectMessages,
  directMessagesOf,
  forgetDirectMessages,
  MAX_UNKNOWN,
  UNKNOWN_LISTED_MS,
} from '../../src/redox/direct-messages'

const UNKNOWN = 'REDOX_OUTCOME_UNKNOWN'

describe('direct messages', () => {
  it('lists what is under way, newest first, and nothing that was delivered or refused', () => {
    const messages = new DirectMessages()
    const [first, second, third] = ['a', 'b', 'c'].map((owner) =>
      messages.add(owner, 'Staging', 'fhir clinic'),
    )
    second!.state = 'sending'
    assert.deepEqual(messages.counts(), { waiting: 2, sending: 1, unknown: 0 })
    const { messages: listed, total } = messages.list(2)
    assert.deepEqual([listed.map(({ owner }) => owner), total], [['c', 'b'], 3])
    messages.end(first!)
    messages.end(third!, 'REDOX_REJECTED')
    assert.deepEqual(messages.counts(), { waiting: 0, sending: 1, unknown: 0 })
  })

  it('lists an unknown outcome for an hour', () => {
    const messages = new DirectMessages()
    const start = performance.now()
    const clock = mock.method(performance, 'now', () => start)
    try {
      messages.end(messages.add('a', 'Staging'), UNKNOWN)
      const [one] = messages.list(10).messages
      assert.deepEqual([one?.state, one?.reason], ['unknown', UNKNOWN])
      clock.mock.mockImplementation(() => start + UNKNOWN_LISTED_MS - 1)
      assert.equal(messages.counts().unknown, 1)
      clock.mock.mockImplementation(() => start + UNKNOWN_LISTED_MS)
      assert.equal(messages.counts().unknown, 0)
      assert.deepEqual(messages.list(10), { messages: [], total: 0 })
    } finally {
      clock.mock.restore()
    }
  })

  it('keeps the trace id of an unknown outcome if it has the form of an id, and no time of a next attempt', () => {
    const messages = new DirectMessages()
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    for (const id of [traceId, 'Quuxworth', '19310719']) {
      const message = messages.add('a', 'Staging')
      message.dueAt = Date.now()
      messages.end(message, UNKNOWN, id)
    }
    const listed = messages.list(10).messages.map((one) => 'traceId' in one && one.traceId)
    assert.deepEqual(listed, [undefined, undefined, traceId])
    assert.ok(messages.list(10).messages.every((one) => !('dueAt' in one)))
  })

  it('keeps the newest thousand unknown outcomes', () => {
    const messages = new DirectMessages()
    for (let count = 0; count < MAX_UNKNOWN + 5; count++)
      messages.end(messages.add(`${count}`, 'Staging'), UNKNOWN)
    const { messages: listed, total } = messages.list(MAX_UNKNOWN * 2)
    assert.deepEqual([total, listed.at(-1)?.owner, listed[0]?.owner], [MAX_UNKNOWN, '5', '1004'])
  })

  it('are the same for a node over deploys, until the node is removed', () => {
    const messages = directMessagesOf({ id: 'direct-test', name: 'old' })
    assert.equal(directMessagesOf({ id: 'direct-test', name: 'new' }), messages)
    assert.equal(directConnections.get('direct-test')?.name, 'new')
    forgetDirectMessages('direct-test')
    assert.equal(directConnections.has('direct-test'), false)
  })
})
