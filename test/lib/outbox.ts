/** Client for the outbox of a Node-RED in another process: fills the outbox and calls its admin API. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import type { Sandbox } from '../../src/sandbox'
import { AdminClient, typed } from './client'
import { eventually } from './eventually'

export const DESTINATION = 'af394f14-b34a-464f-8d24-895f370af4c9'
export const OTHER_DESTINATION = '7ce6f387-c33c-417d-8682-81e83628cbd9'
/** Patient of all messages. If a list of the outbox contains any of these values, patient data has leaked. */
export const OUTBOX_PATIENT = { id: 'ZX81-7745', first: 'Zebedina', last: 'Quuxworth', dob: '1931-07-19' }
export const FILE_NAME = 'befund-xylotomy.pdf'

export type Json = Record<string, any>

/** Parameters of a test message for durable delivery. */
export interface Accepted {
  documentId: string
  bytes?: Buffer
  destination?: string
}

const privateKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
}) as string

/**
 * Flow with durable delivery to the server `redox`: an Inject node wired to a redox-datamodel-note node. The flow
 * records the answers that this node emits in the global context.
 */
export const flowTo = (
  redox: string,
  settings: object,
  storeKey = 'a store key that is hard to guess',
): object[] => [
  { id: 'outboxtab', type: 'tab', label: 'outbox' },
  {
    ...{ id: 'outboxconfig', type: 'redox-config', name: 'Hospital', attempts: '1', apiBase: redox },
    ...{ environment: 'Development', environmentType: 'environment', clientId: 'client', keyId: 'key' },
    ...{ delivery: 'durable', ...settings },
    credentials: { privateKey, storeKey },
  },
  { id: 'outboxbutton', type: 'inject', z: 'outboxtab', props: [], x: 140, y: 80, wires: [['outboxsend']] },
  {
    ...{ id: 'outboxsend', type: 'redox-datamodel-note', z: 'outboxtab', connection: 'outboxconfig' },
    ...{ name: 'letters', fileFrom: 'message', way: 'embed', x: 340, y: 80, wires: [['outboxemitted']] },
    ...typed({ patientId: OUTBOX_PATIENT.id, firstName: OUTBOX_PATIENT.first }, 'str'),
    ...typed({ lastName: OUTBOX_PATIENT.last, dob: OUTBOX_PATIENT.dob, sex: 'Female' }, 'str'),
    ...typed({ typeOfPatientId: 'MR', documentType: 'Letter', providerId: '4356789876' }, 'str'),
    ...typed({ file: 'payload', filename: 'filename', documentId: 'documentId' }, 'msg'),
    ...typed({ destination: 'destination' }, 'msg'),
  },
  {
    ...{ id: 'outboxemitted', type: 'function', z: 'outboxtab', x: 540, y: 80, wires: [[]] },
    func: "global.set('emitted', [...(global.get('emitted') || []), msg.redox.outbox.id]); return msg",
  },
]

export class OutboxClient extends AdminClient {
  /**
   * Sends a GET request to the admin API and returns the JSON of the response.
   * @param place URL path below `redox/outbox/outboxconfig/`
   */
  async get(place: string): Promise<Json> {
    const answer = await this.ask(`redox/outbox/outboxconfig/${place}`)
    assert.equal(answer.status, 200, `${place}: ${await answer.clone().text()}`)
    return (await answer.json()) as Json
  }

  decide(id: string, action: string, reason: string): Promise<Response> {
    return this.post(`redox/outbox/outboxconfig/messages/${id}`, { action, reason })
  }

  pause(destination: string, action: string, reason: string): Promise<Response> {
    return this.post('redox/outbox/outboxconfig/destinations', { destination, action, reason })
  }

  /**
   * Deploys the flow.
   * @param redox address of the server that the connection uses
   * @param settings properties of the connection
   * @param others further nodes of the flow
   */
  async deploy(redox: string, settings: object = {}, others: object[] = []): Promise<void> {
    await this.deployFlows([...flowTo(redox, settings), ...others])
    await eventually('the outbox is open', async () => 'counts' in (await this.connection()))
  }

  /**
   * Deploys the flow to a sandbox, with a user-level key of that sandbox.
   * @param settings properties of the connection
   * @param secrets credentials of the connection
   * @param others further nodes of the flow; a redox-log node among them follows what the send node emits
   */
  async deploySandbox(
    { url, oauthKey, platform }: Pick<Sandbox, 'url' | 'oauthKey' | 'platform'>,
    settings: object = {},
    secrets: object = {},
    others: Json[] = [],
  ): Promise<void> {
    const { key, organizationId, environmentIds } = platform
    const [flow, config, ...nodes] = flowTo(url, {
      ...{ clientId: oauthKey.clientId, keyId: oauthKey.keyId, organizationId },
      ...{ platformClientId: key.clientId, platformKeyId: key.keyId },
      ...{ environmentId: environmentIds.Development, ...settings },
    }) as Json[]
    const own = { privateKey: oauthKey.privateKey, platformPrivateKey: key.privateKey }
    const credentials = { ...config!['credentials'], ...own, ...secrets }
    const follower = others.find(({ type }) => type === 'redox-log')
    const wired = nodes.map((node) =>
      follower && node['id'] === 'outboxemitted' ? { ...node, wires: [[follower['id']]] } : node,
    )
    await this.deployFlows([flow!, { ...config, credentials }, ...wired, ...others])
    await eventually('the outbox is open', async () => 'counts' in (await this.connection()))
  }

  async connection(): Promise<Json> {
    const { connections } = (await (await this.ask('redox/outbox')).json()) as { connections: Json[] }
    return connections.find(({ id }) => id === 'outboxconfig') ?? {}
  }

  async messages(query = ''): Promise<Json[]> {
    return (await this.get(`messages?${query}`))['messages'] as Json[]
  }

  /** Presses the Inject button, waits until the message is in the store, and returns its item of the outbox list. */
  async accept(accepted: Accepted): Promise<Json> {
    await this.press(accepted)
    let found: Json | undefined
    await eventually(`${accepted.documentId} is accepted`, async () => {
      found = (await this.messages(`search=${accepted.documentId}`)).at(-1)
      return found !== undefined
    })
    return found!
  }

  async press({
    documentId,
    bytes = Buffer.from('%PDF-1.7 %%EOF'),
    destination = DESTINATION,
  }: Accepted): Promise<void> {
    const payload = bytes.toString('base64')
    await this.inject('outboxbutton', { payload, filename: FILE_NAME, documentId, destination })
  }

  async until(id: string, state: string): Promise<Json> {
    let found: Json = {}
    await eventually(`${id} is ${state}`, async () => {
      found = await this.get(`messages/${id}`)
      return found['state'] === state
    })
    return found
  }

  /** Ids of the messages whose answers the redox-datamodel-note node has emitted. */
  async emitted(): Promise<string[]> {
    const answer = (await (await this.ask('context/global/emitted')).json()) as { msg?: string }
    return answer.msg === undefined || answer.msg === '(undefined)'
      ? []
      : (JSON.parse(answer.msg) as string[])
  }
}
