/** FHIR requests to the sandbox, and their responses. */
import assert from 'node:assert/strict'
import type { Json } from './support'
import { bearer, postJson, sandbox, token } from './support'

export const REPORT_CREATE = 'DiagnosticReport/$diagnosticreport-create'
export const OPERATIONS = {
  [REPORT_CREATE]: 'DiagnosticReportCreate',
  'DiagnosticReport/$diagnosticreport-amend': 'DiagnosticReportAmend',
  'Observation/$observation-create': 'ObservationCreate',
  'Observation/$observation-update': 'ObservationUpdate',
  'DocumentReference/$documentreference-create': 'DocumentReferenceCreate',
}
export const AT_SANDBOX = 'redox-fhir-sandbox/Development'
export const FHIR_JSON = { 'content-type': 'application/fhir+json' }

export const post = async (
  body: unknown,
  operation = REPORT_CREATE,
  address = AT_SANDBOX,
  headers: Record<string, string> = {},
) =>
  postJson(`/fhir/R4/${address}/${operation}`, body, { ...bearer(await token()), ...FHIR_JSON, ...headers })

export async function accepted(
  body: unknown,
  operation?: string,
  headers?: Record<string, string>,
): Promise<Json> {
  const answer = await post(body, operation, AT_SANDBOX, headers)
  const text = await answer.text()
  assert.equal(answer.status, 200, text)
  return JSON.parse(text) as Json
}

/** Sends a message that the sandbox must refuse without keeping any of it. Returns the issues as `path: text`. */
export async function refused(body: unknown, operation?: string): Promise<string[]> {
  const answer = await post(body, operation)
  const text = await answer.text()
  assert.equal(answer.status, 400, text)
  assert.equal(sandbox().received.length, 0)
  const outcome = JSON.parse(text) as Json
  assert.equal(outcome['resourceType'], 'OperationOutcome')
  return outcome['issue'].map(({ severity, details, diagnostics, expression }: Json) => {
    assert.equal(severity, 'error')
    if (diagnostics === undefined) return details.text
    assert.equal(diagnostics, `${expression[0].replace(/^Bundle\./, '')}: ${details.text}`)
    return diagnostics
  })
}
