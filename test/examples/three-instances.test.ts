/** Example 13 with three instances, each a process of its own, and one PostgreSQL. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { startNodeRed, type NodeRed } from '../lib/node-red'
import { Postgres, postgresBinaries } from '../lib/postgres'
import { NO_POSTGRES, skip } from '../lib/skip'
import { eventually } from '../lib/eventually'

const EXAMPLE = path.join(__dirname, '../../../examples/13 - Three instances behind one store.json')
const NOTES = 12

describe('example 13 with PostgreSQL', function () {
  this.timeout(120_000)
  let postgres: Postgres
  let instances: NodeRed[] = []

  before(async function () {
    if (postgresBinaries() === undefined && !process.env['CI']) {
      skip(this, NO_POSTGRES)
    }
    postgres = await Postgres.start()
    const env = { REDOX_STORE_URL: postgres.url(), REDOX_STORE_KEY: 'a key that only this run has' }
    instances = await Promise.all([1, 2, 3].map(() => startNodeRed({}, env)))
    await Promise.all(instances.map(deployExample))
  })
  after(async () => {
    await Promise.all(instances.map((one) => one.stop()))
    await postgres?.stop()
  })

  it('accepts messages at each instance, sends each note once, and continues after one instance has ended', async () => {
    const answers = await Promise.all(
      Array.from({ length: NOTES }, (_, index) => send(instances[index % 3]!, `note-${index}`)),
    )
    assert.deepEqual(new Set(answers), new Set(['202 accepted']))
    await inboxesHold(NOTES)
    const gone = instances.pop()!
    const before = await countOf(gone)
    await gone.stop()
    for (const [index, one] of instances.entries()) await send(one, `later-${index}`)
    await inboxesHold(NOTES - before + instances.length)
  })

  /** Waits until all sandboxes together have received this number of messages and no message is left to send. */
  async function inboxesHold(wanted: number): Promise<void> {
    const count = async (): Promise<number> =>
      (await Promise.all(instances.map(countOf))).reduce((sum, one) => sum + one, 0)
    await eventually('all are there', async () => (await count()) >= wanted)
    await eventually('nothing is left', async () => (await openOf(instances[0]!)) === 0)
    assert.equal(await count(), wanted, instances.map((one) => one.log()).join('\n'))
  }
})

async function deployExample({ url }: NodeRed): Promise<void> {
  const flow = JSON.parse(readFileSync(EXAMPLE, 'utf8')) as { type: string }[]
  const enabled = flow.map((node) => (node.type === 'tab' ? { ...node, disabled: false } : node))
  const headers = { 'content-type': 'application/json' }
  const { status } = await fetch(`${url}flows`, { method: 'POST', headers, body: JSON.stringify(enabled) })
  assert.equal(status, 204)
}

async function send({ url }: NodeRed, id: string): Promise<string> {
  const body = new URLSearchParams({ patientId: '0000000001', id, text: 'Seen' })
  for (let tries = 0; ; tries++) {
    const answer = await fetch(`${url}redox-note`, { method: 'POST', body })
    // The flow starts shortly after the response to the deploy request.
    if (answer.status !== 404 || tries === 50) return `${answer.status} ${await answer.text()}`
    await pause(100)
  }
}

async function countOf({ url }: NodeRed): Promise<number> {
  const { messages } = (await (await fetch(`${url}redox/inbox`)).json()) as { messages: unknown[] }
  return messages.length
}

/** Number of messages in the shared store that are waiting or being sent. */
async function openOf({ url }: NodeRed): Promise<number> {
  const { connections } = (await (await fetch(`${url}redox/outbox`)).json()) as {
    connections: { counts: { waiting: number; sending: number } }[]
  }
  return connections.reduce((sum, { counts }) => sum + counts.waiting + counts.sending, 0)
}
