/** Tests of the embedded store: loss of or damage to its files is noticed when the store is opened. */
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cp, mkdir, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { LevelStore } from '../../../src/queue/level/store'
import { folder, useFolder, open, message, chunksOf, fails, filesOf, settle, STORE } from './folder'

describe('embedded store: opening', () => {
  useFolder()

  it('refuses a damaged store and removes nothing of it: REDOX_STORE_UNREADABLE', async () => {
    const first = await open()
    for (let index = 0; index < 50; index++) await first.accept(message(randomBytes(2000)))
    await first.close()
    const messages = path.join(folder, 'messages')
    const manifest = (await readdir(messages)).find((name) => name.startsWith('MANIFEST'))!
    await writeFile(path.join(messages, manifest), randomBytes(100))
    await fails(LevelStore.open(folder), 'REDOX_STORE_UNREADABLE')
    assert.ok((await readdir(messages)).includes(manifest))
  })

  it('refuses a log with a flipped bit and removes no file: REDOX_STORE_UNREADABLE', async () => {
    const first = await open()
    await first.putFile('f', chunksOf(Buffer.from('1')))
    for (let index = 0; index < 100; index++) await first.accept(message(randomBytes(1000), ['f']))
    await first.close()
    const messages = path.join(folder, 'messages')
    const log = path.join(
      messages,
      (await readdir(messages)).find((name) => name.endsWith('.log'))!,
    )
    const content = await readFile(log)
    content[Math.floor(content.length / 2)]! ^= 1
    await writeFile(log, content)
    await fails(LevelStore.open(folder), 'REDOX_STORE_UNREADABLE')
    assert.deepEqual(await readdir(path.join(folder, 'files')), ['f'])
  })

  describe('notices loss or damage', () => {
    /**
     * Creates a store with six messages, whose last writes record a delivery. If one of these writes were lost, the
     * message would be sent twice.
     */
    async function six(): Promise<string> {
      const first = await open()
      await first.putFile('f', chunksOf(Buffer.from('1')))
      for (let index = 0; index < 6; index++) await first.accept(message(randomBytes(2000), ['f']))
      await settle(first, 'delivered')
      await first.close()
      return first.identity
    }

    const losses: [what: string, lose: () => Promise<void>][] = [
      [
        'its log, cut in half',
        async () => {
          for (const log of await filesOf(/\.log$/))
            await truncate(log, Math.floor((await stat(log)).size / 2))
        },
      ],
      [
        'the last record of its log',
        async () => {
          for (const log of await filesOf(/\.log$/)) await truncate(log, (await stat(log)).size - 10)
        },
      ],
      ['its log', async () => void (await Promise.all((await filesOf(/\.log$/)).map((log) => rm(log))))],
      [
        'its MANIFEST',
        async () => void (await Promise.all((await filesOf(/^MANIFEST/)).map((one) => rm(one)))),
      ],
      ['CURRENT', () => rm(path.join(folder, 'messages/CURRENT'))],
      ['messages/', () => rm(path.join(folder, 'messages'), { recursive: true })],
      [
        'all but files/',
        async () => {
          await rm(path.join(folder, 'messages'), { recursive: true })
          await rm(path.join(folder, 'identity'))
        },
      ],
    ]
    for (const [what, lose] of losses)
      for (const isMarked of [true, false])
        it(`${what}, ${isMarked ? 'with' : 'without'} a mark: REDOX_STORE_UNREADABLE, and nothing is created`, async () => {
          const known = await six()
          await lose()
          const before = await readdir(folder, { recursive: true })
          await fails(open(folder, isMarked ? known : undefined), 'REDOX_STORE_UNREADABLE')
          const made = (await readdir(folder, { recursive: true })).filter((name) => !before.includes(name))
          // LevelDB renames its info log, and may have created a log file, before it notices that a file is missing.
          assert.deepEqual(
            made.filter((name) => !/LOG|LOCK|reserve|messages.[\dM]/.test(name)),
            [],
          )
          assert.deepEqual(await readdir(path.join(folder, 'files')), ['f'])
          await fails(open(folder, isMarked ? known : undefined), 'REDOX_STORE_UNREADABLE')
        })

    it('of any bit of the log, also in the result of a message', async () => {
      const first = await open()
      for (let index = 0; index < 60; index++) await first.accept(message(randomBytes(1000)))
      await settle(first, 'delivered')
      await first.close()
      const [log] = await filesOf(/\.log$/)
      const whole = await readFile(log!)
      assert.ok(whole.length > 70_000)
      // With steps of 8192 from 500, no position is at the end of one of LevelDB's 32768-byte blocks, where the bytes
      // can be padding.
      for (let at = 500; at < whole.length; at += 8192) {
        const copy = `${folder}-copy`
        await cp(folder, copy, { recursive: true })
        const changed = Buffer.from(whole)
        changed[at]! ^= 4
        await writeFile(path.join(copy, 'messages', path.basename(log!)), changed)
        await fails(LevelStore.open(copy), 'REDOX_STORE_UNREADABLE')
        await rm(copy, { recursive: true })
      }
      await (await open()).close()
    })

    it('but not of records after the last sync, which a power failure may cut off', async () => {
      const first = await open()
      for (let index = 0; index < 5; index++) await first.accept(message(randomBytes(1000)))
      // The store writes leases without a sync, so a crash of the machine can lose them.
      await first.claim({ holder: 'h', leaseMs: 1e12, limit: 5, except: [] })
      const copy = `${folder}-copy`
      await cp(folder, copy, { recursive: true })
      try {
        const [log] = await filesOf(/\.log$/)
        const torn = path.join(copy, 'messages', path.basename(log!))
        const whole = await readFile(torn)
        for (const end of [whole.subarray(0, -20), Buffer.concat([whole, Buffer.alloc(5000)])]) {
          await writeFile(torn, end)
          const again = await LevelStore.open(copy)
          const { waiting: waitingCount = 0, sending } = await again.counts()
          assert.equal(waitingCount + sending, 5)
          await again.close()
        }
      } finally {
        await rm(copy, { recursive: true, force: true })
      }
    })

    it('of the whole store, e.g. of an unmounted volume: REDOX_STORE_UNREADABLE, and no folder is created', async () => {
      const known = await six()
      for (const isEmpty of [true, false]) {
        await rm(folder, { recursive: true })
        if (isEmpty) await mkdir(folder)
        await fails(open(folder, known), 'REDOX_STORE_UNREADABLE')
        assert.deepEqual(await readdir(folder).catch(() => []), [])
      }
    })

    it('of a store replaced by another one, or of its messages/ alone: REDOX_STORE_UNREADABLE', async () => {
      const known = await six()
      const mine = `${folder}-mine`
      await rename(folder, mine)
      try {
        const other = await open()
        // The other store has more synced writes than the store that belongs to the connection.
        for (let times = 0; times < 30; times++) await other.accept(message())
        await other.close()
        await fails(open(folder, known), 'REDOX_STORE_UNREADABLE')
        await rm(path.join(folder, 'identity'))
        await cp(path.join(mine, 'identity'), path.join(folder, 'identity'))
        await fails(open(folder, known), 'REDOX_STORE_UNREADABLE')
      } finally {
        await rm(mine, { recursive: true, force: true })
      }
    })

    it('of files/ only if a message that is to be sent has a file', async () => {
      const first = await open()
      await first.accept(message())
      await first.close()
      await rm(path.join(folder, 'files'), { recursive: true })
      const again = await open()
      await again.putFile('f', chunksOf(Buffer.from('1')))
      await again.accept(message(undefined, ['f']))
      await again.close()
      await rm(path.join(folder, 'files'), { recursive: true })
      await fails(open(), 'REDOX_STORE_UNREADABLE')
      assert.ok(!(await readdir(folder)).includes('files'))
    })

    it('of a file if its message waits or is parked, but not if it has ended or is parked for the lost file', async () => {
      const first = await open()
      const add = async (name: string): Promise<void> => {
        await first.putFile(name, chunksOf(Buffer.from(name)))
        await first.accept(message(undefined, [name]))
      }
      await add('done')
      await settle(first, 'delivered')
      await add('known')
      await settle(first, 'parked', 'REDOX_STORE_LOST')
      await add('parked')
      await settle(first, 'parked')
      await add('waiting')
      await first.close()
      const take = (name: string): Promise<void> =>
        rename(path.join(folder, 'files', name), path.join(folder, name))
      const giveBack = (name: string): Promise<void> =>
        rename(path.join(folder, name), path.join(folder, 'files', name))
      for (const name of ['done', 'known']) await take(name)
      await (await open()).close()
      for (const name of ['parked', 'waiting']) {
        await take(name)
        await fails(open(), 'REDOX_STORE_UNREADABLE')
        await giveBack(name)
        await (await open()).close()
      }
    })

    it('keeps every accepted message when the process is killed at any moment', async () => {
      const script = path.join(folder, 'accept.js')
      const where = path.join(folder, 'store')
      await writeFile(
        script,
        `const { LevelStore } = require(${JSON.stringify(STORE)})
         LevelStore.open(${JSON.stringify(where)}).then(async (store) => {
           const one = async () => {
             for (;;) {
               const id = require('node:crypto').randomUUID()
               await store.accept({ id, destination: 'a', ordered: false, owner: 'n', acceptedAt: 1, deadline: 1e15,
                 files: [], tags: [], content: Buffer.alloc(20_000) })
               process.send(id)
             }
           }
           for (let index = 0; index < 4; index++) void one()
         })`,
      )
      const accepted: string[] = []
      for (let times = 1; times <= 8; times++) {
        const child = fork(script)
        const gone = new Promise((resolve) => child.once('exit', resolve))
        let heard = 0
        child.on('message', (id: string) => {
          accepted.push(id)
          if (++heard === times * 5) child.kill('SIGKILL')
        })
        await gone
      }
      const again = await open(where)
      for (const id of accepted) assert.equal((await again.find({ id, limit: 1 })).length, 1)
    }).timeout(60_000)
  })
})
