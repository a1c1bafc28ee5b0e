/** Fills the sandbox of a Node-RED that runs elsewhere, and asks what its inbox has. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

const WITHIN_MS = 10_000

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

const typed = (values: Record<string, string>, type: 'str' | 'msg'): object =>
  Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => [
      [name, value],
      [`${name}Type`, type],
    ]),
  )

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

/** One Node-RED and one of its users. */
export class InboxClient {
  constructor(
    /** Of Node-RED, with a slash at its end. */
    private readonly url: string,
    private readonly token?: string,
  ) {}

  /** Anything of the admin API. */
  ask(place: string, options: RequestInit = {}): Promise<Response> {
    const access = this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }
    return fetch(this.url + place, { ...options, headers: { ...access, ...options.headers } })
  }

  /** @param faults that the connection plays */
  async deploy(faults = ''): Promise<void> {
    const body = JSON.stringify(
      INBOX_FLOW.map((node) => (node.type === 'redox-config' ? { ...node, faults, attempts: '1' } : node)),
    )
    const answer = await this.ask('flows', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    assert.equal(answer.status, 204)
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
    for (let waited = 0; waited < WITHIN_MS; waited += 50) {
      const { messages } = await this.list()
      if (messages.length > length) return messages[0]!
      await sleep(50)
    }
    assert.fail(`${parcel.filename} did not arrive`)
  }

  async press({ bytes, filename, contentType, family = 'Quuxworth' }: Parcel): Promise<void> {
    const values = { payload: bytes.toString('base64'), filename, contentType, family }
    const props = Object.entries(values)
      .filter(([, v]) => v !== undefined)
      .map(([p, v]) => ({ p, v, vt: 'str' }))
    const body = JSON.stringify({ __user_inject_props__: props })
    const headers = { 'content-type': 'application/json' }
    const inject = (): Promise<Response> => this.ask('inject/inboxbutton', { method: 'POST', headers, body })
    let answer = await inject()
    // A deploy is answered before the nodes are there.
    for (let waited = 0; answer.status === 404 && waited < WITHIN_MS; waited += 50) {
      await sleep(50)
      answer = await inject()
    }
    assert.equal(answer.status, 200)
  }
}
