/** Real client for the contract tests, connected to the sandbox through a recording proxy. */
import assert from 'node:assert/strict'
import type { Connection, ConnectionConfig } from '../../nodes/lib/connection/connection'
import { takeFile, takeMemory, type FileSource, type MessageFile } from '../../src/file/file'
import { prepareDataModel, type DataModelInput } from '../../src/message/datamodel'
import { prepareFhir } from '../../src/message/fhir'
import type { FhirInput } from '../../src/message/fhir-operations'
import { chooseWay, type PreparedMessage } from '../../src/message/prepared'
import { referenceFor, type UploadKind } from '../../src/redox/uploads'
import type { SendResult } from '../../src/redox/client-types'
import { startSandbox, type ReceivedMessage, type Sandbox, type SandboxOptions } from '../../src/sandbox'
import { deliverDirect, uploadDirect } from '../../src/redox/direct-delivery'
import { connectBy, never, wireTo, type Recorded, type Server } from '../lib/redox'
import type { JsonObject } from './json'

export const REPORT = 'DiagnosticReport/$diagnosticreport-create'
export const OBSERVATION = 'Observation/$observation-create'
export const DOCUMENT = 'DocumentReference/$documentreference-create'
export const DESTINATION = 'af394f14-b34a-464f-8d24-895f370af4c9'
export const SOURCE = '7ce6f387-c33c-417d-8682-81e83628cbd9'
export const SLUG = 'redox-fhir-sandbox'

export type Api = 'datamodel' | 'fhir'

export let sandbox: Sandbox
export let wire: Server
export let connection: Connection
let closing: (() => Promise<void>)[] = []

/** Registers mocha hooks that give each test of the enclosing suite a sandbox, a recording proxy and a connection. */
export function useWire(options: SandboxOptions = {}, config: ConnectionConfig = {}): void {
  before(async () => {
    sandbox = await startSandbox(options)
    wire = await wireTo(sandbox)
    closing = [() => wire.close(), () => sandbox.close()]
    connection = connect(config)
  })
  beforeEach(() => {
    sandbox.clear()
    wire.requests.length = 0
  })
  after(async () => {
    for (const close of closing) await close()
  })
}

export function connect(config: ConnectionConfig): Connection {
  const made = connectBy(wire, sandbox, config)
  closing.unshift(() => made.client.close())
  return made
}

// ---- Files ---------------------------------------------------------------------------------------------

export const fileOf = (content: Buffer, filename = 'report.pdf'): FileSource =>
  takeMemory(content, { where: 'msg.payload', filename }).file

export const place = (file: MessageFile, api: Api, way: 'auto' | 'embed' | 'upload', by = connection) =>
  chooseWay(file, way, api, by.client.settings.limits)

export const uploadKind = (api: Api): UploadKind => (api === 'fhir' ? 'binary' : 'blob')

/** Uploads a file, and returns its reference as a send node reads it from the answer of a redox-upload node. */
export async function referenceTo(file: MessageFile, api: Api): Promise<MessageFile & { kind: 'reference' }> {
  assert.ok(file.kind === 'file')
  const uploaded = await uploadDirect(connection.client, file, { kind: uploadKind(api), signal: never() })
  const payload = JSON.parse(JSON.stringify(referenceFor(file, uploaded, uploadKind(api)))) as unknown
  const { file: reference } = await takeFile(payload, { where: 'msg.payload' })
  assert.ok(reference.kind === 'reference')
  return reference
}

// ---- Messages ------------------------------------------------------------------------------------------

type Given<T, K extends keyof T> = Pick<T, K> & Partial<T>

export const prepareData = (input: Given<DataModelInput, 'model' | 'eventType'>): PreparedMessage =>
  prepareDataModel(
    { destinations: [DESTINATION], fields: [], files: [], now: new Date(), ...input },
    connection.sender,
  )

export const prepareResource = (input: Given<FhirInput, 'operation'>, by = connection): PreparedMessage =>
  prepareFhir({ slug: SLUG, fields: [], files: [], now: new Date(), ...input }, by.sender)

export interface Emitted {
  delivery: SendResult
  /** body of the request, parsed from JSON */
  body: JsonObject
  request: Recorded
  received: ReceivedMessage
}

/** Asserts that the Content-Length header is the length of the body and that the request is not chunked. */
function assertExactLength({ path, headers, body }: Recorded): void {
  assert.equal(headers['content-length'], String(body.length), path)
  assert.equal(headers['transfer-encoding'], undefined, path)
}

export async function emit(message: PreparedMessage, by = connection): Promise<Emitted> {
  const [before, accepted] = [wire.requests.length, sandbox.received.length]
  const delivery = await deliverDirect(by.client, message, { signal: never() })
  wire.requests.slice(before).forEach(assertExactLength)
  assert.equal(delivery.status, 200)
  assert.equal(sandbox.received.length, accepted + 1)
  const request = wire.requests.at(-1)!
  const body = JSON.parse(request.body.toString('utf8')) as JsonObject
  return { delivery, body, request, received: sandbox.received.at(-1)! }
}
