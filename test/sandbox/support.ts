/** Simple HTTP client and valid messages for tests of the sandbox, independent of the package's own client. */
import assert from 'node:assert/strict'
import { createHash, createPrivateKey, randomUUID } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { startSandbox } from '../../src/sandbox'
import type { Sandbox, SandboxOptions } from '../../src/sandbox'

export type Json = Record<string, any>
export type Body = NonNullable<RequestInit['body']>

export const DESTINATION = 'af394f14-b34a-464f-8d24-895f370af4c9'
export const PDF = Buffer.from('%PDF-1.4\nhello\n%%EOF\n')
export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

let current: Sandbox | undefined

/** Registers mocha hooks that run one sandbox for all tests of the enclosing suite; `sandbox()` returns it. */
export function useSandbox(options: SandboxOptions = {}): void {
  before(async () => {
    current = await startSandbox(options)
  })
  beforeEach(() => sandbox().clear())
  after(() => sandbox().close())
}

export const sandbox = (): Sandbox => current!

export const seconds = (): number => Math.floor(Date.now() / 1000)

export interface AssertionParts {
  header?: Json
  claims?: Json
  key?: KeyObject
}

/** JWT assertion for the sandbox's demo key. The assertion is valid unless a parameter replaces or removes a part. */
export async function assertion({ header, claims, key }: AssertionParts = {}): Promise<string> {
  const { SignJWT } = await import('jose')
  const { clientId, keyId, privateKey } = sandbox().oauthKey
  return new SignJWT({
    iss: clientId,
    sub: clientId,
    aud: `${sandbox().url}/v2/auth/token`,
    iat: seconds(),
    exp: seconds() + 300,
    jti: randomUUID(),
    ...claims,
  })
    .setProtectedHeader({ alg: 'RS384', typ: 'JWT', kid: keyId, ...header })
    .sign(key ?? createPrivateKey(privateKey))
}

export const form = (clientAssertion: string): Record<string, string> => ({
  grant_type: 'client_credentials',
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  client_assertion: clientAssertion,
})

export const askToken = (fields: Record<string, string>, base = sandbox().url): Promise<Response> =>
  fetch(`${base}/v2/auth/token`, { method: 'POST', body: new URLSearchParams(fields) })

export async function token(): Promise<string> {
  const answer = await askToken(form(await assertion()))
  assert.equal(answer.status, 200)
  return ((await answer.json()) as Json)['access_token']
}

export const postJson = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(sandbox().url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })

export async function legacyToken(): Promise<Json> {
  return (await (await postJson('/auth/authenticate', sandbox().legacyKey)).json()) as Json
}

export const bearer = (accessToken: string, source?: string): Record<string, string> => ({
  authorization: `Bearer ${accessToken}`,
  ...(source !== undefined && { 'redox-source-id': source }),
})

export function multipart(bytes: Buffer, part = 'file', name = 'report.pdf', type = 'application/pdf') {
  const body = new FormData()
  body.append(part, new Blob([new Uint8Array(bytes)], { type }), name)
  return body
}

export async function uploadBlob(bytes: Buffer, source?: string): Promise<string> {
  const headers = bearer(await token(), source)
  const answer = await fetch(`${sandbox().url}/upload`, { method: 'POST', headers, body: multipart(bytes) })
  assert.equal(answer.status, 201)
  return ((await answer.json()) as Json)['URI']
}

export const postBinary = async (body: Body, type?: string, environment = 'Development', source?: string) =>
  fetch(`${sandbox().endpoints.binaryUploadBase}/redox/${environment}/Binary`, {
    method: 'POST',
    headers: { ...bearer(await token(), source), ...(type !== undefined && { 'content-type': type }) },
    body,
  })

export async function uploadBinary(bytes: Buffer, source?: string): Promise<string> {
  const answer = await postBinary(new Uint8Array(bytes), 'application/pdf', 'Development', source)
  assert.equal(answer.status, 201)
  return answer.headers.get('location')!
}

/**
 * Sets a value at a path of a message, such as `Note.Provider.ID` or `entry.1.resource.status`. The value `undefined`
 * deletes the property.
 */
export function put(message: Json, place: string, value: unknown): Json {
  const steps = place.split('.')
  const last = steps.pop()!
  const holder = steps.reduce((inner, step) => inner[step], message)
  if (value === undefined) delete holder[last]
  else holder[last] = value
  return message
}

const meta = (DataModel: string, EventType: string): Json => ({
  DataModel,
  EventType,
  EventDateTime: '2026-01-31T10:00:00.000Z',
  Test: true,
  Destinations: [{ ID: DESTINATION, Name: 'Redox EMR' }],
})
const PATIENT = {
  Identifiers: [{ ID: '0000000001', IDType: 'MR' }],
  Demographics: { FirstName: 'Jane', LastName: 'Doe', DOB: '1990-01-01', Sex: 'Female' },
}

export const notes = (contents: string, event = 'New'): Json => ({
  Meta: meta('Notes', event),
  Patient: structuredClone(PATIENT),
  Visit: { VisitNumber: '1234' },
  Note: {
    ContentType: 'Base64 Encoded',
    FileContents: contents,
    FileName: 'consent.pdf',
    FileType: 'PDF',
    DocumentType: 'Consent Form',
    DocumentID: 'doc-1',
    Availability: 'Available',
    Provider: { ID: '4356789876', IDType: 'NPI' },
  },
})

export const results = (value: string, event = 'New'): Json => ({
  Meta: meta('Results', event),
  Patient: structuredClone(PATIENT),
  Orders: [
    {
      ID: '157968300',
      Status: 'Resulted',
      ResultsStatus: 'Final',
      Results: [
        {
          Code: '11502-2',
          Codeset: 'LOINC',
          Description: 'Laboratory report',
          Value: value,
          ValueType: 'Encapsulated Data',
          FileType: 'PDF',
          Status: 'Final',
        },
      ],
    },
  ],
})

export const media = (contents: string, event = 'New'): Json => ({
  Meta: meta('Media', event),
  Patient: structuredClone(PATIENT),
  Visit: { VisitNumber: '1234' },
  Media: {
    FileType: 'PDF',
    FileName: 'scan.pdf',
    FileContents: contents,
    DocumentType: 'Treatment Plan',
    DocumentID: 'doc-2',
    Provider: { ID: '4356789876' },
    Availability: 'Available',
  },
})

const fullUrl = (type: string, id: string): string =>
  `https://api.redoxengine.com/fhir/R4/redox-fhir-sandbox/Development/${type}/${id}`
const SUBJECT = { reference: 'Patient/patient-1' }
const CODE = { coding: [{ system: 'http://loinc.org', code: '11502-2', display: 'Laboratory report' }] }

const MAIN_RESOURCES: Record<string, (file: Json) => Json> = {
  DiagnosticReport: (file) => ({ status: 'final', code: CODE, subject: SUBJECT, presentedForm: [file] }),
  Observation: (file) => ({ status: 'final', code: CODE, subject: SUBJECT, presentedForm: [file] }),
  DocumentReference: (file) => ({ status: 'current', subject: SUBJECT, content: [{ attachment: file }] }),
}

export const PDF_DATA: Json = {
  contentType: 'application/pdf',
  data: PDF.toString('base64'),
  title: 'report.pdf',
}

/** Bundle of type message with header, main resource and patient. */
export function bundle(event = 'DiagnosticReportCreate', file: Json = PDF_DATA): Json {
  const type = event.replace(/(Create|Amend|Update)$/, '')
  return {
    resourceType: 'Bundle',
    id: 'b1',
    type: 'message',
    entry: [
      {
        fullUrl: 'urn:uuid:11111111-1111-4111-8111-111111111111',
        resource: {
          resourceType: 'MessageHeader',
          id: '11111111-1111-4111-8111-111111111111',
          eventUri: `https://fhir.redoxengine.com/EventDefinition/${event}`,
          source: { name: 'Example Lab', endpoint: 'urn:uuid:22222222-2222-4222-8222-222222222222' },
          focus: [{ reference: `${type}/main-1` }],
        },
      },
      {
        fullUrl: fullUrl(type, 'main-1'),
        resource: { resourceType: type, id: 'main-1', ...structuredClone(MAIN_RESOURCES[type]!(file)) },
      },
      {
        fullUrl: fullUrl('Patient', 'patient-1'),
        resource: {
          resourceType: 'Patient',
          id: 'patient-1',
          identifier: [{ system: 'urn:redox:redox-fhir-sandbox:MR', value: '0000000001' }],
          name: [{ family: 'Doe', given: ['Jane'] }],
          birthDate: '1990-01-01',
        },
      },
    ],
  }
}
