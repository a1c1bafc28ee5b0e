#!/usr/bin/env node
/**
 * Command `redox-store`: maintains the stores of durable delivery while Node-RED is stopped. Prints no patient data.
 */
import { homedir, userInfo } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { present } from '../shared/present'
import { RedoxError } from '../errors'
import { askSecret } from '../terminal'
import type { SealedStore } from './jobs'
import { decideAll, matchingIds, type MessageCriteria } from './decisions'
import { embeddedIds, summaryOf, storesInDatabase, type ListedStore } from './list-stores'
import { moveMessages } from './move-store'
import { replaceStore, openStore } from './open-store'
import { DEFAULT_SCHEMA, isSchemaName, locationIn, storeName, type StoreLocation } from './store-location'
import { ACTIONS, STATES, type Action } from './types'
import { verifyStore } from './verify-store'

const USAGE = `Usage: redox-store <command> [options]
Not installed here: npx -p @ehr-flows/node-red-redox redox-store …

Maintains the stores of durable delivery. Stop every Node-RED that uses them first, except for migrate.

  list                                  lists all stores, with their waiting and parked messages; with REDOX_STORE_URL,
                                        those of its schema (--schema) too
  verify <store>                        reads every message and every file
  move <store> <store> --reason <text>  moves all messages from the first store to the second, in order. If it is
                                        interrupted, run the same command again

  migrate                               creates or migrates the tables of the schema (--schema) in the database, for which
                                        the URL needs the user who owns them or may create them. --grant <role> gives
                                        another user the rights that a connection needs
  begin-new <store> --reason <text>     begins a new store in place of one that cannot be read. Nothing is removed

  resend, extend, mark-delivered, discard <store> <filter> --count <number> --reason <text>
                                        applies one decision to all messages that match, in order. Without --count,
                                        it prints how many match. extend needs --hours <number>

  <filter>             --state <state> --code <code> --destination <name> --search <id> --since <time>
                       --till <time>. Messages must match all that are given. resend skips messages that
                       may have arrived, unless --code is REDOX_OUTCOME_UNKNOWN
  <store>              embedded:<id>, postgresql:<id>, or postgresql:<schema>/<id> in a schema other than redox,
                       with the ID of the redox-config node
  --schema <name>      schema of list and migrate (default: redox)
  --user-dir <folder>  Node-RED's user directory (default: ~/.node-red)
  --reason <text>      the reason, which is kept in the audit log; up to 200 characters
  --help               prints this text

Keys and addresses are secrets. Set them in the environment, or the command asks for them:
  REDOX_STORE_KEY      store key            REDOX_STORE_URL      postgresql://user:password@host/database
  REDOX_TARGET_KEY     of the second store  REDOX_TARGET_URL     of the second store, if it differs
`

/** Command and options of the command line, parsed. */
interface CliRequest {
  command: string
  stores: string[]
  userDir: string
  reason: string
  filter: MessageCriteria
  /** number of matching messages that the user expects; if more match, nothing is decided */
  count?: number
  hours?: number
  schema: string
  /** role that gets the rights of a connection */
  grant?: string
}

type Side = 'STORE' | 'TARGET'

const say = (text: string): boolean => process.stdout.write(`${text}\n`)

const TEXT = { type: 'string' } as const
const OPTIONS = {
  ...{ 'user-dir': TEXT, reason: TEXT, count: TEXT, hours: TEXT },
  ...{ schema: TEXT, grant: TEXT },
  ...{ state: TEXT, code: TEXT, destination: TEXT, search: TEXT, since: TEXT, till: TEXT },
}
type CliOptions = Partial<Record<keyof typeof OPTIONS, string>>

function requestOf(args: string[]): CliRequest | 'help' {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { ...OPTIONS, help: { type: 'boolean' } },
  })
  const [command, ...stores] = positionals
  if (values.help || command === undefined) return 'help'
  const userDir = path.resolve(values['user-dir'] ?? path.join(homedir(), '.node-red'))
  return {
    ...{ command, stores, userDir, reason: values.reason?.trim() ?? '', filter: filterOf(values) },
    schema: schemaOf(values.schema ?? DEFAULT_SCHEMA),
    ...(values.grant !== undefined && { grant: values.grant }),
    ...(values.count !== undefined && { count: numberOf(values.count, '--count') }),
    ...(values.hours !== undefined && { hours: numberOf(values.hours, '--hours') }),
  }
}

function schemaOf(name: string): string {
  if (isSchemaName(name)) return name
  throw new Error(`Not a schema: ${name}. Use lowercase letters, digits and underscores.`)
}

function filterOf({ state, code, destination, search, since, till }: CliOptions): MessageCriteria {
  const known = STATES.find((one) => one === state)
  if (state !== undefined && known === undefined)
    throw new Error(`Unknown state: ${state}. Use one of ${STATES.join(', ')}.`)
  return {
    ...(known !== undefined && { state: known }),
    ...(code !== undefined && { code }),
    ...(destination !== undefined && { destination }),
    ...(search !== undefined && { search }),
    ...(since !== undefined && { since: timeOf(since, '--since') }),
    ...(till !== undefined && { till: timeOf(till, '--till') }),
  }
}

function numberOf(text: string, option: string): number {
  const number = Number(text)
  if (text.trim() !== '' && number >= 0) return number
  throw new Error(`${option} is not a number: ${text}`)
}

function timeOf(text: string, option: string): number {
  const time = Date.parse(text)
  if (Number.isFinite(time)) return time
  throw new Error(`${option} is not a time such as 2026-11-28T08:00:00Z: ${text}`)
}

const COMMANDS: Record<string, { stores: number; run: (request: CliRequest) => Promise<boolean> }> = {
  list: { stores: 0, run: list },
  verify: { stores: 1, run: runVerify },
  migrate: { stores: 0, run: runMigrate },
  move: { stores: 2, run: runMove },
  'begin-new': { stores: 1, run: runBeginNew },
  ...Object.fromEntries(
    ACTIONS.map((action) => [
      action,
      { stores: 1, run: (request: CliRequest) => runDecision(action, request) },
    ]),
  ),
}

/**
 * Runs the command.
 * @returns false if the command did not do everything, or found errors (exit code 2)
 */
async function run(request: CliRequest): Promise<boolean> {
  const command = COMMANDS[request.command]
  if (!command) throw new Error(`Not a command: ${request.command}`)
  if (request.stores.length !== command.stores)
    throw new Error(`${request.command} needs ${command.stores} stores.`)
  return command.run(request)
}

async function list({ userDir, schema }: CliRequest): Promise<boolean> {
  const url = process.env['REDOX_STORE_URL']
  const stores: ListedStore[] = []
  for (const id of await embeddedIds(userDir)) stores.push(await summaryOf(userDir, id))
  if (url) stores.push(...(await storesInDatabase(userDir, { url, schema })))
  for (const store of stores) say(lineOf(store))
  if (stores.length === 0) say('No stores.')
  return stores.every(({ code }) => code === undefined)
}

const lineOf = ({ id, place, waiting, parked, code }: ListedStore): string =>
  `${storeName(id, place)}  ${code ?? `waiting ${waiting}, parked ${parked}`}`

/** Returns the store named on the command line. The check of the arguments has made sure that there is one. */
const given = (store: string | undefined): string => present(store, 'a store')

async function runMigrate({ schema, grant }: CliRequest): Promise<boolean> {
  const { setUp } = await import('./postgres/set-up.js')
  const url = await secret('REDOX_STORE_URL', 'Address of the database')
  await setUp({ url, schema }, grant)
  say(
    `schema ${schema}: the tables are those of this release${grant === undefined ? '' : `, and ${grant} has its rights`}`,
  )
  return true
}

async function runVerify({ stores: [store], userDir }: CliRequest): Promise<boolean> {
  const place = await locationOf(given(store), userDir, 'STORE')
  return withStore(place, await secret('REDOX_STORE_KEY', 'Store key'), async (sealedStore) => {
    const { messages, files, unreadable } = await verifyStore(sealedStore)
    say(`messages ${messages}, files ${files}, unreadable ${unreadable.length}`)
    for (const { id, code } of unreadable) say(`${id}  ${code}`)
    return unreadable.length === 0
  })
}

async function runMove({ stores: [first, second], userDir, reason }: CliRequest): Promise<boolean> {
  assertReason(reason)
  const from = await locationOf(given(first), userDir, 'STORE')
  const to = await locationOf(given(second), userDir, 'TARGET')
  const key = await secret('REDOX_STORE_KEY', 'Store key')
  const targetKey = await secret('REDOX_TARGET_KEY', 'Store key of the second store')
  return withStore(from, key, (source) =>
    withStore(to, targetKey, async (target) => {
      const { moved, left } = await moveMessages(source, target, { who: userInfo().username, reason })
      say(`moved ${moved}, left ${left.length}`)
      for (const { id, code } of left) say(`${id}  ${code}`)
      return left.length === 0
    }),
  )
}

async function runBeginNew({ stores: [store], userDir, reason }: CliRequest): Promise<boolean> {
  assertReason(reason)
  const place = await locationOf(given(store), userDir, 'STORE')
  const key = await secret('REDOX_STORE_KEY', 'Store key')
  const setAside = await replaceStore(place, key, { who: userInfo().username, reason })
  say(setAside === undefined ? 'begun' : `A new store was created. The old store was renamed to ${setAside}.`)
  return true
}

/**
 * Applies a decision to all matching messages. The command does not know which account a connection has, so no message
 * is sent through another account.
 */
async function runDecision(action: Action, request: CliRequest): Promise<boolean> {
  const { stores, userDir, reason, filter, count, hours } = request
  assertReason(reason)
  const place = await locationOf(given(stores[0]), userDir, 'STORE')
  return withStore(place, await secret('REDOX_STORE_KEY', 'Store key'), async (sealedStore) => {
    const ids = await matchingIds(sealedStore, filter, action)
    if (count === undefined || ids.length > count) {
      say(
        `${ids.length} messages match. Nothing was decided. Add --count ${ids.length} to apply the decision.`,
      )
      return false
    }
    const { username: who } = userInfo()
    const decision = { filter, action, reason, who, ...(hours !== undefined && { hours }) }
    const { decided, left, unchanged = 0, stoppedBy } = await decideAll(sealedStore, ids, decision)
    const already = unchanged === 0 ? '' : ` (deadline already that late: ${unchanged})`
    say(
      `decided ${decided}, left ${left}${already}${stoppedBy === undefined ? '' : `, stopped by ${stoppedBy}`}`,
    )
    return stoppedBy === undefined && left === 0
  })
}

async function withStore(
  place: StoreLocation,
  key: string,
  use: (sealedStore: SealedStore) => Promise<boolean>,
): Promise<boolean> {
  const sealedStore = await openStore(place, key)
  try {
    return await use(sealedStore)
  } finally {
    await sealedStore.store.close()
  }
}

/** Returns the location of a store by its name on the command line: kind, and id of the redox-config node. */
async function locationOf(name: string, userDir: string, side: Side): Promise<StoreLocation> {
  const [, embedded, schema, queue] = /^(?:embedded:(.+)|postgresql:(?:([^/]+)\/)?(.+))$/.exec(name) ?? []
  if (embedded !== undefined) return locationIn(userDir, embedded)
  if (queue === undefined) throw new Error(`Not a store: ${name}`)
  const own = process.env[`REDOX_${side}_URL`]
  const url = own ?? (side === 'TARGET' ? process.env['REDOX_STORE_URL'] : undefined)
  return locationIn(userDir, queue, {
    url: url ?? (await secret('REDOX_STORE_URL', `Address of the database of ${name}`)),
    schema: schemaOf(schema ?? DEFAULT_SCHEMA),
  })
}

async function secret(name: string, label: string): Promise<string> {
  const value = (process.env[name] ?? (await askSecret(label))).trim()
  if (value === '') throw new Error(`${label} is missing. Set ${name}.`)
  return value
}

function assertReason(reason: string): void {
  if (!/^[^\p{C}\p{Zl}\p{Zp}]{1,200}$/u.test(reason.trim()))
    throw new Error('Set --reason: up to 200 characters, on one line.')
}

async function main(): Promise<void> {
  const request = requestOf(process.argv.slice(2))
  if (request === 'help') say(USAGE)
  else if (!(await run(request))) process.exitCode = 2
}

main().catch((error: unknown) => {
  // Errors of the operating system and of database drivers may contain an address or a key in their messages, but they
  // are converted to RedoxErrors before.
  const text = error instanceof RedoxError ? `${error.code}: ${error.message}` : `${(error as Error).message}`
  process.stderr.write(`${text}\n`)
  process.exitCode = 1
})
