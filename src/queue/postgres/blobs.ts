import { present } from '../../shared/present'
import { RedoxError } from '../../errors'
import type { BlobStore } from '../types'
import type { DatabaseConnection } from './connection'
import { fileLost } from './errors'

/** Files in the database, stored in chunks. */
export class PostgresBlobs implements BlobStore {
  constructor(private readonly connection: DatabaseConnection) {}

  async putFile(name: string, chunks: AsyncIterable<Buffer>): Promise<void> {
    // If the file exists, its storage time is updated, so that purge() does not delete the file before its new message
    // is accepted.
    const renew =
      'UPDATE redox.file SET stored_at = redox.now($1) WHERE queue = $1 AND name = $2 AND chunks IS NOT NULL RETURNING file'
    if ((await this.connection.ask(renew, [name])).length > 0) return
    const add =
      'INSERT INTO redox.file (queue, name, stored_at) VALUES ($1, $2, redox.now($1)) RETURNING file'
    const [added] = await this.connection.ask<{ file: string }>(add, [name])
    const { file } = present(added, 'the row of a new file')
    try {
      await this.#fill(file, chunks)
    } catch (error) {
      // If the database is unreachable, purge() deletes the file later.
      await this.connection.rows('DELETE FROM redox.file WHERE file = $1', [file]).catch(() => undefined)
      throw error
    }
  }

  async #fill(file: string, chunks: AsyncIterable<Buffer>): Promise<void> {
    let count = 0
    for await (const chunk of chunks)
      await this.connection.rows('INSERT INTO redox.chunk VALUES ($1, $2, $3)', [file, count++, chunk])
    const [row] = await this.connection.ask<{ complete: boolean }>(
      'SELECT redox.complete($1, $2, $3) AS complete',
      [file, count],
    )
    if (row?.complete !== true)
      throw new RedoxError(
        'REDOX_STORE_LOST',
        'File was not stored: storing it took more than an hour. Send it again.',
      )
  }

  async hasFile(name: string): Promise<boolean> {
    return (await this.#fileOf(name)) !== undefined
  }

  async *readFile(name: string): AsyncGenerator<Buffer> {
    const found = await this.#fileOf(name)
    if (!found) throw fileLost()
    for (let number = 0; number < found.chunks; number++) {
      const text = 'SELECT bytes FROM redox.chunk WHERE file = $1 AND number = $2'
      const [chunk] = await this.connection.rows<{ bytes: Buffer }>(text, [found.file, number])
      if (!chunk) throw fileLost()
      yield chunk.bytes
    }
  }

  async #fileOf(name: string): Promise<{ file: string; chunks: number } | undefined> {
    const text = 'SELECT file, chunks FROM redox.file WHERE queue = $1 AND name = $2 AND chunks IS NOT NULL'
    return (await this.connection.ask<{ file: string; chunks: number }>(text, [name]))[0]
  }
}
