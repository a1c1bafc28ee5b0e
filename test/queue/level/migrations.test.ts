/** Tests of the embedded store: store formats of other releases. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { LevelStore } from '../../../src/queue/level/store'
import type { Database } from '../../../src/queue/level/keys'
import { migrate } from '../../../src/queue/level/migrations'
import { folder, useFolder, open, fails, message } from './folder'

/** Field names of a message in version 1 of the store format, by their present names. */
const OLD_NAMES = {
  destination: 'lane',
  requestStarted: 'begun',
  announced: 'told',
  retryFor: 'span',
  leasedUntil: 'heldUntil',
}

const ofVersion1 = (row: string): string =>
  Object.entries(OLD_NAMES)
    .reduce((text, [now, then]) => text.replace(`"${now}":`, `"${then}":`), row)
    .replace('"state":"sending"', '"state":"held"')

describe('embedded store: formats of other releases', () => {
  useFolder()

  for (const version of ['0', '-1', '1.5', 'one', ''])
    it(`refuses a version that no release writes, and leaves the store unchanged: "${version}", REDOX_STORE_UNREADABLE`, async () => {
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

  it('sends from a store of version 1 the interrupted message, then the waiting ones', async () => {
    const first = await open()
    for (const id of ['sent', 'waits']) await first.accept({ ...message(), id })
    await first.claim({ holder: 'h', leaseMs: 1e12, limit: 1, except: [] })
    await first.recordRequestStart('sent', 'h')
    await first.close()
    const { ClassicLevel } = await import('classic-level')
    const db = new ClassicLevel(path.join(folder, 'messages'))
    const [[key, id]] = (await db.iterator({ gt: 'state!sending!', lt: 'state!sending"' }).all()) as [
      [string, string],
    ]
    const rows = await db.iterator({ gt: 'row!', lt: 'row"' }).all()
    const turns = await db.keys({ gt: 'turn!', lt: 'turn"' }).all()
    assert.equal(turns.length, 2)
    await db.batch([
      { type: 'del', key },
      { type: 'put', key: key.replace('sending', 'held'), value: id },
      ...rows.map(([name, row]) => ({ type: 'put' as const, key: name, value: ofVersion1(row) })),
      ...turns.map((name) => ({ type: 'del' as const, key: name })),
      { type: 'put', key: 'meta!version', value: '1' },
    ])
    await db.close()
    const now = await open()
    assert.deepEqual(await now.counts(), { waiting: 1, sending: 1, parked: 0, delivered: 0, discarded: 0 })
    // A message with an order key follows the messages of its destination that an earlier release accepted.
    await now.accept({ ...message(), id: 'later', orderKey: 'p' })
    const [again, ...others] = await now.claim({ holder: 'other', leaseMs: 1e12, limit: 9, except: [] })
    assert.deepEqual(others, [])
    assert.deepEqual([again!.id, again!.state, again!.requestStarted], ['sent', 'sending', true])
    await now.settle('sent', 'other', { state: 'delivered', notes: Buffer.from('n') }, 2)
    const [next] = await now.claim({ holder: 'other', leaseMs: 1e12, limit: 9, except: [] })
    assert.equal(next!.id, 'waits')
    await now.close()
    assert.deepEqual((await (await open()).counts()).delivered, 1)
  })

  it('counts and finds in a store of version 4 what a destination refused', async () => {
    const first = await open()
    const refused = Buffer.from('refused')
    for (const id of ['refused', 'accepted']) {
      await first.accept({ ...message(), id })
      await first.claim({ holder: 'h', leaseMs: 1e12, limit: 1, except: [] })
      await first.settle(id, 'h', { state: 'delivered', notes: refused }, 1)
    }
    const verdict = { reason: 'REDOX_NOT_DELIVERED', notes: refused, seen: refused } as const
    await first.recordVerdict('refused', verdict)
    await first.close()
    const { ClassicLevel } = await import('classic-level')
    const db = new ClassicLevel(path.join(folder, 'messages'))
    const keys = await db.keys({ gt: 'refused-later!', lt: 'refused-later"' }).all()
    assert.equal(keys.length, 1)
    await db.batch([
      ...keys.map((key) => ({ type: 'del' as const, key })),
      { type: 'put', key: 'meta!version', value: '4' },
    ])
    await db.close()
    const now = await open()
    assert.equal(await now.refusedLater(), 1)
    const code = 'REDOX_NOT_DELIVERED'
    assert.deepEqual(await now.ids({ code }, ['delivered']), ['refused'])
  })

  it('leaves a store of a newer release unchanged: REDOX_STORE_NEWER', async () => {
    await (await open()).close()
    const { ClassicLevel } = await import('classic-level')
    const db = new ClassicLevel(path.join(folder, 'messages'))
    await db.put('meta!version', '6')
    await db.close()
    await fails(LevelStore.open(folder), 'REDOX_STORE_NEWER')
    await db.open()
    assert.equal(await db.get('meta!version'), '6')
    await db.close()
  })

  describe('numbered migration steps', () => {
    let db: Database
    beforeEach(async () => {
      const { ClassicLevel } = await import('classic-level')
      db = new ClassicLevel<string, Buffer>(path.join(folder, 'messages'), { valueEncoding: 'buffer' })
      await db.open()
    })
    afterEach(() => db.close())

    const made = async (): Promise<Record<string, string>> =>
      Object.fromEntries((await db.iterator().all()).map(([key, value]) => [key, value.toString()]))
    const step = (name: string, changes: () => Promise<string[]>) => ({
      name,
      changes: async () =>
        (await changes()).map((key) => ({ type: 'put' as const, key, value: Buffer.from(name) })),
    })
    const first = step('first', async () => ['a', 'b'])
    const second = step('second', async () => ['b', 'c'])

    it('run in order, each once', async () => {
      await migrate(db, true, [first])
      assert.deepEqual(await made(), { a: 'first', b: 'first', 'meta!version': '1' })
      await db.del('a')
      for (let times = 0; times < 2; times++) await migrate(db, false, [first, second])
      assert.deepEqual(await made(), { b: 'second', c: 'second', 'meta!version': '2' })
    })

    it('stay applied when a later step fails, which then runs at the next opening', async () => {
      const failing = step('failing', () => Promise.reject(new Error('no room')))
      await assert.rejects(migrate(db, true, [first, failing, second]), /no room/)
      assert.deepEqual(await made(), { a: 'first', b: 'first', 'meta!version': '1' })
      await migrate(db, false, [first, step('mended', async () => ['a']), second])
      assert.deepEqual(await made(), { a: 'mended', b: 'second', c: 'second', 'meta!version': '3' })
    })

    it('change nothing if a newer release has applied more steps, or if none was applied', async () => {
      await migrate(db, true, [first, second])
      const before = await made()
      await fails(migrate(db, false, [first]), 'REDOX_STORE_NEWER')
      assert.deepEqual(await made(), before)
      await db.del('meta!version')
      await fails(migrate(db, false, [first, second]), 'REDOX_STORE_UNREADABLE')
      assert.equal((await made())['meta!version'], undefined)
    })
  })
})
