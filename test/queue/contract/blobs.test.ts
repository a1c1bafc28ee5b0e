/** Contract tests of BlobStore, run with every kind of store. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { sizedFile } from '../../lib/fixtures'
import { rejectsWith, chunksOf, readAll, store, eachStore } from './store'

eachStore('blobs', () => {
  it('returns the chunks of a file as they were stored', async () => {
    await store.putFile('f', chunksOf('one', '', 'three'))
    assert.deepEqual(await readAll(store.readFile('f')), ['one', '', 'three'])
    assert.equal(await store.hasFile('f'), true)
    assert.equal(await store.hasFile('g'), false)
    await rejectsWith(readAll(store.readFile('g')), 'REDOX_STORE_LOST')
  })

  it('stores a file once', async () => {
    await store.putFile('f', chunksOf('first'))
    await store.putFile('f', chunksOf('second'))
    assert.deepEqual(await readAll(store.readFile('f')), ['first'])
  })

  it('stores a file once when two callers store it at the same time', async () => {
    await Promise.all([store.putFile('f', chunksOf('a', 'b')), store.putFile('f', chunksOf('a', 'b'))])
    assert.deepEqual(await readAll(store.readFile('f')), ['a', 'b'])
  })

  it('never returns a file that is not complete', async () => {
    let go = (): void => undefined
    const waits = new Promise<void>((resolve) => (go = resolve))
    const broken = new Error('the source broke')
    const putting = store.putFile(
      'f',
      (async function* () {
        yield Buffer.from('first half')
        await waits
        throw broken
      })(),
    )
    await sleep(50)
    assert.equal(await store.hasFile('f'), false)
    await rejectsWith(readAll(store.readFile('f')), 'REDOX_STORE_LOST')
    go()
    await assert.rejects(putting, broken)
    assert.equal(await store.hasFile('f'), false)
    await store.putFile('f', chunksOf('whole'))
    assert.deepEqual(await readAll(store.readFile('f')), ['whole'])
  })

  it('streams 30 MB in and out with little memory', async () => {
    const chunk = sizedFile(255 * 1024)
    const hash = createHash('sha256')
    const before = process.memoryUsage.rss()
    let most = 0
    await store.putFile(
      'large',
      (async function* () {
        for (let index = 0; index < 120; index++) {
          const bytes = Buffer.from(chunk)
          bytes.writeUInt32BE(index)
          hash.update(bytes)
          most = Math.max(most, process.memoryUsage.rss())
          yield bytes
        }
      })(),
    )
    const read = createHash('sha256')
    let size = 0
    for await (const bytes of store.readFile('large')) {
      read.update(bytes)
      size += bytes.length
      most = Math.max(most, process.memoryUsage.rss())
    }
    assert.equal(size, 120 * 255 * 1024)
    assert.equal(read.digest('hex'), hash.digest('hex'))
    assert.ok(most - before < 100e6, `${((most - before) / 1e6).toFixed(0)} MB more`)
  })
})
