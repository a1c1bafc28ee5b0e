/** Runs the contract tests of DeliveryStore with stores of each kind. */
import assert from 'node:assert/strict'
import { RedoxError, type RedoxErrorCode } from '../../../src/errors'
import type { DeliveryStore, NewMessage, Settlement, StoredMessage } from '../../../src/queue/types'
import { STORES, type Kind, type Place } from '../stores'
import { NO_POSTGRES, skip } from '../../lib/skip'

// A time long before the test run, so that the tests fail if a store uses a clock other than the test's.
export const START = 1_000_000_000_000
export const LEASE = 60_000
export const HOUR = 3_600_000
export const DAY = 24 * HOUR

export const message = (id: string, change: Partial<NewMessage> = {}): NewMessage => ({
  id,
  destination: 'a',
  ordered: true,
  owner: 'node',
  acceptedAt: START,
  deadline: START + DAY,
  files: [],
  tags: [],
  content: Buffer.from(`content of ${id}`),
  ...change,
})
export const free = (id: string, change: Partial<NewMessage> = {}): NewMessage =>
  message(id, { ordered: false, ...change })

/** Message to destination `a` that follows only those of one patient. */
export const of = (orderKey: string, id: string, change: Partial<NewMessage> = {}): NewMessage =>
  message(id, { orderKey, ...change })
/** Author and reason of a decision. */
export const ANN = { who: 'ann', reason: 'wrong', now: START }

export const hold = (change: { holder?: string; limit?: number; except?: string[] } = {}) => ({
  ...{ holder: 'me', limit: 100, except: [], leaseMs: LEASE },
  ...change,
})
export const idsOf = (messages: StoredMessage[]): string[] => messages.map(({ id }) => id)
export const text = (bytes: Buffer | undefined): string | undefined => bytes?.toString()

export const DELIVERED = { state: 'delivered', notes: Buffer.from('it arrived') } satisfies Settlement
export const PARKED = {
  state: 'parked',
  reason: 'REDOX_REJECTED',
  notes: Buffer.from('refused'),
} satisfies Settlement
export const later = (dueAt: number): Settlement => ({ state: 'waiting', dueAt, reason: 'REDOX_UNAVAILABLE' })

export const rejectsWith = (promise: Promise<unknown>, code: RedoxErrorCode): Promise<void> =>
  assert.rejects(promise, (error) => error instanceof RedoxError && error.code === code)

export async function* chunksOf(...texts: string[]): AsyncGenerator<Buffer> {
  for (const one of texts) yield Buffer.from(one)
}

export async function readAll(chunks: AsyncIterable<Buffer>): Promise<string[]> {
  const read: string[] = []
  for await (const chunk of chunks) read.push(chunk.toString())
  return read
}

export let place: Place
export let store: DeliveryStore

/** Runs contract tests with every kind of store. Each test has a new store. `part`: `queue`, `admin` or `blobs`. */
export function eachStore(part: string, tests: (kind: Kind) => void): void {
  for (const kind of STORES)
    describe(`store of accepted messages, ${part}: ${kind.name}`, function () {
      this.timeout(60_000)
      before(async function () {
        if (kind.missing() !== undefined) skip(this, NO_POSTGRES)
        await kind.start()
      })
      after(() => kind.stop())
      beforeEach(async () => {
        place = await kind.place()
        store = await place.open()
      })
      afterEach(async () => {
        await store.close()
        await place.remove()
      })
      tests(kind)
    })
}

/** Closes the store and opens it again, as a restart of Node-RED does. */
export const reopen = async (): Promise<void> => {
  await store.close()
  store = await place.open()
}
export const accept = async (...messages: NewMessage[]): Promise<void> => {
  for (const one of messages) await store.accept(one)
}
export const get = async (id: string): Promise<StoredMessage | undefined> =>
  (await store.find({ id, limit: 1 }))[0]
export const claim = async (now = START, ...args: Parameters<typeof hold>): Promise<StoredMessage[]> => {
  await place.at(now)
  return store.claim(hold(...args))
}
export const claimed = async (...args: Parameters<typeof claim>): Promise<string[]> =>
  idsOf(await claim(...args))
/** Claims the first message of a destination and settles it. */
export const settled = async (id: string, settlement: Settlement, now = START): Promise<void> => {
  assert.ok((await claimed(now)).includes(id), `${id} is not to be had`)
  await store.settle(id, 'me', settlement, now)
}
export const destinationState = async (name: string) =>
  (await store.destinations()).find((one) => one.destination === name)

export const never = new AbortController().signal
