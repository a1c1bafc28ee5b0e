import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { runInNewContext } from 'node:vm'
import { plainProperties } from '../../nodes/lib/node/send-or-queue'
import { copyJson, formatPath, getAt, parsePath, setAt, withValueAt } from '../../src/message/json'
import type { JsonObject } from '../../src/message/json'
import { failing } from '../lib/redox'

describe('copies of messages', () => {
  it('contain the same values as JSON: dates as text, no undefined values', () => {
    const shared = { a: [1, 'x', true, null, undefined], d: new Date(0), u: undefined }
    const copy = copyJson(shared, 'data') as JsonObject
    assert.deepEqual(copy, { a: [1, 'x', true, null, null], d: '1970-01-01T00:00:00.000Z' })
    setAt(copy, ['a', 0], 'changed')
    assert.equal(shared.a[0], 1)
  })

  it('accept dates of a Function node, and objects with a toJSON method', () => {
    const date = runInNewContext('new Date(0)') as Date
    const copy = copyJson({ date, url: new URL('https://x.example') }, 'data')
    assert.deepEqual(copy, { date: '1970-01-01T00:00:00.000Z', url: 'https://x.example/' })
  })

  const failingGetter = {
    enumerable: true,
    get: () => {
      throw new TypeError('x')
    },
  }
  const circle: Record<string, unknown> = {}
  circle.self = circle
  const refused: [string, unknown, RegExp][] = [
    [
      'a Buffer',
      { Note: { FileContents: Buffer.from('x') } },
      /Data is a Buffer \(data\.Note\.FileContents\)/,
    ],
    ['a circle', circle, /nested too deeply, or refers to itself/],
    ['NaN', { a: [NaN] }, /Data is not a finite number \(data\.a\[0\]\)/],
    ['an invalid date', { a: new Date(NaN) }, /invalid date/],
    ['a function', { a: () => 1 }, /a function/],
    ['a Map', { a: new Map([[1, 2]]) }, /Data is a Map \(data\.a\)/],
    ['a typed array', { a: new Uint16Array(2) }, /Data is a Uint16Array \(data\.a\)/],
    [
      'a property that fails',
      { a: Object.defineProperty({}, 'b', failingGetter) },
      /Data cannot be read: .* \(data\.a\)/,
    ],
    [
      'a list of holes',
      { a: Object.assign([], { length: 4_000_000_000 }) },
      /Data has too many values in a list \(data\.a\)/,
    ],
    ['a bigint', { a: 1n }, /a bigint/],
    ['the key __proto__', JSON.parse('{"a":{"__proto__":{"x":1}}}'), /not allowed/],
    ['the key constructor', { constructor: { prototype: {} } }, /not allowed/],
    ['the key prototype', { prototype: 1 }, /not allowed/],
  ]
  for (const [what, value, words] of refused)
    it(`refuse ${what}`, () => failing('REDOX_BAD_INPUT', () => copyJson(value, 'data'), words))
})

describe('paths into messages', () => {
  it('are parsed and formatted', () => {
    const text = 'Orders[0].Results[12].Specimen.Body_Site'
    assert.deepEqual(parsePath(text), ['Orders', 0, 'Results', 12, 'Specimen', 'Body_Site'])
    assert.equal(formatPath(parsePath(text)), text)
  })

  for (const bad of [
    '',
    'a b',
    ...'. a..b a. [0] a[x] a[-1] a[-2] a.__proto__.b constructor a.prototype'.split(' '),
  ])
    it(`exclude "${bad}"`, () => failing('REDOX_BAD_INPUT', () => parsePath(bad), /Path is not valid/))

  it('create missing objects and arrays', () => {
    const root: JsonObject = { b: null }
    setAt(root, ['a', 'b', 0, 'c'], 1)
    setAt(root, ['b', 'x'], 2)
    assert.deepEqual(root, { a: { b: [{ c: 1 }] }, b: { x: 2 } })
    assert.equal(getAt(root, ['a', 'b', 0, 'c']), 1)
    assert.equal(getAt(root, ['a', 'none', 0]), undefined)
  })

  const lost: [JsonObject, string, RegExp][] = [
    [{ a: 'text' }, 'a.b', /^Data has a string where an object is needed: a, to fill in a\.b\./],
    [{ a: [] }, 'a.b', /^Data has a list where an object is needed: a,/],
    [{ a: [{ b: {} }] }, 'a[0].b[0].c', /^Data has an object where a list is needed: a\[0\]\.b,/],
  ]
  for (const [root, path, words] of lost)
    it(`replace no other value on the way to ${path}`, async () => {
      const before = structuredClone(root)
      const { message } = await failing('REDOX_BAD_INPUT', () => setAt(root, parsePath(path), 1), words)
      assert.doesNotMatch(message, /text/)
      assert.deepEqual(root, before)
    })

  it('refuse large indexes', () =>
    failing('REDOX_BAD_INPUT', () => parsePath('a[4000000000].b'), /must not exceed 9999/))

  it('change a copy and share the unchanged parts', () => {
    const root = { a: [{ b: 1 }], c: { d: 2 } }
    const changed = withValueAt(root, ['a', 0, 'b'], 'x')
    assert.deepEqual([changed, root.a], [{ a: [{ b: 'x' }], c: { d: 2 } }, [{ b: 1 }]])
    assert.equal(changed.c, root.c)
  })
})

describe('object with too many values', () => {
  let looks = 0
  const values = (count: number, value: object = { get: () => ++looks, enumerable: true }): object =>
    Object.defineProperties(
      {},
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, value])),
    )

  beforeEach(() => (looks = 0))

  it('is refused before it is read: one object by its keys, many by their sum', async () => {
    const list = new Proxy(new Array(200_000).fill(0), {
      get: (own, key) => (looks++, Reflect.get(own, key) as unknown),
    })
    for (const [data, most] of [
      [{ Extra: values(100_001) }, 0],
      [{ Extra: list }, 10],
      [Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`o${at}`, values(1000)])), 100_000],
    ] as const) {
      looks = 0
      await failing('REDOX_BAD_INPUT', () => copyJson(data, ''), /too many values/)
      assert.ok(looks <= most, `${looks} looks`)
    }
    looks = 0
    copyJson(values(99_999), '')
    assert.equal(looks, 99_999)
  })

  it('is not kept with an accepted message, whose properties are read in many event-loop iterations', async () => {
    const properties = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`p${at}`, values(9000)]))
    const msg = { _msgid: 'own', ...properties, large: values(10_001), last: 'kept' }
    let [turns, isDone] = [0, false]
    const kept = plainProperties(msg).finally(() => (isDone = true))
    for (; !isDone; turns++) await nextTurn()
    assert.equal(looks, 180_000)
    assert.ok(turns >= 9, `${turns} turns`)
    const { large, p19, ...others } = await kept
    assert.deepEqual([large, Object.keys(p19 as object).length, others.last], [undefined, 9000, 'kept'])
    const many = { _msgid: 'own', ...(values(20_000) as Record<string, unknown>) }
    assert.equal(Object.keys(await plainProperties(many)).length, 10_000)
  })
})
