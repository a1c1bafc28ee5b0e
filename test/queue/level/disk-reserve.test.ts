/** Tests of the embedded store: a full disk. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { appendFile, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { type LevelStore } from '../../../src/queue/level/store'
import { folder, store, useFolder, open, message, chunksOf, fails, waiting, settle, run } from './folder'
import { NO_MOUNT, skip } from '../../lib/skip'

describe('embedded store: full disk', () => {
  useFolder()

  describe('disk full', () => {
    let disk: string
    beforeEach(async function () {
      disk = path.join(folder, 'disk')
      await mkdir(disk)
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk], { stdio: 'ignore' })
      } catch {
        skip(this, NO_MOUNT)
      }
    })
    afterEach(async () => {
      await store?.close().catch(() => undefined)
      await run('umount', ['-l', disk]).catch(() => undefined)
    })

    const at = (): string => path.join(disk, 'store')
    const ballast = (): string => path.join(disk, 'ballast')
    /** Fills the disk until another program cannot write one more byte. */
    async function fillDisk(): Promise<void> {
      for (let size = 1_000_000; size >= 1; size = Math.floor(size / 10))
        for (;;)
          try {
            await appendFile(ballast(), Buffer.alloc(size))
          } catch {
            break
          }
    }
    const ids = async (one: LevelStore): Promise<string[]> =>
      (await one.find({ state: 'waiting', limit: 1000 })).map(({ id }) => id)

    it('by messages: the store refuses new ones early, and delivers and deletes the accepted ones, which frees space', async () => {
      const small = await open(at())
      const accepted: string[] = []
      const acceptAll = async (): Promise<void> => {
        for (let index = 0; index < 500; index++) {
          const next = message(randomBytes(20_000), [`f${index}`])
          await small.putFile(`f${index}`, chunksOf(randomBytes(200_000)))
          await small.accept(next)
          accepted.push(next.id)
        }
      }
      await fails(acceptAll(), 'REDOX_STORE_FULL')
      assert.ok(accepted.length > 5)
      await fails(small.check(), 'REDOX_STORE_FULL')
      assert.deepEqual(await ids(small), accepted)
      assert.equal((await readdir(path.join(at(), 'files'))).length, accepted.length)
      while (await waiting(small)) await settle(small, 'delivered')
      // The disk is still full: a delivered message stays in the store until its owner has emitted the result.
      await fails(small.check(), 'REDOX_STORE_FULL')
      for (const id of accepted.slice(1)) await small.markAnnounced(id)
      await small.check()
      await small.putFile('new', chunksOf(randomBytes(200_000)))
      await small.accept(message(randomBytes(20_000), ['new']))
      assert.equal((await small.find({ id: accepted[0]!, limit: 1 })).length, 1)
    })

    it('by files: a file that is too large leaves nothing on the disk', async () => {
      const small = await open(at())
      await small.accept(message())
      // While this file fills the disk, the store writes the audit log with space from its disk reserve.
      async function* chunks(): AsyncGenerator<Buffer> {
        for (let index = 0; index < 100; index++) {
          yield randomBytes(100_000)
          await small.recordAccess('id', 'look', { who: 'a person', reason: 'a reason', now: 1 })
        }
      }
      await fails(small.putFile('large', chunks()), 'REDOX_STORE_FULL')
      assert.ok((await stat(path.join(at(), 'reserve'))).size > 0)
      assert.deepEqual(await readdir(path.join(at(), 'files')), [])
      await small.accept(message())
    })

    it('by another program: accepted messages are delivered with the reserve, and new ones are refused', async () => {
      const small = await open(at())
      for (let index = 0; index < 15; index++) await small.accept(message(randomBytes(50_000)))
      await fillDisk()
      await fails(small.accept(message()), 'REDOX_STORE_FULL')
      assert.equal(await waiting(small), 15)
      while (await waiting(small)) await settle(small, 'delivered')
      await fails(small.accept(message()), 'REDOX_STORE_FULL')
      assert.equal((await small.counts()).delivered, 15)
      await rm(ballast())
      await small.check()
      const after = message()
      await small.accept(after)
      assert.ok((await stat(path.join(at(), 'reserve'))).size > 0)
      await small.close()
      const again = await open(at(), small.identity)
      assert.deepEqual(await ids(again), [after.id])
      assert.equal((await again.counts()).delivered, 15)
    })

    it('at opening: the store is readable and delivers', async () => {
      const small = await open(at())
      for (let index = 0; index < 15; index++) await small.accept(message(randomBytes(50_000)))
      await small.close()
      await fillDisk()
      const again = await open(at(), small.identity)
      assert.equal(await waiting(again), 15)
      await fails(again.accept(message()), 'REDOX_STORE_FULL')
      while (await waiting(again)) await settle(again, 'delivered')
      await rm(ballast())
      await again.accept(message())
    })
  })

  it('at 32 MB: REDOX_STORE_FULL, until there is space again', async function () {
    const disk = path.join(folder, 'disk')
    await mkdir(disk)
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', disk], { stdio: 'ignore' })
    } catch {
      skip(this, NO_MOUNT)
    }
    try {
      const small = await open(disk)
      const kept = message()
      await small.accept(kept)
      await fails(small.putFile('large', chunksOf(randomBytes(40_000_000))), 'REDOX_STORE_FULL')
      assert.deepEqual(await readdir(path.join(disk, 'files')), [], 'what was begun is left')
      const ballast = path.join(disk, 'ballast')
      const fill = async (): Promise<void> => {
        for (let index = 0; index < 500; index++) await small.accept(message(randomBytes(100_000)))
      }
      await writeFile(ballast, Buffer.alloc(20_000_000))
      await fails(fill(), 'REDOX_STORE_FULL')
      await rm(ballast)
      const after = message()
      await small.accept(after)
      await small.close()
      const again = await open(disk)
      for (const { id } of [kept, after]) assert.equal((await again.find({ id, limit: 1 })).length, 1)
      await again.close()
    } finally {
      await run('umount', ['-l', disk])
    }
  })
})
