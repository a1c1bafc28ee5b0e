/** Node-RED with an outbox, users with different permissions, and steps that several tests use. */
import assert from 'node:assert/strict'
import { startWithUsers, type GuardedNodeRed } from '../lib/admin'
import { eventually } from '../lib/eventually'
import { DESTINATION, OTHER_DESTINATION, OUTBOX_PATIENT, OutboxClient, type Json } from '../lib/outbox'
import { reply, ScriptedServer } from '../lib/scripted-server'

const USERS = {
  admin: '*',
  inboxUser: ['flows.read', 'redox-inbox.read', 'redox-inbox.write'],
  reader: 'redox-outbox.read',
  decider: ['redox-outbox.read', 'redox-outbox.write'],
  contentReader: 'redox-outbox.content',
  all: ['read', 'write'],
} as const
export type User = keyof typeof USERS
export type Users = Record<User, OutboxClient>

export const DESTINATION_NAME = `datamodel ${DESTINATION}`
export const OTHER_DESTINATION_NAME = `datamodel ${OTHER_DESTINATION}`
export const AT = 'redox/outbox/outboxconfig'
export const UNKNOWN = '00000000-0000-4000-8000-000000000000'
export const DOWN = reply(503, { error: 'down' })
// Redox's refusal with an error text that repeats values of the message.
export const REFUSED = reply(400, {
  Meta: { Errors: [{ Text: `no ${OUTBOX_PATIENT.last}` }], Logs: [{ ID: 'log-1' }] },
})
export const LOG_ID = 'd9f5d293-7110-461e-a875-3beb089e79f3'
export const TAKEN = reply(200, { Meta: { Logs: [{ ID: LOG_ID }] } })

/** Helpers for a `describe` block about the outbox; the mocha hooks of `useOutbox` fill them in. */
export interface Outbox {
  nodeRed: GuardedNodeRed<User>
  redox: ScriptedServer
  users: Users
  /** returns a new document id, which no other message of this process has */
  documentId: () => string
  /** all document ids that `documentId` has returned */
  documentIds: string[]
  /** accepts a message and waits until it is parked because of this HTTP response */
  parked: (answer?: typeof REFUSED, destination?: string) => Promise<Json>
  /** returns the last lines of the audit log */
  audit: () => Promise<Json[]>
  lastLine: () => Promise<Json>
}

export const startOutbox = (): Promise<GuardedNodeRed<User>> => startWithUsers<User>(USERS)

export const clientsOf = ({ url, tokens }: GuardedNodeRed<User>): Users =>
  Object.fromEntries(
    Object.entries(tokens).map(([name, token]) => [name, new OutboxClient(url, token)]),
  ) as Users

const documentIds: string[] = []

/** Registers mocha hooks that start Node-RED with an outbox, and after each test end open messages and pauses. */
export function useOutbox(): Outbox {
  const outbox = {} as Outbox
  before(async () => {
    outbox.nodeRed = await startOutbox()
    outbox.users = clientsOf(outbox.nodeRed)
    outbox.redox = await ScriptedServer.start()
    await outbox.users.admin.deploy(outbox.redox.url)
  })
  after(async () => {
    await outbox.nodeRed?.stop()
    await outbox.redox?.close()
  })
  afterEach(() => finishAll(outbox))
  return Object.assign(outbox, actions(outbox))
}

async function finishAll({ redox, users }: Outbox): Promise<void> {
  redox.script('send')
  const { destinations } = (await users.admin.connection()) as { destinations: Json[] }
  for (const { destination } of destinations.filter(({ paused }) => paused))
    await users.admin.pause(destination, 'resume', 'end of test')
  for (const { id } of await users.admin.messages('state=parked'))
    await users.admin.decide(id, 'discard', 'end of test')
  await eventually('all is sent', async () => {
    const { counts } = (await users.admin.connection()) as { counts: Record<string, number> }
    return counts['waiting']! + counts['sending']! + counts['parked']! === 0
  })
}

function actions(
  outbox: Outbox,
): Pick<Outbox, 'documentId' | 'documentIds' | 'parked' | 'audit' | 'lastLine'> {
  const documentId = (): string => {
    const id = `doc-${documentIds.length + 1}-of-the-test`
    documentIds.push(id)
    return id
  }
  const audit = async (): Promise<Json[]> => {
    const { reader } = outbox.users
    const { total } = await reader.get('audit?limit=1')
    return (await reader.get(`audit?skip=${Math.max(0, total - 5)}`))['lines'] as Json[]
  }
  return {
    documentId,
    documentIds,
    audit,
    lastLine: async () => (await audit()).at(-1)!,
    parked: async (answer = REFUSED, destination = DESTINATION) => {
      outbox.redox.script('send', answer)
      const { id } = await outbox.users.admin.accept({ documentId: documentId(), destination })
      return outbox.users.admin.until(id, 'parked')
    },
  }
}

/** HTTP status and error code of an error response, which must also contain an error text. */
export async function errorOf(answer: Response): Promise<[status: number, code: string]> {
  const { code, message } = (await answer.json()) as { code: string; message: string }
  assert.equal(typeof message, 'string')
  assert.ok(message.length > 10, message)
  return [answer.status, code]
}
