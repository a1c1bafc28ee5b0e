/** Tests of the PostgreSQL store: several instances share a database. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type PostgresStore } from '../../../src/queue/postgres/store'
import {
  never,
  message,
  hold,
  chunksOf,
  failureOf,
  queue,
  usePostgres,
  open,
  openMany,
  connect,
  sql,
  emptyDatabase,
  work,
} from './database'
import { eventually } from '../../lib/eventually'
import type { StoredMessage } from '../../../src/queue/types'

// The requirements for both kinds of stores are tested in ../contract.

describe('PostgreSQL store shared by several instances', function () {
  this.timeout(60_000)
  usePostgres()

  it('gives each message to one of many instances, in order within its destination, while more are accepted', async () => {
    const stores = await openMany(8)
    const numbers = Array.from({ length: 200 }, (_, index) => index)
    const sent: { id: string; destination: string }[] = []
    const busy = new Set<string>()
    const send = async (id: string, destination: string): Promise<void> => {
      assert.ok(!busy.has(destination), `two of destination ${destination} at once`)
      busy.add(destination)
      sent.push({ id, destination })
      await sleep(Math.random() * 3)
      busy.delete(destination)
    }
    const accepting = Promise.all(
      numbers.map((number) => stores[number % 5]!.accept(message(`${number}`, `destination ${number % 5}`))),
    )
    await Promise.all(stores.map((store, index) => work(store, `holder ${index}`, send)))
    await accepting
    assert.equal(sent.length, 200)
    for (const destination of new Set(sent.map((one) => one.destination))) {
      const ids = sent.filter((one) => one.destination === destination).map(({ id }) => Number(id))
      assert.deepEqual(
        ids,
        [...ids].sort((a, b) => a - b),
      )
    }
    assert.equal((await stores[0]!.counts()).delivered, 200)
  })

  it('sends messages that several instances accept for a destination in the order of acceptance', async () => {
    const stores = await openMany(6)
    const sent: string[] = []
    const accepting = Promise.all(
      Array.from({ length: 120 }, (_, index) => stores[index % 6]!.accept(message(`m${index}`, 'a'))),
    )
    await Promise.all(stores.map((store, index) => work(store, `${index}`, async (id) => void sent.push(id))))
    await accepting
    const found = await stores[0]!.find({ limit: 200 })
    assert.deepEqual(
      sent,
      found.map(({ id }) => id),
    )
  })

  it('accepts nothing for a destination while an earlier acceptance for it is not committed', async () => {
    const store = await open()
    const client = await connect()
    await client.query('BEGIN')
    await client.query(`SELECT redox.accept($1, 'first', 'a', true, 'node', 1, 2, '{}', '{}', '')`, [queue])
    const accepting = store.accept(message('second', 'a'))
    await store.accept(message('other', 'b'))
    assert.deepEqual(
      (await store.claim(hold('me'))).map(({ id }) => id),
      ['other'],
    )
    await client.query('COMMIT')
    await client.end()
    await accepting
    assert.deepEqual(
      (await store.claim(hold('me'))).map(({ id }) => id),
      ['first'],
    )
  })

  it('accepts and claims without reading all waiting messages, also after a start with an empty store', async () => {
    const url = await emptyDatabase()
    const database = new URL(url).pathname.slice(1)
    await open({ url })
    const client = await connect(database)
    const use = async (id: string): Promise<void> => {
      await client.query(`SELECT redox.accept($1, $2, 'a', true, 'node', 1, 2, '{}', '{}', '')`, [queue, id])
      await client.query(`SELECT FROM redox.claim($1, 'me', 99999, 10, '{}')`, [queue])
      await client.query(`SELECT redox.next_due($1, '{}')`, [queue])
    }
    // After this many executions, PostgreSQL may keep a generic query plan.
    for (let index = 0; index < 8; index++) await use(`early ${index}`)
    await sql(
      `INSERT INTO redox.message (queue, id, sequence, lane, ordered, owner, accepted_at, deadline, patience, files, tags,
         content, due_at)
       SELECT '${queue}', i, nextval('redox.acceptance'), 'lane ' || i % 4, i % 4 < 2, 'node', 1, 1, 1, '{}', '{}', '', 1
       FROM generate_series(1, 20000) i`,
      database,
    )
    await client.query('BEGIN')
    await use('late')
    const { rows } = await client.query<{ read: string }>(
      `SELECT sum(seq_tup_read + idx_tup_fetch) AS read FROM pg_stat_xact_user_tables WHERE schemaname = 'redox'`,
    )
    const read = Number(rows[0]?.read)
    assert.ok(read > 10 && read < 300, `${read} rows were read`)
  })

  it('gives each unordered message to one of many instances', async () => {
    const stores = await openMany(8)
    await Promise.all(
      Array.from({ length: 200 }, (_, index) => stores[0]!.accept(message(`${index}`, 'a', false))),
    )
    const taken = (await Promise.all(stores.map((store, index) => store.claim(hold(`${index}`, 30))))).flat()
    assert.equal(taken.length, 200)
    assert.equal(new Set(taken.map(({ id }) => id)).size, 200)
  })

  it('does not wait for a message that another session has locked', async () => {
    const store = await open()
    await store.accept(message('locked', 'a'))
    await store.accept(message('free', 'b'))
    const client = await connect()
    await client.query(
      `BEGIN; SELECT FROM redox.message WHERE id = 'locked' AND queue = '${queue}' FOR UPDATE`,
    )
    try {
      let taken: StoredMessage[] | undefined
      void store.claim(hold('me')).then((claimed) => (taken = claimed))
      await eventually('it has claimed', () => taken !== undefined)
      assert.deepEqual(
        taken?.map(({ id }) => id),
        ['free'],
      )
    } finally {
      await client.end()
    }
  })

  it('never accepts a message whose file a sweep has just deleted', async () => {
    const [store, other] = (await openMany(2)) as [PostgresStore, PostgresStore]
    await failureOf(store.accept({ ...message('m', 'a'), files: ['nowhere'] }), 'REDOX_STORE_LOST')
    for (let round = 0; round < 20; round++) {
      const name = `f${round}`
      await store.putFile(name, chunksOf('x'))
      const accepting = store.accept({ ...message(name, name), files: [name] }).catch(() => undefined)
      await Promise.all([accepting, other.sweep(Date.now() + 2 * 3_600_000)])
      const [found] = await store.find({ id: name, limit: 1 })
      assert.equal(await store.hasFile(name), found !== undefined)
    }
  })

  it('keeps one copy of a file that several instances store at the same time', async () => {
    const stores = await openMany(4)
    await Promise.all(stores.map((store) => store.putFile('f', chunksOf('a', 'b'))))
    assert.equal((await sql(`SELECT FROM redox.file WHERE queue = '${queue}'`)).length, 1)
  })

  it('deletes the remains of an incomplete file', async () => {
    const store = await open()
    await sql(`INSERT INTO redox.file (queue, name, stored_at) VALUES ('${queue}', 'half', 1)`)
    assert.equal(await store.hasFile('half'), false)
    await store.sweep(Date.now())
    assert.deepEqual(await sql(`SELECT * FROM redox.file WHERE queue = '${queue}'`), [])
  })

  it('separates the messages of different queues', async () => {
    const [one, other] = [await open(), await open({ queue: randomUUID() })]
    await one.keyCheckValue(Buffer.from('one'))
    assert.equal((await other.keyCheckValue(Buffer.from('other'))).toString(), 'other')
    await one.putFile('f', chunksOf('x'))
    await one.accept({ ...message('m', 'a'), tags: ['t'] })
    await one.pause('b', true, { who: 'ann', reason: 'works', now: 1 })
    assert.equal(await other.hasFile('f'), false)
    assert.deepEqual(await other.claim(hold('me')), [])
    assert.equal(await other.nextDue(1, []), undefined)
    assert.deepEqual(await other.find({ tag: 't', limit: 9 }), [])
    assert.deepEqual(await other.destinations(), [])
    assert.deepEqual(await other.audit({ skip: 0, limit: 9 }), [])
    assert.equal((await other.counts()).waiting, 0)
    await failureOf(other.applyAction('m', 'discard', { who: 'ann', reason: '', now: 1 }), 'REDOX_STORE_LOST')
    await other.accept(message('m', 'a'))
    await other.applyAction('m', 'discard', { who: 'ann', reason: '', now: 1 })
    await other.purge(2, Date.now() + 1e9)
    await other.sweep(Date.now() + 1e9)
    assert.equal(await one.hasFile('f'), true)
    assert.equal((await one.counts()).waiting, 1)
    await one.rateLimiter(1).acquire(never)
    assert.equal(await other.rateLimiter(1).acquire(never, performance.now()), 0)
  })

  it('shares the rate limit and the pauses between instances', async () => {
    const [one, other] = (await openMany(2)) as [PostgresStore, PostgresStore]
    const paces = [one, other, one, other].map((store) => store.rateLimiter(10))
    const turns = await Promise.all(
      Array.from({ length: 30 }, (_, index) => paces[index % 4]!.acquire(never, performance.now())),
    )
    assert.equal(turns.filter((left) => left === 0).length, 10)

    const quick = other.rateLimiter(0)
    assert.equal(await quick.acquire(never, performance.now()), 0)
    one.rateLimiter(0).pause(3000)
    await eventually('it waits, too', async () => (await quick.acquire(never, performance.now())) > 1000)
  })
})
