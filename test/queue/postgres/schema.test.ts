/** Tests of the PostgreSQL store: its schema, and roles that may not create tables. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { queuesIn } from '../../../src/queue/postgres/queue-summaries'
import { inSchema } from '../../../src/queue/postgres/schema'
import { setUp } from '../../../src/queue/postgres/set-up'
import { isSchemaName } from '../../../src/shared/formats'
import {
  connect,
  databaseOf,
  emptyDatabase,
  failureOf,
  hold,
  message,
  open,
  queue,
  sql,
  usePostgres,
} from './database'

describe('PostgreSQL store in a schema', function () {
  this.timeout(60_000)
  usePostgres()

  /** Creates a role, and returns a URL of the database for it. */
  async function roleFor(url: string): Promise<{ role: string; user: string }> {
    const role = `r${randomUUID().replaceAll('-', '')}`
    await sql(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
    const made = new URL(url)
    made.username = role
    made.password = 'secret'
    return { role, user: made.href }
  }
  const unavailable = async (url: string, schema = 'redox'): Promise<string> =>
    (await failureOf(open({ url, schema }), 'REDOX_STORE_UNAVAILABLE')).message

  it('is separate from a store with the same queue in another schema of the database', async () => {
    const url = await emptyDatabase()
    const [one, other] = [await open({ url, schema: 'lab' }), await open({ url, schema: 'ward_2' })]
    await one.keyCheckValue(Buffer.from('one'))
    await other.keyCheckValue(Buffer.from('other'))
    assert.notEqual(one.identity, other.identity)
    await one.accept(message('m1', 'a'))
    assert.equal((await other.counts()).waiting, 0)
    assert.deepEqual(await other.claim(hold('me')), [])
    assert.deepEqual(
      (await queuesIn(url, 'lab')).map((found) => [found.queue, found.waiting]),
      [[queue, 1]],
    )
    assert.deepEqual(await queuesIn(url, 'redox'), [])
    const schemas = await sql(
      `SELECT DISTINCT schemaname AS name FROM pg_tables WHERE tablename = 'message' ORDER BY 1`,
      databaseOf(url),
    )
    assert.deepEqual(schemas, [{ name: 'lab' }, { name: 'ward_2' }])
  })

  it('does not wait for a lock of a store with the same queue in another schema', async () => {
    const url = await emptyDatabase()
    const [one, other] = [await open({ url, schema: 'lab' }), await open({ url, schema: 'redox' })]
    const client = await connect(databaseOf(url))
    await client.query('BEGIN')
    await client.query(`SELECT lab.accept($1, 'first', 'a', true, 'node', 1, 2, '{}', '{}', '')`, [queue])
    await other.accept(message('m1', 'a'))
    let isAccepted = false
    const waiting = one.accept(message('m2', 'a')).then(() => (isAccepted = true))
    await other.claim(hold('me'))
    assert.equal(isAccepted, false, 'the store of the same schema does wait')
    await client.query('COMMIT')
    await waiting
  })

  it('is refused when it is another than the one that the connection used before', async () => {
    const url = await emptyDatabase()
    const store = await open({ url })
    await store.keyCheckValue(Buffer.from('mark'))
    const { PostgresStore } = await import('../../../src/queue/postgres/store.js')
    const elsewhere = PostgresStore.open({ url, schema: 'lab', queue }, store.identity)
    assert.match((await failureOf(elsewhere, 'REDOX_STORE_UNREADABLE')).message, /another schema/)
    assert.deepEqual(await sql(`SELECT FROM pg_namespace WHERE nspname = 'lab'`, databaseOf(url)), [])
  })

  it('has a name that needs no quotes; no other name reaches the SQL', () => {
    for (const name of ['redox', 'lab_2', '_x', 'a'.repeat(63), 'public']) assert.ok(isSchemaName(name), name)
    for (const name of [
      '',
      'Lab',
      '2lab',
      'lab-2',
      'lab"',
      'lab;x',
      'pg_lab',
      'lab\n',
      'ä',
      'a'.repeat(64),
    ]) {
      assert.ok(!isSchemaName(name), name)
      assert.throws(() => inSchema('SELECT FROM redox.message', name), { code: 'REDOX_INTERNAL' })
    }
    assert.throws(() => inSchema('SELECT FROM redox.message', 'information_schema'))
  })

  it('opens for a role with the granted rights alone, which can add lines of the audit log and not change them', async () => {
    const url = await emptyDatabase()
    const { role, user } = await roleFor(url)
    assert.match(
      await unavailable(user, 'lab'),
      /may not create|create the schema "lab".*redox-store migrate/,
    )
    await setUp({ url, schema: 'lab' })
    assert.match(await unavailable(user, 'lab'), /GRANT USAGE ON SCHEMA lab.*redox-store migrate --grant/)
    await setUp({ url, schema: 'lab' }, role)
    const store = await open({ url: user, schema: 'lab' })
    await store.accept(message('m1', 'a'))
    await store.pause('a', true, { who: 'ann', reason: 'works', now: 1 })
    assert.equal((await store.audit({ skip: 0, limit: 9 })).length, 1)
    const rights = await sql(
      `SELECT relname || ' ' || right_name AS right FROM pg_class,
         unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) right_name
       WHERE relnamespace = 'lab'::regnamespace AND relkind = 'r' AND relname IN ('audit', 'migration', 'version')
         AND has_table_privilege('${role}', pg_class.oid, right_name)`,
      databaseOf(url),
    )
    assert.deepEqual(rights, [{ right: 'audit INSERT' }])
  })

  it('names the missing step when its tables are those of an earlier release and the role may not change them', async () => {
    const url = await emptyDatabase()
    const { role, user } = await roleFor(url)
    await setUp({ url }, role)
    await sql('DELETE FROM redox.migration WHERE number > 3', databaseOf(url))
    await sql('ALTER TABLE redox.migration RENAME TO later', databaseOf(url))
    await sql('UPDATE redox.version SET version = 3', databaseOf(url))
    const words = await unavailable(user)
    assert.match(
      words,
      /tables of an earlier release in the schema "redox".*`redox-store migrate` with the URL of their owner/,
    )
  })

  it('can be created by a role that may create tables in a prepared schema, and no schemas', async () => {
    const url = await emptyDatabase()
    const { role, user } = await roleFor(url)
    await sql(`CREATE SCHEMA lab; GRANT USAGE, CREATE ON SCHEMA lab TO ${role}`, databaseOf(url))
    const store = await open({ url: user, schema: 'lab' })
    await store.accept(message('m1', 'a'))
  })

  it('grants nothing to a role that does not exist', async () => {
    const url = await emptyDatabase()
    assert.match(
      (await failureOf(setUp({ url }, 'no"role'), 'REDOX_STORE_UNAVAILABLE')).message,
      /role does not exist/,
    )
  })
})
