/** Messages of many megabytes: their JSON is the same as from JSON.stringify, and they never block the event loop. */
import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { messageSize } from '../../nodes/lib/node/message-size'
import { Seal } from '../../src/queue/seal'
import { withValueAt, type JsonObject } from '../../src/message/json'
import { stringifyInChunks, parseInChunks } from '../../src/json-chunks'
import { jsonBody } from '../../src/transport/body'
import { bytesOf } from '../lib/redox'

// Length at which long strings are divided; the tests use strings of about this length.
const CUT = 64 * 1024
const repeated = (text: string, length: number): string => text.repeat(Math.ceil(length / text.length))

/** Strings in which a division can fall within an escape sequence, a surrogate pair or a multi-byte character. */
const PATTERNS = [
  'a',
  '"',
  '\\',
  '\n',
  '\u0001',
  'ü',
  '日',
  '🙂',
  'x🙂',
  '\ud83d',
  '\ude00',
  '\u2028',
  '\\u00e4',
]
const longText = fc
  .tuple(
    fc.string({ maxLength: 7, unit: 'binary' }),
    fc.constantFrom(...PATTERNS),
    fc.integer({ min: -20, max: 20 }),
  )
  .map(([before, pattern, more]) => before + repeated(pattern, 2 * CUT + more))

async function written(value: unknown): Promise<string> {
  let json = ''
  for await (const piece of stringifyInChunks(value)) json += piece
  return json
}

const VALUES: [string, unknown][] = [
  ['a text', repeated('words "and" \\ ', 3 * CUT)],
  ['a text inside', { Note: { FileContents: repeated('ü🙂', 3 * CUT), Empty: '' }, Meta: { Test: true } }],
  ['many short texts', Array.from({ length: 20_000 }, (_, at) => ({ id: `id-${at}`, is: at % 2 === 0, at }))],
  ['keys', Object.fromEntries(Array.from({ length: 30_000 }, (_, at) => [`key "${at}"`, at / 3]))],
  ['empty ones', { a: [], b: {}, c: [[], [{}]], d: null, e: repeated('x', CUT), f: [null, 1e21, -0.5] }],
  ['a long key', { [repeated('key', 2 * CUT)]: repeated('value', 2 * CUT) }],
  ['a key of objects', JSON.parse(`{"__proto__": {"a": 1}, "b": "${repeated('b', CUT)}"}`)],
]

describe('large message as JSON', () => {
  for (const [name, value] of VALUES) {
    it(`is written as JSON.stringify writes it, and parsed to the same value: ${name}`, async () => {
      const json = JSON.stringify(value)
      assert.ok((await written(value)) === json)
      assert.deepEqual(await parseInChunks(Buffer.from(json)), value)
    })
  }

  it('is the same for any text, wherever the text is divided', () =>
    fc.assert(
      fc.asyncProperty(longText, fc.string({ unit: 'binary' }), async (text, short) => {
        const value = [short, text, { [short]: text, short }]
        const json = JSON.stringify(value)
        assert.ok((await written(value)) === json)
        assert.deepEqual(await parseInChunks(Buffer.from(json)), value)
      }),
      { numRuns: 100 },
    ))

  it('leaves out the values that JSON leaves out', async () => {
    const value = { a: undefined, b: repeated('b', CUT), c: [undefined, repeated('c', CUT)] }
    assert.equal(await written(value), JSON.stringify(value))
  })

  it('has files between its chunks', async () => {
    const bytes = Buffer.from('a file')
    const file = { kind: 'file', name: 'f', contentType: 'x/y', size: bytes.length, inMemory: true } as const
    const read = async function* (): AsyncGenerator<Buffer> {
      yield bytes
    }
    const value = { before: repeated('b', 3 * CUT), file: '', after: [repeated('"', 3 * CUT), ''] }
    const places = [['file'], ['after', 1]].map((path) => ({ path, file: { ...file, read } }))
    const body = await jsonBody('application/json', value, places, withValueAt)
    const sent = await bytesOf(body.open())
    assert.equal(sent.length, body.length)
    const base64 = bytes.toString('base64')
    assert.deepEqual(JSON.parse(sent.toString()), { ...value, file: base64, after: [value.after[0], base64] })
  })
})

describe('large message', function () {
  this.timeout(30_000)

  const MB = 1_000_000
  const text = repeated('words and "quotes" ', 20 * MB)
  const LARGE: [string, JsonObject][] = [
    ['a text', { Note: { FileContents: text } }],
    ['many texts', { list: Array.from({ length: 20_000 }, (_, at) => `${at} ${text.slice(0, 1000)}`) }],
  ]

  /** Number of event-loop iterations that pass during `work`. */
  async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
    let [turns, isDone] = [0, false]
    const done = work().finally(() => (isDone = true))
    for (; !isDone; turns++) await nextTurn()
    await done
    return turns
  }

  for (const [name, value] of LARGE) {
    const bytes = Buffer.from(JSON.stringify(value)).length
    const seal = new Seal('a secret that is long enough')
    const WORK: [string, () => Promise<unknown>][] = [
      ['written as JSON', () => written(value)],
      ['made the body of a request', () => jsonBody('application/json', value, [], withValueAt)],
      ['sealed', () => seal.encrypt(value, 'here')],
    ]
    for (const [what, work] of WORK) {
      it(`is ${what} in chunks of at most 1 MB per event-loop iteration: ${name}`, async () => {
        const turns = await turnsDuring(work)
        assert.ok(turns >= bytes / MB, `${bytes} bytes in ${turns} turns`)
      })
    }

    it(`is decrypted in chunks of at most 1 MB per event-loop iteration: ${name}`, async () => {
      const sealed = await seal.encrypt(value, 'here')
      let opened: unknown
      // Decryption and parsing each process all bytes, in chunks of 1 MB at most.
      const turns = await turnsDuring(async () => (opened = await seal.decrypt(sealed, 'here')))
      assert.ok(turns >= (2 * bytes) / MB, `${bytes} bytes in ${turns} turns`)
      assert.deepEqual(opened, value)
      await assert.rejects(seal.decrypt(sealed, 'there'), { code: 'REDOX_STORE_UNREADABLE' })
      sealed[Math.floor(sealed.length / 2)]! ^= 1
      await assert.rejects(seal.decrypt(sealed, 'here'), { code: 'REDOX_STORE_UNREADABLE' })
    })

    it(`leaves event-loop iterations to other code while a fast socket takes its body: ${name}`, async () => {
      const body = await jsonBody('application/json', value, [], withValueAt)
      const turns = await turnsDuring(async () => {
        for await (const piece of body.open()) assert.ok(piece.length > 0)
      })
      assert.ok(turns >= bytes / MB, `${bytes} bytes in ${turns} turns`)
    })
  }

  it('is measured without reading all of its keys', () => {
    let looks = 0
    const getOwnPropertyDescriptor = (
      target: object,
      key: string | symbol,
    ): PropertyDescriptor | undefined => {
      looks++
      return Reflect.getOwnPropertyDescriptor(target, key)
    }
    const keys = Object.fromEntries(Array.from({ length: 100_000 }, (_, at) => [`key${at}`, at]))
    const data = new Proxy(keys, { getOwnPropertyDescriptor })
    assert.ok(messageSize({ _msgid: '1', payload: Buffer.alloc(1000), data }) >= 1000)
    assert.ok(looks <= 40_000, `${looks} looks`)
  })

  it('is written in chunks of similar length', async () => {
    for await (const piece of stringifyInChunks(LARGE[0]![1])) assert.ok(piece.length < 3 * CUT)
  })
})
