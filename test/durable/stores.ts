/** The stores that the contract is tested against: a line for each. */
import { randomUUID } from 'node:crypto'
import { PostgresStore } from '../../src/durable/postgres-store'
import type { DeliveryStore } from '../../src/durable/store'
import { Postgres, postgresBinaries } from '../lib/postgres'

/** A store of its own for a test. */
export interface Place {
  open(): Promise<DeliveryStore>
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

export const POSTGRES: Kind = {
  name: 'PostgreSQL',
  // Where a release is tested it has to be there.
  missing: () =>
    postgresBinaries() === undefined && process.env.CI !== 'true' ? 'PostgreSQL is not installed' : undefined,
  start: async () => void (postgres = await Postgres.start()),
  place: async () => {
    const queue = randomUUID()
    return { open: () => PostgresStore.open({ url: server().url(), queue }), remove: async () => undefined }
  },
  stop: async () => postgres?.stop(),
}

export const STORES: Kind[] = [POSTGRES]
