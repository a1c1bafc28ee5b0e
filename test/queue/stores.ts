/** Kinds of stores with which the contract tests run. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Client } from 'pg'
import { LevelStore } from '../../src/queue/level/store'
import { setUp } from '../../src/queue/postgres/set-up'
import { PostgresStore } from '../../src/queue/postgres/store'
import type { DeliveryStore } from '../../src/queue/types'
import { Postgres, postgresBinaries } from '../lib/postgres'

/** Storage for one store of a test. */
export interface Place {
  open(): Promise<DeliveryStore>
  /** Stops the clock of the store at this time (ms since 1970); without a time, the clock runs again. */
  at(time?: number): Promise<void>
  remove(): Promise<void>
}

export interface Kind {
  name: string
  /** reason why this kind cannot be tested on this machine */
  missing(): string | undefined
  start(): Promise<void>
  place(): Promise<Place>
  stop(): Promise<void>
}

let postgres: Postgres | undefined

/** PostgreSQL server, which runs between `start` and `stop`. */
export const server = (): Postgres => postgres!

let isStopped = false

/** Replaces the database function that returns the current time to the store: a fixed time (ms), or the real time. */
async function setClock(schema: string, time: number | undefined): Promise<void> {
  if (time === undefined && !isStopped) return
  const now = time ?? 'floor(extract(epoch FROM clock_timestamp()) * 1000)'
  const client = new Client({ connectionString: server().url() })
  await client.connect()
  try {
    await client.query(
      `CREATE OR REPLACE FUNCTION ${schema}.now() RETURNS bigint LANGUAGE sql VOLATILE AS 'SELECT ${now}::bigint'`,
    )
    isStopped = time !== undefined
  } finally {
    await client.end()
  }
}

const postgresPlace = (schema: string, url: () => string): Place => {
  const queue = randomUUID()
  return {
    open: () => PostgresStore.open({ url: url(), schema, queue }),
    at: (time) => setClock(schema, time),
    // Other tests use the same database and need a running clock.
    remove: () => setClock(schema, undefined),
  }
}

export const POSTGRES: Kind = {
  name: 'PostgreSQL',
  // On CI, a missing PostgreSQL is an error, so that no release is untested.
  missing: () =>
    postgresBinaries() === undefined && process.env.CI !== 'true' ? 'PostgreSQL is not installed' : undefined,
  start: async () => void (postgres = await Postgres.start()),
  place: async () => postgresPlace('redox', () => server().url()),
  stop: async () => postgres?.stop(),
}

/** Role with the rights of a connection and no others, and a schema that its owner prepared. */
export const RESTRICTED = { role: 'redox_app', password: 'secret', schema: 'lab_2' }

/** URL of the server for the restricted role. */
export function restrictedUrl(database?: string): string {
  const url = new URL(server().url(database))
  url.username = RESTRICTED.role
  url.password = RESTRICTED.password
  return url.href
}

const POSTGRES_RESTRICTED: Kind = {
  ...POSTGRES,
  name: 'PostgreSQL, restricted role, schema of its own',
  start: async () => {
    await POSTGRES.start()
    const client = new Client({ connectionString: server().url() })
    await client.connect()
    try {
      await client.query(`CREATE ROLE ${RESTRICTED.role} LOGIN PASSWORD '${RESTRICTED.password}'`)
    } finally {
      await client.end()
    }
    await setUp({ url: server().url(), schema: RESTRICTED.schema }, RESTRICTED.role)
  },
  place: async () => postgresPlace(RESTRICTED.schema, restrictedUrl),
}

export const LEVEL: Kind = {
  name: 'LevelDB',
  missing: () => undefined,
  start: async () => undefined,
  place: async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'redox-store-'))
    let stopped: number | undefined
    const clock = { now: () => stopped ?? Date.now(), ahead: 0 }
    return {
      open: () => LevelStore.open(folder, undefined, clock),
      at: async (time) => void (stopped = time),
      remove: () => rm(folder, { recursive: true, force: true }),
    }
  },
  stop: async () => undefined,
}

export const STORES: Kind[] = [LEVEL, POSTGRES, POSTGRES_RESTRICTED]
