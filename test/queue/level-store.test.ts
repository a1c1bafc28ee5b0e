/** What can go wrong with the embedded store on a disk: each a clear error, and nothing that was accepted lost. */
import assert from 'node:assert/strict'
import { execFile, execFileSync, fork } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { renameSync } from 'node:fs'
import {
  appendFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { onTheWall } from '../../src/queue/clock'
import { LevelStore } from '../../src/queue/level/store'
import { Seal } from '../../src/queue/seal'
import type { NewMessage } from '../../src/queue/types'
import { RedoxError, type RedoxErrorCode } from '../../src/errors'
import { setClock } from '../lib/clock'
import { NO_MOUNT, skip } from '../lib/skip'

const run = promisify(execFile)
const STORE = path.join(__dirname, '../../src/queue/level/store.js')

let folder: string
let store: LevelStore | undefined
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), 'redox-level-'))))
afterEach(async () => {
  await store?.close().catch(() => undefined)
  store = undefined
  await rm(folder, { recursive: true, force: true })
})

const open = async (where = folder, known?: string): Promise<LevelStore> =>
  (store = await LevelStore.open(where, known))

const message = (content: Buffer = Buffer.from('x'), files: string[] = []): NewMessage => ({
  ...{ id: randomUUID(), lane: 'a', ordered: true, owner: 'node' },
  ...{ acceptedAt: 1, deadline: 1e15, files, tags: [], content },
})

async function* chunksOf(...chunks: Buffer[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield await Promise.resolve(chunk)
}

async function read(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = []
  for await (const chunk of chunks) all.push(Buffer.from(chunk))
  return Buffer.concat(all)
}

const fails = (task: Promise<unknown>, code: RedoxErrorCode): Promise<void> =>
  assert.rejects(task, (error) => {
    assert.ok(error instanceof RedoxError, String(error))
    assert.equal(error.code, code, error.message)
    assert.ok(!error.message.includes(tmpdir()), error.message)
    return true
  })

/** Names of LevelDB's files of a kind. */
const filesOf = async (kind: RegExp): Promise<string[]> =>
  (await readdir(path.join(folder, 'messages')))
    .filter((name) => kind.test(name))
    .map((name) => path.join(folder, 'messages', name))

const waiting = async (one: LevelStore): Promise<number> => (await one.counts()).waiting

/** Ends what is held as it says. */
async function settle(
  one: LevelStore,
  state: 'delivered' | 'parked',
  reason = 'REDOX_REJECTED',
): Promise<void> {
  const hold = { holder: 'h', leaseMs: 1e12, limit: 100, except: [] }
  const notes = Buffer.from('n')
  for (const { id } of await one.claim(hold))
    await one.settle(id, 'h', state === 'parked' ? { state, reason, notes } : { state, notes }, 2)
}

describe('embedded store on a disk', () => {
  it('tells at once after a new start, whatever was being told when the process ended', async () => {
    const hold = { holder: 'gone', leaseMs: 1e12, limit: 1 }
    const first = await open()
    await first.accept(message())
    const [taken] = await first.claim({ ...hold, except: [] })
    await first.settle(taken!.id, 'gone', { state: 'delivered', notes: Buffer.from('x') }, 1)
    assert.equal((await first.untold({ ...hold, owners: ['node'] })).length, 1)
    await first.close()
    assert.equal((await (await open()).untold({ ...hold, owners: ['node'] })).length, 1)
  })

  it('open in another process: REDOX_STORE_LOCKED, and free again when that one is killed', async () => {
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

  it('open twice in one process: REDOX_STORE_LOCKED', async () => {
    await open()
    await fails(LevelStore.open(folder), 'REDOX_STORE_LOCKED')
  })

  for (const version of ['0', '-1', '1.5', 'one', ''])
    it(`with a version that no release writes ("${version}"): REDOX_STORE_UNREADABLE, and left as it is`, async () => {
      await (await open()).close()
      const { ClassicLevel } = await import('classic-level')
      const db = new ClassicLevel(path.join(folder, 'messages'))
      await db.put('meta!version', version)
      await db.close()
      await fails(LevelStore.open(folder), 'REDOX_STORE_UNREADABLE')
      await db.open()
      assert.equal(await db.get('meta!version'), version)
      await db.close()
    })

  describe('when the clock is set', () => {
    afterEach(() => setClock(0))
    const hold = { holder: 'h', leaseMs: 300, limit: 9, except: [] }
    const HOUR = 3_600_000
    const near = (time: number, other: number): void =>
      assert.ok(Math.abs(time - other) < 60_000, `${time - other} ms`)

    for (const hours of [-5, 5, 1000])
      it(`by ${hours} hours while it is open: its own time goes on`, async () => {
        const one = await open()
        const before = one.clock.now()
        const accepted = { ...message(), acceptedAt: before, deadline: before + HOUR }
        await one.accept(accepted)
        const [held] = await one.claim(hold)
        setClock(hours)
        near(one.clock.now(), before)
        near(onTheWall(one.clock, one.clock.now()), Date.now())
        await one.putFile('fresh', chunksOf(Buffer.from('x')))
        // The disk tells the time of a file by the clock on the wall, which is set in this process alone.
        await utimes(path.join(folder, 'files', 'fresh'), Date.now() / 1000, Date.now() / 1000)
        // What is held is held as long as before.
        await one.renew('h', [held!.id], HOUR)
        assert.deepEqual(await one.claim({ ...hold, holder: 'other' }), [])
        await one.settle(held!.id, 'h', { state: 'delivered', notes: Buffer.from('x') }, one.clock.now())
        await one.markTold(held!.id)
        assert.equal(await one.purge(one.clock.now() - HOUR, one.clock.now()), 0)
        await one.accept(message(Buffer.from('x'), ['fresh']))
        await one.looked(held!.id, { who: 'ann', reason: 'x', now: one.clock.now() })
        near((await one.audit({ skip: 0, limit: 1 }))[0]!.at, Date.now())
        await one.close()
        // The same clock in the next run; and one that was set right meanwhile.
        const two = await open()
        near(two.clock.now(), before)
        await two.close()
        // Between two runs a clock that goes forward cannot be told from a pause.
        setClock(hours + 24)
        near((await open()).clock.now(), before + 24 * HOUR)
        if (hours < 0) return
        await store!.close()
        setClock(0)
        near((await open()).clock.now(), before + 24 * HOUR)
      })

    it('back by 5 hours before it is opened: its time goes on', async () => {
      const one = await open()
      const before = one.clock.now()
      const [held, rests] = [message(), { ...message(), lane: 'b' }]
      await one.accept(held)
      await one.accept(rests)
      await one.claim(hold)
      await one.settle(rests.id, 'h', { state: 'waiting', dueAt: before, reason: 'x' }, before)
      await one.close()
      setClock(-5)
      const two = await open()
      near(two.clock.now(), before)
      assert.equal((await two.claim(hold)).length, 2)
      near(onTheWall(two.clock, two.clock.now()), Date.now())
    })
  })

  it('of version 1: what was being sent when the process ended is sent, what waits follows', async () => {
    const first = await open()
    for (const id of ['sent', 'waits']) await first.accept({ ...message(), id })
    await first.claim({ holder: 'h', leaseMs: 1e12, limit: 1, except: [] })
    await first.begin('sent', 'h')
    await first.close()
    const { ClassicLevel } = await import('classic-level')
    const db = new ClassicLevel(path.join(folder, 'messages'))
    const [[key, id]] = (await db.iterator({ gt: 'state!sending!', lt: 'state!sending"' }).all()) as [
      [string, string],
    ]
    const row = (await db.get(`row!${id}`))!
    await db.batch([
      { type: 'del', key },
      { type: 'put', key: key.replace('sending', 'held'), value: id },
      { type: 'put', key: `row!${id}`, value: row.replace('"state":"sending"', '"state":"held"') },
      { type: 'put', key: 'meta!version', value: '1' },
    ])
    await db.close()
    const now = await open()
    assert.deepEqual(await now.counts(), { waiting: 1, sending: 1, parked: 0, delivered: 0, discarded: 0 })
    const [again] = await now.claim({ holder: 'other', leaseMs: 1e12, limit: 9, except: [] })
    assert.deepEqual([again!.id, again!.state, again!.begun], ['sent', 'sending', true])
    await now.settle('sent', 'other', { state: 'delivered', notes: Buffer.from('n') }, 2)
    const [next] = await now.claim({ holder: 'other', leaseMs: 1e12, limit: 9, except: [] })
    assert.equal(next!.id, 'waits')
    await now.close()
    assert.deepEqual((await (await open()).counts()).delivered, 1)
  })

  it('of a newer release: REDOX_STORE_NEWER, and left as it is', async () => {
    await (await open()).close()
    const { ClassicLevel } = await import('classic-level')
    const db = new ClassicLevel(path.join(folder, 'messages'))
    await db.put('meta!version', '3')
    await db.close()
    await fails(LevelStore.open(folder), 'REDOX_STORE_NEWER')
    await db.open()
    assert.equal(await db.get('meta!version'), '3')
    await db.close()
  })

  it('damaged: REDOX_STORE_UNREADABLE, and nothing of it is removed', async () => {
    const first = await open()
    for (let index = 0; index < 50; index++) await first.accept(message(randomBytes(2000)))
    await first.close()
    const messages = path.join(folder, 'messages')
    const manifest = (await readdir(messages)).find((name) => name.startsWith('MANIFEST'))!
    await writeFile(path.join(messages, manifest), randomBytes(100))
    await fails(LevelStore.open(folder), 'REDOX_STORE_UNREADABLE')
    assert.ok((await readdir(messages)).includes(manifest))
  })

  it('with a bit flipped in its log: REDOX_STORE_UNREADABLE, and no file is removed', async () => {
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

  describe('what is lost of it is noticed at opening', () => {
    /** Six messages, the last of them settled: what would be sent again counts as well. */
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
        it(`${what}, ${isMarked ? 'with' : 'without'} a mark: REDOX_STORE_UNREADABLE, and nothing is made`, async () => {
          const known = await six()
          await lose()
          const before = await readdir(folder, { recursive: true })
          await fails(open(folder, isMarked ? known : undefined), 'REDOX_STORE_UNREADABLE')
          const made = (await readdir(folder, { recursive: true })).filter((name) => !before.includes(name))
          // LevelDB renames its own diary, and may have begun a log when it turns out what is missing.
          assert.deepEqual(
            made.filter((name) => !/LOG|LOCK|reserve|messages.[\dM]/.test(name)),
            [],
          )
          assert.deepEqual(await readdir(path.join(folder, 'files')), ['f'])
          await fails(open(folder, isMarked ? known : undefined), 'REDOX_STORE_UNREADABLE')
        })

    it('a bit of its log, wherever it flips, also in what became of a message', async () => {
      const first = await open()
      for (let index = 0; index < 60; index++) await first.accept(message(randomBytes(1000)))
      await settle(first, 'delivered')
      await first.close()
      const [log] = await filesOf(/\.log$/)
      const whole = await readFile(log!)
      assert.ok(whole.length > 70_000)
      // Not between blocks of 32768, where nothing is.
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

    it('not what was written after the last flush: a power failure may tear it', async () => {
      const first = await open()
      for (let index = 0; index < 5; index++) await first.accept(message(randomBytes(1000)))
      // Not flushed.
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
          const { waiting: open = 0, sending } = await again.counts()
          assert.equal(open + sending, 5)
          await again.close()
        }
      } finally {
        await rm(copy, { recursive: true, force: true })
      }
    })

    it('the store as a whole, e.g. a volume that is not mounted: REDOX_STORE_UNREADABLE, and no folder is made', async () => {
      const known = await six()
      for (const isEmpty of [true, false]) {
        await rm(folder, { recursive: true })
        if (isEmpty) await mkdir(folder)
        await fails(open(folder, known), 'REDOX_STORE_UNREADABLE')
        assert.deepEqual(await readdir(folder).catch(() => []), [])
      }
    })

    it('another store in its place, also only its messages/: REDOX_STORE_UNREADABLE', async () => {
      const known = await six()
      const mine = `${folder}-mine`
      await rename(folder, mine)
      try {
        const other = await open()
        // Flushed more often than the one that belongs here.
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

    it('files/: only if something is to be sent that had one', async () => {
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

    it('a file of what waits or is parked; not of what is done, or is parked because of it', async () => {
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

    it('a process that is killed at any moment leaves a store that opens, with all that was accepted', async () => {
      const script = path.join(folder, 'accept.js')
      const where = path.join(folder, 'store')
      await writeFile(
        script,
        `const { LevelStore } = require(${JSON.stringify(STORE)})
         LevelStore.open(${JSON.stringify(where)}).then(async (store) => {
           const one = async () => {
             for (;;) {
               const id = require('node:crypto').randomUUID()
               await store.accept({ id, lane: 'a', ordered: false, owner: 'n', acceptedAt: 1, deadline: 1e15,
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
      await first.begin(held!.id, 'h')
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

  it('closed, it does not open itself again', async () => {
    const first = await open()
    await first.close()
    await fails(first.accept(message()), 'REDOX_STORE_UNAVAILABLE')
    await (await open()).accept(message())
  })

  it('a file that is missing: REDOX_STORE_LOST; other messages are not touched', async () => {
    const first = await open()
    await first.putFile('f', chunksOf(Buffer.from('1')))
    await first.accept(message(undefined, ['f']))
    await rename(path.join(folder, 'files/f'), path.join(folder, 'moved'))
    await fails(read(first.readFile('f')), 'REDOX_STORE_LOST')
    await first.accept(message())
  })

  it('a message whose file is not stored is not accepted: REDOX_STORE_LOST', async () => {
    const first = await open()
    await fails(first.accept(message(undefined, ['never'])), 'REDOX_STORE_LOST')
    assert.equal((await first.counts()).waiting, 0)
  })

  it('a file that was cut short or changed on the disk is not sent', async () => {
    const first = await open()
    const seal = new Seal('the key of a test')
    const file = randomBytes(600_000)
    await first.putFile('f', seal.closeFile(chunksOf(file), 'file f'))
    assert.deepEqual(await read(seal.openFile(first.readFile('f'), 'file f')), file)
    const stored = path.join(folder, 'files/f')
    const whole = await readFile(stored)
    const changed = Buffer.from(whole)
    changed[300_000]! ^= 1
    // Behind its length, each with what the seal adds.
    const chunk = 4 + 255 * 1024 + 28
    for (const wrong of [
      whole.subarray(0, 2),
      whole.subarray(0, 1000),
      whole.subarray(0, 2 * chunk),
      changed,
    ]) {
      await writeFile(stored, wrong)
      await fails(read(seal.openFile(first.readFile('f'), 'file f')), 'REDOX_STORE_UNREADABLE')
    }
  })

  it('copied while nothing runs, and opened elsewhere, it is whole', async () => {
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

  describe('a full disk', () => {
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
    /** Until another program could not write a byte more. */
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

    it('is refused before it is full: what was accepted is readable, delivered and forgotten, and makes room', async () => {
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
      // Its node has not heard of it.
      await fails(small.check(), 'REDOX_STORE_FULL')
      for (const id of accepted.slice(1)) await small.markTold(id)
      await small.check()
      await small.putFile('new', chunksOf(randomBytes(200_000)))
      await small.accept(message(randomBytes(20_000), ['new']))
      assert.equal((await small.find({ id: accepted[0]!, limit: 1 })).length, 1)
    })

    it('by files: one that is too large leaves nothing', async () => {
      const small = await open(at())
      await small.accept(message())
      // What is on its way is written down meanwhile.
      async function* chunks(): AsyncGenerator<Buffer> {
        for (let index = 0; index < 100; index++) {
          yield randomBytes(100_000)
          await small.looked('id', { who: 'a person', reason: 'a reason', now: 1 })
        }
      }
      await fails(small.putFile('large', chunks()), 'REDOX_STORE_FULL')
      assert.ok((await stat(path.join(at(), 'reserve'))).size > 0)
      assert.deepEqual(await readdir(path.join(at(), 'files')), [])
      await small.accept(message())
    })

    it('by another program: what was accepted goes on in the reserve, and nothing else is accepted', async () => {
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

    it('opens on a full disk, readable, and goes on', async () => {
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

  it('a full disk of 32 MB: REDOX_STORE_FULL, and it goes on when there is room', async function () {
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
