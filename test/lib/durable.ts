/** Flows with durable delivery to a scripted server, and an embedded store in a folder of its own. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import helper from 'node-red-node-test-helper'
import { sizedFile } from './fixtures'
import { useNodeRed, type Flow, type Message, type Settings } from './flow'
import { reply, ScriptedServer } from './scripted-server'
import { fileMessage, NOTE, startTo, type SendNode } from './send-nodes'

export const KEY = 'a store key that is hard to guess'
export const DOWN = reply(503, { error: 'down' })

export let server: ScriptedServer
export let userDir: string

const events = (helper as unknown as { _events: NodeJS.EventEmitter })._events
const listening: [string, (state: Message) => void][] = []

/** Registers mocha hooks that give each test a scripted server, and a user directory that is removed after the test. */
export function useDurable(): void {
  beforeEach(async () => {
    server = await ScriptedServer.start()
  })
  useNodeRed()
  beforeEach(async () => {
    userDir = await mkdtemp(path.join(tmpdir(), 'redox-durable-'))
    helper.settings({ userDir })
  })
  afterEach(async () => {
    helper.settings({})
    await rm(userDir, { recursive: true, force: true })
    for (const [event, listen] of listening.splice(0)) events.off(event, listen)
    await server.close()
  })
}

/** Starts Node-RED with a connection for durable delivery. A second call restarts Node-RED with the same store. */
export function startDurable(
  node: SendNode = NOTE,
  config: Settings = {},
  settings: Settings = {},
  secrets: Record<string, string> = { storeKey: KEY },
): Promise<Flow> {
  return startTo(server, node, settings, { delivery: 'durable', ...config }, { secrets })
}

/**
 * Returns a message with a file of 200 kB that no other message has.
 * @param seed another number for each message
 */
export function distinctMessage(seed: number): Message {
  const file = sizedFile(200_000)
  file.writeUInt32BE(seed, file.length - 100)
  return fileMessage(file)
}

/** Payloads of a Node-RED runtime event (by its name), collected until the end of the test. */
export function hear(event: string): Message[] {
  const heard: Message[] = []
  const listen = (state: Message): void => void heard.push(state)
  listening.push([event, listen])
  events.on(event, listen)
  return heard
}

export const payloads = (): unknown[] =>
  server.of('send').map(({ body }) => JSON.parse(body.toString()) as unknown)
export const topics = (list: Message[]): unknown[] => list.map(({ topic }) => topic as unknown)

export async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name))
}
