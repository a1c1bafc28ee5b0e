/**
 * The examples that alert people, in a real Node-RED, with a real receiver, over outages of Redox. Only what a user
 * would set is changed: the connection, the variables of the tab, and times, so that nothing waits for an hour.
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { AdminClient } from '../lib/client'
import { eventually } from '../lib/eventually'
import { assertNoPatient } from '../lib/flow'
import { startNodeRed, type NodeRed } from '../lib/node-red'
import { serve, type Recorded, type Server } from '../lib/redox'
import { reply, ScriptedServer } from '../lib/scripted-server'

const FOLDER = path.join(__dirname, '../../../examples')
const DOWN = reply(503, { error: 'down' })
const TEXT = 'Seen today by Zebedina Quuxworth.'

interface FlowNode {
  id: string
  type: string
  [property: string]: unknown
}
interface Alert {
  event: string
  state: string
  since: string
  text: string
}

const privateKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
}) as string

describe('examples of alerts, over outages', function () {
  this.timeout(120_000)
  let nodeRed: NodeRed
  let redox: ScriptedServer
  let receiver: Server
  let isReceiverDown: boolean
  /** requests that the receiver answered with a success */
  const taken: Recorded[] = []
  let client: AdminClient

  beforeEach(async () => {
    isReceiverDown = false
    taken.length = 0
    redox = await ScriptedServer.start()
    receiver = await serve((request) => {
      if (!isReceiverDown) taken.push(request)
      return { status: isReceiverDown ? 503 : 200 }
    })
    nodeRed = await startNodeRed()
    client = new AdminClient(nodeRed.url)
  })
  afterEach(async () => {
    await nodeRed?.stop()
    await redox?.close()
    await receiver?.close()
  })

  const alertOf = ({ body }: Recorded): Alert => JSON.parse(body.toString()) as Alert
  const states = (): string[] => taken.map(alertOf).map(({ event, state }) => `${event} ${state}`)
  const untilAlerts = (count: number): Promise<void> =>
    eventually(
      () => `${count} alerts: ${states().join()}`,
      () => states().length >= count,
    )
  /** Waits until Redox was asked this many more times. Between two attempts, a trouble that is repeated would be told. */
  async function untilTried(times: number): Promise<void> {
    const wanted = redox.of('send').length + times
    await eventually('further attempts', () => redox.of('send').length >= wanted)
  }

  /** Returns an example as a user sets it up for a server in place of Redox. */
  function example(name: string, variables: Record<string, string>, connection: object = {}): FlowNode[] {
    const nodes = JSON.parse(readFileSync(path.join(FOLDER, `${name}.json`), 'utf8')) as FlowNode[]
    const values: Record<string, string> = { WEBHOOK: receiver.url, ENVIRONMENT: 'Development', ...variables }
    return nodes.map((node) => {
      if (node.type === 'tab') {
        const env = (node['env'] as { name: string; value: string }[]).map((one) => ({
          ...{ ...one, value: values[one.name] ?? one.value },
        }))
        return { ...node, env }
      }
      if (node.type === 'redox-config') {
        const account = { apiBase: redox.url, clientId: 'client', keyId: 'key', faults: '' }
        const credentials = { privateKey, storeKey: 'a store key that is hard to guess' }
        return { ...node, ...account, storeLateMinutes: String(1 / 60), ...connection, credentials }
      }
      if (node.type === 'delay') return { ...node, timeout: '1', timeoutUnits: 'seconds' }
      if (node.type === 'inject' && node['repeat'] !== '') return { ...node, repeat: '0.2' }
      return node
    })
  }

  it('tell a webhook once per trouble and once when it is over, also when a deploy is between', async () => {
    const flow = example('14 - Alert a webhook', {})
    await client.deployFlows(flow)
    redox.script('send', DOWN)
    await client.inject('redoxex14i', { payload: TEXT })
    await untilAlerts(1)
    await client.deployFlows(flow)
    await untilTried(2)
    assert.deepEqual(states(), ['late begun'])
    redox.script('send')
    await untilAlerts(2)
    // The next note is refused: its two troubles are over after a command of the flow.
    redox.script('send', reply(400, {}))
    await client.inject('redoxex14i', { payload: TEXT })
    await untilAlerts(4)
    redox.script('send')
    const command = { action: 'resend', filter: { state: 'parked' }, reason: 'a test' }
    await client.inject('redoxex14j', { payload: command })
    await untilAlerts(6)
    assert.deepEqual(states(), [
      ...['late begun', 'late over'],
      ...['stopped begun', 'parked begun', 'stopped over', 'parked over'],
    ])
    for (const { body } of taken) assertNoPatient(body.toString(), 'an alert')
    assert.match(alertOf(taken[0]!).text, /^Redox \(Example 14: durable, with alerts\): the oldest message /)
  })

  it('repeat an alert that the webhook did not take', async () => {
    await client.deployFlows(example('14 - Alert a webhook', {}))
    isReceiverDown = true
    redox.script('send', DOWN)
    await client.inject('redoxex14i', { payload: TEXT })
    await eventually('two tries', () => receiver.requests.length > 1)
    isReceiverDown = false
    await untilAlerts(1)
    redox.script('send')
    await untilAlerts(2)
    assert.deepEqual(states(), ['late begun', 'late over'])
  })

  it('page after the time of PAGE_AFTER, and not for a shorter trouble', async () => {
    const seconds = 3
    const flow = example('15 - Page after an hour', { PAGE_AFTER: String(seconds / 60) })
    // Tells when the trouble begins and ends; example 15 itself says nothing of a short one.
    const witness = example('14 - Alert a webhook', { WEBHOOK: `${receiver.url}/witness` })
      .filter(({ type }) => type !== 'redox-config')
      .map((node) => (node['connection'] === undefined ? node : { ...node, connection: 'redoxex15conf' }))
    // Both tabs use the connection, so it belongs to neither, and does not see their variables.
    const ofBoth = { z: undefined, environment: 'Development', environmentType: 'environment' }
    const global = flow.map((node) => (node.type === 'redox-config' ? { ...node, ...ofBoth } : node))
    await client.deployFlows([...global, ...witness])
    const [pages, told] = [
      () => receiver.to('/').map(alertOf),
      () => receiver.to('/witness').map((request) => alertOf(request).state),
    ]
    const outage = async (whileDown: () => Promise<void>): Promise<void> => {
      redox.script('send', DOWN)
      const before = told().length
      await client.inject('redoxex15i', { payload: TEXT })
      await eventually('it has begun', () => told().length > before)
      await whileDown()
      redox.script('send')
      await eventually('it is over', () => told().length > before + 1)
    }
    await outage(() => Promise.resolve())
    assert.deepEqual(told(), ['begun', 'over'])
    await outage(async () => {
      await client.deployFlows([...global, ...witness])
      await eventually('the page', () => pages().length > 0)
      assert.ok(Date.now() - Date.parse(pages()[0]!.since) >= 1000 * seconds)
      await untilTried(1)
    })
    await eventually('the end is told', () => pages().length > 1)
    assert.deepEqual(
      pages().map(({ event, state }) => `${event} ${state}`),
      ['late begun', 'late over'],
    )
  })
})
