/** Tests of the embedded store: changes of the clock. */
import assert from 'node:assert/strict'
import { utimes } from 'node:fs/promises'
import path from 'node:path'
import { toWallTime } from '../../../src/queue/store-clock'
import { setClock } from '../../lib/clock'
import { folder, store, useFolder, open, message, chunksOf } from './folder'

describe('embedded store: clock', () => {
  useFolder()

  describe('when the wall clock is set', () => {
    afterEach(() => setClock(0))
    const hold = { holder: 'h', leaseMs: 300, limit: 9, except: [] }
    const HOUR = 3_600_000
    const near = (time: number, other: number): void =>
      assert.ok(Math.abs(time - other) < 60_000, `${time - other} ms`)

    for (const hours of [-5, 5, 1000])
      it(`by ${hours} hours while the store is open: the time of the store continues`, async () => {
        const one = await open()
        const before = one.clock.now()
        const accepted = { ...message(), acceptedAt: before, deadline: before + HOUR }
        await one.accept(accepted)
        const [held] = await one.claim(hold)
        setClock(hours)
        near(one.clock.now(), before)
        near(toWallTime(one.clock, one.clock.now()), Date.now())
        await one.putFile('fresh', chunksOf(Buffer.from('x')))
        // The test changes the clock of this process only, so it also sets the time of the file, which the file system
        // takes from the machine's clock.
        await utimes(path.join(folder, 'files', 'fresh'), Date.now() / 1000, Date.now() / 1000)
        // A change of the clock does not make a lease longer or shorter.
        await one.renew('h', [held!.id], HOUR)
        assert.deepEqual(await one.claim({ ...hold, holder: 'other' }), [])
        await one.settle(held!.id, 'h', { state: 'delivered', notes: Buffer.from('x') }, one.clock.now())
        await one.markAnnounced(held!.id)
        assert.equal(await one.purge(one.clock.now() - HOUR, one.clock.now()), 0)
        await one.sweep(one.clock.now())
        await one.accept(message(Buffer.from('x'), ['fresh']))
        await one.recordAccess(held!.id, 'look', { who: 'ann', reason: 'x', now: one.clock.now() })
        near((await one.audit({ skip: 0, limit: 1 }))[0]!.at, Date.now())
        await one.close()
        // A restart of the process while the wall clock is still wrong does not change the clock of the store.
        const two = await open()
        near(two.clock.now(), before)
        await two.close()
        // The store cannot distinguish a wall clock set forward while it was closed from 24 hours that have passed.
        setClock(hours + 24)
        near((await open()).clock.now(), before + 24 * HOUR)
        if (hours < 0) return
        await store!.close()
        setClock(0)
        near((await open()).clock.now(), before + 24 * HOUR)
      })

    it('back by 5 hours before the store is opened: the time of the store continues', async () => {
      const one = await open()
      const before = one.clock.now()
      const [held, rests] = [message(), { ...message(), destination: 'b' }]
      await one.accept(held)
      await one.accept(rests)
      await one.claim(hold)
      await one.settle(rests.id, 'h', { state: 'waiting', dueAt: before, reason: 'x' }, before)
      await one.close()
      setClock(-5)
      const two = await open()
      near(two.clock.now(), before)
      assert.equal((await two.claim(hold)).length, 2)
      near(toWallTime(two.clock, two.clock.now()), Date.now())
    })
  })
})
