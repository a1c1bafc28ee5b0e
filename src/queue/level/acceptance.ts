import { assertStorable, textsOf } from '../store-errors'
import type { EqualCheck, EqualMessage } from '../equal-message'
import type { StoredMessage } from '../types'
import type { LevelBlobs } from './blobs'
import type { LevelDatabase } from './database'
import { equalMessageFailed, messageLost } from './errors'
import { digits } from './identity'
import { bytes, escaped, json, KEY, put } from './keys'
import { orderKeyChanges } from './order-keys'
import type { Retention } from './retention'
import { indexKeysOf, type LevelRow } from './rows'

/** Stores messages that were just accepted, or that come from another store. */
export class Acceptance {
  /** Messages whose write is not yet synced to disk, or has failed. Never claimed. */
  readonly #unsure = new Map<string, 'writing' | 'failed'>()

  constructor(
    private readonly database: LevelDatabase,
    private readonly blobs: LevelBlobs,
    private readonly retention: Retention,
  ) {}

  isConfirmed(id: string): boolean {
    return !this.#unsure.has(id)
  }

  /**
   * Stores a message, unless a message with the same id exists. Durable once the promise resolves.
   * @param check see {@link QueueStore.accept}
   */
  async store(message: StoredMessage, check?: EqualCheck): Promise<EqualMessage | undefined> {
    assertStorable(...textsOf(message))
    const { id } = message
    // The check runs in parallel with earlier tasks; a broken database is checked by its repair. The empty catch
    // prevents an unhandled rejection, because the task below may await the promise later.
    const inPlace = this.database.isBroken ? Promise.resolve() : this.database.assertInPlace()
    inPlace.catch(() => undefined)
    let isNew = false
    try {
      const equal = await this.database.reliably(async () => {
        await inPlace
        const isKnown = (await this.database.reader.row(id)) !== undefined
        const found = check && !isKnown ? await this.#equalMessage(check) : undefined
        if (found && !check?.acceptsEqual) return found
        isNew = !isKnown || this.#unsure.has(id)
        if (isNew) this.#unsure.set(id, 'writing')
        if (!isKnown) await this.#add(message)
        return found
      })
      // The equal message was not on the disk yet. Its caller got the error of its write.
      if (equal && !isNew && this.#unsure.get(equal.id) === 'failed') throw equalMessageFailed()
      this.database.reserve.refused = 0
      this.#unsure.delete(id)
      return equal
    } catch (error) {
      // The caller gets the error and may send the message again, so this copy must not be sent, even if it is on the
      // disk.
      if (isNew) this.#unsure.set(id, 'failed')
      await this.database
        .alone(async () => {
          await this.forgetFailed()
          for (const name of message.files) await this.retention.removeUnused(name)
        })
        .catch(() => undefined)
      throw error
    }
  }

  /**
   * Deletes messages whose write failed. On a full disk this may fail until there is free space. Call it inside a
   * database task.
   */
  async forgetFailed(): Promise<void> {
    const ids = [...this.#unsure].flatMap(([id, state]) => (state === 'failed' ? [id] : []))
    await this.retention.forget(ids)
    for (const id of ids) this.#unsure.delete(id)
  }

  async #equalMessage({ tag, deliveredSince }: EqualCheck): Promise<EqualMessage | undefined> {
    const rows = await this.database.reader.rows(`tag!${escaped(tag)}`)
    const equal = rows.filter(
      ({ id, state, endedAt = 0 }) =>
        this.#unsure.get(id) !== 'failed' &&
        (state === 'delivered' ? endedAt >= deliveredSince : state !== 'discarded'),
    )
    const found = equal.find(({ state }) => state === 'delivered') ?? equal[0]
    return found && { id: found.id, state: found.state }
  }

  async #add({ content, notes, ...known }: StoredMessage): Promise<void> {
    const { counters, reserve } = this.database
    await reserve.assertRoomFor(content.length)
    for (const name of known.files)
      if (!(await this.blobs.hasFile(name))) throw messageLost(`the file ${name}`)
    const sequence = digits(counters.sequence + 1)
    const row: LevelRow = { ...known, sequence, retryFor: known.deadline - known.acceptedAt }
    const changes = [
      put(KEY.row(row.id), json(row)),
      put(KEY.content(row.id), content),
      ...(notes ? [put(KEY.notes(row.id), notes)] : []),
      put(KEY.last, bytes(sequence)),
      ...indexKeysOf(row).map((key) => put(key, bytes(row.id))),
      ...row.tags.map((tag) => put(KEY.tag(tag, sequence), bytes(row.id))),
      ...row.files.map((name) => put(KEY.file(name, row.id), bytes(row.id))),
      ...(await orderKeyChanges(this.database.reader, [{ to: row }])),
    ]
    const count = (): void => {
      counters.sequence++
      counters.add(row, 1)
    }
    await this.database.write(changes, { count, isAllowed: () => reserve.assertRoomFor(content.length) })
  }
}
