import assert from 'node:assert/strict'
import { fixture, fixturePath } from '../lib/fixtures'
import { lastReceived, PATIENT, sandbox, useNodeRed, type Message } from '../lib/flow'
import { fileMessage, NOTE, PDF, PHOTO } from '../lib/send-nodes'
import { start, UPLOAD_BLOB } from '../lib/send-nodes'

const BASE64 = PDF.toString('base64')

const assertNothingSent = async (): Promise<void> => assert.deepEqual((await sandbox()).requests, [])

describe('note of text', () => {
  useNodeRed()

  const text = `${PATIENT.first} is well.\nSee you "soon" \\ naïve € 😀`
  type Row = [title: string, noteContentType: string, payload: unknown, expected?: string]
  const ROWS: Row[] = [
    ['Plain Text of a string', 'Plain Text', text],
    ['Plain Text that looks like base64', 'Plain Text', 'Patient well'],
    ['Plain Text of a Buffer', 'Plain Text', fixture('note.txt')],
    ['Plain Text that looks like a data: URI', 'Plain Text', 'data:text/plain;base64,SGVsbG8='],
    ['Plain Text that begins with data', 'Plain Text', 'Data: client calm, oriented x4.'],
    ['Plain Text that begins with data and a comma', 'Plain Text', 'Data:,0.9 NaCl 500 ml'],
    ['Plain Text of a Buffer that begins with data', 'Plain Text', Buffer.from('data:text/plain,0.9%20NaCl')],
    ['Plain Text of a Buffer that looks like base64', 'Plain Text', Buffer.from(BASE64.slice(0, 1000))],
    ['Plain Text that begins with a URL', 'Plain Text', 'https://portal.example.org/1 has it'],
    ['Rich Text of a Buffer', 'Rich Text', fixture('letter.rtf')],
    ['Rich Text of a string', 'Rich Text', '{\\rtf1 hello}'],
  ]

  for (const [title, noteContentType, payload, expected = String(payload)] of ROWS) {
    it(`carries the text itself: ${title}`, async () => {
      const { redox } = await (await start(NOTE, { noteContentType })).send(fileMessage(payload))
      const { files, delivered } = await lastReceived()
      assert.equal((delivered as Message)['Note'].ContentType, noteContentType)
      assert.equal(files[0]!.bytes.toString(), expected)
      assert.deepEqual([redox.way, redox.files], ['text', []])
    })

    it(`uploads the text if Transfer is set so: ${title}`, async () => {
      const flow = await start(NOTE, { noteContentType, way: 'upload' })
      await flow.send({ ...fileMessage(payload), filename: 'note.txt' })
      const [file] = (await lastReceived()).files
      assert.deepEqual([file!.way, file!.bytes.toString()], ['referenced', expected])
    })
  }

  const OTHER_SOURCES: [title: string, settings: Message, message: Message, expected: string][] = [
    [
      'a path',
      { noteContentType: 'Plain Text', fileFrom: 'path' },
      fileMessage('note.txt'),
      fixture('note.txt').toString(),
    ],
    [
      'the data object',
      { fileFrom: 'none' },
      {
        ...fileMessage('not this'),
        data: { Note: { DocumentID: 'D-1', ContentType: 'Plain Text', FileContents: text } },
      },
      text,
    ],
    [
      'a node whose data object says Plain Text',
      {},
      { ...fileMessage(text), data: { Note: { ContentType: 'Plain Text' } } },
      text,
    ],
  ]

  for (const [title, settings, message, expected] of OTHER_SOURCES) {
    it(`comes from ${title}`, async () => {
      await (await start(NOTE, settings, { folders: fixturePath('.') })).send(message)
      assert.equal((await lastReceived()).files[0]!.bytes.toString(), expected)
    })
  }

  it('is refused when its bytes are not UTF-8', async () => {
    const flow = await start(NOTE, { noteContentType: 'Plain Text' })
    for (const payload of [PHOTO, 'we\0ll', Buffer.from('we\0ll')])
      await flow.fail(fileMessage(payload), 'REDOX_BAD_INPUT')
    await flow.fail({ ...fileMessage('a line'), parts: { type: 'string', index: 0 } }, 'REDOX_BAD_INPUT')
    await assertNothingSent()
  })

  it('has no byte order mark, from a string or a Buffer', async () => {
    const flow = await start(NOTE, { noteContentType: 'Plain Text' })
    for (const payload of [`\ufeff${text}`, Buffer.from(`\ufeff${text}`)]) {
      await flow.send(fileMessage(payload))
      assert.equal((await lastReceived()).files[0]!.bytes.toString(), text)
    }
  })

  it('may be a reference, with the ContentType of the node', async () => {
    const { payload } = await (await start(UPLOAD_BLOB)).send(fileMessage())
    for (const noteContentType of ['Plain Text', '']) {
      await (await start(NOTE, { noteContentType })).send(fileMessage(payload))
      const { ContentType, FileContents, FileType } = ((await lastReceived()).request.body as Message)['Note']
      const expected = [noteContentType || 'Base64 Encoded', payload.url, 'PDF']
      assert.deepEqual([ContentType, FileContents, FileType], expected)
    }
  })

  it('is refused when it is a reference in another form', async () => {
    const { payload } = await (await start(UPLOAD_BLOB)).send(fileMessage())
    const flow = await start(NOTE, { noteContentType: 'Plain Text' })
    const { host, pathname } = new URL(payload.url as string)
    for (const url of [
      `HTTP://${host}${pathname}`,
      `http:${host}${pathname}`,
      `http://${host}\\@evil.example${pathname}`,
      `http://a:b@${host}${pathname}`,
    ])
      for (const one of [url, { url }]) await flow.fail(fileMessage(one), 'REDOX_BAD_INPUT')
  })
})
