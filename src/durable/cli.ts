#!/usr/bin/env node
/** `redox-store`: looks after stores of accepted messages while Node-RED is stopped. Shows no patient data. */
import { createInterface } from 'node:readline/promises'
import { homedir, userInfo } from 'node:os'
import path from 'node:path'
import { Writable } from 'node:stream'
import { parseArgs } from 'node:util'
import { RedoxError } from '../errors'
import type { Contents } from './contents'
import { embeddedIds, lookInto, storesInDatabase, type ListedStore } from './list-stores'
import { move } from './move'
import { beginAnew, openStore, placeIn, type Place } from './open-store'
import { verify } from './verify'

const USAGE = `Usage: redox-store <command> [options]
Not installed here: npx -p @ehr-flows/node-red-redox redox-store …

Looks after the stores of durable delivery. Stop every Node-RED that uses them first.

  list                                  all stores: their ids, what waits and what is parked
  verify <store>                        reads every message and every file
  move <store> <store> --reason <text>  all messages of the first into the second, in order; ended at any point,
                                        it is finished by the same command

  begin-new <store> --reason <text>     a new store in place of one that cannot be read; nothing is removed

  <store>              embedded:<id> or postgresql:<id>, with the id of the redox-config node
  --user-dir <folder>  Node-RED's user directory (default: ~/.node-red)
  --reason <text>      why: goes into the record; up to 200 characters
  --help               this text

Keys and addresses are secrets, and come from the environment or are asked for:
  REDOX_STORE_KEY      store key            REDOX_STORE_URL      postgresql://user:password@host/database
  REDOX_TARGET_KEY     of the second store  REDOX_TARGET_URL     of the second store, where it is another one
`

/** What the command line, the environment and the person say. */
interface Request {
  command: string
  stores: string[]
  userDir: string
  reason: string
}

type Side = 'STORE' | 'TARGET'

const say = (text: string): boolean => process.stdout.write(`${text}\n`)

function requestOf(args: string[]): Request | 'help' {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { 'user-dir': { type: 'string' }, reason: { type: 'string' }, help: { type: 'boolean' } },
  })
  const [command, ...stores] = positionals
  if (values.help || command === undefined) return 'help'
  const userDir = path.resolve(values['user-dir'] ?? path.join(homedir(), '.node-red'))
  return { command, stores, userDir, reason: values.reason ?? '' }
}

const COMMANDS: Record<string, { stores: number; run: (request: Request) => Promise<boolean> }> = {
  list: { stores: 0, run: list },
  verify: { stores: 1, run: runVerify },
  move: { stores: 2, run: runMove },
  'begin-new': { stores: 1, run: runBeginNew },
}

/** @returns whether all is well */
async function run(request: Request): Promise<boolean> {
  const command = COMMANDS[request.command]
  if (!command) throw new Error(`Not a command: ${request.command}`)
  if (request.stores.length !== command.stores)
    throw new Error(`${request.command} takes ${command.stores} stores.`)
  return command.run(request)
}

async function list({ userDir }: Request): Promise<boolean> {
  const url = process.env['REDOX_STORE_URL']
  const stores: ListedStore[] = []
  for (const id of await embeddedIds(userDir)) stores.push(await lookInto(userDir, id))
  if (url) stores.push(...(await storesInDatabase(userDir, url)))
  for (const store of stores) say(lineOf(store))
  if (stores.length === 0) say('No stores.')
  return stores.every(({ code }) => code === undefined)
}

const lineOf = ({ id, place, waiting, parked, code }: ListedStore): string =>
  `${place.kind}:${id}  ${code ?? `waiting ${waiting}, parked ${parked}`}`

async function runVerify({ stores: [store], userDir }: Request): Promise<boolean> {
  const place = await placeOf(store!, userDir, 'STORE')
  return withStore(place, await secret('REDOX_STORE_KEY', 'Store key'), async (contents) => {
    const { messages, files, unreadable } = await verify(contents)
    say(`messages ${messages}, files ${files}, unreadable ${unreadable.length}`)
    for (const { id, code } of unreadable) say(`${id}  ${code}`)
    return unreadable.length === 0
  })
}

async function runMove({ stores: [first, second], userDir, reason }: Request): Promise<boolean> {
  assertReason(reason)
  const from = await placeOf(first!, userDir, 'STORE')
  const to = await placeOf(second!, userDir, 'TARGET')
  const key = await secret('REDOX_STORE_KEY', 'Store key')
  const targetKey = await secret('REDOX_TARGET_KEY', 'Store key of the second store')
  return withStore(from, key, (source) =>
    withStore(to, targetKey, async (target) => {
      const { moved, left } = await move(source, target, { who: userInfo().username, reason })
      say(`moved ${moved}, left ${left.length}`)
      for (const { id, code } of left) say(`${id}  ${code}`)
      return left.length === 0
    }),
  )
}

async function runBeginNew({ stores: [store], userDir, reason }: Request): Promise<boolean> {
  assertReason(reason)
  const place = await placeOf(store!, userDir, 'STORE')
  const key = await secret('REDOX_STORE_KEY', 'Store key')
  const setAside = await beginAnew(place, key, { who: userInfo().username, reason })
  say(setAside === undefined ? 'begun' : `begun; the one before is called ${setAside} now`)
  return true
}

async function withStore(
  place: Place,
  key: string,
  use: (contents: Contents) => Promise<boolean>,
): Promise<boolean> {
  const contents = await openStore(place, key)
  try {
    return await use(contents)
  } finally {
    await contents.store.close()
  }
}

/** As people name a store: its kind, and the id of the redox-config node. */
async function placeOf(name: string, userDir: string, side: Side): Promise<Place> {
  const [, kind, id] = /^(embedded|postgresql):(.+)$/.exec(name) ?? []
  if (id === undefined) throw new Error(`Not a store: ${name}`)
  if (kind === 'embedded') return placeIn(userDir, id)
  const own = process.env[`REDOX_${side}_URL`]
  const url = own ?? (side === 'TARGET' ? process.env['REDOX_STORE_URL'] : undefined)
  return placeIn(userDir, id, url ?? (await secret('REDOX_STORE_URL', `Address of the database of ${name}`)))
}

async function secret(name: string, label: string): Promise<string> {
  const value = (process.env[name] ?? (await ask(label))).trim()
  if (value === '') throw new Error(`${label}: nothing was given. Set ${name}.`)
  return value
}

/** What is typed is not shown. */
async function ask(label: string): Promise<string> {
  if (!process.stdin.isTTY) return ''
  process.stderr.write(`${label}: `)
  const output = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output, terminal: true })
  try {
    return await lines.question('')
  } finally {
    lines.close()
    process.stderr.write('\n')
  }
}

function assertReason(reason: string): void {
  if (!/^[^\p{C}\p{Zl}\p{Zp}]{1,200}$/u.test(reason.trim()))
    throw new Error('Give a --reason: up to 200 characters, on one line.')
}

async function main(): Promise<void> {
  const request = requestOf(process.argv.slice(2))
  if (request === 'help') say(USAGE)
  else if (!(await run(request))) process.exitCode = 2
}

main().catch((error: unknown) => {
  // Of the system's own words nothing is told that could hold an address or a key.
  const text = error instanceof RedoxError ? `${error.code}: ${error.message}` : `${(error as Error).message}`
  process.stderr.write(`${text}\n`)
  process.exitCode = 1
})
