/** Durable delivery with a changed store key, and without a store key. */
import assert from 'node:assert/strict'
import { logged, type Message } from '../lib/flow'
import { fileMessage, NOTE } from '../lib/send-nodes'
import { eventually } from '../lib/eventually'
import { DOWN, server, startDurable, useDurable } from '../lib/durable'

// Topic of this file's messages: a node also emits messages that an earlier test left in flight for the same node id.
const OWN = 'message of this file'
const ownMessage = (): Message => ({ ...fileMessage(), topic: OWN })

describe('durable delivery', () => {
  useDurable()
  it('with another store key: REDOX_STORE_UNREADABLE, until the right key is set', async () => {
    server.script('send', DOWN)
    await (await startDurable()).outcome(ownMessage())
    const other = await startDurable(NOTE, {}, {}, { storeKey: 'quite another key of the store' })
    const { error } = await other.outcome(fileMessage())
    assert.equal(error?.code, 'REDOX_STORE_UNREADABLE')
    assert.ok(logged().some((line) => line.includes('REDOX_STORE_UNREADABLE')))
    server.script('send')
    const right = await startDurable()
    await eventually('not delivered', () => right.emitted.some(({ topic }) => topic === OWN))
  })

  it('without a store key and without a store: REDOX_CONFIGURATION names the field and advises to generate a key', async () => {
    const flow = await startDurable(NOTE, {}, {}, {})
    const { error } = await flow.outcome(fileMessage())
    assert.deepEqual([error?.code, error?.cause.field], ['REDOX_CONFIGURATION', 'storeKey'])
    assert.match(error!.message, /has no store yet: create a key in the dialog/)
  })

  it('with a lost store key: the error asks for the old key, delivery continues with it, and no key is generated', async () => {
    server.script('send', DOWN)
    await (await startDurable()).outcome(ownMessage())
    for (const secrets of [{}, { storeKey: ' ' }, { storeKey: 'short' }]) {
      const flow = await startDurable(NOTE, {}, {}, secrets)
      const { error } = await flow.outcome(fileMessage())
      assert.deepEqual([error?.code, error?.cause.field], ['REDOX_CONFIGURATION', 'storeKey'])
      assert.match(error!.message, /has a store: set the key that it had before, from your copy/)
      assert.doesNotMatch(error!.message, /dialog/)
    }
    server.script('send')
    const right = await startDurable()
    await eventually('not delivered', () => right.emitted.some(({ topic }) => topic === OWN))
  })

  it('without a store key for a database: the error asks for the old key first, because a store may exist', async () => {
    const storeUrl = 'postgresql://user:word@127.0.0.1:1/redox'
    const flow = await startDurable(NOTE, { store: 'postgresql' }, {}, { storeUrl })
    const { error } = await flow.outcome(fileMessage())
    assert.match(
      error!.message,
      /used durable delivery before, .* set the key that it had before.* If not, create a key in the dialog/,
    )
  })
})
