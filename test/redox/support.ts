/** Responses of Redox, test messages, and a server whose responses a test defines. */
import type { Connection } from '../../nodes/lib/connection/connection'
import { takeMemory } from '../../src/file/file'
import { prepareDataModel } from '../../src/message/datamodel'
import { prepareFhir } from '../../src/message/fhir'
import type { PreparedMessage } from '../../src/message/prepared'
import { deliverDirect, uploadDirect } from '../../src/redox/direct-delivery'
import { connectTo, never, serve, withToken, type Reply, type Server } from '../lib/redox'

export const ERROR = { ID: 531829, Text: 'Required field missing - Device.ID in Device:New', Type: 'message' }
export const refusal = { severity: 'error', code: 'invalid', details: { text: 'No' }, diagnostics: 'deep' }
export const OUTCOME = { resourceType: 'OperationOutcome', issue: [refusal] }
export const LOG_ID = 'd9f5d293-7110-461e-a875-3beb089e79f3'
export const LOCATION = 'https://fhir.example/DiagnosticReport/1/_history/1'
export const CREATED = { response: { status: '201 Created', location: LOCATION } }
export const REFUSED = {
  response: { status: '422', outcome: { issue: [{ severity: 'error', diagnostics: 'bad' }] } },
}
export const XML_OUTCOME = `<OperationOutcome xmlns="http://hl7.org/fhir"><issue><severity value="error"/><code value="invalid"/>
  <details><text value="Not &quot;so&quot; &lt;here&gt;"/></details><diagnostics value="line 7"/>
  <expression value="Bundle.entry[1]"/></issue><issue><severity value="warning"/><diagnostics value="old"/></issue>
  <issue><severity value="fatal"/><diagnostics value="bad"/></issue></OperationOutcome>`
export const GATEWAY = '<html><head><title>x</title></head><body><h1>502</h1>Bad\nGateway</body></html>'

export const CANARIES = [
  'MRN-7731-canary',
  'Zebedina',
  'Quuxworth-Müller',
  '1931-07-19',
  '90871234',
  'befund-quux.pdf',
]
export const [ID, FirstName, LastName, DOB, number, filename] = CANARIES as [string, ...string[]] & {
  5: string
}
export const DESTINATIONS = ['af394f14-b34a-464f-8d24-895f370af4c9', '7ce6f387-c33c-417d-8682-81e83628cbd9']
export const FILE = takeMemory(Buffer.from('%PDF-1.7'), { where: 'x', filename }).file
export const PATIENT = { Identifiers: [{ ID, IDType: 'MR' }], Demographics: { FirstName, LastName, DOB } }
const NOTE = { DocumentType: 'Consent Form', DocumentID: 'doc-4711', Provider: { ID: '4356789876' } }
export const MESSAGE = { eventType: 'New', destinations: DESTINATIONS, fields: [], now: new Date() }
const REPORT = {
  resourceType: 'DiagnosticReport',
  identifier: [{ value: 'report-1' }],
  code: { text: 'x' },
}

export const status = (code: number, body: unknown = { errorDetail: 'so it is' }): Reply => ({
  status: code,
  body,
})

type Delivery = ReturnType<typeof deliverDirect>

/** Connection to a separate server, with functions that send over this connection. */
export class Outcomes {
  server!: Server
  connection!: Connection
  /** response of the server to all requests except token requests */
  script!: (path: string) => Reply

  async open(): Promise<void> {
    this.script = () => status(200, { Meta: { Logs: [{ ID: LOG_ID }] } })
    this.server = await serve(withToken(({ path }) => this.script(path)))
    this.connection = connectTo(this.server.url, { answerTimeout: 2 })
  }

  async close(): Promise<void> {
    await this.connection.client.close()
    await this.server.close()
  }

  note(destinations = DESTINATIONS, file = FILE): PreparedMessage {
    const data = { Patient: PATIENT, Visit: { VisitNumber: number }, Note: NOTE }
    const files = [{ file, way: 'embed' as const }]
    return prepareDataModel({ ...MESSAGE, destinations, model: 'Notes', data, files }, this.connection.sender)
  }

  report(): PreparedMessage {
    const data = [REPORT, { resourceType: 'Patient', identifier: [{ value: ID }] }]
    const operation = 'DiagnosticReport/$diagnosticreport-create'
    return prepareFhir(
      { ...MESSAGE, operation, slug: 'redox-fhir-sandbox', data, files: [] },
      this.connection.sender,
    )
  }

  /** Sends a Notes message to two destinations. */
  readonly send = (client = this.connection.client): Delivery =>
    deliverDirect(client, this.note(), { signal: never() })

  readonly sendToOne = (): Delivery =>
    deliverDirect(this.connection.client, this.note(DESTINATIONS.slice(0, 1)), { signal: never() })

  readonly sendFhir = (): Delivery =>
    deliverDirect(this.connection.client, this.report(), { signal: never() })

  readonly upload = (client = this.connection.client): ReturnType<typeof uploadDirect> =>
    uploadDirect(client, FILE, { kind: 'blob', signal: never() })
}

/** Registers mocha hooks that give each test a new server and connection. */
export function useOutcomes(): Outcomes {
  const outcomes = new Outcomes()
  beforeEach(() => outcomes.open())
  afterEach(() => outcomes.close())
  return outcomes
}
