/** Waits for files that another program is still writing. */
import type { BigIntStats } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { badInput } from '../errors'
import { emptyFile } from './describe'
import type { FileHints } from './types'

/** Identity and state of a file at one moment. Times are by the clock of its file system. */
export type FileState = BigIntStats

/** Maximum wait for a file that keeps changing. */
const MOST_SETTLE_MS = 60_000

interface SettleWait {
  settleMs: number
  waiting: WaitingMessage
  signal: AbortSignal | undefined
}

/**
 * Waits until the size and the times of a file have not changed for `settleMs` milliseconds. Without the wait, an
 * incomplete file would be sent, and again after each further write. File times are compared with the local clock only
 * to recognize a file that was not changed recently, because the clock of a network share may be ahead.
 */
export async function waitUntilSettled(
  look: () => Promise<FileState>,
  hints: FileHints,
  { settleMs, waiting, signal }: SettleWait,
): Promise<FileState> {
  const began = performance.now()
  const first = await look()
  let before = first
  for (;;) {
    const age = Math.max(0, Date.now() - Number(latest(before.mtimeMs, before.ctimeMs)))
    if (age < settleMs) await sleep(settleMs - age, undefined, { ...(signal && { signal }) })
    const after = age < settleMs ? await look() : before
    if (!isSame(after, first) && waiting.hasSuccessor) throw superseded(hints)
    if (isSame(after, before)) break
    if (performance.now() - began >= MOST_SETTLE_MS) throw stillWritten(hints)
    before = after
  }
  if (before.size === 0n) throw emptyFile(hints)
  return before
}

/**
 * Message that waits for a file. A node that watches a folder sends a message for each write to a file: without this
 * class each of these messages would send the whole file after the wait.
 */
export class WaitingMessage {
  static readonly #files = new Map<string, { count: number; last: number }>()
  readonly #file: { count: number; last: number }
  readonly #number: number

  /**
   * Registers a waiting message.
   * @param key identifies the node and the file that the message waits for
   */
  constructor(private readonly key: string) {
    this.#file = WaitingMessage.#files.get(key) ?? { count: 0, last: 0 }
    WaitingMessage.#files.set(key, this.#file)
    this.#file.count++
    this.#number = ++this.#file.last
  }

  /** Returns true if a later message of the same node waits for the same file. */
  get hasSuccessor(): boolean {
    return this.#file.last > this.#number
  }

  leave(): void {
    if (--this.#file.count === 0) WaitingMessage.#files.delete(this.key)
  }
}

const superseded = ({ where }: FileHints): Error =>
  badInput(
    `File is sent with a later message: it changed after this message arrived, and the later message has the same path ` +
      `(${where}). This message needs no action.`,
  )

const latest = (one: bigint, other: bigint): bigint => (one > other ? one : other)

/**
 * Returns true if two states are equal. A program may reset the size and the modification time of a file, but not its
 * ctime.
 */
export const isSame = (
  one: FileState,
  other: FileState,
  parts: readonly (keyof FileState)[] = STATE,
): boolean => parts.every((part) => one[part] === other[part])

export const CONTENT = ['dev', 'ino', 'size', 'mtimeNs'] as const
export const STATE = [...CONTENT, 'ctimeNs'] as const

const stillWritten = ({ where }: FileHints): Error =>
  badInput(
    `File is still being written: it kept changing for 60 s (path in ${where}). Send it when it is complete. Have the program ` +
      'that writes it move it into the folder when it is complete.',
  )
