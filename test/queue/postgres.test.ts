/** What only a database that several share can get wrong. What every store promises is in store.test.ts. */
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { PostgresStore } from '../../src/queue/postgres/store'
import { LOCK_MS } from '../../src/queue/postgres/failures'
import { MIGRATIONS } from '../../src/queue/postgres/migrations'
import { queuesIn } from '../../src/queue/postgres/queues'
import type { NewMessage } from '../../src/queue/types'
import { RedoxError, type RedoxErrorCode } from '../../src/errors'
import { fixture } from '../lib/fixtures'
import { hasPgBouncer, PgBouncer } from '../lib/pgbouncer'
import { PASSWORD } from '../lib/postgres'
import { POSTGRES, server } from './stores'
import { NO_MOUNT, NO_POSTGRES, skip } from '../lib/skip'

const LEASE = 60_000
const TLS = path.join(__dirname, '../../../test/fixtures/tls')
const SQL = path.join(__dirname, '../../src/queue/postgres/sql')
const never = new AbortController().signal

const message = (id: string, lane: string, ordered = true): NewMessage => ({
  ...{ id, lane, ordered, owner: 'node', files: [], tags: [], content: Buffer.from(id) },
  ...{ acceptedAt: Date.now(), deadline: Date.now() + 1e6 },
})
const hold = (holder: string, limit = 10) => ({
  ...{ holder, limit, leaseMs: LEASE, except: [] },
})
const DELIVERED = { state: 'delivered', notes: Buffer.from('it arrived') } as const

const databaseOf = (url: string): string => new URL(url).pathname.slice(1)

async function* chunksOf(...texts: string[]): AsyncGenerator<Buffer> {
  for (const one of texts) yield Buffer.from(one)
}

async function* noise(chunks: number): AsyncGenerator<Buffer> {
  for (let index = 0; index < chunks; index++) yield await Promise.resolve(randomBytes(200_000))
}

/** The error, which has to have this code and to tell no secret. */
async function failureOf(promise: Promise<unknown>, code: RedoxErrorCode): Promise<RedoxError> {
  const error: unknown = await promise.then(
    () => assert.fail('it did not fail'),
    (caught: unknown) => caught,
  )
  assert.ok(error instanceof RedoxError, String(error))
  assert.equal(error.code, code)
  const told = JSON.stringify([error.message, error.cause, error.stack])
  for (const secret of [PASSWORD, encodeURIComponent(PASSWORD), 'secret'])
    assert.ok(!told.includes(secret), error.message)
  return error
}

describe('store of accepted messages: shared PostgreSQL', function () {
  this.timeout(60_000)
  const opened: PostgresStore[] = []
  const clients: Client[] = []
  let queue: string

  before(async function () {
    if (POSTGRES.missing() !== undefined) skip(this, NO_POSTGRES)
    await POSTGRES.start()
  })
  after(() => POSTGRES.stop())
  beforeEach(() => (queue = randomUUID()))
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.end()))
    await Promise.all(opened.splice(0).map((store) => store.close()))
  })

  async function open(change: { url?: string; queue?: string } = {}): Promise<PostgresStore> {
    const store = await PostgresStore.open({ url: server().url(), queue, ...change })
    opened.push(store)
    return store
  }
  const openMany = (count: number): Promise<PostgresStore[]> =>
    Promise.all(Array.from({ length: count }, () => open()))

  /** Somebody else in the database. */
  async function connect(database?: string): Promise<Client> {
    const client = new Client({ connectionString: server().url(database) })
    await client.connect()
    clients.push(client)
    return client
  }

  async function sql(text: string, database?: string): Promise<Record<string, unknown>[]> {
    const client = await connect(database)
    try {
      return (await client.query<Record<string, unknown>>(text)).rows
    } finally {
      await client.end()
    }
  }

  async function emptyDatabase(): Promise<string> {
    const name = `d${randomUUID().replaceAll('-', '')}`
    await sql(`CREATE DATABASE ${name}`)
    return server().url(name)
  }

  /** Columns, indexes, functions and versions of a database. */
  const stateOf = async (database: string): Promise<unknown> => [
    await sql('SELECT number FROM redox.migration ORDER BY number', database),
    await sql('SELECT version FROM redox.version', database),
    await sql(
      `SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'redox'
       ORDER BY table_name, ordinal_position`,
      database,
    ),
    await sql(`SELECT indexdef FROM pg_indexes WHERE schemaname = 'redox' ORDER BY indexdef`, database),
    await sql(
      `SELECT proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'redox'::regnamespace
       ORDER BY proname, oid`,
      database,
    ),
  ]

  /** Sends until nothing is left; every turn of sending is told to `sent` while the message is held. */
  async function work(store: PostgresStore, name: string, sent: (id: string, lane: string) => Promise<void>) {
    for (let idle = 0; idle < 20;) {
      const taken = await store.claim(hold(name, 3))
      idle = taken.length === 0 ? idle + 1 : 0
      await Promise.all(
        taken.map(async ({ id, lane }) => {
          await sent(id, lane)
          await store.settle(id, name, DELIVERED, Date.now())
        }),
      )
      if (taken.length === 0) await sleep(5)
    }
  }

  it('is set up once when several begin at the same time', async () => {
    const url = await emptyDatabase()
    const stores = await Promise.all(Array.from({ length: 4 }, () => open({ url })))
    await Promise.all(stores.map((store, index) => store.accept(message(`m${index}`, 'a'))))
    assert.equal((await stores[0]!.counts()).waiting, 4)
  })

  it('gives each message to one of many, in order within its lane, while more are accepted', async () => {
    const stores = await openMany(8)
    const numbers = Array.from({ length: 200 }, (_, index) => index)
    const sent: { id: string; lane: string }[] = []
    const busy = new Set<string>()
    const send = async (id: string, lane: string): Promise<void> => {
      assert.ok(!busy.has(lane), `two of lane ${lane} at once`)
      busy.add(lane)
      sent.push({ id, lane })
      await sleep(Math.random() * 3)
      busy.delete(lane)
    }
    const accepting = Promise.all(
      numbers.map((number) => stores[number % 5]!.accept(message(`${number}`, `lane ${number % 5}`))),
    )
    await Promise.all(stores.map((store, index) => work(store, `holder ${index}`, send)))
    await accepting
    assert.equal(sent.length, 200)
    for (const lane of new Set(sent.map((one) => one.lane))) {
      const ids = sent.filter((one) => one.lane === lane).map(({ id }) => Number(id))
      assert.deepEqual(
        ids,
        [...ids].sort((a, b) => a - b),
      )
    }
    assert.equal((await stores[0]!.counts()).delivered, 200)
  })

  it('sends a lane that several fill in the order of acceptance', async () => {
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

  it('accepts nothing in a lane beside a message that will stand before it', async () => {
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

  it('accepts and claims without looking at all that waits, also when nothing waited at the start', async () => {
    const url = await emptyDatabase()
    const database = new URL(url).pathname.slice(1)
    await open({ url })
    const client = await connect(database)
    const use = async (id: string): Promise<void> => {
      await client.query(`SELECT redox.accept($1, $2, 'a', true, 'node', 1, 2, '{}', '{}', '')`, [queue, id])
      await client.query(`SELECT FROM redox.claim($1, 'me', 99999, 10, '{}')`, [queue])
      await client.query(`SELECT redox.next_due($1, '{}')`, [queue])
    }
    // So often that PostgreSQL would keep the plans.
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

  it('gives what has no order to one of many', async () => {
    const stores = await openMany(8)
    await Promise.all(
      Array.from({ length: 200 }, (_, index) => stores[0]!.accept(message(`${index}`, 'a', false))),
    )
    const taken = (await Promise.all(stores.map((store, index) => store.claim(hold(`${index}`, 30))))).flat()
    assert.equal(taken.length, 200)
    assert.equal(new Set(taken.map(({ id }) => id)).size, 200)
  })

  it('does not wait for a message that somebody has locked', async () => {
    const store = await open()
    await store.accept(message('locked', 'a'))
    await store.accept(message('free', 'b'))
    const client = await connect()
    await client.query(
      `BEGIN; SELECT FROM redox.message WHERE id = 'locked' AND queue = '${queue}' FOR UPDATE`,
    )
    const taken = await Promise.race([store.claim(hold('me')), sleep(2000)])
    await client.end()
    assert.deepEqual(
      taken?.map(({ id }) => id),
      ['free'],
    )
  })

  it('never accepts a message whose file purge has just forgotten', async () => {
    const [store, other] = (await openMany(2)) as [PostgresStore, PostgresStore]
    await failureOf(store.accept({ ...message('m', 'a'), files: ['nowhere'] }), 'REDOX_STORE_LOST')
    for (let round = 0; round < 20; round++) {
      const name = `f${round}`
      await store.putFile(name, chunksOf('x'))
      const accepting = store.accept({ ...message(name, name), files: [name] }).catch(() => undefined)
      await Promise.all([accepting, other.purge(0, Date.now() + 2 * 3_600_000)])
      const [found] = await store.find({ id: name, limit: 1 })
      assert.equal(await store.hasFile(name), found !== undefined)
    }
  })

  it('keeps one of a file that several bring at the same time', async () => {
    const stores = await openMany(4)
    await Promise.all(stores.map((store) => store.putFile('f', chunksOf('a', 'b'))))
    assert.equal((await sql(`SELECT FROM redox.file WHERE queue = '${queue}'`)).length, 1)
  })

  it('forgets what is left of a file that nobody finished', async () => {
    const store = await open()
    await sql(`INSERT INTO redox.file (queue, name, stored_at) VALUES ('${queue}', 'half', 1)`)
    assert.equal(await store.hasFile('half'), false)
    await store.purge(0, Date.now())
    assert.deepEqual(await sql(`SELECT * FROM redox.file WHERE queue = '${queue}'`), [])
  })

  it('keeps queues apart', async () => {
    const [one, other] = [await open(), await open({ queue: randomUUID() })]
    await one.mark(Buffer.from('one'))
    assert.equal((await other.mark(Buffer.from('other'))).toString(), 'other')
    await one.putFile('f', chunksOf('x'))
    await one.accept({ ...message('m', 'a'), tags: ['t'] })
    await one.pause('b', true, { who: 'ann', reason: 'works', now: 1 })
    assert.equal(await other.hasFile('f'), false)
    assert.deepEqual(await other.claim(hold('me')), [])
    assert.equal(await other.nextDue(1, []), undefined)
    assert.deepEqual(await other.find({ tag: 't', limit: 9 }), [])
    assert.deepEqual(await other.lanes(), [])
    assert.deepEqual(await other.audit({ skip: 0, limit: 9 }), [])
    assert.equal((await other.counts()).waiting, 0)
    await failureOf(other.decide('m', 'discard', { who: 'ann', reason: '', now: 1 }), 'REDOX_STORE_LOST')
    await other.accept(message('m', 'a'))
    await other.decide('m', 'discard', { who: 'ann', reason: '', now: 1 })
    await other.purge(2, Date.now() + 1e9)
    assert.equal(await one.hasFile('f'), true)
    assert.equal((await one.counts()).waiting, 1)
    await one.pace(1).turn(never)
    assert.equal(await other.pace(1).turn(never, performance.now()), 0)
  })

  it('shares the pace and the pauses of all instances', async () => {
    const [one, other] = (await openMany(2)) as [PostgresStore, PostgresStore]
    const paces = [one, other, one, other].map((store) => store.pace(10))
    const turns = await Promise.all(
      Array.from({ length: 30 }, (_, index) => paces[index % 4]!.turn(never, performance.now())),
    )
    assert.equal(turns.filter((left) => left === 0).length, 10)

    const quick = other.pace(0)
    assert.equal(await quick.turn(never, performance.now()), 0)
    one.pace(0).pause(3000)
    await sleep(1100)
    assert.ok((await quick.turn(never, performance.now())) > 1000)
  })

  it('goes on after the database was stopped and started again', async () => {
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
      store.pace(0).pause(10)
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

  it('leaves a database alone that a newer release has set up', async () => {
    const url = await emptyDatabase()
    await open({ url })
    const database = new URL(url).pathname.slice(1)
    await sql('INSERT INTO redox.migration VALUES (99)', database)
    const before = await stateOf(database)
    await failureOf(open({ url }), 'REDOX_STORE_NEWER')
    await failureOf(queuesIn(url), 'REDOX_STORE_NEWER')
    assert.deepEqual(await stateOf(database), before)
  })

  it('says what to check when the database cannot be used, and tells no password', async () => {
    const failing = async (url: string, words: RegExp) =>
      assert.match((await failureOf(open({ url }), 'REDOX_STORE_UNAVAILABLE')).message, words)
    await failing('postgres://user:secret@127.0.0.1:1/db', /127\.0\.0\.1:1\/db.*ECONNREFUSED.*host and port/)
    await failing('postgres://user:1/secret@127.0.0.1:1/db', /check/)
    await failing('postgres://user:x@secret/y@127.0.0.1:1/db', /check/)
    await failing('postgres://user:secret@[', /percent-encoded/)
    await failing(server().url('postgres', 'wrong'), /the user and the password/)
    await failing(server().url('nowhere'), /no database with that name/)
    const url = await emptyDatabase()
    await sql(`CREATE ROLE guest LOGIN PASSWORD 'secret'`)
    const guest = new URL(url)
    guest.username = 'guest'
    guest.password = 'secret'
    await failing(guest.href, /GRANT|grant/)
  })

  it('speaks TLS when asked to, with a server whose certificate it trusts', async () => {
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

  describe('behind PgBouncer', () => {
    let bouncer: PgBouncer
    before(async function () {
      if (!hasPgBouncer() && process.env.CI !== 'true') skip(this, NO_POSTGRES)
      bouncer = await PgBouncer.before(server(), PASSWORD)
    })
    after(() => (bouncer as PgBouncer | undefined)?.stop())
    // Before it goes, or it would wait for them.
    afterEach(async () => void (await Promise.all(opened.splice(0).map((store) => store.close()))))

    it('sets itself up, and does all it does, with its default settings and pooled transactions', async () => {
      const url = bouncer.url(await emptyDatabase())
      const stores = await Promise.all(Array.from({ length: 3 }, () => open({ url })))
      const [one] = stores as [PostgresStore]
      await one.mark(Buffer.from('mark'))
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
      await one.decide('m1', 'resend', { who: 'ann', reason: 'again', now: one.clock.now() })
      assert.equal((await one.counts()).delivered, 29)
      assert.equal((await one.lanes()).length, 1)
      assert.equal(
        (await one.untold({ holder: 'x', leaseMs: LEASE, limit: 99, owners: ['node'] })).length,
        29,
      )
      assert.equal(await one.pace(5).turn(never), 0)
      one.pace(5).pause(10)
      await one.purge(one.clock.now() + 1e9, one.clock.now() + 1e9)
      assert.equal((await one.counts()).delivered, 0)
    })

    it('names the parameter that it refuses', async () => {
      const url = new URL(bouncer.url(server().url()))
      url.search = '?options=-c%20work_mem%3D8MB'
      const { message: words } = await failureOf(open({ url: url.href }), 'REDOX_STORE_UNAVAILABLE')
      assert.match(words, /parameter "options".*PgBouncer/)
    })
  })

  it('changes a database of the first version into what it needs, once, and keeps what is in it', async () => {
    const url = await emptyDatabase()
    const database = new Client({ connectionString: url })
    await database.connect()
    try {
      await database.query(fixture('redox-store-1.sql').toString())
      await database.query(`INSERT INTO redox.queue (queue) VALUES ('${queue}')`)
      const accepted = message('first', 'lane')
      const { id, lane, ordered, owner, acceptedAt, deadline, files, tags, content } = accepted
      const values = [queue, id, lane, ordered, owner, acceptedAt, deadline, files, tags, content]
      await database.query('SELECT redox.accept($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)', values)
      // Its process ended while it was sending it.
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
    const [state] = await queuesIn(url)
    assert.deepEqual([state!.queue, state!.waiting, state!.parked], [queue, 1, 0])
    assert.ok(state!.idle! < 60_000)
    const fresh = await emptyDatabase()
    await open({ url: fresh })
    assert.deepEqual(await stateOf(databaseOf(url)), await stateOf(databaseOf(fresh)))
  })

  it('changes a database of the release before the numbered files', async () => {
    const url = await emptyDatabase()
    const store = await open({ url })
    await store.accept(message('first', 'lane'))
    const fresh = await stateOf(databaseOf(url))
    await sql('DROP TABLE redox.migration; UPDATE redox.version SET version = 3', databaseOf(url))
    const again = await open({ url })
    assert.deepEqual(
      (await again.claim(hold('me'))).map(({ id }) => id),
      ['first'],
    )
    assert.deepEqual(await stateOf(databaseOf(url)), fresh)
  })

  it('leaves a database as it was when one of the files cannot be run', async () => {
    const url = await emptyDatabase()
    const database = databaseOf(url)
    await sql(fixture('redox-store-1.sql').toString(), database)
    // The last file makes it.
    await sql('CREATE VIEW redox.migration AS SELECT 1 AS number', database)
    const before = await stateOf(database)
    await failureOf(open({ url }), 'REDOX_STORE_UNAVAILABLE')
    assert.deepEqual(await stateOf(database), before)
    await sql('DROP VIEW redox.migration', database)
    await (await open({ url })).accept(message('m1', 'a'))
  })

  it('has each numbered file in its list, in order, with the time limits of the store', async () => {
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

  it('names the rights that its user lacks, at once', async () => {
    const url = await emptyDatabase()
    await open({ url })
    const database = new URL(url).pathname.slice(1)
    const role = `r${randomUUID().replaceAll('-', '')}`
    await sql(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
    const user = new URL(url)
    user.username = role
    user.password = 'secret'
    const words = async (): Promise<string> =>
      (await failureOf(open({ url: user.href }), 'REDOX_STORE_UNAVAILABLE')).message
    const RIGHTS =
      /GRANT USAGE ON SCHEMA redox, SELECT, INSERT, UPDATE, DELETE ON ALL TABLES, USAGE ON ALL SEQUENCES/
    assert.match(await words(), RIGHTS, 'none')
    await sql(`GRANT USAGE ON SCHEMA redox TO ${role}`, database)
    assert.match(await words(), RIGHTS, 'the schema alone')
    await sql(`GRANT SELECT ON ALL TABLES IN SCHEMA redox TO ${role}`, database)
    assert.match(await words(), RIGHTS, 'may read')
    await sql(`GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA redox TO ${role}`, database)
    assert.match(await words(), RIGHTS, 'no sequences')
    await sql(`GRANT USAGE ON ALL SEQUENCES IN SCHEMA redox TO ${role}`, database)
    const store = await open({ url: user.href })
    await store.accept(message('m1', 'a'))
    assert.equal((await store.claim(hold('me'))).length, 1)
    await store.putFile('f', chunksOf('a'))
    await store.purge(1, 1)
    // Taken away while it runs.
    await sql(`REVOKE INSERT ON redox.message FROM ${role}`, database)
    const { message: later } = await failureOf(store.accept(message('m2', 'a')), 'REDOX_STORE_UNAVAILABLE')
    assert.match(later, RIGHTS)
  })

  for (const version of ['0', '-1', 'NULL'])
    it(`a version that no release writes: REDOX_STORE_UNREADABLE (${version})`, async () => {
      const url = await emptyDatabase()
      await open({ url })
      const add = version === 'NULL' ? '' : `INSERT INTO redox.migration VALUES (${version})`
      await sql(`DELETE FROM redox.migration; ${add}`, new URL(url).pathname.slice(1))
      await failureOf(open({ url }), 'REDOX_STORE_UNREADABLE')
    })

  it('goes by a clock that does not go back when that of the database is set back', async () => {
    const url = await emptyDatabase()
    const database = new URL(url).pathname.slice(1)
    const store = await open({ url })
    const setBack = (hours: number): Promise<unknown> =>
      sql(
        `CREATE OR REPLACE FUNCTION redox.now() RETURNS bigint LANGUAGE sql VOLATILE AS $$
           SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint - ${hours * 3_600_000} $$`,
        database,
      )
    await store.accept(message('held', 'a'))
    await store.accept(message('rests', 'b'))
    const short = { ...hold('gone'), leaseMs: 500 }
    const taken = await store.claim(short)
    assert.equal(taken.length, 2)
    const dueAt = store.clock.now() + 500
    await store.settle('rests', 'gone', { state: 'waiting', dueAt, reason: 'x' }, store.clock.now())
    store.pace(0).pause(500)
    await sleep(50)
    const before = store.clock.now()
    await setBack(5)
    const near = (time: number): boolean => Math.abs(time - before) < 60_000
    await store.nextDue(0, [])
    assert.ok(near(store.clock.now()), 'before anything has seen the change')
    const claimed: string[] = []
    while (claimed.length < 2) {
      claimed.push(...(await store.claim(hold('me'))).map(({ id }) => id))
      await store.nextDue(0, [])
    }
    assert.ok(near(store.clock.now()))
    const told = async (): Promise<number> =>
      Number((await sql(`SELECT redox.now('${queue}') AS now`, database))[0]!['now'])
    const first = await told()
    while ((await told()) === first);
    const other = await open({ url })
    assert.equal(await other.pace(0).turn(never, performance.now() + 10_000), 0)
    assert.equal(await other.pace(9).turn(never, performance.now() + 10_000), 0)
    store.pace(0).pause(60_000)
    while ((await other.pace(0).turn(never, performance.now())) === 0);
    const [line] = await other.find({ id: 'held', limit: 1 })
    assert.ok(line!.acceptedAt <= other.clock.now())
  })

  it('asks for the primary when it may only read', async () => {
    const url = await emptyDatabase()
    await open({ url })
    await sql(`ALTER DATABASE ${new URL(url).pathname.slice(1)} SET default_transaction_read_only = on`)
    assert.match((await failureOf(open({ url }), 'REDOX_STORE_UNAVAILABLE')).message, /primary server/)
  })

  it('a full disk: REDOX_STORE_FULL, and it goes on when there is room', async function () {
    const disk = path.join(server().folder, 'disk')
    await mkdir(disk)
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m,mode=777', 'tmpfs', disk], { stdio: 'ignore' })
    } catch {
      skip(this, NO_MOUNT)
    }
    try {
      const space = path.join(disk, 'space')
      await mkdir(space)
      await server().give(space)
      await sql(`CREATE TABLESPACE small LOCATION '${space}'`)
      await sql('CREATE DATABASE small TABLESPACE small')
      const store = await open({ url: server().url('small') })
      await store.accept(message('m1', 'a'))
      const ballast = path.join(disk, 'ballast')
      await writeFile(ballast, Buffer.alloc(10_000_000))
      await failureOf(store.putFile('large', noise(200)), 'REDOX_STORE_FULL')
      assert.equal(await store.hasFile('large'), false)
      const fill = async (): Promise<void> => {
        for (let index = 0; index < 500; index++)
          await store.accept({ ...message(`fill ${index}`, 'b'), content: randomBytes(100_000) })
      }
      await failureOf(fill(), 'REDOX_STORE_FULL')
      await rm(ballast)
      await store.accept(message('m2', 'a'))
      assert.deepEqual(
        (await store.find({ lane: 'a', limit: 9 })).map(({ id }) => id),
        ['m1', 'm2'],
      )
      await store.close()
    } finally {
      await sql('DROP DATABASE IF EXISTS small WITH (FORCE)')
      await sql('DROP TABLESPACE IF EXISTS small')
      execFileSync('umount', ['-l', disk])
    }
  })

  it('tells nothing of what was written when the database refuses it', async () => {
    const store = await open()
    await failureOf(store.accept(message('secret\0', 'a')), 'REDOX_BAD_INPUT')
    await store.accept(message('m1', 'a'))
  })

  it('says what to install when the driver is missing', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'redox-without-driver-'))
    try {
      await cp(path.join(__dirname, '../../src'), path.join(folder, 'src'), { recursive: true })
      const script = `require('./src/queue/postgres/store').PostgresStore.open({ url: 'postgres://u@h/d', queue: 'q' })
        .catch(({ code, message }) => console.log(code, message))`
      const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], { cwd: folder })
      assert.match(stdout, /^REDOX_STORE_UNAVAILABLE .*npm install pg/)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
