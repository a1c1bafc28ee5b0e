/** Fills the sandbox of a Node-RED that runs elsewhere, and asks what its inbox has. */
import assert from 'node:assert/strict'
import { AdminClient, eventually, typed } from './client'

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
}

/** What a test sends: a file with what is said of it, about somebody. */
export interface Parcel {
  bytes: Buffer
  filename: string
  contentType?: string
  family?: string
}

/** A button and a node that takes all that changes from the message. */
export const INBOX_FLOW = [
  { id: 'inboxtab', type: 'tab', label: 'inbox' },
  {
    id: 'inboxconfig',
    type: 'redox-config',
    name: '',
    environment: 'Sandbox',
    environmentType: 'environment',
  },
  {
    id: 'inboxbutton',
    type: 'inject',
    z: 'inboxtab',
    name: '',
    props: [],
    x: 140,
    y: 80,
    wires: [['inboxsend']],
  },
  {
    ...{ id: 'inboxsend', type: 'redox-fhir-document', z: 'inboxtab', connection: 'inboxconfig' },
    ...{ name: '', fileFrom: 'message', way: 'embed', place: '', x: 340, y: 80, wires: [[]] },
    ...typed({ destination: 'redox-fhir-sandbox', code: '34133-9', patientId: 'ZX81-7745' }, 'str'),
    ...typed({ patientIdSystem: 'urn:redox:redox-fhir-sandbox:MR', given: 'Zebedina' }, 'str'),
    ...typed({ birthDate: '1931-07-19', gender: 'female' }, 'str'),
    ...typed({ file: 'payload', filename: 'filename', contentType: 'contentType', family: 'family' }, 'msg'),
  },
]

export class InboxClient extends AdminClient {
  /** @param faults that the connection plays */
  async deploy(faults = ''): Promise<void> {
    await this.deployFlows(
      INBOX_FLOW.map((node) => (node.type === 'redox-config' ? { ...node, faults, attempts: '1' } : node)),
    )
  }

  async list(): Promise<InboxList> {
    const answer = await this.ask('redox/inbox')
    assert.equal(answer.status, 200)
    return (await answer.json()) as InboxList
  }

  /** Presses the button and waits until the sandbox has it. */
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

  press({ bytes, filename, contentType, family = 'Quuxworth' }: Parcel): Promise<void> {
    return this.inject('inboxbutton', { payload: bytes.toString('base64'), filename, contentType, family })
  }
}
