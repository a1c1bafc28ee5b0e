/** Tests of the PostgreSQL store: tables that other releases created. */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { Client } from 'pg'
import { MIGRATIONS } from '../../../src/queue/postgres/migrations'
import { LOCK_MS } from '../../../src/queue/postgres/errors'
import { queuesIn } from '../../../src/queue/postgres/queue-summaries'
import { fixture } from '../../lib/fixtures'
import {
  SQL,
  message,
  hold,
  DELIVERED,
  databaseOf,
  failureOf,
  queue,
  usePostgres,
  open,
  sql,
  emptyDatabase,
  stateOf,
} from './database'

describe('PostgreSQL store: tables', function () {
  this.timeout(60_000)
  usePostgres()

  it('are created once by several stores that open at the same time', async () => {
    const url = await emptyDatabase()
    const stores = await Promise.all(Array.from({ length: 4 }, () => open({ url })))
    await Promise.all(stores.map((store, index) => store.accept(message(`m${index}`, 'a'))))
    assert.equal((await stores[0]!.counts()).waiting, 4)
  })

  it('are left unchanged if a newer release created them', async () => {
    const url = await emptyDatabase()
    await open({ url })
    const database = new URL(url).pathname.slice(1)
    await sql('INSERT INTO redox.migration VALUES (99)', database)
    const before = await stateOf(database)
    await failureOf(open({ url }), 'REDOX_STORE_NEWER')
    await failureOf(queuesIn(url, 'redox'), 'REDOX_STORE_NEWER')
    assert.deepEqual(await stateOf(database), before)
  })

  it('of version 1 are migrated once and keep their content', async () => {
    const url = await emptyDatabase()
    const database = new Client({ connectionString: url })
    await database.connect()
    try {
      await database.query(fixture('redox-store-1.sql').toString())
      await database.query(`INSERT INTO redox.queue (queue) VALUES ('${queue}')`)
      const accepted = message('first', 'lane')
      const { id, destination, ordered, owner, acceptedAt, deadline, files, tags, content } = accepted
      const values = [queue, id, destination, ordered, owner, acceptedAt, deadline, files, tags, content]
      await database.query('SELECT redox.accept($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)', values)
      // State of a message whose process ended while it was sending the message.
      await database.query("UPDATE redox.message SET state = 'held', holder = 'gone', held_until = 1")
    } finally {
      await database.end()
    }
    const stores = await Promise.all([open({ url }), open({ url }), open({ url })])
    const [store] = stores
    assert.deepEqual(await store.counts(), { waiting: 0, sending: 1, parked: 0, delivered: 0, discarded: 0 })
    await store.accept(message('second', 'lane'))
    const [claimed] = await store.claim(hold('me'))
    assert.deepEqual([claimed!.id, claimed!.content.toString()], ['first', 'first'])
    await store.settle('first', 'me', DELIVERED, Date.now())
    assert.deepEqual(
      (await stores[1].claim(hold('other'))).map(({ id }) => id),
      ['second'],
    )
    await stores[2].touch()
    const [state] = await queuesIn(url, 'redox')
    assert.deepEqual([state!.queue, state!.waiting, state!.parked], [queue, 1, 0])
    assert.ok(state!.idle! < 60_000)
    const fresh = await emptyDatabase()
    await open({ url: fresh })
    assert.deepEqual(await stateOf(databaseOf(url)), await stateOf(databaseOf(fresh)))
  })

  it('of the last release before the numbered migrations are migrated', async () => {
    const url = await emptyDatabase()
    const store = await open({ url })
    await store.accept(message('first', 'lane'))
    const fresh = await stateOf(databaseOf(url))
    await sql(
      `DROP TABLE redox.migration; UPDATE redox.version SET version = 3;
       ALTER TABLE redox.message DROP COLUMN order_key;
       DROP FUNCTION redox.accept(text, text, text, boolean, text, text, bigint, bigint, text[], text[], bytea, text,
         bigint, boolean);
       DROP INDEX redox.message_line, redox.message_blocking;
       CREATE INDEX message_open ON redox.message (sequence); CREATE INDEX message_parked ON redox.message (sequence);
       DROP INDEX redox.message_refused_later; DROP FUNCTION redox.purge(text, bigint, bigint, bigint, int);
       DROP FUNCTION redox.evict(text, text, bigint, int); DROP FUNCTION redox.eviction_kind(text, text)`,
      databaseOf(url),
    )
    const again = await open({ url })
    assert.deepEqual(
      (await again.claim(hold('me'))).map(({ id }) => id),
      ['first'],
    )
    assert.deepEqual(await stateOf(databaseOf(url)), fresh)
  })

  it('are left unchanged when one of the migrations fails', async () => {
    const url = await emptyDatabase()
    const database = databaseOf(url)
    await sql(fixture('redox-store-1.sql').toString(), database)
    // The last migration creates a table of this name, so it fails when a view has the name.
    await sql('CREATE VIEW redox.migration AS SELECT 1 AS number', database)
    const before = await stateOf(database)
    await failureOf(open({ url }), 'REDOX_STORE_UNAVAILABLE')
    assert.deepEqual(await stateOf(database), before)
    await sql('DROP VIEW redox.migration', database)
    await (await open({ url })).accept(message('m1', 'a'))
  })

  it('are changed by a list of all numbered migrations, in order, with the time limits of the store', async () => {
    const files = (await readdir(SQL)).sort()
    assert.deepEqual(
      files,
      MIGRATIONS.map((name) => `${name}.sql`),
    )
    for (const [index, file] of files.entries()) {
      assert.equal(Number(file.slice(0, 4)), index + 1)
      const limits = (await readFile(path.join(SQL, file), 'utf8')).matchAll(/lock_timeout TO (\d+)/g)
      for (const [, limit] of limits) assert.equal(Number(limit), LOCK_MS)
    }
  })

  for (const version of ['0', '-1', 'NULL'])
    it(`with a version that no release writes are refused: REDOX_STORE_UNREADABLE (${version})`, async () => {
      const url = await emptyDatabase()
      await open({ url })
      const add = version === 'NULL' ? '' : `INSERT INTO redox.migration VALUES (${version})`
      await sql(`DELETE FROM redox.migration; ${add}`, new URL(url).pathname.slice(1))
      await failureOf(open({ url }), 'REDOX_STORE_UNREADABLE')
    })
})
