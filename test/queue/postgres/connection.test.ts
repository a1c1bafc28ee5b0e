/** Tests of the PostgreSQL store: database connections. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { DatabaseConnection } from '../../../src/queue/postgres/connection'
import { type PostgresStore } from '../../../src/queue/postgres/store'
import { hasPgBouncer, PgBouncer } from '../../lib/pgbouncer'
import { PASSWORD } from '../../lib/postgres'
import { server } from '../stores'
import {
  LEASE,
  TLS,
  never,
  message,
  hold,
  DELIVERED,
  chunksOf,
  databaseOf,
  failureOf,
  opened,
  usePostgres,
  open,
  sql,
  emptyDatabase,
  work,
} from './database'
import { NO_POSTGRES, skip } from '../../lib/skip'

describe('PostgreSQL store: connections', function () {
  this.timeout(60_000)
  usePostgres()

  it('work again after the database was stopped and started', async () => {
    const store = await open()
    await store.accept(message('m1', 'a'))
    await server().suspend()
    try {
      const calls = [
        () => store.accept(message('m2', 'a')),
        () => store.claim(hold('me')),
        () => store.counts(),
      ]
      for (const call of calls)
        assert.match((await failureOf(call(), 'REDOX_STORE_UNAVAILABLE')).message, /check that it runs/)
      store.rateLimiter(0).pause(10)
    } finally {
      await server().resume()
    }
    await store.accept(message('m2', 'a'))
    assert.deepEqual(
      (await store.claim(hold('me'))).map(({ id }) => id),
      ['m1'],
    )
    await store.settle('m1', 'me', DELIVERED, Date.now())
  })

  it('use TLS on request, with a server whose certificate is trusted', async () => {
    const trusting = new URL(server().url())
    trusting.hostname = 'localhost'
    trusting.search = `?sslmode=verify-full&sslrootcert=${path.join(TLS, 'ca.pem')}`
    const distrusting = new URL(trusting)
    distrusting.search = '?sslmode=verify-full'
    const words = async (url: URL) =>
      (await failureOf(open({ url: url.href }), 'REDOX_STORE_UNAVAILABLE')).message
    assert.match(await words(trusting), /does not speak TLS/)
    await server().speakTls(path.join(TLS, 'server.pem'), path.join(TLS, 'key.pem'))
    const store = await open({ url: trusting.href })
    await store.accept(message('m1', 'a'))
    const [row] = await sql(
      'SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) ' +
        "WHERE ssl AND application_name = 'node-red-redox'",
    )
    assert.notEqual(row!['count'], '0')
    assert.match(await words(distrusting), /certificate.*not trusted.*UNABLE_TO_VERIFY_LEAF_SIGNATURE/)
    const without = new URL(trusting)
    without.search = '?sslmode=verify-full&sslrootcert=/nowhere/ca.pem'
    assert.match(await words(without), /refers to a socket or a file/)
    await server().speakTls(path.join(TLS, 'elsewhere.pem'), path.join(TLS, 'key.pem'))
    assert.match(await words(trusting), /certificate.*not trusted.*ERR_TLS_CERT_ALTNAME_INVALID/)
  })

  describe('through PgBouncer', () => {
    let bouncer: PgBouncer
    before(async function () {
      if (!hasPgBouncer() && process.env.CI !== 'true') skip(this, NO_POSTGRES)
      bouncer = await PgBouncer.before(server(), PASSWORD)
    })
    after(() => (bouncer as PgBouncer | undefined)?.stop())
    // The stores are closed before PgBouncer is stopped; otherwise PgBouncer would wait for their connections to end.
    afterEach(async () => void (await Promise.all(opened.splice(0).map((store) => store.close()))))

    it('work fully with its default settings and transaction pooling', async () => {
      const url = bouncer.url(await emptyDatabase())
      const stores = await Promise.all(Array.from({ length: 3 }, () => open({ url })))
      const [one] = stores as [PostgresStore]
      await one.keyCheckValue(Buffer.from('mark'))
      await one.putFile('f', chunksOf('a', 'b'))
      await Promise.all(
        Array.from({ length: 30 }, (_, index) =>
          stores[index % 3]!.accept({ ...message(`m${index}`, `lane ${index % 3}`), files: ['f'] }),
        ),
      )
      const sent: string[] = []
      await Promise.all(
        stores.map((store, index) => work(store, `${index}`, async (id) => void sent.push(id))),
      )
      assert.equal(new Set(sent).size, 30)
      assert.equal(sent.length, 30)
      await one.applyAction('m1', 'resend', { who: 'ann', reason: 'again', now: one.clock.now() })
      assert.equal((await one.counts()).delivered, 29)
      assert.equal((await one.destinations()).length, 1)
      assert.equal(
        (await one.claimUnannounced({ holder: 'x', leaseMs: LEASE, limit: 99, owners: ['node'] })).length,
        29,
      )
      assert.equal(await one.rateLimiter(5).acquire(never), 0)
      one.rateLimiter(5).pause(10)
      await one.purge(one.clock.now() + 1e9, one.clock.now() + 1e9)
      assert.equal((await one.counts()).delivered, 0)
    })

    it('commit to the disk with synchronous_commit=off, and leave the sessions of other clients as they are', async () => {
      const direct = await emptyDatabase()
      await sql(`ALTER DATABASE ${databaseOf(direct)} SET synchronous_commit = off`)
      const url = bouncer.url(direct)
      const connection = await DatabaseConnection.connect({ url, schema: 'redox', queue: 'q' })
      const other = new Client({ connectionString: url })
      await other.connect()
      const SHOWN = `SELECT current_setting('synchronous_commit') AS commit`
      try {
        for (let index = 0; index < 5; index++) {
          assert.deepEqual(await connection.rows(SHOWN, []), [{ commit: 'on' }])
          assert.deepEqual((await other.query(SHOWN)).rows, [{ commit: 'off' }])
        }
      } finally {
        await other.end()
        await connection.close()
      }
    })

    it('report the parameter that PgBouncer refuses', async () => {
      const url = new URL(bouncer.url(server().url()))
      url.search = '?options=-c%20work_mem%3D8MB'
      const { message: words } = await failureOf(open({ url: url.href }), 'REDOX_STORE_UNAVAILABLE')
      assert.match(words, /parameter "options".*PgBouncer/)
    })
  })

  it('report the package to install when the driver is missing', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'redox-without-driver-'))
    try {
      await cp(path.join(__dirname, '../../../src'), path.join(folder, 'src'), { recursive: true })
      const script = `require('./src/queue/postgres/store').PostgresStore.open({ url: 'postgres://u@h/d', queue: 'q' })
        .catch(({ code, message }) => console.log(code, message))`
      const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], { cwd: folder })
      assert.match(stdout, /^REDOX_STORE_UNAVAILABLE .*npm install pg/)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
