/** The stores that the contract is tested against: a line for each. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Client } from 'pg'
import { LevelStore } from '../../src/queue/level/store'
import { PostgresStore } from '../../src/queue/postgres/store'
import type { DeliveryStore } from '../../src/queue/types'
import { Postgres, postgresBinaries } from '../lib/postgres'

/** A store of its own for a test. */
export interface Place {
  open(): Promise<DeliveryStore>
  /** Stops the clock of the store at a time; undefined: it runs. */
  at(time?: number): Promise<void>
  remove(): Promise<void>
}

export interface Kind {
  name: string
  /** why it cannot be tested on this machine */
  missing(): string | undefined
  start(): Promise<void>
  place(): Promise<Place>
  stop(): Promise<void>
}

let postgres: Postgres | undefined

/** The one that runs, between `start` and `stop`. */
export const server = (): Postgres => postgres!

let isStopped = false

/** All else goes by this function. */
async function setClock(time: number | undefined): Promise<void> {
  if (time === undefined && !isStopped) return
  const now = time ?? 'floor(extract(epoch FROM clock_timestamp()) * 1000)'
  const client = new Client({ connectionString: server().url() })
  await client.connect()
  try {
    await client.query(
      `CREATE OR REPLACE FUNCTION redox.now() RETURNS bigint LANGUAGE sql VOLATILE AS 'SELECT ${now}::bigint'`,
    )
    isStopped = time !== undefined
  } finally {
    await client.end()
  }
}

export const POSTGRES: Kind = {
  name: 'PostgreSQL',
  // Where a release is tested it has to be there.
  missing: () =>
    postgresBinaries() === undefined && process.env.CI !== 'true' ? 'PostgreSQL is not installed' : undefined,
  start: async () => void (postgres = await Postgres.start()),
  place: async () => {
    const queue = randomUUID()
    return {
      open: () => PostgresStore.open({ url: server().url(), queue }),
      at: (time) => setClock(time),
      // Others in the database have a clock that runs.
      remove: () => setClock(undefined),
    }
  },
  stop: async () => postgres?.stop(),
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

export const STORES: Kind[] = [LEVEL, POSTGRES]
