/** The embedded store: its folder goes away while it is open. */
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

describe('embedded store: its folder', () => {
  useFolder()

  describe('its folder goes away while it is open', () => {
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
      it(`${what}: nothing is accepted, REDOX_STORE_UNAVAILABLE; when it is back it goes on`, async () => {
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

    it('its volume is unmounted, and mounted again: it goes on', async function () {
      const volume = path.join(folder, 'volume')
      const point = path.join(folder, 'store')
      for (const one of [volume, point]) await mkdir(one)
      const mount = (): void => void execFileSync('mount', ['--bind', volume, point], { stdio: 'ignore' })
      try {
        mount()
      } catch {
        // Only root may mount.
        this.skip()
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

    it('what was on its way into the store when it went is not accepted', async () => {
      const first = await open()
      const accepting = Array.from({ length: 300 }, () => first.accept(message()))
      const ended = Promise.allSettled(accepting)
      // It was looked after before the first was written, for all of them.
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

    it('what is on its way is written down as far as its files are open', async () => {
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

    it('another store in its place is not opened when it has to be opened anew, and it goes on when it is back', async () => {
      const other = await LevelStore.open(`${folder}-other`)
      // So often written to that it is no earlier copy.
      for (let count = 0; count < 9; count++) await other.accept(message())
      await other.close()
      const first = await open()
      const mine = message()
      await first.accept(mine)
      await cp(folder, away(), { recursive: true })
      await rm(folder, { recursive: true })
      await rename(away(), folder)
      // It has to open the copy.
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

    it('an earlier copy in its place is not taken: what was delivered since would be sent again', async () => {
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
