/** The setting *Accept only*: a file of another type never leaves, however it reaches a node and whatever it is called. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { openConnection } from '../../nodes/lib/connection/connection'
import { PROVABLE_TYPES } from '../../src/shared/accepted-types'
import { sha256 } from '../lib/fixtures'
import { eventually } from '../lib/eventually'
import { useDurable, startDurable, server } from '../lib/durable'
import { lastReceived, sandbox, useNodeRed, type Flow, type Message } from '../lib/flow'
import {
  ALL_NODES,
  FHIR_DOCUMENT,
  FHIR_RESULT,
  fileMessage,
  MEDIA,
  NOTE,
  PDF,
  PHOTO,
  RESULTS,
  SEND_NODES,
  start,
  UPLOAD_BLOB,
} from '../lib/send-nodes'

const ONLY_PDF = { acceptOnly: 'application/pdf' }
const assertNothingSent = async (): Promise<void> => assert.deepEqual((await sandbox()).requests, [])

async function failsWith(flow: Flow, message: Message, said: RegExp): Promise<void> {
  assert.match((await flow.fail(message, 'REDOX_BAD_INPUT')).message, said)
}

async function assertRefused(
  flow: Flow,
  message: Message,
  said = /accepts only application\/pdf/,
): Promise<void> {
  await failsWith(flow, message, said)
  await assertNothingSent()
}

describe('Accept only', () => {
  useNodeRed()

  for (const node of ALL_NODES) {
    it(`${node.type} (${node.api}): sends a PDF, and refuses a picture that is called a PDF`, async () => {
      const flow = await start(node, {}, ONLY_PDF)
      await assertRefused(flow, { ...fileMessage(PHOTO), filename: 'report.pdf' })
      assert.ok((await flow.send(fileMessage(PDF)))['statusCode'] < 300)
    })
  }

  for (const way of ['embed', 'upload'])
    it(`refuses a file from disk to ${way}`, async () => {
      const folder = mkdtempSync(path.join(tmpdir(), 'redox-accept-'))
      try {
        writeFileSync(path.join(folder, 'report.pdf'), PHOTO)
        writeFileSync(path.join(folder, 'right.pdf'), PDF)
        const config = { ...ONLY_PDF, folders: folder, settleSeconds: '0.01' }
        const flow = await start(NOTE, { fileFrom: 'path', way }, config)
        await assertRefused(flow, { payload: 'report.pdf' })
        assert.ok((await flow.send({ payload: 'right.pdf' }))['statusCode'] < 300)
      } finally {
        rmSync(folder, { recursive: true })
      }
    })

  it('refuses each element of a list', async () => {
    const flow = await start(RESULTS, {}, ONLY_PDF)
    await assertRefused(flow, { payload: [PDF, PHOTO] })
  })

  it('refuses containers, markup, binary data, and a PDF after other bytes', async () => {
    const flow = await start(MEDIA, {}, { acceptOnly: 'application/pdf, text/plain' })
    for (const payload of [
      Buffer.concat([Buffer.from('PK\x03\x04\0\0'), PDF]),
      Buffer.concat([Buffer.from([1, 2, 3, 0]), PDF]),
      Buffer.from('<html><body>x</body></html>'),
      Buffer.from([1, 2, 3, 4, 0]),
    ])
      await assertRefused(flow, { payload }, /accepts only application\/pdf, text\/plain/)
  })

  it('refuses a file that is sent as another type than its bytes', async () => {
    const declared = { contentType: 'contentType', contentTypeType: 'msg' }
    const flow = await start(MEDIA, declared, { acceptOnly: 'text/plain application/rtf' })
    await assertRefused(flow, { payload: Buffer.from('a;b\n'), filename: 'a.csv' }, /sent as text\/csv/)
    const rtf = Buffer.from('{\\rtf1 x}')
    await assertRefused(
      flow,
      { payload: rtf, filename: 'a.txt', contentType: 'text/plain' },
      /does not match/,
    )
    assert.ok((await flow.send({ payload: rtf, filename: 'a.doc' }))['statusCode'] < 300)
    assert.equal((await lastReceived()).files[0]!.sha256, sha256(rtf))
  })

  it('checks all of a text', async () => {
    const flow = await start(MEDIA, {}, { acceptOnly: 'text/plain' })
    const long = 'ä'.repeat(400_000)
    for (const end of [Buffer.from([0xff]), Buffer.from([0xc3]), Buffer.from([0])])
      await assertRefused(
        flow,
        { payload: Buffer.concat([Buffer.from(long), end]), filename: 'a.txt' },
        /not all of its bytes are UTF-8/,
      )
    await flow.send({ payload: Buffer.from(long), filename: 'a.txt' })
    assert.equal((await lastReceived()).files[0]!.size, 800_000)
  })

  it('refuses the text of a note unless text is accepted', async () => {
    const text = { noteContentType: 'Plain Text', noteContentTypeType: 'str' }
    await assertRefused(await start(NOTE, text, ONLY_PDF), { payload: 'Dear colleague' })
    const flow = await start(NOTE, text, { acceptOnly: 'text/plain' })
    assert.ok((await flow.send({ payload: 'Dear colleague' }))['statusCode'] < 300)
  })

  it('refuses a file that was uploaded before', async () => {
    const { payload } = await (await start(UPLOAD_BLOB)).send(fileMessage(PDF))
    const flow = await start(NOTE, {}, ONLY_PDF)
    const before = (await sandbox()).requests.length
    await failsWith(flow, { payload }, /is a reference/)
    assert.equal((await sandbox()).requests.length, before)
  })

  it('refuses files in the data of a message', async () => {
    const photo = PHOTO.toString('base64')
    const media = await start(MEDIA, { fileFrom: 'none' }, ONLY_PDF)
    const document = (FileContents: string): Message => ({
      data: { Media: { FileContents, FileName: 'a.pdf', FileType: 'PDF' } },
    })
    await assertRefused(media, document(photo))
    assert.ok((await media.send(document(PDF.toString('base64'))))['statusCode'] < 300)

    const result = { Code: '11502-2', Status: 'Final', ValueType: 'Encapsulated Data', Value: photo }
    const results = await start(RESULTS, {}, ONLY_PDF)
    await failsWith(
      results,
      { payload: PDF, data: { Orders: [{ ID: 'order-1', Results: [result] }] } },
      /Orders\[0\]\.Results\[0\]\.Value/,
    )
    for (const node of [FHIR_RESULT, FHIR_DOCUMENT])
      for (const data of [
        [{ resourceType: 'Binary', contentType: 'application/pdf', data: photo }],
        [{ resourceType: 'Media', status: 'completed', content: { data: photo } }],
        [{ resourceType: 'Media', status: 'completed', content: { url: 'https://pictures.example/a' } }],
      ]) {
        const flow = await start(node, {}, ONLY_PDF)
        await failsWith(flow, { payload: PDF, data }, /not accepted|does not match/)
      }
  })

  for (const node of SEND_NODES)
    it(`${node.type}: accepts all files while it is empty`, async () => {
      const flow = await start(node, {}, { acceptOnly: ' \n' })
      assert.ok((await flow.send({ payload: PHOTO, filename: 'a.jpg' }))['statusCode'] < 300)
    })

  it('is a setting that the bytes of a file can prove', () => {
    const open = (acceptOnly: string): unknown =>
      openConnection({ acceptOnly }, {}, 'Development', { sandbox: undefined, userDir: tmpdir() }).files
        .accepted
    assert.deepEqual(open(PROVABLE_TYPES.join('\n')), PROVABLE_TYPES)
    assert.deepEqual(open('IMAGE/PNG;image/png'), ['image/png'])
    assert.equal(open(''), undefined)
    for (const wrong of ['application/zip', 'text/xml', 'application/pdf, pdf', '*/*'])
      assert.throws(() => open(wrong), {
        code: 'REDOX_CONFIGURATION',
        cause: { retry: 'connection', field: 'acceptOnly' },
      })
  })
})

describe('Accept only with durable delivery', () => {
  useDurable()

  it('refuses a file before it is stored', async () => {
    const flow = await startDurable(NOTE, ONLY_PDF)
    await failsWith(flow, fileMessage(PHOTO), /accepts only application\/pdf/)
    await flow.outcome(fileMessage(PDF))
    await eventually('no answer', () => flow.emitted.length === 1)
    assert.equal(server.of('send').length, 1)
  })
})
