/** What can go wrong with the embedded store on a disk: each a clear error, and nothing that was accepted lost. */
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { cp, mkdir, mkdtemp, readdir, rename, rm, writeFile, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { LevelStore } from '../../src/durable/level-store'
import { Seal } from '../../src/durable/seal'
import type { NewMessage } from '../../src/durable/store'
import { RedoxError, type RedoxErrorCode } from '../../src/errors'

const run = promisify(execFile)
const STORE = path.join(__dirname, '../../src/durable/level-store.js')

let folder: string
let store: LevelStore | undefined
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), 'redox-level-'))))
afterEach(async () => {
  await store?.close().catch(() => undefined)
  store = undefined
  await rm(folder, { recursive: true, force: true })
})

const open = async (where = folder): Promise<LevelStore> => (store = await LevelStore.open(where))

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

describe('embedded store on a disk', () => {
  it('tells at once after a new start, whatever was being told when the process ended', async () => {
    const hold = { holder: 'gone', now: 1, until: 1e15, limit: 1 }
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

  it('of a newer release: REDOX_STORE_NEWER, and left as it is', async () => {
    await (await open()).close()
    const { ClassicLevel } = await import('classic-level')
    const db = new ClassicLevel(path.join(folder, 'messages'))
    await db.put('meta!version', '2')
    await db.close()
    await fails(LevelStore.open(folder), 'REDOX_STORE_NEWER')
    await db.open()
    assert.equal(await db.get('meta!version'), '2')
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

  it('a full disk: REDOX_STORE_FULL, and it goes on when there is room', async function () {
    const disk = path.join(folder, 'disk')
    await mkdir(disk)
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', disk], { stdio: 'ignore' })
    } catch {
      // Only root may mount.
      this.skip()
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
