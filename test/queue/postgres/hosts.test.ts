/** Tests of the PostgreSQL store: several hosts in the URL, and the promotion of a replica. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createServer, type AddressInfo } from 'node:net'
import path from 'node:path'
import { Client } from 'pg'
import { PostgresStore } from '../../../src/queue/postgres/store'
import { eventually } from '../../lib/eventually'
import { freePort } from '../../lib/node-red'
import { Postgres } from '../../lib/postgres'
import { NO_POSTGRES, skip } from '../../lib/skip'
import { POSTGRES } from '../stores'
import { DELIVERED, failureOf, hold, message, TLS } from './database'

describe('PostgreSQL store with several hosts in its URL', function () {
  this.timeout(120_000)
  let primary: Postgres
  let replica: Postgres
  const opened: PostgresStore[] = []

  before(async function () {
    if (POSTGRES.missing() !== undefined) skip(this, NO_POSTGRES)
    primary = await Postgres.start()
    replica = await primary.replica()
  })
  afterEach(async () => void (await Promise.all(opened.splice(0).map((store) => store.close()))))
  after(async () => {
    await (replica as Postgres | undefined)?.stop()
    await (primary as Postgres | undefined)?.stop()
  })

  const urlOf = (hosts: string[], parameters = ''): string => {
    const { protocol, username, password } = new URL(primary.url())
    return `${protocol}//${username}:${password}@${hosts.join(',')}/postgres${parameters}`
  }
  const at = (port: number, host = '127.0.0.1'): string => `${host}:${port}`
  const open = async (url: string, queue: string = randomUUID()): Promise<PostgresStore> => {
    const store = await PostgresStore.open({ url, schema: 'redox', queue })
    opened.push(store)
    return store
  }
  const askOn = async (server: Postgres, text: string): Promise<Record<string, unknown>[]> => {
    const client = new Client({ connectionString: server.url() })
    await client.connect()
    try {
      return (await client.query<Record<string, unknown>>(text)).rows
    } finally {
      await client.end()
    }
  }
  const unavailable = async (url: string): Promise<string> =>
    (await failureOf(open(url), 'REDOX_STORE_UNAVAILABLE')).message

  it('uses the first host that can be written: the one behind a refused port and a replica', async () => {
    const refused = await freePort()
    const queue = randomUUID()
    const store = await open(urlOf([at(refused), at(replica.port), at(primary.port)]), queue)
    await store.accept(message('m1', 'a'))
    const rows = await askOn(primary, `SELECT id FROM redox.message WHERE queue = '${queue}'`)
    assert.deepEqual(rows, [{ id: 'm1' }])
  })

  it('accepts target_session_attrs=read-write and primary, and refuses a value for reading', async () => {
    const hosts = [at(replica.port), at(primary.port)]
    for (const wanted of ['read-write', 'primary', 'any'])
      await open(urlOf(hosts, `?target_session_attrs=${wanted}`))
    for (const wanted of ['read-only', 'standby', 'prefer-standby'])
      assert.match(
        await unavailable(urlOf(hosts, `?target_session_attrs=${wanted}`)),
        new RegExp(`target_session_attrs=${wanted}: the store needs read-write`),
      )
  })

  it('says of each host why it cannot be used, without the password', async () => {
    const refused = await freePort()
    const words = await unavailable(urlOf([at(refused), at(replica.port)]))
    assert.match(
      words,
      new RegExp(`2 hosts.*127.0.0.1:${refused}/postgres\\) cannot be reached \\(ECONNREFUSED\\)`),
    )
    assert.match(words, new RegExp(`127.0.0.1:${replica.port}/postgres\\) cannot be written`))
  })

  it('does not wait longer than 10 s for a host that accepts the connection and does not answer', async () => {
    const silent = createServer((socket) => socket.on('error', () => undefined))
    await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done))
    try {
      const { port } = silent.address() as AddressInfo
      const started = performance.now()
      const store = await open(urlOf([at(port), at(primary.port)]))
      const took = performance.now() - started
      assert.ok(took > 9_000 && took < 20_000, `${took} ms`)
      await store.counts()
      assert.ok(performance.now() - started < 25_000, 'once only')
    } finally {
      silent.close()
    }
  })

  it('checks the certificate of each host', async () => {
    await replica.speakTls(path.join(TLS, 'elsewhere.pem'), path.join(TLS, 'key.pem'))
    await primary.speakTls(path.join(TLS, 'server.pem'), path.join(TLS, 'key.pem'))
    const parameters = `?sslmode=verify-full&sslrootcert=${path.join(TLS, 'ca.pem')}`
    const [first, second] = [at(replica.port, 'localhost'), at(primary.port, 'localhost')]
    await open(urlOf([first, second], parameters))
    const [row] = await askOn(
      primary,
      "SELECT bool_and(ssl) AS all FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'node-red-redox'",
    )
    assert.equal(row?.['all'], true)
    assert.match(
      await unavailable(urlOf([first, at(await freePort(), 'localhost')], parameters)),
      /certificate that is not trusted \(ERR_TLS_CERT_ALTNAME_INVALID\).*ECONNREFUSED/,
    )
  })

  // Last test, because the primary is lost.
  it('goes on at a promoted replica, with all messages that a synchronous replica has received', async () => {
    await askOn(primary, `ALTER SYSTEM SET synchronous_standby_names = '*'`)
    await askOn(primary, 'SELECT pg_reload_conf()')
    await eventually('the replica is synchronous', async () => {
      const rows = await askOn(primary, 'SELECT sync_state FROM pg_stat_replication')
      return rows[0]?.['sync_state'] === 'sync'
    })
    const store = await open(urlOf([at(primary.port), at(replica.port)]))
    const ids = Array.from({ length: 30 }, (_, index) => `m${index}`)
    await Promise.all(ids.map((id) => store.accept(message(id, id))))
    const [sent] = await store.claim(hold('me', 1))
    assert.ok(sent)
    await store.settle(sent.id, 'me', DELIVERED, Date.now())
    await primary.crash()
    const calls = (): Promise<unknown>[] => Array.from({ length: 8 }, () => store.counts())
    const unhandled: unknown[] = []
    const listener = (reason: unknown): void => void unhandled.push(reason)
    process.on('unhandledRejection', listener)
    try {
      await Promise.all(calls().map((call) => failureOf(call, 'REDOX_STORE_UNAVAILABLE')))
      await replica.promote()
      await Promise.all(calls())
    } finally {
      process.off('unhandledRejection', listener)
    }
    // Each would end the process.
    assert.deepEqual(unhandled, [])
    assert.deepEqual(await store.counts(), { waiting: 29, sending: 0, parked: 0, delivered: 1, discarded: 0 })
    await store.accept(message('later', 'later'))
    const claimed = (await store.claim(hold('me', 99))).map(({ id }) => id)
    assert.deepEqual(claimed.sort(), [...ids.filter((id) => id !== sent.id), 'later'].sort())
    // The old primary comes back as a server of its own, and is not used: the store stays where it is.
    await primary.resume()
    await store.settle('later', 'me', DELIVERED, Date.now())
    assert.equal((await store.counts()).delivered, 2)
  })
})
