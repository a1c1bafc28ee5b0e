/** Tests of the embedded store: a folder that disappears while the store is open. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { renameSync } from 'node:fs'
import { cp, mkdir, readdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type RedoxError } from '../../../src/errors'
import { LevelStore } from '../../../src/queue/level/store'
import {
  folder,
  store,
  useFolder,
  open,
  message,
  chunksOf,
  read,
  fails,
  waiting,
  settle,
  run,
} from './folder'
import { NO_MOUNT, skip } from '../../lib/skip'

describe('embedded store: folder', () => {
  useFolder()

  describe('disappears while the store is open', () => {
    const away = (): string => `${folder}-away`
    afterEach(() => rm(away(), { recursive: true, force: true }))

    const goings: [what: string, go: () => Promise<void>, comeBack: () => Promise<void>][] = [
      ['renamed', () => rename(folder, away()), () => rename(away(), folder)],
      [
        'messages/ renamed',
        () => rename(path.join(folder, 'messages'), away()),
        () => rename(away(), path.join(folder, 'messages')),
      ],
      [
        'files/ renamed',
        () => rename(path.join(folder, 'files'), away()),
        () => rename(away(), path.join(folder, 'files')),
      ],
      [
        'removed, and brought back from a copy',
        async () => {
          await cp(folder, away(), { recursive: true })
          await rm(folder, { recursive: true })
        },
        () => rename(away(), folder),
      ],
      [
        'another store is in its place',
        async () => {
          const other = `${folder}-other`
          await (await LevelStore.open(other)).close()
          await rename(folder, away())
          await rename(other, folder)
        },
        async () => {
          await rm(folder, { recursive: true })
          await rename(away(), folder)
        },
      ],
    ]
    for (const [what, go, comeBack] of goings)
      it(`${what}: the store accepts nothing (REDOX_STORE_UNAVAILABLE) until the folder is back`, async () => {
        const first = await open()
        await first.putFile('f', chunksOf(Buffer.from('1')))
        await first.accept(message(undefined, ['f']))
        await go()
        await fails(first.accept(message()), 'REDOX_STORE_UNAVAILABLE')
        await fails(first.putFile('g', chunksOf(Buffer.from('1'))), 'REDOX_STORE_UNAVAILABLE')
        await fails(first.check(), 'REDOX_STORE_UNAVAILABLE')
        await fails(
          read(first.readFile('f')).then(() => first.check()),
          'REDOX_STORE_UNAVAILABLE',
        )
        await comeBack()
        await first.check().catch(() => undefined)
        const after = message()
        await first.accept(after)
        await first.close()
        const again = await open(folder, first.identity)
        assert.equal(await waiting(again), 2)
        assert.equal((await again.find({ id: after.id, limit: 1 })).length, 1)
        assert.equal((await read(again.readFile('f'))).toString(), '1')
      })

    it('with its volume unmounted and mounted again: the store goes on', async function () {
      const volume = path.join(folder, 'volume')
      const point = path.join(folder, 'store')
      for (const one of [volume, point]) await mkdir(one)
      const mount = (): void => void execFileSync('mount', ['--bind', volume, point], { stdio: 'ignore' })
      try {
        mount()
      } catch {
        skip(this, NO_MOUNT)
      }
      try {
        const first = await open(point)
        await first.accept(message())
        execFileSync('umount', ['-l', point])
        await fails(first.accept(message()), 'REDOX_STORE_UNAVAILABLE')
        assert.deepEqual(await readdir(point), [])
        await settle(first, 'delivered')
        mount()
        await first.accept(message())
        await first.close()
        const { waiting: left, delivered } = await (await open(point, first.identity)).counts()
        assert.deepEqual([left, delivered], [1, 1])
        await store!.close()
      } finally {
        await run('umount', ['-l', point])
      }
    })

    it('during an acceptance: the message is not accepted', async () => {
      const first = await open()
      const accepting = Array.from({ length: 300 }, () => first.accept(message()))
      const ended = Promise.allSettled(accepting)
      // For all 300 messages, the store checks its folder only once, before it writes the first message.
      while ((await waiting(first)) === 0) await nextTurn()
      assert.ok((await waiting(first)) < 300)
      renameSync(folder, away())
      const codes = (await ended).map((one) =>
        one.status === 'rejected' ? (one.reason as RedoxError).code : '',
      )
      assert.equal(codes.at(-1), 'REDOX_STORE_UNAVAILABLE')
      await rename(away(), folder)
      await first.accept(message())
      assert.equal(await waiting(first), codes.filter((code) => code === '').length + 1)
    })

    it('during a send: the result is written as long as the files are open', async () => {
      const first = await open()
      await first.accept(message())
      const [held] = await first.claim({ holder: 'h', leaseMs: 1e12, limit: 1, except: [] })
      await rename(folder, away())
      await first.recordRequestStart(held!.id, 'h')
      await first.settle(held!.id, 'h', { state: 'delivered', notes: Buffer.from('n') }, 2)
      await rename(away(), folder)
      await first.check()
      await first.close()
      assert.equal((await (await open()).counts()).delivered, 1)
    })

    it('with another store in its place: the store does not open that one, and goes on when the folder is back', async () => {
      const other = await LevelStore.open(`${folder}-other`)
      // The other store has more writes than the first one, so it cannot be an earlier copy of the first store.
      for (let count = 0; count < 9; count++) await other.accept(message())
      await other.close()
      const first = await open()
      const mine = message()
      await first.accept(mine)
      await cp(folder, away(), { recursive: true })
      await rm(folder, { recursive: true })
      await rename(away(), folder)
      // The original files were deleted while they were open, so the store has to open the copied folder.
      await fails(first.check(), 'REDOX_STORE_UNAVAILABLE')
      await rename(folder, away())
      await rename(`${folder}-other`, folder)
      await fails(first.accept(message()), 'REDOX_STORE_UNAVAILABLE')
      assert.equal((await first.find({ id: mine.id, limit: 1 })).length, 1)
      await rm(folder, { recursive: true })
      await rename(away(), folder)
      await first.accept(message())
      assert.equal(await waiting(first), 2)
    })

    it('with an earlier copy in its place: refused, because delivered messages would be sent again', async () => {
      const first = await open()
      await first.accept(message())
      await cp(folder, away(), { recursive: true })
      await settle(first, 'delivered')
      await rm(folder, { recursive: true })
      await rename(away(), folder)
      await first.check().catch(() => undefined)
      await fails(first.accept(message()), 'REDOX_STORE_UNREADABLE')
    })
  })
})
