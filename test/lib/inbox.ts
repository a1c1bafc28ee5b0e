/** Client that fills the sandbox of a Node-RED in another process and reads its inbox. */
import assert from 'node:assert/strict'
import { AdminClient, typed } from './client'
import { eventually } from './eventually'

export interface InboxFile {
  name?: string
  size: number
  sha256: string
  shown: string | null
  [key: string]: unknown
}
export interface InboxMessage {
  id: string
  at: string
  patient: string
  document: string
  files: InboxFile[]
  [key: string]: unknown
}
export interface InboxList {
  running: boolean
  messages: InboxMessage[]
  faults: { at: string; api: string; fault: string; accepted: boolean }[]
  /** true: any computer that can reach Node-RED can read the inbox without a login */
  openToAll?: true
}

/** File that a test sends, with its description and patient. */
export interface Parcel {
  bytes: Buffer
  filename: string
  contentType?: string
  family?: string
  /** true: the file is inside a FHIR resource in `msg`, whose declared content type the nodes do not check */
  inData?: true
}

/** Flow of Inject nodes and send nodes; the send nodes take the file and its details from `msg`. */
export const INBOX_FLOW: object[] = [
  { id: 'inboxtab', type: 'tab', label: 'inbox' },
  {
    id: 'inboxconfig',
    type: 'redox-config',
    name: '',
    environment: 'Sandbox',
    environmentType: 'environment',
  },
  button('inboxbutton', 'inboxsend', 80),
  {
    ...send('inboxsend', 'message', 80),
    ...typed({ file: 'payload', filename: 'filename', contentType: 'contentType' }, 'msg'),
  },
  button('inboxdatabutton', 'inboxdatasend', 140),
  { ...send('inboxdatasend', 'none', 140), ...typed({ data: 'data' }, 'msg') },
]

function button(id: string, to: string, y: number): object {
  return { id, type: 'inject', z: 'inboxtab', name: '', props: [], x: 140, y, wires: [[to]] }
}

function send(id: string, fileFrom: string, y: number): object {
  return {
    ...{ id, type: 'redox-fhir-document', z: 'inboxtab', connection: 'inboxconfig' },
    ...{ name: '', fileFrom, way: 'embed', place: '', x: 340, y, wires: [[]] },
    ...typed({ destination: 'redox-fhir-sandbox', code: '34133-9', patientId: 'ZX81-7745' }, 'str'),
    ...typed({ patientIdSystem: 'urn:redox:redox-fhir-sandbox:MR', given: 'Zebedina' }, 'str'),
    ...typed({ birthDate: '1931-07-19', gender: 'female' }, 'str'),
    ...typed({ family: 'family' }, 'msg'),
  }
}

export class InboxClient extends AdminClient {
  /**
   * Deploys the flow.
   * @param faults fault plan of the connection
   * @param deliveries delivery plan of the connection
   */
  async deploy(faults = '', deliveries = ''): Promise<void> {
    await this.deployFlows(
      INBOX_FLOW.map((node) =>
        'environment' in node ? { ...node, faults, deliveries, attempts: '1' } : node,
      ),
    )
  }

  async list(): Promise<InboxList> {
    const answer = await this.ask('redox/inbox')
    assert.equal(answer.status, 200)
    return (await answer.json()) as InboxList
  }

  /** Presses the Inject button and waits until the message is in the sandbox. */
  async send(parcel: Parcel): Promise<InboxMessage> {
    const { length } = (await this.list()).messages
    await this.press(parcel)
    let messages: InboxMessage[] = []
    await eventually(`${parcel.filename} arrived`, async () => {
      ;({ messages } = await this.list())
      return messages.length > length
    })
    return messages[0]!
  }

  press({ bytes, filename, contentType, family = 'Quuxworth', inData }: Parcel): Promise<void> {
    if (inData) {
      const attachment = { contentType, title: filename, data: bytes.toString('base64') }
      const data = { resourceType: 'DocumentReference', content: [{ attachment }] }
      return this.inject('inboxdatabutton', { data, family })
    }
    return this.inject('inboxbutton', { payload: bytes.toString('base64'), filename, contentType, family })
  }
}
