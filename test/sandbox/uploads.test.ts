import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Body, Json } from './support'
import * as support from './support'
import {
  bearer,
  legacyToken,
  multipart,
  notes,
  PDF,
  postBinary,
  postJson,
  results,
  sandbox,
  token,
  uploadBlob,
} from './support'

const LIMIT = 30_000_000
const full = (size: number): Buffer => Buffer.alloc(size, 7)

const postBlob = async (body: Body, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(sandbox().endpoints.blobUploadUrl, {
    method: 'POST',
    headers: { ...bearer(await token()), ...headers },
    body,
  })

async function blobRefused(answer: Response, status: number): Promise<void> {
  assert.equal(answer.status, status)
  assert.deepEqual(Object.keys((await answer.json()) as Json), ['errorDetail'])
}

async function binaryRefused(answer: Response, status: number, code: string): Promise<void> {
  assert.equal(answer.status, status)
  const body = (await answer.json()) as Json
  assert.equal(body['resourceType'], 'OperationOutcome')
  assert.equal(body['issue'][0].code, code)
}

/** Multipart form as a string, for forms that FormData cannot create. */
const handmade = (...parts: string[]): [string, Record<string, string>] => [
  parts.map((part) => `--XYZ\r\nContent-Disposition: form-data; ${part}\r\n`).join('') + '--XYZ--\r\n',
  { 'content-type': 'multipart/form-data; boundary=XYZ' },
]
const FILE_PART = 'name="file"; filename="a.pdf"\r\nContent-Type: application/pdf\r\n\r\nabc'

describe('sandbox: blob upload', () => {
  support.useSandbox()

  it('answers 201 and the URI', async () => {
    const answer = await postBlob(multipart(PDF))
    assert.equal(answer.status, 201)
    assert.match(answer.headers.get('content-type')!, /^application\/json/)
    const { URI } = (await answer.json()) as Json
    assert.match(URI, new RegExp(`^${sandbox().url}/\\d+$`))
  })

  it('keeps the name and type of the part', async () => {
    const answer = await postBlob(multipart(PDF, 'file', 'Befund Müller.pdf'))
    const message = results(((await answer.json()) as Json)['URI'])
    assert.equal((await postJson('/endpoint', message, bearer(await token()))).status, 200)
    const [file] = sandbox().received[0]!.files
    assert.deepEqual([file!.name, file!.contentType], ['Befund Müller.pdf', 'application/pdf'])
  })

  it('returns URIs with the host name localhost to clients that used it', async () => {
    const url = `${sandbox().url.replace('127.0.0.1', 'localhost')}/upload`
    const answer = await fetch(url, { method: 'POST', headers: bearer(await token()), body: multipart(PDF) })
    const { URI } = (await answer.json()) as Json
    assert.match(URI, /^http:\/\/localhost:/)
    assert.equal((await postJson('/endpoint', notes(URI), bearer(await token()))).status, 200)
  })

  it('accepts a file of exactly 30 MB, refuses one byte more', async () => {
    assert.equal((await postBlob(multipart(full(LIMIT)))).status, 201)
    await blobRefused(await postBlob(multipart(full(LIMIT + 1))), 413)
  })

  it('refuses an announced length far over the limit without reading it', async () => {
    await blobRefused(await postBlob(multipart(full(LIMIT + 1_000_000))), 413)
  })

  const wrong: [string, Body, Record<string, string>?][] = [
    ['another part name', multipart(PDF, 'upload')],
    ['no part', ...handmade()],
    ['an empty file', multipart(Buffer.alloc(0))],
    ['a text field named file', ...handmade('name="file"\r\n\r\nabc')],
    [
      'a file without a name',
      ...handmade('name="file"\r\nContent-Type: application/octet-stream\r\n\r\nabc'),
    ],
    ['two files', ...handmade(FILE_PART, FILE_PART)],
    ['a file and a field', ...handmade(FILE_PART, 'name="note"\r\n\r\nabc')],
    ['a body cut short', `--XYZ\r\nContent-Disposition: form-data; ${FILE_PART}`, handmade()[1]],
    ['no boundary', 'abc', { 'content-type': 'multipart/form-data' }],
    ['raw bytes', 'abc', { 'content-type': 'application/pdf' }],
    ['a source id that is no UUID', multipart(PDF), { 'redox-source-id': 'my-source' }],
  ]
  for (const [what, body, headers] of wrong) {
    it(`refuses ${what}`, async () => blobRefused(await postBlob(body, headers), 400))
  }

  it('refuses a legacy key that names another source', async () => {
    const { accessToken } = await legacyToken()
    const send = (source: string): Promise<Response> =>
      fetch(`${sandbox().url}/upload`, {
        method: 'POST',
        headers: bearer(accessToken, source),
        body: multipart(PDF),
      })
    const answer = await send(randomUUID())
    assert.equal(answer.status, 401)
    assert.equal(await answer.text(), 'This source is not authorized.')
    assert.equal((await send(sandbox().legacyKey.apiKey.toUpperCase())).status, 201)
  })

  it('refuses a Binary with a legacy key, which the FHIR API does not accept', async () => {
    const { accessToken } = await legacyToken()
    const url = `${sandbox().endpoints.binaryUploadBase}/redox/Development/Binary`
    const headers = { ...bearer(accessToken), 'content-type': 'application/pdf' }
    const answer = await fetch(url, { method: 'POST', headers, body: new Uint8Array(PDF) })
    assert.deepEqual(
      [answer.status, await answer.text()],
      [401, 'Legacy API keys are not supported by the FHIR API.'],
    )
  })

  it('keeps the newest 64 files', async () => {
    const oldest = await uploadBlob(PDF)
    for (let count = 1; count < 64; count++) await uploadBlob(PDF)
    const send = async (): Promise<number> =>
      (await postJson('/endpoint', notes(oldest), bearer(await token()))).status
    assert.equal(await send(), 200)
    await uploadBlob(PDF)
    assert.equal(await send(), 400)
  })

  it('keeps at most 256 MB', async () => {
    const oldest = await uploadBlob(PDF)
    const send = async (): Promise<number> =>
      (await postJson('/endpoint', notes(oldest), bearer(await token()))).status
    for (let count = 0; count < 8; count++) await uploadBlob(full(LIMIT))
    assert.equal(await send(), 200)
    await uploadBlob(full(LIMIT))
    assert.equal(await send(), 400)
  })
})

describe('sandbox: Binary upload', () => {
  support.useSandbox()

  it('accepts raw bytes and returns the Location', async () => {
    for (const environment of ['Development', 'Staging', 'Production']) {
      const answer = await postBinary(new Uint8Array(PDF), 'application/pdf', environment)
      assert.equal(answer.status, 201)
      const body = (await answer.json()) as Json
      const base = `${sandbox().endpoints.binaryUploadBase}/redox/${environment}/Binary`
      assert.equal(answer.headers.get('location'), `${base}/${body['id']}`)
      assert.deepEqual(body, { resourceType: 'Binary', id: body['id'], contentType: 'application/pdf' })
    }
  })

  it('accepts a FHIR Binary, a JSON file and a form', async () => {
    const resource = { resourceType: 'Binary', contentType: 'application/pdf', data: PDF.toString('base64') }
    const answers = [
      await postBinary(JSON.stringify(resource), 'application/fhir+json; charset=utf-8'),
      await postBinary('[1]', 'application/json'),
      await postBinary(multipart(PDF)),
    ]
    assert.deepEqual(
      answers.map(({ status }) => status),
      [201, 201, 201],
    )
    const types = await Promise.all(
      answers.map(async (answer) => ((await answer.json()) as Json)['contentType']),
    )
    assert.deepEqual(types, ['application/pdf', 'application/json', 'application/pdf'])
  })

  it('accepts exactly 30 MB and refuses one byte more, in each form', async () => {
    const resource = (size: number): string =>
      JSON.stringify({
        resourceType: 'Binary',
        contentType: 'image/png',
        data: full(size).toString('base64'),
      })
    for (const [size, status] of [
      [LIMIT, 201],
      [LIMIT + 1, 413],
    ] as const) {
      assert.equal((await postBinary(new Uint8Array(full(size)), 'image/png')).status, status)
      assert.equal((await postBinary(resource(size), 'application/fhir+json')).status, status)
      assert.equal((await postBinary(multipart(full(size)))).status, status)
    }
    await binaryRefused(await postBinary(new Uint8Array(full(LIMIT + 1)), 'image/png'), 413, 'too-long')
  })

  it('refuses a stream without a length once it exceeds the limit', async () => {
    const chunk = new Uint8Array(1_000_000)
    let sent = 0
    const stream = new ReadableStream({
      pull: (controller) => (sent++ < 31 ? controller.enqueue(chunk) : controller.close()),
    })
    const answer = await fetch(`${sandbox().endpoints.binaryUploadBase}/redox/Development/Binary`, {
      method: 'POST',
      headers: { ...bearer(await token()), 'content-type': 'image/png' },
      body: stream,
      duplex: 'half',
    } as RequestInit)
    await binaryRefused(answer, 413, 'too-long')
  })

  const binary = (parts: Json): string =>
    JSON.stringify({ resourceType: 'Binary', contentType: 'application/pdf', data: 'AAAA', ...parts })
  const wrong: [string, Body, string][] = [
    ['an empty body', '', 'application/pdf'],
    ['no MIME type', 'abc', 'pdf'],
    ['malformed JSON', '{', 'application/fhir+json'],
    ['another resource', binary({ resourceType: 'Patient' }), 'application/fhir+json'],
    ['a Binary without contentType', binary({ contentType: undefined }), 'application/fhir+json'],
    ['a Binary without data', binary({ data: undefined }), 'application/fhir+json'],
    ['a Binary with url-safe base64', binary({ data: '__--' }), 'application/fhir+json'],
    ['a Binary of nothing', binary({ data: '' }), 'application/fhir+json'],
  ]
  for (const [what, body, type] of wrong) {
    it(`refuses ${what}`, async () => binaryRefused(await postBinary(body, type), 400, 'invalid'))
  }

  it('exists for the slug redox and the three environments only', async () => {
    for (const address of [
      'redox-fhir-sandbox/Development',
      'Redox/Development',
      'redox/development',
      'redox/Test',
    ]) {
      const url = `${sandbox().url}/fhir/R4/${address}/Binary`
      const headers = { ...bearer(await token()), 'content-type': 'image/png' }
      await binaryRefused(await fetch(url, { method: 'POST', headers, body: 'abc' }), 404, 'not-found')
    }
  })
})

describe('sandbox: upload with a free account', () => {
  support.useSandbox({ account: 'free' })

  it('is refused in Development', async () => {
    await blobRefused(await postBlob(multipart(PDF)), 403)
    await binaryRefused(await postBinary(new Uint8Array(PDF), 'application/pdf'), 403, 'forbidden')
  })

  it('is allowed in other environments, and so is embedding', async () => {
    assert.equal((await postBinary(new Uint8Array(PDF), 'application/pdf', 'Staging')).status, 201)
    const message = notes(PDF.toString('base64'))
    assert.equal((await postJson('/endpoint', message, bearer(await token()))).status, 200)
  })
})
