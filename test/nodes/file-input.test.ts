import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import helper from 'node-red-node-test-helper'
import { fixture, fixturePath, sha256, sizedFile } from '../lib/fixtures'
import { lastReceived, logged, PATIENT, sandbox, useNodeRed, type Flow, type Message } from '../lib/flow'
import { ScriptedServer } from '../lib/scripted-server'
import { ALL_NODES, FHIR_DOCUMENT, fileMessage, FHIR_RESULT, NOTE, PDF, PHOTO } from '../lib/send-nodes'
import { RESULTS, start, startTo, UPLOAD_BLOB, type SendNode } from '../lib/send-nodes'

const BASE64 = PDF.toString('base64')

/** SHA-256 of the file that the sandbox has received, from the answer of an upload node or from the sandbox inbox. */
const arrived = async ({ redox, payload }: Message): Promise<string> =>
  redox.operation === 'upload' ? payload.sha256 : (await lastReceived()).files[0]!.sha256

const assertNothingSent = async (): Promise<void> => assert.deepEqual((await sandbox()).requests, [])

describe('file in a message', () => {
  useNodeRed()

  const KINDS: [title: string, payload: unknown][] = [
    ['a Buffer', PDF],
    ['a Uint8Array', new Uint8Array(PDF)],
    ['base64 text', BASE64],
    ['base64 text with line breaks', BASE64.replace(/.{76}/g, '$&\r\n')],
    ['url-safe base64 text without padding', PDF.toString('base64url')],
    ['base64 text without padding', BASE64.replace(/=+$/, '')],
    ['a data: URI', `data:application/pdf;base64,${BASE64}`],
    ['base64 text that was encoded twice', Buffer.from(BASE64).toString('base64')],
    ['a Buffer of base64 text with line breaks', Buffer.from(BASE64.replace(/.{76}/g, '$&\n'))],
  ]

  const UNUSABLE: Message[] = [
    { payload: undefined },
    { payload: null },
    { payload: '' },
    { payload: ' \n' },
    { payload: Buffer.alloc(0) },
    { payload: `${PATIENT.first}, how are you?` },
    { payload: BASE64.slice(0, 8001) },
    { payload: 'data:application/pdf;base64' },
    { payload: 42 },
    { payload: { name: PATIENT.first } },
    { payload: { path: '/etc/passwd', file: '/etc/passwd' } },
    { payload: [] },
    { payload: [{ filename: 'a.pdf' }] },
    { filename: `${PATIENT.last}\r\nX-Header: 1.pdf` },
    { filename: 'a.pdf\0.exe' },
    { filename: { name: PATIENT.last } },
  ]

  for (const node of ALL_NODES) {
    describe(`${node.type} (${node.api})`, () => {
      for (const [title, payload] of KINDS) {
        it(`is accepted as ${title}`, async () => {
          const answer = await (await start(node)).send({ ...fileMessage(payload), filename: 'scan.pdf' })
          assert.equal(await arrived(answer), sha256(PDF))
        })
      }

      it('is refused before anything is sent when it is not a file', async () => {
        const flow = await start(node)
        for (const message of UNUSABLE) await flow.fail({ ...fileMessage(), ...message }, 'REDOX_BAD_INPUT')
        await assertNothingSent()
      })

      it('is refused when its first bytes contradict the declared type', async () => {
        const flow = await start(node, { contentType: 'image/png' })
        const { message } = await flow.fail(fileMessage(), 'REDOX_BAD_INPUT')
        assert.match(message, /image\/png.*application\/pdf/)
      })
    })
  }

  it('causes a warning when it was encoded twice', async () => {
    const { redox } = await (await start(NOTE)).send(fileMessage(Buffer.from(BASE64)))
    assert.match(redox.warnings.join(), /It was decoded\.$/)
  })

  it('is never a part of a split message, whichever property has the part', async () => {
    const parts = { id: 'x', index: 1, count: 3 }
    const part = Buffer.from(PHOTO.subarray(0, 9000))
    for (const node of ALL_NODES) {
      const flow = await start(node)
      const split: Message[] = [
        { payload: part, parts: { ...parts, type: 'buffer', ch: '' } },
        { payload: part, parts: { type: 'buffer', index: 0, property: '' } },
        { payload: PHOTO.toString('base64'), parts: { ...parts, type: 'string', ch: '\n' } },
      ]
      for (const message of split) {
        const { message: text } = await flow.fail({ ...fileMessage(), ...message }, 'REDOX_BAD_INPUT')
        assert.match(text, /^Part of a file, not a file: msg\.payload was split/)
      }
      const deep = await start(node, { file: 'scan.data' })
      await deep.fail(
        {
          ...fileMessage('x'),
          scan: { data: part },
          parts: { ...parts, type: 'buffer', property: 'scan.data' },
        },
        'REDOX_BAD_INPUT',
      )
    }
    await assertNothingSent()
  })

  it('is complete when another property was split', async () => {
    const parts = { id: 'x', index: 1, count: 3 }
    for (const node of ALL_NODES) {
      const flow = await start(node)
      const whole: Message[] = [
        // `msg.parts` of a Split node that split a text earlier in the flow; the file itself is complete.
        { payload: PDF, parts: { ...parts, type: 'string', ch: '\n' } },
        { payload: PDF, parts: { ...parts, type: 'array', len: 1 } },
        { payload: PDF, lines: 'x', parts: { ...parts, type: 'string', property: 'lines' } },
        { payload: BASE64, parts: { ...parts, type: 'buffer' } },
        { payload: PDF, parts: { ...parts, type: 'buffer', property: 'no..path' } },
        { payload: PDF, parts: 'x' },
      ]
      for (const message of whole)
        assert.equal(await arrived(await flow.send({ ...fileMessage(), ...message })), sha256(PDF))
    }
  })

  it('is not sent when another branch overwrites it during the wait', async () => {
    for (const node of ALL_NODES) {
      const flow = await start(node)
      const shared = Buffer.from(PHOTO)
      const failing = flow.fail({ ...fileMessage(shared), filename: undefined }, 'REDOX_BAD_INPUT')
      setImmediate(() => setImmediate(() => setImmediate(() => shared.fill(0))))
      const { message } = await failing
      assert.match(message, /^File changed in memory/)
    }
  })

  it('is not sent when it is overwritten while its message waits for a slot, in each input form', async () => {
    const ways: [title: string, wrap: (bytes: Buffer) => unknown, bytes: Buffer][] = [
      ['itself', (bytes) => bytes, PDF],
      ['an object around it', (buffer) => ({ buffer, originalname: 'a.pdf' }), PDF],
      ['base64 in a Buffer', (bytes) => bytes, Buffer.from(BASE64)],
    ]
    for (const node of [NOTE, FHIR_RESULT, UPLOAD_BLOB]) {
      const flow = await start(node, {}, { sendsAtOnce: '1' })
      const others = [1, 2, 3].map(() => flow.send(fileMessage()))
      for (const [title, wrap, bytes] of ways) {
        const shared = Buffer.from(Uint8Array.from(bytes).buffer)
        const failing = flow.fail({ ...fileMessage(wrap(shared)), filename: undefined }, 'REDOX_BAD_INPUT')
        // Another branch of the flow overwrites the bytes of the file right after the node has received the message.
        setImmediate(() => shared.copy(shared, 0, 1))
        const { message } = await failing
        assert.match(message, /^File changed in memory/, `${title}: ${message}`)
      }
      await Promise.all(others)
    }
  })

  it('is refused, or sent with a warning, when it is provably truncated', async () => {
    const half = { ...fileMessage(PHOTO.subarray(0, 9000)), filename: undefined }
    for (const node of ALL_NODES) {
      const { message } = await (await start(node)).fail(half, 'REDOX_BAD_INPUT')
      assert.match(message, /^File is truncated: .* \(the JPG in msg\.payload\)\. .* Nothing was sent\.$/)
    }
    await assertNothingSent()
    for (const node of ALL_NODES) {
      const flow = await start(node, {}, { cutShort: 'warn' })
      const answer = await flow.send(half)
      assert.match(answer['redox'].warnings.join(), /^File is truncated: .* \(the JPG in msg\.payload\)$/)
      assert.equal(await arrived(answer), sha256(PHOTO.subarray(0, 9000)))
    }
  })

  it('is sent with a warning when it is encrypted or seems truncated: in each answer, and once in the log', async () => {
    for (const node of [NOTE, FHIR_RESULT, UPLOAD_BLOB]) {
      const flow = await start(node)
      const warnings = (): string[] =>
        logged().filter((line) => /is encrypted|is missing at its end/.test(line))
      const before = warnings().length
      for (let time = 0; time < 2; time++) {
        const { redox } = await flow.send({
          ...fileMessage(fixture('encrypted.pdf')),
          filename: `${PATIENT.last}.pdf`,
        })
        assert.match(redox.warnings.join(), /^The PDF in msg\.payload is encrypted/)
      }
      const { redox } = await flow.send(fileMessage(PDF.subarray(0, -8)))
      assert.match(redox.warnings.join(), /^The PDF in msg\.payload seems to be truncated/)
      assert.equal(warnings().length - before, 2)
      const right = await flow.send(fileMessage(PDF))
      assert.doesNotMatch(String(right['redox'].warnings), /encrypted|truncated/)
    }
  })

  it('comes from the property that the node is set to', async () => {
    const flow = await start(NOTE, { file: 'req.files[0].buffer' })
    await flow.send({ ...fileMessage('not this'), req: { files: [{ buffer: PDF }] } })
    assert.equal((await lastReceived()).files[0]!.sha256, sha256(PDF))
  })

  it('is not accepted as an array where one file is expected', async () => {
    for (const node of ALL_NODES.filter(({ severalFiles }) => !severalFiles))
      await (await start(node)).fail(fileMessage([PDF]), 'REDOX_BAD_INPUT')
  })
})

describe('name and type of a file', () => {
  useNodeRed()

  const docx = Buffer.from('PK\x03\x04zipped')
  const word = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'
  const dirty = 'C:\\scans\\..\\x/Müller "1".pdf'
  const zip = { contentType: 'application/zip', redoxFileType: 'ZIPPED' }
  type Row = [from: string, file: Buffer, filename: string | undefined, settings: Message, expected: string[]]
  const ROWS: Row[] = [
    ['first bytes', PHOTO, undefined, {}, ['document.jpg', 'image/jpeg', 'JPG']],
    ['first bytes over the name', PHOTO, 'a.pdf', {}, ['a.pdf', 'image/jpeg', 'JPG']],
    ['the name', docx, 'a.docx', {}, ['a.docx', word, 'DOCX']],
    ['first bytes of a TIFF', fixture('scan.tiff'), undefined, {}, ['document.tif', 'image/tiff', 'TIFF']],
    [
      'first bytes of an RTF',
      fixture('letter.rtf'),
      undefined,
      {},
      ['document.rtf', 'application/rtf', 'RTF'],
    ],
    ['text', fixture('note.txt'), undefined, {}, ['document.txt', 'text/plain', 'TEXT']],
    ['settings', docx, 'a.docx', zip, ['a.docx', 'application/zip', 'ZIPPED']],
    ['a name without its path', PDF, dirty, {}, ['Müller "1".pdf', 'application/pdf', 'PDF']],
  ]

  for (const [from, file, filename, settings, [name, contentType, fileType]] of ROWS) {
    it(`come from ${from}`, async () => {
      const message = { ...fileMessage(file), filename }
      await (await start(NOTE, settings)).send(message)
      const [note] = (await lastReceived()).files
      assert.deepEqual([note!.name, note!.fileType], [name, fileType])
      await (await start(FHIR_RESULT, settings)).send(message)
      const [attachment] = (await lastReceived()).files
      assert.deepEqual([attachment!.name, attachment!.contentType], [name, contentType])
      const { payload } = await (await start(UPLOAD_BLOB, settings)).send(message)
      assert.deepEqual([payload.name, payload.contentType, payload.fileType], [name, contentType, fileType])
    })
  }
})

describe('several files', () => {
  useNodeRed()

  const contents = [fixture('encrypted.pdf'), PHOTO, sizedFile(300_000), fixture('note.txt')]
  const [first, photo, large, text] = contents as [Buffer, Buffer, Buffer, Buffer]
  const files = [
    first,
    { file: photo.toString('base64'), filename: 'photo.jpg', contentType: 'image/jpeg' },
    { file: large, filename: 'large.pdf' },
    { file: text, filename: 'x.dat', contentType: 'text/plain', fileType: 'TXT' },
  ]
  const hashes = contents.map(sha256)

  it('become several results of one order', async () => {
    const flow = await start(RESULTS, { resultDescription: 'Report' })
    const { redox } = await flow.send(fileMessage(files))
    const { files: received, delivered } = await lastReceived()
    const digests = received.map((file) => file.sha256)
    assert.deepEqual(digests, hashes)
    const { Orders } = delivered as Message
    const common = { Code: '11502-2', Description: 'Report', ValueType: 'Encapsulated Data', Status: 'Final' }
    const results = Orders[0].Results.map(({ Value: _value, ...result }: Message) => result)
    const expected = ['PDF', 'JPG', 'PDF', 'TXT'].map((FileType) => ({ ...common, FileType }))
    assert.deepEqual([Orders.length, results], [1, expected])
    assert.equal(redox.way, 'mixed')
    const ways = redox.files.map((file: Message) => [file['way'], file['sha256']])
    const [embed, upload] = ['embed', 'upload']
    assert.deepEqual(ways, [
      [embed, hashes[0]],
      [embed, hashes[1]],
      [upload, hashes[2]],
      [embed, hashes[3]],
    ])
  })

  for (const node of [FHIR_RESULT, FHIR_DOCUMENT]) {
    it(`become several Attachments in ${node.type}`, async () => {
      const { redox } = await (await start(node)).send(fileMessage(files))
      const received = (await lastReceived()).files
      assert.deepEqual(
        received.map((file) => [file.name, file.contentType, file.sha256]),
        [
          ['document.pdf', 'application/pdf', hashes[0]],
          ['photo.jpg', 'image/jpeg', hashes[1]],
          ['large.pdf', 'application/pdf', hashes[2]],
          ['x.dat', 'text/plain', hashes[3]],
        ],
      )
      assert.equal(redox.attempts, 2)
    })
  }

  it("have the node's content type unless they have their own", async () => {
    const csv = Buffer.from('a;b\n1;2\n')
    const flow = await start(FHIR_RESULT, { contentType: 'text/csv' })
    await flow.send(fileMessage([csv, { file: csv, contentType: 'text/plain' }]))
    const types = (await lastReceived()).files.map(({ contentType }) => contentType)
    assert.deepEqual(types, ['text/csv', 'text/plain'])
  })

  it('cause an error that names the wrong one', async () => {
    const { message } = await (await start(RESULTS)).fail(fileMessage([PDF, { file: 7 }]), 'REDOX_BAD_INPUT')
    assert.match(message, /msg\.payload\[1\]/)
  })
})

describe('file on this machine', () => {
  useNodeRed()
  let root: string
  let inside: string

  before(() => {
    root = mkdtempSync(path.join(tmpdir(), 'redox-nodes-'))
    inside = path.join(root, 'inside')
    mkdirSync(path.join(inside, 'deep'), { recursive: true })
    mkdirSync(path.join(root, 'inside-not'))
    for (const file of ['inside/a.pdf', 'inside/deep/b.pdf', 'outside.pdf', 'inside-not/c.pdf'])
      writeFileSync(path.join(root, file), PDF)
    writeFileSync(path.join(inside, 'empty.pdf'), '')
    symlinkSync('../outside.pdf', path.join(inside, 'link-out.pdf'))
    symlinkSync('deep/b.pdf', path.join(inside, 'link-in.pdf'))
    symlinkSync('..', path.join(inside, 'up'))
  })
  after(() => rmSync(root, { recursive: true }))

  const startIn = (
    node: SendNode,
    folders: string,
    settings: Message = {},
    config: Message = {},
  ): Promise<Flow> => start(node, { fileFrom: 'path', ...settings }, { folders, ...config })

  for (const node of ALL_NODES) {
    it(`is read by ${node.type} (${node.api}), by absolute and by relative path`, async () => {
      const flow = await startIn(node, `/nowhere\n${inside}`)
      for (const file of [path.join(inside, 'a.pdf'), 'a.pdf', './deep/../a.pdf', 'link-in.pdf'])
        assert.equal(await arrived(await flow.send(fileMessage(file))), sha256(PDF), file)
    })
  }

  it('is refused unless it is a regular file inside a folder of the connection', async () => {
    const outside = ['../outside.pdf', 'link-out.pdf', 'up/outside.pdf', '../inside-not/c.pdf', '/dev/null']
    const others = ['deep', '.', inside, 'empty.pdf', 'a.pdf\0', '', PDF, { path: 'a.pdf' }]
    for (const node of ALL_NODES) {
      const flow = await startIn(node, inside)
      const { message: missing } = await flow.fail(fileMessage('missing.pdf'), 'REDOX_BAD_INPUT')
      for (const file of [path.join(root, 'outside.pdf'), ...outside]) {
        const { message } = await flow.fail(fileMessage(file), 'REDOX_BAD_INPUT')
        assert.equal(message, missing, 'a message must not find out what lies on the disk')
      }
      for (const file of others) await flow.fail(fileMessage(file), 'REDOX_BAD_INPUT')
      await assertNothingSent()
    }
  })

  it("is found in a folder relative to Node-RED's user directory", async () => {
    try {
      helper.settings({ userDir: root })
      for (const folders of ['inside', './inside/deep/..'])
        assert.equal(
          await arrived(await (await startIn(NOTE, folders)).send(fileMessage('a.pdf'))),
          sha256(PDF),
        )
      await (await startIn(NOTE, 'inside/deep')).fail(fileMessage('../a.pdf'), 'REDOX_BAD_INPUT')
    } finally {
      helper.settings({})
    }
  })

  it('is refused when the connection has no folder', async () => {
    const flow = await startIn(NOTE, '')
    const { message } = await flow.fail(fileMessage(path.join(inside, 'a.pdf')), 'REDOX_BAD_INPUT')
    assert.match(message, /^No folder is allowed/)
  })

  it('is waited for while it is still being written, without using a slot for sends', async () => {
    for (const node of [NOTE, FHIR_RESULT, UPLOAD_BLOB]) {
      const flow = await startIn(node, inside, {}, { settleSeconds: '1', sendsAtOnce: '1' })
      const growing = path.join(inside, `growing-${node.type}.pdf`)
      writeFileSync(growing, PDF.subarray(0, 100_000))
      const sending = flow.send(fileMessage(growing))
      // A file that is no longer growing is sent at once and does not wait for the growing file.
      let isSent = false
      const other = flow.send(fileMessage('a.pdf')).finally(() => (isSent = true))
      let written = 100_000
      do {
        await sleep(200)
        appendFileSync(growing, PDF.subarray(written, (written += 1000)))
      } while (!isSent)
      assert.equal(await arrived(await other), sha256(PDF))
      appendFileSync(growing, PDF.subarray(written))
      assert.equal(await arrived(await sending), sha256(PDF))
    }
  })

  it('is sent once and complete with the last of several messages that arrive during the writing', async () => {
    for (const node of [RESULTS, UPLOAD_BLOB]) {
      const flow = await startIn(node, inside, {}, { settleSeconds: '1' })
      const growing = path.join(inside, `watched-${node.type}.pdf`)
      const parts = [PDF.subarray(0, 100_000), PDF.subarray(100_000, 200_000), PDF.subarray(200_000)]
      const ends: ReturnType<Flow['outcome']>[] = []
      for (const part of parts) {
        appendFileSync(growing, part)
        ends.push(flow.outcome(fileMessage(growing)))
        await sleep(200)
      }
      const [first, second, last] = await Promise.all(ends)
      for (const { error, answer } of [first!, second!]) {
        assert.equal(answer, undefined)
        assert.match(error!.message, /^File is sent with a later message/)
      }
      assert.equal(await arrived(last!.answer!), sha256(PDF))
    }
  })

  it('is sent with each of two messages that arrive after it was written', async () => {
    const flow = await startIn(NOTE, inside, {}, { settleSeconds: '1' })
    writeFileSync(path.join(inside, 'both.pdf'), PDF)
    const both = [flow.send(fileMessage('both.pdf')), flow.send(fileMessage('both.pdf'))]
    for (const answer of await Promise.all(both)) assert.equal(await arrived(answer), sha256(PDF))
  })

  it('is not waited for after the node was closed', async () => {
    const flow = await startIn(NOTE, inside, {}, { settleSeconds: '600' })
    writeFileSync(path.join(inside, 'late.pdf'), PDF)
    flow.node.receive(fileMessage('late.pdf'))
    const began = Date.now()
    await helper.unload()
    assert.ok(Date.now() - began < 10_000, 'it waited until Node-RED gave up')
  })

  it('is embedded and uploaded with its own name', async () => {
    for (const way of ['embed', 'upload']) {
      await (await startIn(NOTE, inside, { way })).send({ payload: 'deep/b.pdf' })
      const [file] = (await lastReceived()).files
      assert.deepEqual([file!.name, file!.sha256], ['b.pdf', sha256(PDF)])
    }
  })

  /** Functions that create something else at the path of the file: a FIFO, a link out of the folder, another file. */
  const EXCHANGES: ((file: string) => void)[] = [
    (file) => execFileSync('mkfifo', [file]),
    (file) => symlinkSync(fixturePath('gingival-mass.pdf'), file),
    (file) => writeFileSync(file, sizedFile(PDF.length)),
  ]
  const WAYS: [node: SendNode, way: string][] = [
    [FHIR_RESULT, 'embed'],
    [NOTE, 'embed'],
    [NOTE, 'upload'],
    [UPLOAD_BLOB, 'upload'],
  ]
  it('is not sent when it was replaced before a retry, and blocks nothing', async () => {
    const server = await ScriptedServer.start()
    try {
      for (const [node, way] of WAYS) {
        const purpose = way === 'upload' ? 'upload' : 'send'
        const config = { folders: root, sendsAtOnce: '6', attempts: '3' }
        const flow = await startTo(server, node, { fileFrom: 'path', way }, config)
        const folder = mkdtempSync(path.join(root, 'exchanged-'))
        const names = [1, 2, 3, 4, 5, 6].map((number) => path.join(folder, `${number}.pdf`))
        names.forEach((name) => writeFileSync(name, PDF))
        const answers: (() => void)[] = []
        const before = server.of(purpose).length
        server.script(purpose, (response) => {
          answers.push(() => response.writeHead(503, { 'retry-after': '0' }).end('{}'))
          if (answers.length < names.length) return
          names.forEach((name, index) => (rmSync(name), EXCHANGES[index % 3]!(name)))
          answers.forEach((answer) => answer())
        })
        const ends = await Promise.all(names.map((name) => flow.outcome(fileMessage(name))))
        for (const { error } of ends) assert.match(error!.message, /^File changed while it was read/)
        assert.equal(server.of(purpose).length, before + names.length, 'another file was sent')
        // Reading works, so the FIFO does not block Node.js's threads for file access.
        assert.ok((await readFile(path.join(inside, 'a.pdf'))).equals(PDF))
        await helper.unload()
      }
    } finally {
      await server.close()
    }
  })

  it('is never read because of a property of the message', async () => {
    const flow = await startIn(NOTE, inside, { fileFrom: 'message' })
    const tricks = { fileFrom: 'path', fileType: 'str', path: 'a.pdf', file: 'a.pdf' }
    await flow.fail({ ...fileMessage('deep/b.pdf.'), ...tricks }, 'REDOX_BAD_INPUT')
    await flow.fail(fileMessage({ kind: 'file', path: 'a.pdf', size: 9 }), 'REDOX_BAD_INPUT')
    await assertNothingSent()
  })
})
