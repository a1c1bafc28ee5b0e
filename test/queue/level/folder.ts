/** Helpers for tests with an embedded store in a folder of its own. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { RedoxError, type RedoxErrorCode } from '../../../src/errors'
import { LevelStore } from '../../../src/queue/level/store'
import type { NewMessage } from '../../../src/queue/types'

export const STORE = path.join(__dirname, '../../../src/queue/level/store.js')
export const run = promisify(execFile)

export let folder: string
export let store: LevelStore | undefined

/** Registers mocha hooks that give each test its own folder, and afterwards close the stores that the test opened. */
export function useFolder(): void {
  beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), 'redox-level-'))))
  afterEach(async () => {
    await store?.close().catch(() => undefined)
    store = undefined
    await rm(folder, { recursive: true, force: true })
  })
}

export const open = async (where = folder, known?: string): Promise<LevelStore> =>
  (store = await LevelStore.open(where, known))

export const message = (content: Buffer = Buffer.from('x'), files: string[] = []): NewMessage => ({
  ...{ id: randomUUID(), destination: 'a', ordered: true, owner: 'node' },
  ...{ acceptedAt: 1, deadline: 1e15, files, tags: [], content },
})

export async function* chunksOf(...chunks: Buffer[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield await Promise.resolve(chunk)
}

export async function read(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = []
  for await (const chunk of chunks) all.push(Buffer.from(chunk))
  return Buffer.concat(all)
}

export const fails = (task: Promise<unknown>, code: RedoxErrorCode): Promise<void> =>
  assert.rejects(task, (error) => {
    assert.ok(error instanceof RedoxError, String(error))
    assert.equal(error.code, code, error.message)
    assert.ok(!error.message.includes(tmpdir()), error.message)
    return true
  })

/** Paths of LevelDB's files whose names match a pattern. */
export const filesOf = async (kind: RegExp): Promise<string[]> =>
  (await readdir(path.join(folder, 'messages')))
    .filter((name) => kind.test(name))
    .map((name) => path.join(folder, 'messages', name))

export const waiting = async (one: LevelStore): Promise<number> => (await one.counts()).waiting

/** Claims up to 100 messages and settles them with this state. */
export async function settle(
  one: LevelStore,
  state: 'delivered' | 'parked',
  reason = 'REDOX_REJECTED',
): Promise<void> {
  const hold = { holder: 'h', leaseMs: 1e12, limit: 100, except: [] }
  const notes = Buffer.from('n')
  for (const { id } of await one.claim(hold))
    await one.settle(id, 'h', state === 'parked' ? { state, reason, notes } : { state, notes }, 2)
}
