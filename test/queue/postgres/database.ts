/** Helpers for tests with stores that share one PostgreSQL database. */
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { RedoxError, type RedoxErrorCode } from '../../../src/errors'
import type { PostgresOptions } from '../../../src/queue/postgres/connection'
import { PostgresStore } from '../../../src/queue/postgres/store'
import type { NewMessage } from '../../../src/queue/types'
import { PASSWORD } from '../../lib/postgres'
import { POSTGRES, server } from '../stores'
import { NO_POSTGRES, skip } from '../../lib/skip'

export const LEASE = 60_000
export const TLS = path.join(__dirname, '../../../../test/fixtures/tls')
export const SQL = path.join(__dirname, '../../../src/queue/postgres/sql')
export const never = new AbortController().signal

export const message = (id: string, destination: string, ordered = true): NewMessage => ({
  ...{ id, destination, ordered, owner: 'node', files: [], tags: [], content: Buffer.from(id) },
  ...{ acceptedAt: Date.now(), deadline: Date.now() + 1e6 },
})
export const hold = (holder: string, limit = 10) => ({
  ...{ holder, limit, leaseMs: LEASE, except: [] },
})
export const DELIVERED = { state: 'delivered', notes: Buffer.from('it arrived') } as const

export const databaseOf = (url: string): string => new URL(url).pathname.slice(1)

export async function* chunksOf(...texts: string[]): AsyncGenerator<Buffer> {
  for (const one of texts) yield Buffer.from(one)
}

export async function* noise(chunks: number): AsyncGenerator<Buffer> {
  for (let index = 0; index < chunks; index++) yield await Promise.resolve(randomBytes(200_000))
}

/** Returns the error with which a promise rejects. The error must have this code and contain no secret. */
export async function failureOf(promise: Promise<unknown>, code: RedoxErrorCode): Promise<RedoxError> {
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

export let queue: string
export const opened: PostgresStore[] = []
const clients: Client[] = []

/** Registers mocha hooks: one PostgreSQL server for all tests of a test file, and a new queue for each test. */
export function usePostgres(): void {
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
}

export async function open(change: Partial<PostgresOptions> = {}): Promise<PostgresStore> {
  const store = await PostgresStore.open({ url: server().url(), schema: 'redox', queue, ...change })
  opened.push(store)
  return store
}
export const openMany = (count: number): Promise<PostgresStore[]> =>
  Promise.all(Array.from({ length: count }, () => open()))

/** Opens another session in the database. */
export async function connect(database?: string): Promise<Client> {
  const client = new Client({ connectionString: server().url(database) })
  await client.connect()
  clients.push(client)
  return client
}

export async function sql(text: string, database?: string): Promise<Record<string, unknown>[]> {
  const client = await connect(database)
  try {
    return (await client.query<Record<string, unknown>>(text)).rows
  } finally {
    await client.end()
  }
}

export async function emptyDatabase(): Promise<string> {
  const name = `d${randomUUID().replaceAll('-', '')}`
  await sql(`CREATE DATABASE ${name}`)
  return server().url(name)
}

/** Columns, indexes, functions and applied versions of a database. */
export const stateOf = async (database: string): Promise<unknown> => [
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

/** Claims and delivers messages until none are left. Calls `sent` for each message during its lease. */
export async function work(
  store: PostgresStore,
  name: string,
  sent: (id: string, destination: string) => Promise<void>,
) {
  for (let idle = 0; idle < 20;) {
    const taken = await store.claim(hold(name, 3))
    idle = taken.length === 0 ? idle + 1 : 0
    await Promise.all(
      taken.map(async ({ id, destination }) => {
        await sent(id, destination)
        await store.settle(id, name, DELIVERED, Date.now())
      }),
    )
    if (taken.length === 0) await sleep(5)
  }
}
