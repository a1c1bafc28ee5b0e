/** Property-based tests with fast-check: number of cases, and generators of values. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { RedoxError, type RedoxErrorCode } from '../../src/errors'

const { REDOX_FUZZ_RUNS, REDOX_FUZZ_SEED } = process.env

/**
 * Time limit for the check of a property in ms, half of mocha's limit. A busy machine runs fewer cases, but at least
 * FEWEST_RUNS.
 */
const BUDGET_MS = 30_000
const FEWEST_RUNS = 100

/**
 * Checks a property with `runs` cases, or on a busy machine with as many cases as fit into 30 s. REDOX_FUZZ_RUNS=n runs
 * n cases without a time limit. A failure prints its seed, and REDOX_FUZZ_SEED=seed runs the same cases again.
 */
export async function holds<T>(
  runs: number,
  values: fc.Arbitrary<T>,
  property: (value: T) => void | Promise<void>,
): Promise<void> {
  const until = performance.now() + BUDGET_MS
  let tried = 0
  const isOver = (): boolean =>
    REDOX_FUZZ_RUNS === undefined && tried >= FEWEST_RUNS && performance.now() > until
  await fc.assert(
    fc.asyncProperty(values, async (value) => {
      if (isOver()) return
      tried++
      await property(value)
    }),
    {
      numRuns: Number(REDOX_FUZZ_RUNS ?? runs),
      ...(REDOX_FUZZ_SEED !== undefined && { seed: Number(REDOX_FUZZ_SEED) }),
    },
  )
  if (tried < runs && isOver()) console.log(`      ${tried} of ${runs} cases: the machine is busy`)
}

/** Marker value that replaces all patient data. It must not be in any error text, status or log. */
export const CANARY = 'Quuxworth'

const CODES: ReadonlySet<RedoxErrorCode> = new Set<RedoxErrorCode>([
  'REDOX_CONFIGURATION',
  'REDOX_BAD_INPUT',
  'REDOX_INVALID_MESSAGE',
  'REDOX_TOO_LARGE',
  'REDOX_AUTHENTICATION',
  'REDOX_FORBIDDEN',
  'REDOX_REJECTED',
  'REDOX_PARTIAL',
  'REDOX_QUEUE_FULL',
  'REDOX_RATE_LIMITED',
  'REDOX_UNAVAILABLE',
  'REDOX_NETWORK',
  'REDOX_TIMEOUT',
  'REDOX_OUTCOME_UNKNOWN',
  'REDOX_ABORTED',
])

/**
 * Result of a call or its RedoxError, whose code must be in {@link CODES}. That list does not contain REDOX_INTERNAL,
 * which is a bug of the package.
 */
export async function settled<T>(call: () => T | Promise<T>): Promise<{ value: T } | { error: RedoxError }> {
  try {
    return { value: await call() }
  } catch (error) {
    assert.ok(error instanceof RedoxError, `not an error of ours: ${String((error as Error).stack)}`)
    assert.ok(CODES.has(error.code), error.code)
    assert.ok(error.message.length < 5000, 'an error that is too long to read')
    return { error }
  }
}

export function assertSilent(text: string): void {
  assert.ok(!text.toLowerCase().includes(CANARY.toLowerCase()), `tells of the patient: ${text}`)
}

const codeUnits = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 })
  .map((units) => String.fromCharCode(...units))

/** Strings, including lone surrogates and control characters. */
export const texts = fc.oneof(
  fc.string(),
  fc.string({ unit: 'grapheme' }),
  codeUnits,
  fc.constantFrom('', ' ', '\0', '\r\n', '\ud800', '\u2028', '__proto__', '${HOME}', 'x'.repeat(70_000)),
)

const nameParts = fc.constantFrom(
  ...['report', CANARY, '.pdf', '.PNG', '.constructor', '.', '..', '/', '\\', 'C:', ' ', '"', "'", ';', '='],
  ...['%22', '%', '\t', '\r', '\n', '\0', '\x7f', '\u0085', '\u2028', '\u202e', 'ü', 'é', '日本', '🩺'],
  ...['\ud83e', '\udc00', 'x'.repeat(300)],
)

export const fileNames = fc.oneof(
  texts,
  fc.array(nameParts, { maxLength: 8 }).map((parts) => parts.join('')),
)

export const contentTypes = fc.oneof(
  { arbitrary: fc.constant(undefined), weight: 3 },
  fc.constantFrom(
    ...['application/pdf', 'image/png', 'text/plain; charset=utf-8', 'Application/X-PDF', 'a/b;c="d e"'],
    ...['pdf', '', 'a/b\r\nX: 1', 'a/b;\r\n c=d', 'a/b;\u2028c=d', 'constructor/toString', 'a/b; c="\\"'],
    `application/pdf; name="${CANARY}.pdf"`,
  ),
  texts,
)

const MAGIC = ['%PDF-1.7\n', '\x89PNG\r\n\x1a\n', 'II*\0', 'PK\x03\x04', '{\\rtf1', '<?xml', '\xff\xd8\xff']

/** Non-empty files, some of which begin with the header of a known format. */
export const bytes = fc
  .tuple(
    fc.constantFrom('', ...MAGIC),
    fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 80 }),
      fc.uint8Array({ minLength: 300, maxLength: 700 }),
    ),
  )
  .map(([magic, rest]) => Buffer.concat([Buffer.from(magic, 'latin1'), rest]))

/** Property names that have a meaning in JavaScript. */
const KEYS = ['__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'toJSON', 'length', 'then']
export const keys = fc.oneof(fc.constantFrom(...KEYS), fc.string())

/** JSON values of an HTTP response, as JSON.parse creates them: keys such as `__proto__` are own properties. */
export const json = (leaf: fc.Arbitrary<unknown> = fc.constant(CANARY)): fc.Arbitrary<any> =>
  fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, depthIdentifier: 'json', withCrossShrink: true },
      fc.oneof(
        leaf,
        texts,
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.boolean(),
        fc.constant(null),
      ),
      fc.array(tie('value'), { maxLength: 4, depthIdentifier: 'json' }),
      fc
        .array(fc.tuple(keys, tie('value')), { maxLength: 4, depthIdentifier: 'json' })
        .map((entries) => JSON.parse(`{${entries.map((pair) => pair.map(written).join(':')).join(',')}}`)),
    ),
  })).value

const written = (value: unknown): string => JSON.stringify(value)

/** Small values whose copies would be huge or endless. Only a few cases use them, because they are slow. */
export const MONSTERS = { circle, deep, shared, sparse }

/** Values that are not from JSON but that code can create, e.g. in a Function node. */
export const oddities: fc.Arbitrary<unknown> = fc.oneof(
  fc.anything({
    key: keys,
    maxDepth: 3,
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withObjectString: true,
    withSet: true,
    withSparseArray: true,
    withTypedArray: true,
  }),
  fc
    .constantFrom(
      circle,
      throwing,
      proxy,

      method,
      () => Symbol('x'),
      () => new Date(NaN),
    )
    .map((make) => make()),
)

function circle(): unknown {
  const value: Record<string, unknown> = { list: [] }
  ;(value['list'] as unknown[]).push(value)
  return value
}

function throwing(): unknown {
  const fail = (): never => {
    throw new TypeError(CANARY)
  }
  return Object.defineProperty({ name: 'x' }, 'url', { get: fail, enumerable: true })
}

function proxy(): unknown {
  const fail = (): never => {
    throw new RangeError(CANARY)
  }
  return new Proxy({ url: 'x' }, { ownKeys: fail, get: fail })
}

function deep(): unknown {
  let value: unknown = 'x'
  for (let level = 0; level < 20_000; level++) value = level % 2 ? [value] : { value }
  return value
}

/** Value of few objects that contain each other so that their JSON would contain 2^40 strings. */
function shared(): unknown {
  let value: unknown = 'x'
  for (let level = 0; level < 40; level++) value = { left: value, right: value }
  return value
}

function sparse(): unknown {
  const list: unknown[] = []
  list[4_294_967_294] = 1
  return list
}

function method(): unknown {
  return { toString: () => 'x', toJSON: () => 'y' }
}
