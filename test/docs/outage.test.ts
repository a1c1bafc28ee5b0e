/** Drill in docs/outage.md: Redox is unavailable for a while, and the test does what the page tells the user to do. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { startSandbox, type Sandbox } from '../../src/sandbox'
import { eventually } from '../lib/eventually'
import { flowTo, OutboxClient, type Json } from '../lib/outbox'
import { freePort, startNodeRed, type NodeRed } from '../lib/node-red'
import { read } from './pages'

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const KEY = { clientId: 'client', keyId: 'key', publicKey: publicKey.export({ format: 'jwk' }) }
/** Value of the field *Retry for* in hours (about 8 s): long enough for two messages to be accepted. */
const SHORT_HOURS = '0.0022'

/** Nodes that record the statuses of the send node and the error codes of the flow. */
const WITNESSES = [
  { id: 'outagestatus', type: 'status', z: 'outboxtab', scope: ['outboxsend'], wires: [['outagestatuses']] },
  {
    ...{ id: 'outagestatuses', type: 'function', z: 'outboxtab', wires: [[]] },
    func: "global.set('status', msg.status.fill + ': ' + msg.status.text)",
  },
  { id: 'outagecatch', type: 'catch', z: 'outboxtab', scope: null, wires: [['outageerrors']] },
  {
    ...{ id: 'outageerrors', type: 'function', z: 'outboxtab', wires: [[]] },
    func: "global.set('errors', [...(global.get('errors') || []), msg.error.code])",
  },
]

describe('drill of docs/outage.md', function () {
  this.timeout(90_000)
  const page = read('docs/outage.md')
  let port: number
  let sandbox: Sandbox
  let nodeRed: NodeRed
  let client: OutboxClient
  let parked: string

  before(async () => {
    port = await freePort()
    await comeBack('endpoint reset-after-accept once')
    nodeRed = await startNodeRed()
    client = new OutboxClient(nodeRed.url)
    await deploy()
  })
  after(async () => {
    await nodeRed?.stop()
    await sandbox?.close()
  })

  /** Starts the sandbox again on the same port, with the same registered key. */
  async function comeBack(faults = ''): Promise<void> {
    sandbox = await startSandbox({ port, faults })
    sandbox.registerOAuthKey(KEY)
  }

  async function deploy(settings: object = {}): Promise<void> {
    const flow = flowTo(`http://127.0.0.1:${port}`, { storeLateMinutes: '0.05', ...settings })
    const connection = flow.find((node) => 'type' in node && node.type === 'redox-config') as Json
    connection['credentials'].privateKey = privateKey.export({ type: 'pkcs8', format: 'pem' })
    await client.deployFlows([...flow, ...WITNESSES])
    await eventually('the outbox is open', async () => 'counts' in (await client.connection()))
  }

  async function kept(name: string): Promise<unknown> {
    const { msg = 'null' } = (await (await client.ask(`context/global/${name}`)).json()) as { msg?: string }
    return name === 'status' || msg === '(undefined)' ? msg : JSON.parse(msg)
  }

  /** Waits until the Catch node has got these error codes, which happens shortly after a message is parked. */
  async function errorsAre(...codes: string[]): Promise<void> {
    const has = async (): Promise<boolean> => isDeepStrictEqual(await kept('errors'), codes)
    await eventually(`the errors are ${codes.join()}`, has)
  }

  /** Waits for this status of the node, and asserts that the page contains it. */
  async function statusIs(colour: string, text: string): Promise<void> {
    await eventually(`${colour}: ${text}`, async () => (await kept('status')) === `${colour}: ${text}`)
    assert.ok(page.includes(`\`${text}\``), `the page does not tell of the status ${text}`)
  }

  const documents = (): unknown[] =>
    sandbox.received.map(({ delivered }) => (delivered as Json)['Note'].DocumentID as unknown)

  it('message whose answer is lost: it is parked, and its destination stops', async () => {
    ;({ id: parked } = (await client.accept({ documentId: 'doc-1' })) as { id: string })
    assert.equal((await client.until(parked, 'parked'))['reason'], 'REDOX_OUTCOME_UNKNOWN')
    await errorsAre('REDOX_OUTCOME_UNKNOWN')
    assert.deepEqual(documents(), ['doc-1'])
  })

  it('outage of Redox: new messages wait, and the node reports no error', async () => {
    await sandbox.close()
    await client.accept({ documentId: 'doc-2' })
    await client.accept({ documentId: 'doc-3' })
    // The node still shows that it accepted a message. A deploy clears this text, but not the numbers of messages.
    await deploy()
    await statusIs('red', 'parked 1 · stopped · waiting 2')
    await errorsAre('REDOX_OUTCOME_UNKNOWN')
  })

  it('parked message that is found in the dashboard: its destination continues, and waits for Redox', async () => {
    assert.equal((await client.decide(parked, 'mark-delivered', 'found in the dashboard')).status, 204)
    await statusIs('yellow', 'No connection · waiting 2')
    await eventually('the first one was tried in vain', async () => {
      const [first, second] = await client.messages('state=waiting&order=oldest')
      return first!['reason'] === 'REDOX_NETWORK' && second!['attempts'] === 0
    })
    assert.ok(page.includes('`REDOX_NETWORK`'))
    await errorsAre('REDOX_OUTCOME_UNKNOWN')
  })

  it('Redox available again: all messages are delivered in order without a user', async () => {
    await comeBack()
    await eventually('all is delivered', async () => (await client.messages('state=delivered')).length === 3)
    assert.deepEqual(documents(), ['doc-2', 'doc-3'])
  })

  it('outage longer than Try for: the first message is parked, the next one waits', async () => {
    await sandbox.close()
    await deploy({ storeRetryHours: SHORT_HOURS })
    const { id } = await client.accept({ documentId: 'doc-4' })
    const { id: next } = await client.accept({ documentId: 'doc-5' })
    assert.equal((await client.until(id as string, 'parked'))['reason'], 'REDOX_NETWORK')
    assert.equal((await client.get(`messages/${next}`))['state'], 'waiting')
    await errorsAre('REDOX_OUTCOME_UNKNOWN', 'REDOX_NETWORK')
    await eventually('red', async () =>
      /^red: .*parked 1 · stopped · waiting 1/.test(String(await kept('status'))),
    )
  })

  it('many decisions at once: Try for longer, then Send again', async () => {
    await comeBack()
    const decide = async (action: string, more: object = {}): Promise<Json> => {
      const { count, till } = await client.get(`count?action=${action}`)
      const filter = { till }
      const body = { filter, action, count, reason: 'Redox is back', ...more }
      return (await (await client.post('redox/outbox/outboxconfig/decisions', body)).json()) as Json
    }
    assert.deepEqual(await decide('extend', { hours: 24 }), { decided: 1, left: 0 })
    assert.deepEqual(await decide('resend'), { decided: 1, left: 0 })
    await eventually('all is delivered', async () => (await client.messages('state=delivered')).length === 5)
    assert.deepEqual(documents(), ['doc-4', 'doc-5'])
  })
})
