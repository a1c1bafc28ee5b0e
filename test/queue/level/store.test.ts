/** Tests of the embedded store within one process, and of the lock against a second process. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, rm } from 'node:fs/promises'
import { LevelStore } from '../../../src/queue/level/store'
import { folder, store, useFolder, open, message, fails, STORE } from './folder'

describe('embedded store', () => {
  useFolder()

  it('announces unannounced results at once after a restart, also those whose announcement was interrupted', async () => {
    const hold = { holder: 'gone', leaseMs: 1e12, limit: 1 }
    const first = await open()
    await first.accept(message())
    const [taken] = await first.claim({ ...hold, except: [] })
    await first.settle(taken!.id, 'gone', { state: 'delivered', notes: Buffer.from('x') }, 1)
    assert.equal((await first.claimUnannounced({ ...hold, owners: ['node'] })).length, 1)
    await first.close()
    assert.equal((await (await open()).claimUnannounced({ ...hold, owners: ['node'] })).length, 1)
  })

  it('refuses a folder that another process has open (REDOX_STORE_LOCKED) until that process is killed', async () => {
    const script = `require(${JSON.stringify(STORE)}).LevelStore.open(${JSON.stringify(folder)})
      .then(() => console.log('open'), (error) => console.log(error.code)); setTimeout(() => {}, 60_000)`
    const other = execFile(process.execPath, ['-e', script])
    await new Promise((resolve) => other.stdout!.once('data', resolve))
    await fails(LevelStore.open(folder), 'REDOX_STORE_LOCKED')
    const gone = new Promise((resolve) => other.once('exit', resolve))
    other.kill('SIGKILL')
    await gone
    await (await open()).accept(message())
  })

  it('refuses a folder that this process has open already: REDOX_STORE_LOCKED', async () => {
    await open()
    await fails(LevelStore.open(folder), 'REDOX_STORE_LOCKED')
  })

  it('does not open again after it was closed', async () => {
    const first = await open()
    await first.close()
    await fails(first.accept(message()), 'REDOX_STORE_UNAVAILABLE')
    await (await open()).accept(message())
  })

  it('is complete when it is copied while closed and opened elsewhere', async () => {
    const first = await open()
    const one = message(Buffer.from('content'))
    await first.accept(one)
    await first.close()
    const copy = `${folder}-copy`
    await cp(folder, copy, { recursive: true })
    try {
      const [found] = await (await open(copy)).find({ id: one.id, limit: 1 })
      assert.deepEqual([found?.content, found?.state], [one.content, 'waiting'])
      await store!.close()
    } finally {
      await rm(copy, { recursive: true, force: true })
    }
  })
})
