/** `redox-check` against each profile of the sandbox. */
import assert from 'node:assert/strict'
import { PROFILES, startSandbox, type ProfileName, type Sandbox } from '../../src/sandbox'
import { adviceOf, check, hostsOf, legacyOf, oauthOf, rowsOf, type CheckResult } from './support'

interface Expected {
  /** Rows of the report, some of them. */
  rows: string[]
  /** All settings to make. */
  advice?: string[]
  limits?: true
}

const BINARY = 'Binary, FHIR host, the bytes of the file'
const ON_BLOB_HOST = 'redox-config: Binary base URL = <origin of the Blob upload URL>/fhir/R4'
const PLACE = 'redox-fhir-result (Observation): Attachment path'

const EXPECTED: Record<ProfileName, Expected> = {
  documented: { rows: [`${BINARY}: works`, 'Blob upload: works', 'Media, file referenced: works'] },
  'binary-on-blob-host': {
    rows: [`${BINARY}: refused, HTTP 404`, 'Binary, blob host, the bytes of the file: works'],
    advice: [ON_BLOB_HOST],
  },
  'binary-as-json': {
    rows: [
      'Binary, blob host, FHIR JSON Binary: works',
      'Binary, blob host, the bytes of the file: refused, HTTP 400',
      'Reference to a Binary: seen, id in the body',
      'DiagnosticReport, file referenced: works',
    ],
    advice: [ON_BLOB_HOST, 'redox-config: Binary upload body = FHIR JSON Binary'],
  },
  'binary-as-form': {
    rows: [
      'Binary, FHIR host, multipart form: works',
      'Reference to a Binary: seen, Location header, relative',
      'DiagnosticReport, file referenced: works',
    ],
    advice: ['redox-config: Binary upload body = multipart form'],
  },
  'no-binary': {
    rows: ['DiagnosticReport, file referenced: not run', 'Notes, file embedded: works'],
    advice: [
      'redox-fhir-result: Transfer = embed as base64',
      'redox-fhir-document: Transfer = embed as base64',
    ],
  },
  'value-attachment': {
    rows: [
      'Observation, file in presentedForm[]: refused, HTTP 400',
      'Observation, file in valueAttachment: works',
    ],
    advice: [`${PLACE} = valueAttachment`],
  },
  'document-of-observation': {
    rows: [
      'Observation, file in valueAttachment: refused',
      'Observation, file in DocumentReference.content[].attachment: works',
      'Observation, file in Media.content: works',
    ],
    advice: [`${PLACE} = DocumentReference.content[].attachment`],
  },
  'plain-text-reference': {
    rows: [
      'Notes, file referenced, ContentType Base64 Encoded: refused, HTTP 400',
      'Notes, file referenced, ContentType Plain Text: works',
    ],
    advice: [
      'redox-datamodel-note (after redox-upload): Note format · ContentType = ' +
        'Plain Text, with the reference (payload.url) as the text',
    ],
  },
  'base64-reference': {
    rows: [
      'Notes, file referenced, ContentType Base64 Encoded: works',
      'Notes, file referenced, ContentType Plain Text: refused, HTTP 400',
    ],
  },
  'answers-outcome': { rows: ['FHIR API, a 2xx holds: seen, an OperationOutcome'] },
  'answers-object': { rows: ['FHIR API, a 2xx holds: seen, an empty object'] },
  'answers-other': {
    rows: [
      'FHIR API, a 2xx holds: seen, an object with accepted',
      'DiagnosticReport, file embedded: unclear, HTTP 200',
    ],
    advice: ['redox-config: Other 2xx answers = accepted'],
  },
  'answers-bundle': { rows: ['FHIR API, a 2xx holds: seen, a Bundle with a status for each entry'] },
  'needs-audience': {
    rows: [
      'OAuth key, with aud, without scope: works',
      'OAuth key, without aud, without scope: refused, HTTP 401: Unexpected aud claim value',
    ],
  },
  'needs-scope': {
    rows: [
      'OAuth key, with aud, without scope: refused, HTTP 401',
      'OAuth key, with aud, with the scope of the environment: works',
      'Media, file embedded: works',
    ],
    advice: ['redox-config: Scope = fhir:development'],
  },
  'opaque-tokens': {
    rows: ['OAuth key, with aud, without scope: works, HTTP 200, an opaque token, valid for 86400 s'],
  },
  'no-legacy-keys': { rows: ['Legacy key: refused, HTTP 401', 'Media, file embedded: works'] },
  'needs-patient': { rows: ['Bundle without a Patient entry, subject by identifier: refused, HTTP 400'] },
  'numeric-log-ids': {
    rows: [
      'Data Model API, log IDs: seen, number',
      'FHIR API, Redox-Trace-Id: seen, none',
      'FHIR API, X-RateLimit-Limit: seen, 7500',
    ],
  },
  'no-log-ids': {
    rows: ['Data Model API, log IDs: seen, none', 'Data Model API, Meta.Message.ID: seen, number'],
  },
  'large-embedded': {
    rows: ['Media, request of 40 MB: works', 'Upload of a blob of 30 MB: works'],
    advice: ['redox-config: Data Model embed limit (MB) = 29 (allowed, not needed)'],
    limits: true,
  },
  'old-limits': {
    rows: [
      'Upload of a Binary of 30 MB: refused, HTTP 413',
      'Upload of a Binary of 10 MB: works',
      'Upload of a blob of 10 MB: works',
      'DiagnosticReport, request of 40 MB: refused, HTTP 413',
      'DiagnosticReport, request of 10 MB: works',
      'Media, embedded file just below 10 MB: refused, HTTP 413',
    ],
    advice: ['redox-config: Upload limit (MB) = 10', 'redox-config: Request limit (MB) = 10'],
    limits: true,
  },
  'staging-keys': {
    rows: [`${BINARY}: refused, HTTP 403`, 'Data Model API: not run, environment, source and destination'],
  },
}

describe('redox-check, against profiles of the sandbox,', function () {
  this.timeout(120_000)
  const reports = new Map<string, string>()
  let sandbox: Sandbox
  afterEach(() => sandbox.close())

  // A slug of its own: `redox-fhir-sandbox` answers with a Bundle in every profile.
  async function run(profile: ProfileName, args: string[] = []): Promise<CheckResult> {
    sandbox = await startSandbox({ profile })
    const slug = { REDOX_CHECK_FHIR_DESTINATION: 'st-elsewhere' }
    const result = await check(
      { ...hostsOf(sandbox), ...oauthOf(sandbox), ...legacyOf(sandbox), ...slug },
      args,
    )
    assert.equal(result.code, 0, result.said)
    return result
  }

  for (const [name, { rows, advice = [], limits }] of Object.entries(EXPECTED))
    it(`finds out: ${PROFILES[name as ProfileName].about}`, async () => {
      const result = await run(name as ProfileName, limits ? ['--limits'] : [])
      const found = rowsOf(result)
      for (const row of rows)
        assert.ok(
          found.some((one) => one.startsWith(row)),
          `${row}\n${found.join('\n')}`,
        )
      assert.deepEqual(adviceOf(result), advice)
      if (!limits) reports.set(name, found.join('\n'))
      for (const { api, request } of sandbox.received)
        if (api === 'datamodel') assert.equal((request.body as { Meta: { Test: boolean } }).Meta.Test, true)
    })

  it('finds out: limits as documented', async () => {
    const result = await run('documented', ['--limits'])
    const found = rowsOf(result)
    for (const row of [
      'Upload of a Binary of 30 MB: works',
      'DiagnosticReport, request of 40 MB: works',
      'Media, request of 40 MB: refused, HTTP 413',
      'Media, embedded file just below 10 MB: works',
    ])
      assert.ok(
        found.some((one) => one.startsWith(row)),
        `${row}\n${found.join('\n')}`,
      )
    assert.deepEqual(adviceOf(result), [])
  })

  it('tells all of them apart', async () => {
    sandbox = await startSandbox()
    assert.equal(reports.size, Object.keys(PROFILES).length - 2, 'run with the tests above')
    assert.equal(new Set(reports.values()).size, reports.size)
  })

  it('sends nothing through the Data Model API with a key of another environment', async () => {
    await run('staging-keys')
    const apis = sandbox.requests.map(({ api }) => api)
    assert.ok(apis.includes('Binary') && apis.includes('fhir'))
    assert.deepEqual(
      apis.filter((api) => api === 'blob' || api === 'endpoint'),
      [],
    )
    assert.deepEqual(sandbox.received, [])
  })
})
