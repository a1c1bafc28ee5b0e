import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fixture, sha256, sizedFile } from '../lib/fixtures'
import { lastReceived, sandbox, startFlow, useNodeRed, type Message } from '../lib/flow'
import {
  ALL_NODES,
  FHIR_RESULT,
  fileMessage,
  NOTE,
  PDF,
  SEND_NODES,
  start,
  UPLOAD,
  UPLOAD_BLOB,
} from '../lib/send-nodes'
import type { SendNode } from '../lib/send-nodes'

interface Way {
  title: string
  /** value of the node's field *Transfer* */
  way: string
  file: Buffer
  expected: 'embed' | 'upload' | 'reference'
}
const WAYS: Way[] = [
  { title: 'auto, small', way: 'auto', file: fixture('photo.jpg'), expected: 'embed' },
  { title: 'auto, large', way: 'auto', file: sizedFile(300_000), expected: 'upload' },
  { title: 'embed, large', way: 'embed', file: sizedFile(300_000), expected: 'embed' },
  { title: 'upload, small', way: 'upload', file: fixture('chart.png'), expected: 'upload' },
  { title: 'a reference', way: 'embed', file: PDF, expected: 'reference' },
]

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const assertNoContent = (value: unknown, file: Buffer): void =>
  assert.ok(!JSON.stringify(value).includes(file.subarray(0, 24).toString('base64')), 'file content')

describe('redox-upload', () => {
  useNodeRed()

  for (const [node, kind, urlPath] of [
    [UPLOAD, 'binary', '/fhir/R4/redox/Development/Binary'],
    [UPLOAD_BLOB, 'blob', '/upload'],
  ] as const) {
    it(`uploads by the ${node.api} API and emits a reference`, async () => {
      const answer = await (await start(node)).send(fileMessage())
      const { url, ...reference } = answer['payload']
      const file = { size: PDF.length, sha256: sha256(PDF) }
      const description = { contentType: 'application/pdf', fileType: 'PDF', name: 'Quuxworth.pdf' }
      assert.deepEqual(reference, { ...description, ...file, upload: kind })
      const request = (await sandbox()).requests.at(-1)!
      assert.deepEqual([request.path, request.status, answer['statusCode']], [urlPath, 201, 201])
      const { environment, operation, way, files, attempts, headers } = answer['redox']
      assert.deepEqual([environment, operation, way, attempts], ['sandbox', 'upload', 'upload', 1])
      assert.deepEqual(files, [{ way: 'upload', ...file, url }])
      assert.ok(url.startsWith((await sandbox()).url))
      if (node === UPLOAD) assert.equal(url, headers.location, 'the URL as Redox gave it')
      assertNoContent(answer, PDF)
    })
  }

  for (const binaryForm of ['raw', 'fhir-json', 'multipart']) {
    it(`uploads a Binary as ${binaryForm} with unchanged bytes`, async () => {
      const { payload } = await (await start(UPLOAD, {}, { binaryForm })).send(fileMessage())
      await (await start(FHIR_RESULT)).send(fileMessage(payload))
      assert.equal((await lastReceived()).files[0]!.sha256, sha256(PDF))
    })
  }

  it('refuses a reference, because that file was uploaded already', async () => {
    const { payload } = await (await start(UPLOAD)).send(fileMessage())
    await (await start(UPLOAD)).fail(fileMessage(payload), 'REDOX_BAD_INPUT')
  })
})

describe('send nodes', () => {
  useNodeRed()

  /** Uploads a file in a separate flow, and returns the file reference that the node emits. */
  const upload = async (file: Buffer, api: string): Promise<Message> =>
    (await (await startFlow({ type: UPLOAD.type, node: { api } })).send(fileMessage(file)))['payload']

  async function assertDelivered(node: SendNode, { file, expected }: Way, answer: Message): Promise<void> {
    const received = await lastReceived()
    const digest = sha256(file)
    const arrived = received.files.map((one) => [one.place, one.sha256, one.way])
    assert.deepEqual(arrived, [[node.place, digest, expected === 'embed' ? 'embedded' : 'referenced']])
    assert.equal(received.operation, node.operation)
    const { files, headers, milliseconds, traceId, ...redox } = answer['redox']
    const [{ url, ...sent }, ...others] = files
    assert.deepEqual([sent, ...others], [{ way: expected, size: file.length, sha256: digest }])
    assert.equal(url !== undefined, expected !== 'embed')
    const { logIds, locations, operation } = received
    const attempts = expected === 'upload' ? 2 : 1
    if (node.operation.includes('/')) assert.match(traceId, UUID)
    else assert.equal(traceId, undefined)
    const { warnings: _warnings, ...done } = redox
    assert.deepEqual(done, { environment: 'sandbox', operation, way: expected, logIds, locations, attempts })
    assert.match(headers['content-type'], /json/)
    assert.ok(milliseconds >= 0)
    assertNoContent(answer['redox'], file)
  }

  for (const node of SEND_NODES) {
    describe(node.type, () => {
      for (const way of WAYS) {
        it(`deliver by ${way.title}: ${way.expected}`, async () => {
          const payload = way.expected === 'reference' ? await upload(way.file, node.api) : way.file
          const answer = await (await start(node, { way: way.way })).send(fileMessage(payload))
          await assertDelivered(node, way, answer)
          assert.equal(answer['statusCode'], 200)
          assert.ok(answer['payload'][node.api === 'fhir' ? 'resourceType' : 'Meta'], 'the parsed body')
        })
      }

      it('refuse a reference that was uploaded by the other API', async () => {
        const reference = await upload(PDF, node.api === 'fhir' ? 'datamodel' : 'fhir')
        const { message } = await (await start(node)).fail(fileMessage(reference), 'REDOX_BAD_INPUT')
        assert.match(message, node.api === 'fhir' ? /to "FHIR API"/ : /to "Data Model API"/)
      })

      it('refuse a reference to a foreign server', async () => {
        await (await start(node)).fail(fileMessage('https://example.com/scan.pdf'), 'REDOX_BAD_INPUT')
        assert.deepEqual((await sandbox()).requests, [])
      })
    })
  }

  it('pass req and res on by reference, as http response nodes need', async () => {
    const res = { send: () => undefined }
    const { answer } = await (await start(NOTE)).outcome({ ...fileMessage(), res })
    assert.equal(answer!['res'], res)
  })
})

describe('msg.redox', () => {
  useNodeRed()

  it('has exactly the properties that the help lists', async () => {
    const help = path.join(__dirname, '../../../nodes/lib/help/redox.html')
    const told = [...readFileSync(help, 'utf8').matchAll(/<code>(\w+)<\/code>/g)].map(([, key]) => key!)
    const seen = new Set<string>()
    for (const node of ALL_NODES) {
      const { redox } = await (await start(node, { way: 'embed' })).send(fileMessage(sizedFile(300_000)))
      Object.keys(redox).forEach((key) => seen.add(key))
    }
    // `traceId` is optional, because some servers do not return a trace ID.
    seen.add('traceId')
    assert.deepEqual([...seen].sort(), told.sort())
  })
})
