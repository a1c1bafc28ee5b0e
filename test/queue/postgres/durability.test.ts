/** Tests of the PostgreSQL store: settings and versions of the server that decide whether it keeps what it accepts. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { connect as connectTo, createServer, type AddressInfo, type Server } from 'node:net'
import { PostgresStore } from '../../../src/queue/postgres/store'
import { setUp } from '../../../src/queue/postgres/set-up'
import { eventually } from '../../lib/eventually'
import { server } from '../stores'
import { emptyDatabase, failureOf, message, open, sql, usePostgres } from './database'

describe('PostgreSQL store: what the server keeps', function () {
  this.timeout(60_000)
  usePostgres()

  it('loses nothing in a crash of a server with synchronous_commit=off', async () => {
    // The server writes its log every ten seconds, unless a transaction waits for it.
    await sql('ALTER SYSTEM SET wal_writer_delay = 10000')
    await sql('ALTER SYSTEM SET synchronous_commit = off')
    await sql('SELECT pg_reload_conf()')
    try {
      const store = await open()
      const ids = Array.from({ length: 30 }, (_, index) => `m${index}`)
      for (const id of ids) await store.accept(message(id, 'a', false))
      await server().crash()
      await server().resume()
      assert.deepEqual(
        (await store.find({ limit: 99 })).map(({ id }) => id),
        ids,
      )
      const [row] = await sql('SHOW synchronous_commit')
      assert.equal(row?.['synchronous_commit'], 'off')
    } finally {
      await sql('ALTER SYSTEM RESET ALL')
      await sql('SELECT pg_reload_conf()')
    }
  })

  it('names what the settings of the server cost, also to a user who may see no details', async () => {
    const setting = async (text: string): Promise<void> => {
      await sql(`ALTER SYSTEM ${text}`)
      await sql('SELECT pg_reload_conf()')
    }
    const url = await emptyDatabase()
    await open({ url })
    await setUp({ url }, await roleNamed('guest'))
    const guest = Object.assign(new URL(url), { username: 'guest', password: 'secret' }).href
    const found = async (): Promise<readonly string[]> => {
      const [own, others] = [await open({ url }), await open({ url: guest })]
      assert.deepEqual(others.warnings, own.warnings)
      await Promise.all([own.close(), others.close()])
      return own.warnings
    }
    assert.deepEqual(await found(), [])
    await setting('SET synchronous_commit = off')
    await eventually('off', async () => (await found())[0] === 'commitOff')
    const replica = await server().replica()
    try {
      assert.deepEqual(await found(), ['commitOff', 'asynchronous'])
      await setting('RESET synchronous_commit')
      await eventually('asynchronous', async () => (await found()).join() === 'asynchronous')
      await setting(`SET synchronous_standby_names = '*'`)
      await eventually('synchronous', async () => (await found()).length === 0)
      await setting('SET synchronous_commit = local')
      await eventually('local', async () => (await found()).join() === 'asynchronous')
    } finally {
      await setting('RESET ALL')
      await replica.stop()
    }
    await server().suspend()
    await server().resume('off')
    try {
      assert.deepEqual(await found(), ['fsyncOff'])
    } finally {
      await server().suspend()
      await server().resume()
    }
  })

  it('refuses a server before version 12', async () => {
    const relays = await Promise.all([relayAs('110022'), relayAs('90624'), relayAs('120000')])
    try {
      const [old, older, first] = relays.map((relay) => {
        const url = new URL(server().url())
        url.port = String((relay.address() as AddressInfo).port)
        return url.href
      }) as [string, string, string]
      const words = async (url: string): Promise<string> =>
        (await failureOf(open({ url }), 'REDOX_STORE_UNAVAILABLE')).message
      assert.match(await words(old), /too old: it is version 11\.22, and the store needs 12 or later/)
      assert.match(await words(older), /too old: it is version 9\.6, /)
      const store = await PostgresStore.open({ url: first, schema: 'redox', queue: randomUUID() })
      await store.close()
    } finally {
      for (const relay of relays) relay.close()
    }
  })

  async function roleNamed(role: string): Promise<string> {
    await sql(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
    return role
  }

  /** Starts a relay to the server that changes the version number in its answers. */
  async function relayAs(version: string): Promise<Server> {
    const [row] = await sql('SHOW server_version_num')
    const real = String(row?.['server_version_num'])
    const relay = createServer((client) => {
      const database = connectTo(server().port, '127.0.0.1')
      client.on('error', () => database.destroy()).pipe(database)
      database.on('error', () => client.destroy()).on('end', () => client.end())
      database.on('data', (bytes) =>
        client.write(
          Buffer.from(bytes.toString('latin1').replaceAll(real, version.padStart(6, '0')), 'latin1'),
        ),
      )
    })
    await new Promise<void>((done) => relay.listen(0, '127.0.0.1', done))
    return relay
  }
})
