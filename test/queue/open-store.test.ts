/** Selection of the store that belongs to a connection, and its replacement when it cannot be read. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Client } from 'pg'
import { replaceStore, openStore } from '../../src/queue/open-store'
import type { StoreLocation } from '../../src/queue/store-location'
import type { DeliveryStore, NewMessage } from '../../src/queue/types'
import { RedoxError, type RedoxErrorCode } from '../../src/errors'
import { Postgres } from '../lib/postgres'
import { POSTGRES } from './stores'
import { NO_MOUNT, NO_POSTGRES, skip } from '../lib/skip'

const KEY = 'the key of a test'
const BY = { who: 'anna', reason: 'the disk is broken' }

const message = (): NewMessage => ({
  ...{ id: randomUUID(), destination: 'a', ordered: true, owner: 'node' },
  ...{ acceptedAt: 1, deadline: 1e15, files: [], tags: [], content: Buffer.from('x') },
})

const fails = (task: Promise<unknown>, code: RedoxErrorCode): Promise<void> =>
  assert.rejects(task, (error) => {
    assert.ok(error instanceof RedoxError, String(error))
    assert.equal(error.code, code, error.message)
    return true
  })

let userDir: string
let store: DeliveryStore | undefined
beforeEach(async () => void (userDir = await mkdtemp(path.join(tmpdir(), 'redox-user-'))))
afterEach(async () => {
  await close()
  await rm(userDir, { recursive: true, force: true })
})

async function close(): Promise<void> {
  await store?.close()
  store = undefined
}

async function open(place: StoreLocation, key = KEY): Promise<DeliveryStore> {
  await close()
  return (store = (await openStore(place, key)).store)
}

const markFile = (): string => path.join(userDir, '.redox-store-marks/hospital.json')

describe('store of a connection: embedded', () => {
  const folder = (): string => path.join(userDir, 'redox-store/hospital')
  const place = (): StoreLocation => ({ kind: 'embedded', folder: folder(), mark: markFile() })

  it('is created at the first start and found at the next', async () => {
    await (await open(place())).accept(message())
    assert.equal((await (await open(place())).counts()).waiting, 1)
    assert.deepEqual(await readdir(path.dirname(markFile())), ['hospital.json'])
  })

  it('that has gone while its mark exists is refused until it is back: REDOX_STORE_UNREADABLE', async () => {
    await (await open(place())).accept(message())
    await close()
    const away = path.join(userDir, 'away')
    await rename(path.dirname(folder()), away)
    for (const make of [false, true]) {
      if (make) await mkdir(folder(), { recursive: true })
      await fails(open(place()), 'REDOX_STORE_UNREADABLE')
    }
    await rm(path.dirname(folder()), { recursive: true })
    await rename(away, path.dirname(folder()))
    assert.equal((await (await open(place())).counts()).waiting, 1)
  })

  it("that is another connection's store is refused: REDOX_STORE_UNREADABLE", async () => {
    await open(place())
    const other: StoreLocation = { kind: 'embedded', folder: `${folder()}2`, mark: `${markFile()}2` }
    await open(other)
    await close()
    await rename(folder(), `${folder()}1`)
    await rename(`${folder()}2`, folder())
    await fails(open(place()), 'REDOX_STORE_UNREADABLE')
  })

  it('whose mark cannot be read is refused and not replaced: REDOX_STORE_UNAVAILABLE', async () => {
    await open(place())
    await close()
    await writeFile(markFile(), '{')
    await fails(open(place()), 'REDOX_STORE_UNAVAILABLE')
    await fails(replaceStore(place(), KEY, BY), 'REDOX_STORE_UNAVAILABLE')
    await rm(markFile())
    await open(place())
  })

  it('is replaced by a new store that keeps the unreadable files aside, with user and reason', async () => {
    await (await open(place())).accept(message())
    await close()
    const current = path.join(folder(), 'messages/CURRENT')
    await rm(current)
    await fails(open(place()), 'REDOX_STORE_UNREADABLE')
    const before = await readdir(folder(), { recursive: true })
    const setAside = await replaceStore(place(), KEY, BY)
    assert.match(setAside!, /^hospital\.unreadable-\d{8}T\d{6}/)
    const aside = path.join(path.dirname(folder()), setAside!)
    assert.deepEqual((await readdir(aside, { recursive: true })).sort(), before.sort())
    const begun = await open(place())
    const [line, ...more] = await begun.audit({ skip: 0, limit: 10 })
    assert.ok(Math.abs(Date.now() - line!.at) < 60_000)
    assert.deepEqual({ ...line, at: 0 }, { at: 0, action: 'begin-new', subject: setAside, ...BY })
    assert.deepEqual(more, [])
    await begun.accept(message())
  })

  it('is replaced also when no files were left, or when the first attempt was interrupted', async () => {
    await open(place())
    await close()
    await rm(folder(), { recursive: true })
    assert.equal(await replaceStore(place(), KEY, BY), undefined)
    await open(place())
    await close()
    // The first attempt to replace the store was interrupted before it wrote the new store's identity to the mark file.
    await rename(folder(), `${folder()}.aside`)
    const known = await readFile(markFile())
    await replaceStore(place(), KEY, BY)
    await writeFile(markFile(), known)
    await fails(open(place()), 'REDOX_STORE_UNREADABLE')
    assert.ok(await replaceStore(place(), KEY, BY))
    await open(place())
  })

  it('in a folder that is a volume of its own keeps the unreadable files aside within it', async function () {
    await open(place())
    await close()
    try {
      execFileSync('mount', ['--bind', folder(), folder()], { stdio: 'ignore' })
    } catch {
      skip(this, NO_MOUNT)
    }
    try {
      await rm(path.join(folder(), 'messages/CURRENT'))
      const before = await readdir(folder(), { recursive: true })
      const setAside = await replaceStore(place(), KEY, BY)
      assert.match(setAside!, /^unreadable-\d{8}T\d{6}/)
      const aside = await readdir(path.join(folder(), setAside!), { recursive: true })
      assert.deepEqual(aside.sort(), before.sort())
      await open(place())
      await close()
    } finally {
      execFileSync('umount', ['-l', folder()])
    }
  })

  it('is not replaced while it can be read or is open elsewhere', async () => {
    const first = await open(place())
    await fails(replaceStore(place(), KEY, BY), 'REDOX_STORE_LOCKED')
    await first.accept(message())
    await close()
    await fails(replaceStore(place(), KEY, BY), 'REDOX_STORE_LOST')
    assert.equal((await (await open(place())).counts()).waiting, 1)
    assert.deepEqual(await readdir(path.dirname(folder())), ['hospital'])
  })
})

describe('store of a connection: PostgreSQL', () => {
  let postgres: Postgres
  before(async function () {
    this.timeout(60_000)
    if (POSTGRES.missing() !== undefined) skip(this, NO_POSTGRES)
    postgres = await Postgres.start()
  })
  after(() => postgres?.stop())

  const place = (): StoreLocation => ({
    ...{ kind: 'postgresql', url: postgres.url(), schema: 'redox', queue: 'hospital' },
    mark: markFile(),
  })
  async function ask(sql: string): Promise<unknown[]> {
    const client = new Client({ connectionString: postgres.url() })
    await client.connect()
    try {
      return (await client.query(sql)).rows
    } finally {
      await client.end()
    }
  }

  it('with dropped tables, a missing queue or in another database is refused: REDOX_STORE_UNREADABLE', async () => {
    await (await open(place())).accept(message())
    assert.equal((await (await open(place())).counts()).waiting, 1)
    await ask('CREATE DATABASE other')
    const other = { ...place(), url: postgres.url('other') }
    await open({ ...other, mark: path.join(userDir, 'other/hospital.json') })
    await fails(open(other), 'REDOX_STORE_UNREADABLE')
    await ask('DELETE FROM redox.queue')
    await fails(open(place()), 'REDOX_STORE_UNREADABLE')
    assert.deepEqual(await ask('SELECT FROM redox.queue'), [])
    await ask('DROP SCHEMA redox CASCADE')
    await fails(open(place()), 'REDOX_STORE_UNREADABLE')
    assert.deepEqual(await ask(`SELECT FROM pg_tables WHERE schemaname = 'redox'`), [])
    assert.equal(await replaceStore(place(), KEY, BY), undefined)
    const begun = await open(place())
    const [line] = await begun.audit({ skip: 0, limit: 10 })
    assert.deepEqual({ ...line, at: 0 }, { at: 0, action: 'begin-new', subject: '-', ...BY })
    await begun.accept(message())
  })

  it('that exists already is used by an instance that has no mark yet', async () => {
    const other = { ...place(), mark: path.join(userDir, 'other/hospital.json') }
    await open(other)
    await open(place())
    await fails(replaceStore(place(), KEY, BY), 'REDOX_STORE_LOST')
  })
})
