import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { runInNewContext } from 'node:vm'
import { decodeDataUri, decodeLoosely } from '../../src/file/base64'
import { examine } from '../../src/file/completeness'
import {
  contentTypeOfName,
  detectContentType,
  fileTypeOf,
  isContentType,
  looksLikeText,
} from '../../src/file/content-types'
import {
  asText,
  cleanFileName,
  readText,
  sha256Of,
  takeFile,
  takePath,
  type FileHints,
  type FileSource,
} from '../../src/file/file'
import { fixture, fixturePath, sha256, sizedFile } from '../lib/fixtures'
import { bytesOf, failing } from '../lib/redox'

const HINTS: FileHints = { where: 'msg.payload' }
const PDF = fixture('gingival-mass.pdf')

/** Base64 of base64 of base64. */
const thrice = (text: string): string => Buffer.from(Buffer.from(text).toString('base64')).toString('base64')

/** A file as texts that are not decoded. */
function disguised(file: Buffer): [what: string, text: string][] {
  const base64 = file.toString('base64')
  const bytes = file.toString('hex').match(/../g)!
  const quoted = [...file.subarray(0, 9000)].map((byte) =>
    byte === 10 || (byte > 31 && byte < 127 && byte !== 61)
      ? String.fromCharCode(byte)
      : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`,
  )
  return [
    ['percent-encoded base64', encodeURIComponent(base64)],
    ['base64 in Python', `b'${base64}'`],
    ['base64 behind its name', `base64,${base64}`],
    ['base64 with written line breaks', base64.replace(/.{76}/g, '$&\\n')],
    ['base64 in a row of a table', `${base64.slice(0, 96)};x`],
    ['base64 in armour', `-----BEGIN FILE-----\n${base64}\n-----END FILE-----\n`],
    ['JSON around base64', JSON.stringify({ name: 'x', data: base64 })],
    ['hex with colons', bytes.join(':')],
    ['hex of a programming language', bytes.map((byte) => `0x${byte}`).join(', ')],
    ['hex of SQL', `X'${bytes.join('')}'`],
    ['escaped bytes', bytes.map((byte) => `\\x${byte}`).join('')],
    ['a list of numbers', JSON.stringify([...file])],
    ['quoted-printable', quoted.join('').replace(/.{70}/g, '$&=\n')],
    ['yEnc', '=ybegin line=128 size=5 name=a\n'],
  ]
}

async function taken(value: unknown, hints: Partial<FileHints> = {}): Promise<FileSource> {
  const { file } = await takeFile(value, { ...HINTS, ...hints })
  assert.ok(file.kind === 'file')
  return file
}

describe('file intake', () => {
  const text = PDF.toString('base64')
  const values: [string, unknown][] = [
    ['a Buffer', PDF],
    [
      'a Uint8Array that is a view into something larger',
      new Uint8Array(Buffer.concat([PDF, PDF]).buffer, 0, 0),
    ],
    ['base64', text],
    ['base64 with line breaks of 76 characters', text.replace(/.{76}/g, '$&\r\n')],
    ["base64 with the spaces of HL7's example", text.replace(/.{76}/g, '$& ')],
    ['base64 with white space around it', `\n  ${text}\n`],
    ['base64 without padding', text.replace(/=+$/, '')],
    ['base64 in the url-safe alphabet', PDF.toString('base64url')],
    ['a data: URI', `data:application/pdf;base64,${text}`],
    ['base64 with one odd line', text.replace(/^.{100}/, '$&\n').replace(/.{76}/g, '$&\r\n')],
    ['a Buffer of base64 with one odd line', Buffer.from(text.replace(/^.{100}/, '$&\n'))],
    ['base64 in quotes', JSON.stringify(text)],
    ['a Buffer of base64 in quotes', Buffer.from(JSON.stringify(text))],
    ['a Buffer of base64 in UTF-16', Buffer.from(`\ufeff${text}`, 'utf16le')],
    ['a Buffer of base64 in UTF-16, big end first', Buffer.from(`\ufeff${text}`, 'utf16le').swap16()],
    [
      'a Buffer of a data: URI in UTF-16, big end first, without a mark',
      Buffer.from(`data:application/pdf;base64,${text}`, 'utf16le').swap16(),
    ],
    ['a data: URI in quotes', JSON.stringify(`data:application/pdf;base64,${text}`)],
    ['a Buffer of a data: URI in quotes', Buffer.from(JSON.stringify(`data:application/pdf;base64,${text}`))],
    ['hex', PDF.toString('hex')],
    ['a Buffer of hex as PostgreSQL writes it', Buffer.from(`\\x${PDF.toString('hex')}`)],
    ['a Buffer of a data: URI', Buffer.from(`data:application/pdf;base64,${text}`)],
    [
      'a Buffer of a data: URI with a name',
      Buffer.from(`\ufeffdata:application/pdf;name="a, b.pdf";base64,${text}`),
    ],
    ['base64 of a data: URI', Buffer.from(`data:application/pdf;base64,${text}`).toString('base64')],
    ['a data: URI with a file name', `data:application/pdf;filename=generated.pdf;base64,${text}`],
    [
      'a data: URI with a name that needs quotes',
      `data:application/pdf;name="Bef\u00fcnd, 1.pdf"; base64,${text}`,
    ],
    ['a data: URI with a name that has a space', `data:application/pdf;name=my report.pdf;base64,${text}`],
    [
      'a data: URI with a line break in its base64',
      `data:application/pdf;base64,${text.replace(/^.{90}/, '$&\n')}`,
    ],
    ['a Buffer that came as JSON', JSON.parse(JSON.stringify(PDF))],
    ['an ArrayBuffer', new Uint8Array(PDF).buffer],
    ['a DataView', new DataView(new Uint8Array(PDF).buffer)],
    [
      'a file of multer',
      { fieldname: 'f', originalname: 'x.pdf', mimetype: 'application/pdf', buffer: PDF, size: 9 },
    ],
    ['a file of n8n', { data: text, mimeType: 'application/pdf', fileName: 'x.pdf', fileExtension: 'pdf' }],
    ['an attachment of a mail', { filename: 'x.pdf', contentType: 'application/pdf', content: PDF }],
    ['a FHIR Attachment', { contentType: 'application/pdf', data: text, title: 'x' }],
    ['a FHIR Binary', { resourceType: 'Binary', contentType: 'application/pdf', data: text }],
    ['a data: URI whose base64 is percent-encoded', `data:;base64,${encodeURIComponent(text)}`],
    ['a Uint8Array of a Function node', runInNewContext('Uint8Array.from(bytes)', { bytes: PDF })],
    ['a data: URI without a type', `DATA:;base64,${text}`],
    ['base64 that was encoded twice', Buffer.from(text).toString('base64')],
    ['a Buffer of base64 text', Buffer.from(text)],
    ['a Buffer of base64 text in lines', Buffer.from(text.replace(/.{64}/g, '$&\n'))],
  ]
  const inner = Buffer.concat([Buffer.from('before'), PDF, Buffer.from('after')])
  values[1]![1] = new Uint8Array(inner.buffer, inner.byteOffset + 6, PDF.length)
  for (const [what, value] of values) {
    it(`takes ${what}`, async () => {
      const file = await taken(value, { filename: 'report.pdf' })
      assert.equal(sha256(await bytesOf(file.read())), sha256(PDF))
      assert.deepEqual(
        [file.size, file.contentType, file.fileType, file.name],
        [PDF.length, 'application/pdf', 'PDF', 'report.pdf'],
      )
    })
  }

  it('takes name and type of an object or a data: URI, unless the node is set to others', async () => {
    const multer = { originalname: 'own.pdf', mimetype: 'application/pdf', buffer: PDF }
    assert.equal((await taken(multer)).name, 'own.pdf')
    assert.equal((await taken(multer, { filename: 'set.pdf' })).name, 'set.pdf')
    const uri = `data:application/pdf;charset=utf-8;filename=own%20%C3%BC.pdf;base64,${text}`
    assert.deepEqual(
      [(await taken(uri)).name, (await taken(uri)).contentType],
      ['own \u00fc.pdf', 'application/pdf'],
    )
    assert.equal((await taken(uri, { filename: 'set.pdf' })).name, 'set.pdf')
    assert.equal((await taken(`data:application/pdf;name=a%0Ab;base64,${text}`)).name, 'document.pdf')
    // The characters of a text are no part of another type.
    assert.equal(
      (await taken('data:text/csv;charset=iso-8859-1,a%FCb')).contentType,
      'text/csv;charset=iso-8859-1',
    )
  })

  it('takes text of a format without a signature when its name or type says what it is', async () => {
    const noise = Buffer.from([1, 2, 3, 200])
    for (const hints of [{ filename: 'a.bin' }, { filename: 'a.nrrd' }, { contentType: 'application/x-ecg' }])
      assert.deepEqual(await bytesOf((await taken(noise.toString('base64'), hints)).read()), noise)
    const csv = Buffer.from('a;b')
    assert.equal((await taken(csv.toString('base64'), { filename: 'a.csv' })).contentType, 'text/csv')
    assert.equal((await taken(fixture('scan.tiff').toString('base64'))).contentType, 'image/tiff')
  })

  it('refuses a word that its name or type makes a file of', async () => {
    const names =
      'txt csv xml json html md eml svg vcf xls xlsx xlsm ppt bmp mp3 mov m4a avi 7z rar tar jp2 ps ico webm ogg flac'
    const hints = [
      ...names.split(' ').map((ending) => ({ filename: `report.${ending}` })),
      ...['text/plain', 'image/bmp', 'audio/mpeg', 'application/vnd.ms-excel', 'application/fhir+json'].map(
        (contentType) => ({ contentType }),
      ),
    ]
    for (const hint of hints)
      for (const word of ['done', 'success', 'accepted', 'passed12'])
        await failing('REDOX_BAD_INPUT', () => takeFile(word, { ...HINTS, ...hint }))
    const files: [string, Buffer][] = [
      ['a.bmp', Buffer.from('BM\x36\0\0\0', 'latin1')],
      ['a.mp3', Buffer.from([0xff, 0xfb, 0x90, 0x64])],
      ['a.xls', Buffer.from('a\tb\n')],
      ['a.mov', Buffer.from('\0\0\0\x08wide', 'latin1')],
      ['a.txt', Buffer.from('Gr\u00fc\u00dfe')],
    ]
    for (const [filename, bytes] of files)
      assert.deepEqual(await bytesOf((await taken(bytes.toString('base64'), { filename })).read()), bytes)
  })

  it('takes a text as it is where a text is wanted', async () => {
    for (const value of [`data:application/pdf;base64,${text}`, text, 'success', 'https://example.org/x']) {
      for (const given of [value, Buffer.from(value)])
        assert.equal((await bytesOf((await taken(given, { isText: true })).read())).toString(), value)
    }
  })

  it('keeps what only looks like an encoding', async () => {
    for (const content of [
      'Data: client calm, oriented x4.',
      'Data:,0.9 NaCl 500 ml',
      'Patient is well today',
      'deadbeef',
    ])
      assert.equal((await bytesOf((await taken(Buffer.from(content))).read())).toString(), content)
    const mail = Buffer.from('MIME-Version: 1.0\r\nSubject: x\r\n\r\nx')
    assert.equal((await taken(mail, { filename: 'a.eml' })).contentType, 'message/rfc822')
  })

  describe('in memory that others write to', () => {
    const MB = 1024 * 1024
    const small = sizedFile(600_000)
    const large = sizedFile(5 * MB)
    const changes: [what: string, bytes: Buffer, at: number][] = [
      ['the first byte', small, 0],
      ['one byte in the middle', small, 300_000],
      ['the last byte', small, small.length - 1],
      ['the first byte of a large one', large, 0],
      ['the last byte of a large one', large, large.length - 1],
    ]
    for (const [what, bytes, at] of changes) {
      it(`is refused when ${what} changes before it is read`, async () => {
        const shared = Buffer.from(bytes)
        const file = await taken(shared)
        shared[at]! ^= 1
        await failing('REDOX_BAD_INPUT', () => bytesOf(file.read()), /^File changed in memory/)
        shared[at]! ^= 1
        assert.equal(sha256(await bytesOf(file.read())), sha256(bytes))
      })
    }

    it('is refused when it changes while it is read, before the last piece leaves', async () => {
      const shared = Buffer.from(large)
      const reading = (await taken(shared)).read()[Symbol.asyncIterator]()
      await reading.next()
      shared.fill(0)
      await failing(
        'REDOX_BAD_INPUT',
        () => bytesOf({ [Symbol.asyncIterator]: () => reading }),
        /^File changed in memory/,
      )
    })

    it('a part of a large one is noticed, wherever it is written', async () => {
      for (let at = 0; at + 100_000 < large.length; at += 700_001) {
        const shared = Buffer.from(large)
        const file = await taken(shared)
        shared.fill(0, at, at + 100_000)
        await failing('REDOX_BAD_INPUT', () => bytesOf(file.read()), /^File changed in memory/)
      }
    })
  })

  it('warns when it had to decode twice, and not otherwise', async () => {
    assert.match((await takeFile(Buffer.from(text), HINTS)).warnings.join(), /base64 text/)
    assert.deepEqual((await takeFile(PDF, HINTS)).warnings, [])
  })

  const unreadable = {
    get url() {
      throw new TypeError('colleague')
    },
  }
  const refused: [string, unknown, RegExp, Partial<FileHints>?][] = [
    ['nothing', undefined, /^File is missing: there is none in msg\.payload/],
    ['null', null, /^File is missing/],
    ['an empty Buffer', Buffer.alloc(0), /empty \(0 bytes\)/],
    ['an empty text', ' \n', /empty/],
    ['an empty data: URI', 'data:application/pdf;base64,', /empty/],
    ['text that is not base64', 'Dear colleague, thank you.', /not base64/],
    ['words that could be base64', 'Patient is well today', /not base64/],
    ['two words of one length', 'Patients improved', /not base64/],
    ['base64 of a length that none has', 'JVBER', /not base64/],
    ['padding in the middle', 'JVBE=Ri0', /not base64/],
    ['a data: URI without a comma', 'data:application/pdf;base64', /has no comma/],
    ['a data: URI with broken percent-encoding', 'data:text/plain,100%', /percent-encoding/],
    ['a number', 7, /^Not a file: msg\.payload is a number/],
    ['an array', [PDF], /an array/],
    ['an object', { file: PDF }, /an object without a url/],
    ['what is no Buffer that came as JSON', { type: 'Buffer', data: [37, 256] }, /^Buffer is damaged/],
    ['a content type that is none', PDF, /not a MIME type/, { contentType: 'PDF' }],
    ['a content type with a line break', PDF, /not a MIME type/, { contentType: 'text/plain\r\nX: 1' }],
    ['a content type with a NUL in quotes', PDF, /not a MIME type/, { contentType: 'text/plain; a="\0"' }],
    ['a content type that the bytes contradict', PDF, /first bytes are/, { contentType: 'image/png' }],
    ['a content type over two lines', PDF, /not a MIME type/, { contentType: 'a/b;\r\n c=d' }],
    ['a data: URI with half a character', 'data:text/plain,\ud800', /lone surrogate/],
    ['an object that cannot be read', unreadable, /cannot be read/],
    ['a data: URI that its bytes contradict', `data:image/png;base64,${text}`, /first bytes are/],
    ['a word that could be base64', 'success', /is text, not a file/],
    [
      'a word that could be base64, declared as bytes',
      'done',
      /not a file/,
      { contentType: 'binary/octet-stream' },
    ],
    ['a word with a name without an ending', 'done', /not a file/, { filename: 'scan' }],
    ['a word that is called a PDF', 'success', /^Text is not application\/pdf/, { filename: 'a.pdf' }],
    ['a word that is called a picture', 'success', /^Text is not image\/tiff/, { filename: 'a.tif' }],
    ['a word that is called a Word file', 'success', /^Text is not application/, { filename: 'a.docx' }],
    ['a word that is called a table', 'success', /^Text is not text\/csv/, { filename: 'a.csv' }],
    ['a word that is declared as text', 'success', /^Text is not text\/plain/, { contentType: 'text/plain' }],
    ['base64 of noise', Buffer.from([1, 2, 3, 200]).toString('base64'), /not a file/],
    [
      'base64 of noise that is called a PDF',
      Buffer.from([1, 2, 200]).toString('base64'),
      /pdf/,
      { filename: 'a.pdf' },
    ],
    [
      'base64 of a picture that is called a PDF',
      fixture('photo.jpg').toString('base64'),
      /pdf/,
      { filename: 'a.pdf' },
    ],
    ['an absolute path', '/home/colleague/a.pdf', /is a path, not a file/],
    ['a path that could be base64', '/home/colleague/scan', /is a path, not a file/],
    ['a relative path', 'scans/colleague 1.pdf', /is a path, not a file/],
    ['a path of Windows', 'C:\\scans\\colleague', /is a path, not a file/],
    ['the file name', 'colleague', /is text, not a file/, { filename: 'colleague' }],
    ['base64 that was encoded three times', thrice(text), /encoded more than twice/],
    ['a Buffer that was encoded three times', Buffer.from(thrice(text)), /encoded more than twice/],
    [
      'a Buffer of base64 that breaks off',
      Buffer.from(`${text.slice(0, 900)}\u00e4`),
      /^File is damaged: msg\.payload begins as base64/,
    ],
    ['a part of a MIME message', Buffer.from('Content-Type: application/pdf\r\n\r\nJVBE'), /part of a MIME/],
    ['a multipart body', Buffer.from('--x1\r\nContent-Disposition: form-data\r\n\r\n%PDF-1.7'), /multipart/],
    ['a Buffer written as JSON', Buffer.from(JSON.stringify(PDF)), /written as JSON/],
    ...disguised(PDF).map(([what, written]): [string, unknown, RegExp] => [
      `a Buffer of ${what}`,
      Buffer.from(written),
      /the file is inside it/,
    ]),
    ['a stream', { pipe: () => undefined, path: '/home/colleague' }, /It has a path/],
    ['a result of n8n', { binary: { data: {} } }, /property "binary"/],
    ['the form of an http in node', { name: 'x' }, /msg\.req\.files\[0\]\.buffer/],
    ['a file name with a line break', PDF, /control characters/, { filename: 'a\r\n.pdf' }],
    ['a file name with a NUL', PDF, /control characters/, { filename: 'a\0.pdf' }],
    ['a reference without a content type', 'https://blob.redoxengine.com/1', /^Content type is missing/],
  ]
  for (const [what, value, words, hints] of refused) {
    it(`refuses ${what}`, () =>
      failing('REDOX_BAD_INPUT', () => takeFile(value, { ...HINTS, ...hints }), words).then(({ message }) =>
        assert.doesNotMatch(message, /colleague|JVBE|a\.pdf/),
      ))
  }

  it('takes of a view what it shows, and text in an object that proves to be a file', async () => {
    const around = Buffer.concat([Buffer.from('before'), PDF.subarray(0, 9000), Buffer.from('after.')])
    const bytes = new Uint8Array(around)
    const view = new Uint16Array(bytes.buffer, 6, 4500)
    const { file } = await takeFile(view, HINTS)
    assert.ok(file.kind === 'file')
    assert.equal(sha256(await bytesOf(file.read())), sha256(PDF.subarray(0, 9000)))
    assert.equal((await taken({ data: text })).contentType, 'application/pdf')
    await failing('REDOX_BAD_INPUT', () => takeFile({ data: 'success' }, HINTS), /an object without a url/)
    await failing('REDOX_BAD_INPUT', () => takeFile({ Body: PDF }, HINTS), /property "Body"/)
  })

  it('knows many names of types that say nothing, and of types that are known', async () => {
    const nothing =
      'octet oct-stream x-octets bin x-data unspecified x-forcedownload x-file-to-save blob stream'
    for (const contentType of [...nothing.split(' ').map((name) => `application/${name}`), 'bytes/unknown'])
      assert.equal((await taken(PDF, { contentType })).contentType, 'application/pdf')
    for (const contentType of ['application/data-exchange', 'image/data', 'application/binary+json'])
      await failing(
        'REDOX_BAD_INPUT',
        () => takeFile(PDF, { ...HINTS, contentType }),
        /content type|declared/i,
      )
    const aliases: [string, Buffer, string][] = [
      ['application/vnd.pdf', PDF, 'document.pdf'],
      ['image/jpg', fixture('photo.jpg'), 'document.jpg'],
      ['application/x-jpg', fixture('photo.jpg'), 'document.jpg'],
      ['image/apng', fixture('chart.png'), 'document.apng'],
      ['application/x-tiff', fixture('scan.tiff'), 'document.tif'],
    ]
    for (const [contentType, file, name] of aliases)
      assert.equal((await taken(file, { contentType })).name, name)
  })

  it('takes no container for a type with a mark of its own, and no ending for a type that has one', async () => {
    for (const mark of ['PK\x03\x04', 'PK\x05\x06', 'PK\x07\x08']) {
      const zip = Buffer.concat([Buffer.from(mark, 'latin1'), Buffer.alloc(500, 0x90)])
      for (const ending of ['csv', 'dcm', 'gz', 'heic', 'wav', 'hl7']) {
        const file = await taken(zip, { filename: `a.${ending}` })
        assert.deepEqual([file.contentType, file.fileType], ['application/zip', 'ZIP'], ending)
      }
      assert.equal((await taken(zip, { filename: 'a.docx' })).fileType, 'DOCX')
      assert.equal((await taken(zip, { filename: 'a.doc' })).contentType, 'application/msword')
    }
    const preamble = Buffer.concat([
      Buffer.from('%PDF-1.4\n'),
      Buffer.alloc(119),
      Buffer.from('DICM\x02\0', 'latin1'),
    ])
    assert.equal((await taken(Buffer.concat([preamble, Buffer.alloc(400)]))).contentType, 'application/dicom')
  })

  it('leaves texts alone that only look like an encoding', async () => {
    const json = JSON.stringify({ resourceType: 'Binary', data: text.slice(0, 200) })
    const texts: [string, Partial<FileHints>][] = [
      ['Patient reports 20%25 loss of hearing', {}],
      ["b'tight' muscles, 0x12 findings: 10:20:30:40", {}],
      ['12, 14, 15, 16, 18, 20, 21, 22, 23, 24 mmHg', {}],
      ['JACKSON PRATT DRAIN IN PLACE, OUTPUT 20 ML', {}],
      ['-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUX\n-----END CERTIFICATE-----\n', {}],
      ['a=20\nb=3D\n', {}],
      [json, { contentType: 'application/fhir+json' }],
      [json, { filename: 'binary.json' }],
    ]
    for (const [written, hints] of texts)
      assert.equal((await bytesOf((await taken(Buffer.from(written), hints)).read())).toString(), written)
  })

  it('reads percent-encoded data: URIs, text and bytes', async () => {
    assert.equal((await decodeDataUri('data:,Gr%C3%BC%C3%9Fe%20ü', 'x')).bytes.toString(), 'Grüße ü')
    assert.deepEqual(await decodeDataUri('data:image/gif,GIF89a%FF%00', 'x'), {
      bytes: Buffer.from('GIF89a\xff\0', 'latin1'),
      contentType: 'image/gif',
    })
  })

  it('decodes base64 to the same bytes however it is written, and encodes canonically', async () => {
    const left = await decodeLoosely('ABCDEF==')
    assert.equal(left!.toString('base64'), 'ABCDEA==')
    assert.deepEqual(await decodeLoosely('-_-_'), await decodeLoosely('+/+/'))
  })

  it('takes a reference as redox-upload emits it, with its own description', async () => {
    const payload = {
      url: 'https://blob.redoxengine.com/14652614',
      contentType: 'application/pdf',
      fileType: 'PDF',
      name: 'report.pdf',
      size: 12,
      sha256: 'ab',
      upload: 'blob',
    }
    assert.deepEqual(await takeFile(payload, HINTS), {
      file: { kind: 'reference', ...payload },
      warnings: [],
    })
    const named = { ...HINTS, filename: 'other.png', contentType: 'image/png' }
    const { file } = await takeFile({ ...payload, upload: 'elsewhere', size: '12' }, named)
    assert.deepEqual([file.name, file.contentType, 'size' in file], ['other.png', 'image/png', false])
    assert.ok(file.kind === 'reference' && file.upload === undefined)
  })

  it('tells of a contradiction without the parameters of the type, which may name the file', async () => {
    const contentType = 'image/png; name="colleague.png"'
    const { message } = await failing('REDOX_BAD_INPUT', () => taken(PDF, { contentType }), /image\/png, but/)
    assert.doesNotMatch(message, /colleague/)
    for (const octets of [
      'application/octet-stream; name=x',
      'binary/octet-stream',
      'application/x-download',
    ])
      assert.equal((await taken(PDF, { contentType: octets })).contentType, 'application/pdf')
  })

  it("goes by the node's content type before that of a data: URI", async () => {
    const uri = `data:application/x-pdf;base64,${text}`
    assert.equal((await taken(uri)).contentType, 'application/x-pdf')
    assert.equal((await taken(uri, { contentType: 'application/pdf' })).contentType, 'application/pdf')
  })

  it('its pieces are views that can be joined as base64, and a second reading gives the same', async () => {
    const content = sizedFile(1_300_001)
    const file = await taken(content)
    for (let pass = 0; pass < 2; pass++) {
      const texts: string[] = []
      for await (const piece of file.read()) {
        assert.equal(piece.buffer, content.buffer)
        texts.push(piece.toString('base64'))
      }
      assert.ok(texts.length > 2)
      assert.equal(texts.join(''), content.toString('base64'))
    }
  })

  it('names are base names', async () => {
    const names: [string, string][] = [
      ['/home/anna/report.pdf', 'report.pdf'],
      ['C:\\Users\\anna\\report.pdf', 'report.pdf'],
      ['../../etc/passwd', 'passwd'],
      ['Befund "Müller" 日本.pdf', 'Befund "Müller" 日本.pdf'],
      ['folder/', ''],
      ['https://files.example.org/a/report.pdf?sig=s3cret&name=x/y.doc#page=2', 'report.pdf'],
      ['https://files.example.org/Bef%C3%BCnd%201.pdf', 'Bef\u00fcnd 1.pdf'],
      ['file:///scans/100%.pdf', '100%.pdf'],
      ['what? #1.pdf', 'what? #1.pdf'],
      ['folder/..', ''],
      ['a\ud800.pdf', 'a\ufffd.pdf'],
    ]
    for (const [given, name] of names) assert.equal(cleanFileName(given, 'x'), name)
    assert.equal((await taken(PDF, { filename: 'folder/' })).name, 'document.pdf')
    assert.equal((await taken(fixture('photo.jpg'))).name, 'document.jpg')
  })

  it('text of a note is UTF-8 or refused', async () => {
    const note = await taken(fixture('note.txt'))
    assert.equal(await readText(note, 'x'), fixture('note.txt').toString('utf8'))
    await failing('REDOX_BAD_INPUT', async () => readText(await taken(PDF), 'msg.payload'), /not UTF-8/)
    const wide = await taken(Buffer.from('well', 'utf16le'))
    await failing('REDOX_BAD_INPUT', () => readText(wide, 'msg.payload'), /NUL characters/)
    await failing('REDOX_BAD_INPUT', () => asText('we\0ll', 'msg.payload'), /NUL characters/)
    assert.deepEqual(
      [asText('\ufeffwell', 'x'), await readText(await taken(Buffer.from('\ufeffwell')), 'x')],
      ['well', 'well'],
    )
  })
})

describe('a large text', () => {
  /** Turns of the event loop that pass while something is done. */
  async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
    let turns = 0
    let isDone = false
    const done = work().finally(() => (isDone = true))
    for (;;) {
      await nextTurn()
      if (isDone) break
      turns++
    }
    await done
    return turns
  }

  const bytes = sizedFile(6_000_000)
  const base64 = bytes.toString('base64')
  const hex = bytes.toString('hex')
  const words = Buffer.alloc(6_000_000, 'words and ').toString()
  const LARGE: [what: string, value: unknown, size: number, hints?: Partial<FileHints>][] = [
    ['base64', base64, base64.length],
    ['base64 in lines', base64.replace(/.{76}/g, '$&\n'), base64.length],
    ['url-safe base64', bytes.toString('base64url'), base64.length],
    ['a Buffer of base64', Buffer.from(base64), base64.length],
    ['a Buffer of base64 in UTF-16', Buffer.from(base64, 'utf16le'), base64.length],
    ['hex', hex, hex.length],
    ['a data: URI, base64', `data:application/pdf;base64,${base64}`, base64.length],
    [
      'a data: URI, base64 and percent-encoded',
      `data:application/pdf;base64,${base64}%3D`.slice(0, -3),
      base64.length,
    ],
    ['a data: URI, percent-encoded', `data:application/pdf,${hex.replace(/../g, '%$&')}`, hex.length * 1.5],
    ['a Buffer that came as JSON', JSON.parse(JSON.stringify(bytes)), bytes.length],
    [
      'blanks around base64',
      `${' '.repeat(3_000_000)}${base64}${' '.repeat(3_000_000)}`,
      base64.length + 6_000_000,
    ],
  ]
  for (const [what, value, size] of LARGE)
    it(`is worked on in turns, at most 1 MB in each: ${what}`, async () => {
      let file: FileSource | undefined
      const turns = await turnsDuring(async () => (file = await taken(value, { most: 30_000_000 })))
      assert.ok(turns >= size / 1_000_000, `${size} characters in ${turns} turns`)
      assert.equal(sha256(await bytesOf(file!.read())), sha256(bytes))
    })

  it('is worked on in turns also where it is wanted as it is, or is none', async () => {
    const asItIs = () => taken(words, { isText: true, filename: 'a.txt', most: 30_000_000 })
    assert.ok((await turnsDuring(asItIs)) >= 6)
    const blank = () => failing('REDOX_BAD_INPUT', () => taken(' '.repeat(6_000_000)), /empty/)
    assert.ok((await turnsDuring(blank)) >= 6)
    // The first blank tells.
    const none = () => failing('REDOX_BAD_INPUT', () => taken(words, { filename: 'a.pdf' }), /not a file/)
    assert.ok((await turnsDuring(none)) <= 3)
  })

  it('is refused by its length when no way would take it, before it is looked at', async () => {
    const most = 1_000_000
    const texts: [text: unknown, hints?: Partial<FileHints>][] = [
      [`data:application/pdf,${'%41'.repeat(1_100_000)}`],
      [Buffer.from(sizedFile(2_500_000).toString('base64'))],
      [words],
      [' '.repeat(3_100_000)],
      [words.slice(0, 1_000_001), { isText: true }],
      [{ type: 'Buffer', data: new Array(3_100_000).fill(37) }],
      [{ content: words, filename: 'a.pdf' }],
    ]
    for (const [text, hints] of texts) {
      const refuse = () => failing('REDOX_TOO_LARGE', () => taken(text, { ...hints, most }), /1(\.0)? MB/)
      assert.ok((await turnsDuring(refuse)) <= 3)
    }
    assert.equal((await taken(`data:text/plain,${'%41'.repeat(1_000_000)}`, { most })).size, most)
  })

  it('decodes to the same whatever stands at the ends of its slices', async () => {
    for (let shift = 0; shift < 4; shift++) {
      const text = '😀%41ü%E2%82%AC'.repeat(30_000)
      const expected = '😀Aü€'.repeat(30_000)
      const uri = `data:text/plain,${'a'.repeat(shift)}${text}`
      const { bytes: decoded } = await decodeDataUri(uri, 'x')
      assert.ok(decoded.equals(Buffer.from('a'.repeat(shift) + expected)))
      const digits = base64.slice(0, 400_000)
      const spaced = ' '.repeat(shift) + digits.replace(/.{61}/g, `$&${'\n'.repeat(shift + 1)}`)
      assert.ok((await decodeLoosely(spaced))!.equals(bytes.subarray(0, 300_000)))
      assert.equal(await decodeLoosely(`${digits}=${digits}`), undefined)
    }
  })

  it('is a name or a type only up to a length', async () => {
    await failing(
      'REDOX_BAD_INPUT',
      () => taken(PDF, { filename: 'a'.repeat(100_001) }),
      /^File name is too long/,
    )
    await failing('REDOX_BAD_INPUT', () => taken(PDF, { contentType: `a/${'b'.repeat(9000)}` }), /MIME type/)
  })

  it('that is a picture of nothing but marks is not followed to its end', () => {
    const made: [type: string, bytes: Buffer][] = [
      [
        'image/png',
        Buffer.concat([fixture('chart.png').subarray(0, 8), Buffer.alloc(1_200_000, '\0\0\0\0IDATcrc_')]),
      ],
      ['image/jpeg', Buffer.concat([Buffer.from([0xff, 0xd8]), Buffer.alloc(1_200_000, 0xff)])],
    ]
    for (const [type, content] of made) {
      const looking = examine(type, content.subarray(0, 1024), content.length)
      let looks = 0
      let look = looking.next()
      for (; look.done !== true; looks++)
        look = looking.next(content.subarray(look.value.at, look.value.at + look.value.length))
      assert.ok(looks < 25_000, `${looks} looks`)
      assert.deepEqual(look.value, { signs: [] })
    }
  })
})

describe('the ends of a file', () => {
  let folder: string
  before(() => (folder = mkdtempSync(path.join(tmpdir(), 'redox-'))))
  after(() => rmSync(folder, { recursive: true }))

  const doubtful = /^The PDF in msg\.payload seems to be truncated: /
  const cut = (kind: string): RegExp =>
    new RegExp(`^File is truncated: .* \\(the ${kind} in msg\\.payload\\)$`)
  const locked = /^The PDF in msg\.payload is encrypted: /
  const pdf = (...parts: string[]): Buffer => Buffer.from(`%PDF-1.7\n${parts.join('\n')}`, 'latin1')
  const noise = sizedFile(20_000).subarray(16).toString('latin1')
  const end = (position = 9): string => `startxref\n${position}\n%%EOF`
  const trailer = (entry: string): string => `trailer << /Size 10 ${entry} >>`
  const encryption = '/Encrypt 9 0 R'

  /** A table of objects that is a stream: too long for the entry to stand near the end. */
  const streamed = (entry: string): Buffer => {
    const before = pdf(noise)
    const table = `12 0 obj << /Type /XRef ${entry} >> stream ${noise}`
    return Buffer.concat([before, Buffer.from(`${table}\n${end(before.length)}\n`, 'latin1')])
  }

  const PNG = fixture('chart.png')
  const JPEG = fixture('photo.jpg')
  const TIFF = fixture('scan.tiff')
  const behind = (bytes: Buffer, length = 1000): Buffer => Buffer.concat([bytes, Buffer.alloc(length, 7)])
  const inFront = (text: string, bytes: Buffer): Buffer => Buffer.concat([Buffer.from(text, 'latin1'), bytes])
  const preview = Buffer.from([0xff, 0xe1, 0, 8, 0xff, 0xd8, 0xff, 0xd9, 0, 0])
  const withPreview = Buffer.concat([JPEG.subarray(0, 2), preview, JPEG.subarray(2)])
  const bigTiff = (offset: number): Buffer => {
    const bytes = Buffer.alloc(48)
    bytes.write('II+\0\x08', 'latin1')
    bytes.writeBigUInt64LE(16n, 8)
    bytes.writeBigUInt64LE(1n, 16)
    bytes.writeUInt16LE(270, 24)
    bytes.writeUInt16LE(2, 26)
    bytes.writeBigUInt64LE(10n, 28)
    bytes.writeBigUInt64LE(BigInt(offset), 36)
    return Buffer.concat([bytes, Buffer.alloc(20)])
  }

  const FILES: [what: string, bytes: Buffer, warnings: RegExp[], cutShort?: RegExp][] = [
    ['a real PDF', PDF, []],
    ['an encrypted PDF', fixture('encrypted.pdf'), [locked]],
    ['a PDF without its last half', PDF.subarray(0, PDF.length / 2), [], cut('PDF')],
    ['a PDF without its last bytes', PDF.subarray(0, -8), [doubtful]],
    ['an encrypted PDF without its last bytes', fixture('encrypted.pdf').subarray(0, -8), [locked, doubtful]],
    ['a PDF with something behind it', behind(PDF), []],
    ['a PDF with much behind it', behind(PDF, 60_000), [doubtful]],
    ['a PDF behind a line feed', inFront('\n', PDF), []],
    ['a PDF behind a header of a printer', inFront('\x1b%-12345X@PJL\r\n', PDF), []],
    ['an encrypted PDF behind a mark', inFront('\xef\xbb\xbf\r\n', fixture('encrypted.pdf')), [locked]],
    ['half a PDF behind a line feed', inFront('\n', PDF.subarray(0, PDF.length / 2)), [], cut('PDF')],
    ['a PDF of a few bytes', pdf(end()), []],
    ['a PDF of its first bytes', Buffer.from('%PDF-1.7'), [], cut('PDF')],
    ['a dictionary in the trailer', pdf(trailer('/Encrypt << /V 5 >>'), end()), [locked]],
    ['encryption told at the start (linearized)', pdf(trailer(encryption), end(0), noise, end(30)), [locked]],
    ['encryption told in a stream', streamed(encryption), [locked]],
    ['the same, behind a line feed', inFront('\n', streamed(encryption)), [locked]],
    ['a stream without encryption', streamed('/Root 1 0 R'), []],
    ['a table that is not there', pdf(noise, end(999_999_999)), []],
    ['another word', pdf(trailer('/EncryptMetadata false /Encrypted 9 0 R'), end()), []],
    ['a real PNG', PNG, []],
    ['a PNG with something behind it', behind(PNG, 5000), []],
    ['a PNG without its last chunk', PNG.subarray(0, -12), [], cut('PNG')],
    ['a PNG without its last byte', PNG.subarray(0, -1), [], cut('PNG')],
    ['a PNG cut inside a chunk', PNG.subarray(0, PNG.length / 2), [], cut('PNG')],
    ['a PNG of its signature', PNG.subarray(0, 8), [], cut('PNG')],
    ['a PNG whose chunks are damaged', Buffer.concat([PNG.subarray(0, 8), Buffer.alloc(100, 1)]), []],
    ['a real JPEG', JPEG, []],
    ['a JPEG with something behind it', behind(JPEG, 5000), []],
    ['a JPEG without its last bytes', JPEG.subarray(0, -100), [], cut('JPG')],
    ['a JPEG without its end mark', JPEG.subarray(0, -2), [], cut('JPG')],
    ['a JPEG with a preview', withPreview, []],
    ['a JPEG with a whole preview, cut', withPreview.subarray(0, -100), [], cut('JPG')],
    ['a JPEG cut inside its preview', withPreview.subarray(0, 9), [], cut('JPG')],
    ['a JPEG of its first bytes', JPEG.subarray(0, 3), [], cut('JPG')],
    ['a real TIFF', TIFF, []],
    ['a TIFF with something behind it', behind(TIFF), []],
    ['a TIFF without its last half', TIFF.subarray(0, TIFF.length / 2), [], cut('TIFF')],
    ['a TIFF without its last byte', TIFF.subarray(0, -1), [], cut('TIFF')],
    ['a TIFF of its first bytes', TIFF.subarray(0, 6), [], cut('TIFF')],
    ['a BigTIFF', bigTiff(50), []],
    ['a BigTIFF that refers to more than it has', bigTiff(60), [], cut('TIFF')],
    ['text about encryption', Buffer.from(`${encryption} %PDF-`), []],
  ]
  for (const [what, bytes, expected, cutShort] of FILES) {
    it(`are looked at, in memory and on the disk: ${what}`, async () => {
      const file = path.join(folder, 'Quuxworth')
      writeFileSync(file, bytes)
      const taken = [await takeFile(bytes, HINTS), await takePath(file, HINTS, [folder])]
      for (const { warnings, cutShort: found = '' } of taken) {
        assert.equal(warnings.length, expected.length, warnings.join())
        for (const text of expected)
          assert.ok(
            warnings.some((warning) => text.test(warning)),
            warnings.join(),
          )
        assert.match(found, cutShort ?? /^$/)
        assert.ok(!`${found}${warnings.join()}`.includes('Quuxworth'))
      }
    })
  }

  it('are all that is read of a file on the disk before it is sent', async () => {
    // A hole: nothing of it is on the disk, and reading all of it would take seconds.
    const file = path.join(folder, 'large.pdf')
    writeFileSync(file, '%PDF-1.7')
    truncateSync(file, 20_000_000_000)
    const began = Date.now()
    const { cutShort } = await takePath(file, HINTS, [folder])
    assert.match(cutShort!, cut('PDF'))
    assert.ok(Date.now() - began < 500)
  })
})

describe('content types', () => {
  const files: [name: string, contentType: string, fileType: string | undefined][] = [
    ['gingival-mass.pdf', 'application/pdf', 'PDF'],
    ['encrypted.pdf', 'application/pdf', 'PDF'],
    ['photo.jpg', 'image/jpeg', 'JPG'],
    ['chart.png', 'image/png', 'PNG'],
    ['scan.tiff', 'image/tiff', 'TIFF'],
    ['letter.rtf', 'application/rtf', 'RTF'],
    ['note.txt', 'text/plain', 'TEXT'],
  ]
  for (const [name, contentType, fileType] of files) {
    it(`${name} is ${contentType}, by its bytes alone`, () => {
      assert.deepEqual(detectContentType(fixture(name).subarray(0, 512)), { contentType })
      assert.equal(fileTypeOf(contentType), fileType)
    })
  }

  const types: [contentType: string, name: string | undefined, fileType: string | undefined][] = [
    ['application/vnd.openxmlformats-officedocument.wordprocessingml.document', undefined, 'DOCX'],
    ['application/dicom', undefined, 'DCM'],
    ['text/html; charset=utf-8', undefined, 'HTML'],
    ['Application/PDF', undefined, 'PDF'],
    ['audio/wav', 'heart.wav', 'WAV'],
    ['application/octet-stream', 'data.xyz', 'XYZ'],
    ['application/octet-stream', undefined, undefined],
  ]
  for (const [contentType, name, fileType] of types) {
    it(`FileType of ${contentType}${name ? ` named ${name}` : ''} is ${fileType}`, () =>
      assert.equal(fileTypeOf(contentType, name), fileType))
  }

  it('what is declared goes first, then the bytes, then the name, then text or octets', () => {
    const zip = Buffer.from('PK\x03\x04')
    const docx = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'
    for (const nothing of ['application/octet-stream', 'Binary/Octet-Stream', 'application/force-download'])
      assert.equal(detectContentType(PDF, 'a.png', nothing).contentType, 'application/pdf')
    assert.equal(
      detectContentType(Buffer.alloc(0), undefined, 'application/x-binary').contentType,
      'application/x-binary',
    )
    assert.equal(detectContentType(PDF, 'a.pdf', 'application/x-pdf').contradiction, undefined)
    assert.match(detectContentType(PDF, 'a.png').warning!, /first bytes are application\/pdf/)
    assert.equal(detectContentType(zip, 'letter.docx').contentType, docx)
    assert.equal(detectContentType(zip, 'letter.docx', docx).contradiction, undefined)
    assert.equal(detectContentType(zip).contentType, 'application/zip')
    assert.equal(detectContentType(Buffer.from('a;b'), 'a.csv').contentType, 'text/csv')
    assert.equal(detectContentType(Buffer.from('Grüße')).contentType, 'text/plain')
    assert.equal(detectContentType(Buffer.from([0, 1, 2])).contentType, 'application/octet-stream')
  })

  const LOGIN_PAGE = Buffer.from('<!DOCTYPE html><title>Log in</title>')
  const ZIP = Buffer.from('PK\x03\x04')
  const WORDS = Buffer.from('hello world')
  const OTHERS: [bytes: Buffer, type: string][] = [
    [LOGIN_PAGE, 'text/html'],
    [ZIP, 'application/zip'],
    [WORDS, 'text/plain'],
    [Buffer.from([0, 1, 2]), 'application/octet-stream'],
  ]
  for (const [bytes, type] of OTHERS)
    it(`what begins as ${type} is no PDF and no picture, whatever it is called`, () => {
      for (const [name, declared] of [
        ['report.pdf', 'application/pdf'],
        ['scan.png', 'image/png'],
        ['scan.tif', 'image/tiff'],
        ['scan.jpg', 'image/jpg'],
        ['letter.rtf', 'text/rtf'],
      ] as const) {
        const named = detectContentType(bytes, name)
        assert.equal(named.contentType, type)
        assert.match(named.warning!, new RegExp(`first bytes are ${type}`))
        assert.equal(detectContentType(bytes, name, declared).contradiction, type)
        assert.deepEqual(detectContentType(bytes, name, 'application/octet-stream'), named)
      }
    })

  it('markup may begin behind a byte order mark and white space', () => {
    for (const start of ['\ufeff', '\r\n', '\ufeff \t\n']) {
      const rtf = Buffer.from(`${start}{\\rtf1 x}`)
      assert.deepEqual(detectContentType(rtf, 'a.rtf', 'text/rtf'), { contentType: 'text/rtf' })
      assert.equal(detectContentType(rtf).contentType, 'application/rtf')
    }
  })

  it('a photo of a phone is no film, whatever it is called', () => {
    const heic = Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1')
    assert.equal(detectContentType(heic, 'IMG_1.jpg').contentType, 'image/heic')
    assert.equal(detectContentType(heic, 'IMG_1.heic').contentType, 'image/heic')
  })

  it('a PDF may begin a little later; an empty head says nothing', () => {
    const late = Buffer.concat([Buffer.from('\ufeff\r\n'), PDF])
    assert.deepEqual(detectContentType(late, 'a.pdf', 'application/pdf'), { contentType: 'application/pdf' })
    // What only speaks of one, or has one inside, is what it is declared or named.
    for (const [bytes, name, type] of [
      [Buffer.from('See the header %PDF-1.4 of it.'), 'note.txt', 'text/plain'],
      [Buffer.from('\x30\x82\x00%PDF-1.4', 'latin1'), 'report.pdf.p7m', 'application/pkcs7-mime'],
      [Buffer.from('name\0\0%PDF-1.4', 'latin1'), 'all.tar', 'application/x-tar'],
    ] as const) {
      assert.deepEqual(detectContentType(bytes, name), { contentType: type })
      assert.deepEqual(detectContentType(bytes, name, type), { contentType: type })
    }
    assert.deepEqual(detectContentType(Buffer.alloc(0), 'a.pdf'), { contentType: 'application/pdf' })
  })

  const dicom = (preamble: string, after = '\x02\0\0\0UL'): Buffer =>
    Buffer.concat([
      Buffer.alloc(128, 0).fill(preamble, 0, preamble.length, 'latin1'),
      Buffer.from(`DICM${after}`, 'latin1'),
    ])
  const brands = (...names: string[]): Buffer => {
    const [major = '', ...others] = names
    const size = String.fromCharCode(16 + 4 * others.length)
    return Buffer.from(`\0\0\0${size}ftyp${major}\0\0\0\0${others.join('')}\0\0\0\x08mdat`, 'latin1')
  }
  const utf16 = (text: string): Buffer => Buffer.from(`\ufeff${text}`, 'utf16le')
  const PROVED: [what: string, bytes: Buffer, type: string][] = [
    ['DICOM', dicom(''), 'application/dicom'],
    ['DICOM without meta information', dicom('', ''), 'application/dicom'],
    ['the same with the header of a TIFF', dicom('MM\0*', ''), 'application/dicom'],
    ['DICOM with the header of a TIFF', dicom('II*\0\x08'), 'application/dicom'],
    ['a report that begins with ID3', Buffer.from('ID3 case review: all well'), 'text/plain'],
    ['a report that has WAVE', Buffer.from('SPIKE & WAVE complexes'), 'text/plain'],
    ['a report that has RIFF and WAVE', Buffer.from('RIFF -- WAVE of a report'), 'text/plain'],
    ['a report that has WEBP', Buffer.from('RIFF -- WEBP of a report'), 'text/plain'],
    ['a report that has ftyp', Buffer.from('The ftypheic of a report'), 'text/plain'],
    ['a report about GIF', Buffer.from('GIF89a is a format'), 'text/plain'],
    ['a report with DICM', Buffer.from(`${'x'.repeat(128)}DICM of a report`), 'text/plain'],
    ['MP3', Buffer.from('ID3\x04\0\0\0\0\x02\x01\xff', 'latin1'), 'audio/mpeg'],
    ['WAV', Buffer.from('RIFF\x24\0\0\0WAVEfmt \x10\0\0\0', 'latin1'), 'audio/wav'],
    [
      'WAVE without RIFF',
      Buffer.from('\0\x01\x02\x03\0\0\0\0WAVEfmt \xff', 'latin1'),
      'application/octet-stream',
    ],
    ['HEIC', brands('heic', 'mif1', 'heic'), 'image/heic'],
    ['HEIC by a compatible brand', brands('mif1', 'mif1', 'heix'), 'image/heic'],
    ['a sequence of HEIC', brands('msf1', 'hevc'), 'image/heic'],
    ['HEIF', brands('mif1', 'mif1', 'miaf'), 'image/heif'],
    ['AVIF', brands('avif', 'mif1', 'miaf'), 'image/avif'],
    ['AVIF by a compatible brand', brands('mif1', 'avif', 'miaf'), 'image/avif'],
    ['a film', brands('isom', 'mp41'), 'video/mp4'],
    ['a PDF behind a line feed', Buffer.from('\n%PDF-1.4\n1 0 obj'), 'application/pdf'],
    ['a PDF behind a byte order mark', Buffer.from('\ufeff%PDF-1.4\n1 0 obj'), 'application/pdf'],
    [
      'a PDF behind the header of a printer',
      Buffer.from('\x1b%-12345X@PJL\r\n%PDF-1.4\n1 0 obj'),
      'application/pdf',
    ],
    [
      'a PDF of bytes behind other bytes',
      Buffer.from(`\0\xff${'x'.repeat(900)}%PDF-1.4`, 'latin1'),
      'application/pdf',
    ],
    [
      'a PDF that begins too late',
      Buffer.from(`\0\xff${'x'.repeat(1100)}%PDF-1.4`, 'latin1'),
      'application/octet-stream',
    ],
    ['HTML in capitals', Buffer.from('<HTML><BODY>'), 'text/html'],
    ['HTML of a part', Buffer.from('<table border=1><tr>'), 'text/html'],
    ['HTML behind a comment', Buffer.from('<!-- x -->\n<!doctype HTML>'), 'text/html'],
    ['HTML in UTF-16', utf16('<!DOCTYPE html>'), 'text/html'],
    ['HTML in UTF-16, big', utf16('<html>').swap16(), 'text/html'],
    ['XML', Buffer.from('<?XML version="1.0"?><a/>'), 'application/xml'],
    ['XML in UTF-16 without a mark', Buffer.from('<?xml version="1.0"?>', 'utf16le'), 'application/xml'],
    [
      'XML without a declaration',
      Buffer.from('<ClinicalDocument xmlns="urn:hl7-org:v3">'),
      'application/xml',
    ],
    ['XML of elements alone', Buffer.from('<a>\n<b>x</b></a>'), 'application/xml'],
    ['a letter about somebody', Buffer.from('<John Smith> wrote: all well'), 'text/plain'],
    ['a value', Buffer.from('<5 mg/dl'), 'text/plain'],
    ['text with NUL', Buffer.from('well\0done'), 'application/octet-stream'],
  ]
  for (const [what, bytes, type] of PROVED)
    it(`${what} is ${type}`, () => assert.equal(detectContentType(bytes).contentType, type))

  it('image/heif and image/heic are one family', () => {
    for (const type of ['image/heic', 'image/heif', 'image/heic-sequence'])
      assert.deepEqual(detectContentType(brands('mif1', 'heic'), undefined, type), { contentType: type })
    assert.equal(detectContentType(brands('mif1'), 'a.heic').warning, undefined)
    assert.equal(detectContentType(brands('isom'), 'a.heic', 'image/avif').contradiction, 'video/mp4')
  })

  it('what a container or markup cannot be is told, and file type and warning agree', async () => {
    const others: [bytes: Buffer, name: string, type: string, fileType: string][] = [
      [ZIP, 'a.csv', 'application/zip', 'ZIP'],
      [ZIP, 'a.jpg', 'application/zip', 'ZIP'],
      [ZIP, 'a.json', 'application/zip', 'ZIP'],
      [LOGIN_PAGE, 'a.csv', 'text/html', 'HTML'],
      [LOGIN_PAGE, 'a.docx', 'text/html', 'HTML'],
      [brands('isom'), 'a.txt', 'video/mp4', 'MP4'],
      [dicom('II*\0'), 'a.tif', 'application/dicom', 'DCM'],
    ]
    for (const [bytes, filename, type, fileType] of others) {
      const { file, warnings } = await takeFile(bytes, { ...HINTS, filename })
      assert.deepEqual([file.contentType, file.fileType], [type, fileType])
      assert.ok(warnings.join().endsWith(`sent as ${type}.`), warnings.join())
      const declared = detectContentType(bytes, undefined, contentTypeOfName(filename))
      assert.equal(declared.contradiction, type)
    }
    const noise = (await takeFile(Buffer.from([0, 1, 2]), { ...HINTS, filename: 'a.pdf' })).file
    assert.deepEqual([noise.contentType, noise.fileType], ['application/octet-stream', undefined])
  })

  it('what a container or markup can be is named', () => {
    for (const [bytes, name] of [
      [ZIP, 'a.xlsx'],
      [ZIP, 'a.odt'],
      [ZIP, 'a.epub'],
      [LOGIN_PAGE, 'a.txt'],
      [LOGIN_PAGE, 'a.doc'],
      [Buffer.from('<svg xmlns="x">'), 'a.svg'],
      [brands('isom'), 'a.mov'],
      [Buffer.from('ID3\x04\0\0\0\0\x02\x01\xff', 'latin1'), 'a.aac'],
    ] as const)
      assert.deepEqual(detectContentType(bytes, name), { contentType: contentTypeOfName(name) })
  })

  it('text may be cut inside a character', () => {
    assert.ok(looksLikeText(Buffer.from('Grüße 🙂').subarray(0, -1)))
    assert.ok(!looksLikeText(Buffer.from([0x61, 0xff, 0x61, 0x61, 0x61, 0x61])))
  })

  it('a MIME type is what RFC 2045 says', () => {
    for (const good of ['application/pdf', 'image/svg+xml', 'text/plain; charset=utf-8', 'a/b;c="d e"'])
      assert.ok(isContentType(good), good)
    for (const bad of ['', 'pdf', 'a/b/c', 'a/b;', 'a b/c', 'a/b\n', 'a/b; c="ü"', 'a/b; c="\x01"'])
      assert.ok(!isContentType(bad), bad)
  })
})

describe('a path on this machine', () => {
  let folder: string
  let outside: string
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'redox-'))
    outside = mkdtempSync(path.join(tmpdir(), 'redox-outside-'))
    mkdirSync(path.join(folder, 'sub'))
  })
  after(() => [folder, outside].forEach((one) => rmSync(one, { recursive: true })))

  const write = (name: string, content = PDF): string => {
    writeFileSync(path.join(folder, name), content)
    return path.join(folder, name)
  }

  it('is absolute or relative to a folder, and names the file', async () => {
    write('sub/report.pdf')
    for (const name of [path.join(folder, 'sub/report.pdf'), 'sub/report.pdf', 'sub/../sub/report.pdf']) {
      const { file } = await takePath(name, HINTS, ['/does/not/exist', folder])
      assert.deepEqual(
        [file.name, file.size, file.contentType],
        ['report.pdf', PDF.length, 'application/pdf'],
      )
      assert.equal(sha256(await bytesOf(file.read())), sha256(PDF))
    }
  })

  it('may be a name that begins with two dots', async () => {
    mkdirSync(path.join(folder, '..scans'))
    for (const name of ['..report.pdf', '...', '..scans/a.pdf']) {
      const absolute = write(name)
      for (const one of [name, absolute])
        assert.equal((await takePath(one, HINTS, [folder])).file.size, PDF.length, one)
    }
  })

  it('is refused when the file is an encoding of another, unless a text is wanted', async () => {
    const contents: [content: string, words: RegExp][] = [
      [PDF.toString('base64'), /holds base64 text/],
      [PDF.toString('base64').replace(/.{76}/g, '$&\n'), /holds base64 text/],
      [`data:application/pdf;base64,${PDF.toString('base64')}`, /holds a data: URI/],
      [PDF.toString('hex'), /holds hex text/],
      ['Content-Type: application/pdf\r\n\r\n', /part of a MIME/],
    ]
    for (const [content, words] of contents) {
      write('encoded.pdf', Buffer.from(content))
      await failing('REDOX_BAD_INPUT', () => takePath('encoded.pdf', HINTS, [folder]), words)
      const { file } = await takePath('encoded.pdf', { ...HINTS, isText: true }, [folder])
      assert.equal(await readText(file, 'x'), content)
    }
  })

  it('finds a name in the other Unicode form, in each part of the path', async () => {
    const [whole, parts] = ['B\u00fc', 'Bu\u0308']
    mkdirSync(path.join(folder, parts))
    write(`${parts}/${whole}.pdf`)
    write(`${whole}.pdf`)
    write(`${parts}.jpg`)
    for (const name of [`${parts}.pdf`, `${whole}.jpg`, `${whole}/${parts}.pdf`, `${parts}/${parts}.pdf`])
      for (const one of [name, path.join(folder, name)])
        assert.equal((await takePath(one, HINTS, [folder])).file.size, PDF.length, one)
    await failing('REDOX_BAD_INPUT', () => takePath(`../${whole}`, HINTS, [folder]), /^File not found/)
  })

  describe('that is still being written', () => {
    const settling = (settleMs: number, signal?: AbortSignal) => ({ settleMs, ...(signal && { signal }) })
    const take = (name: string, settleMs: number, signal?: AbortSignal) =>
      takePath(name, HINTS, [folder], undefined, settling(settleMs, signal))

    it('is taken when it has stood still, whole', async () => {
      const name = write('growing.pdf', PDF.subarray(0, 100_000))
      const taking = take(name, 400)
      for (let at = 100_000; at < PDF.length; at += 200_000) {
        await sleep(200)
        appendFileSync(name, PDF.subarray(at, at + 200_000))
      }
      const written = Date.now()
      const { file, cutShort } = await taking
      assert.ok(Date.now() - written >= 350)
      assert.deepEqual([file.size, cutShort], [PDF.length, undefined])
      assert.equal(sha256(await bytesOf(file.read())), sha256(PDF))
    })

    it('is taken when it was empty at the first look', async () => {
      const name = write('empty-first.pdf', Buffer.alloc(0))
      const taking = take(name, 300)
      await sleep(100)
      writeFileSync(name, PDF)
      assert.equal((await taking).file.size, PDF.length)
      await failing('REDOX_BAD_INPUT', () => take(write('stays.pdf', Buffer.alloc(0)), 100), /empty/)
    })

    it('is waited for also when only its older time is old, or its clock is ahead', async () => {
      for (const time of [1, Date.now() / 1000 + 3600]) {
        const name = write('copied.pdf')
        utimesSync(name, time, time)
        const began = Date.now()
        await take(name, 300)
        assert.ok(Date.now() - began >= 250)
      }
    })

    it('is not waited for when it is old enough', async () => {
      const name = write('old.pdf')
      await sleep(400)
      const began = Date.now()
      await take(name, 300)
      assert.ok(Date.now() - began < 250)
    })

    it('is let go when it is not wanted any more', async () => {
      const stop = new AbortController()
      const taking = take(write('unwanted.pdf'), 60_000, stop.signal)
      stop.abort()
      await assert.rejects(taking, { name: 'AbortError' })
    })
  })

  it('leads only to regular files inside the folders', async () => {
    symlinkSync(fixturePath('photo.jpg'), path.join(folder, 'link.jpg'))
    symlinkSync(fixturePath('.'), path.join(folder, 'linked'))
    const paths = [
      'link.jpg',
      'linked/photo.jpg',
      fixturePath('photo.jpg'),
      '../x',
      '..',
      '.',
      'none',
      'a\0b',
    ]
    const texts = new Set<string>()
    for (const one of paths) {
      const { message } = await failing('REDOX_BAD_INPUT', () => takePath(one, HINTS, [folder]))
      texts.add(message)
    }
    assert.equal(texts.size, 1, 'the texts tell what is on the disk')
    await failing('REDOX_BAD_INPUT', () => takePath('sub', HINTS, [folder]), /not a regular file/)
    await failing('REDOX_BAD_INPUT', () => takePath('sub', HINTS, []), /^No folder is allowed/)
    await failing('REDOX_BAD_INPUT', () => takePath(PDF, HINTS, [folder]), /^Path is missing in/)
  })

  it('is refused at once when it is a FIFO or a socket', async () => {
    const fifo = path.join(folder, 'fifo.pdf')
    execFileSync('mkfifo', [fifo])
    const server = createServer().listen(path.join(folder, 'socket.pdf'))
    await once(server, 'listening')
    for (const name of ['fifo.pdf', 'socket.pdf'])
      await failing('REDOX_BAD_INPUT', () => takePath(name, HINTS, [folder]), /not a regular file/)
    server.close()
  })

  it('may be a link, or lead over one, inside the folder', async () => {
    write('sub/linked.pdf')
    symlinkSync(path.join(folder, 'sub/linked.pdf'), path.join(folder, 'link.pdf'))
    symlinkSync(path.join(folder, 'sub'), path.join(folder, 'linked-inside'))
    symlinkSync(folder, path.join(outside, 'linked-folder'))
    for (const [name, base] of [
      ['link.pdf', folder],
      ['linked-inside/linked.pdf', folder],
      ['linked-inside/linked.pdf', path.join(outside, 'linked-folder')],
      ['linked.pdf', path.join(folder, 'linked-inside')],
    ] as const) {
      const { file } = await takePath(name, HINTS, [base])
      assert.equal(sha256(await bytesOf(file.read())), sha256(PDF), name)
    }
  })

  it('never gives a file outside of the folder, however often its directory becomes a link', async () => {
    mkdirSync(path.join(folder, 'turning'))
    write('turning/report.pdf')
    const secret = path.join(outside, 'report.pdf')
    writeFileSync(secret, sizedFile(PDF.length))
    const other = path.join(folder, 'other')
    symlinkSync(outside, other)
    const exchange = `
      const { renameSync } = require('node:fs')
      const [one, other, third] = process.argv.slice(1)
      process.stdout.write('begun')
      for (;;) {
        for (const [from, to] of [[one, third], [other, one], [one, other], [third, one]]) renameSync(from, to)
      }`
    const turning = path.join(folder, 'turning')
    const child = spawn(process.execPath, ['-e', exchange, turning, other, path.join(folder, 'third')])
    await once(child.stdout, 'data')
    let inside = 0
    try {
      for (let count = 0; count < 2000; count++) {
        const digest = await takePath('turning/report.pdf', HINTS, [folder])
          .then(({ file }) => sha256Of(file))
          .catch(() => undefined)
        assert.notEqual(digest, sha256(sizedFile(PDF.length)), 'a file from outside was read')
        if (digest !== undefined) inside++
      }
    } finally {
      child.kill()
      await once(child, 'exit')
    }
    assert.ok(inside > 0, 'no reading came through at all')
  })

  /** Puts something else in the place of a file. */
  const exchanged =
    (make: (file: string) => void) =>
    (file: string): void => {
      renameSync(file, `${file}.away`)
      make(file)
    }
  /** A file of the same size and times. */
  const twin = (file: string, place: string): string => {
    const { size, atime, mtime } = statSync(file)
    writeFileSync(place, sizedFile(size))
    utimesSync(place, atime, mtime)
    return place
  }
  const changes: [string, (file: string) => void][] = [
    ['shrinks', (file) => truncateSync(file, 1000)],
    ['grows', (file) => appendFileSync(file, 'more')],
    ['changes', (file) => (writeFileSync(file, sizedFile(statSync(file).size)), utimesSync(file, 1, 1))],
    ['changes, and its times are set back,', (file) => void twin(file, file)],
  ]
  const exchanges: [string, (file: string) => void][] = [
    ['vanishes', (file) => rmSync(file)],
    ['becomes a FIFO', exchanged((file) => execFileSync('mkfifo', [file]))],
    ['becomes a directory', exchanged((file) => mkdirSync(file))],
    ['becomes a link to itself', exchanged((file) => symlinkSync(`${file}.away`, file))],
    [
      'becomes a link out of the folder',
      (file) => {
        const secret = twin(file, path.join(outside, 'secret.pdf'))
        exchanged(() => symlinkSync(secret, file))(file)
      },
    ],
    [
      'becomes a hard link to a file outside',
      (file) => {
        const secret = twin(file, path.join(outside, 'hard.pdf'))
        exchanged(() => linkSync(secret, file))(file)
      },
    ],
    [
      'is in a directory that becomes a link out of the folder',
      (file) => {
        const directory = path.dirname(file)
        const elsewhere = path.join(outside, path.basename(directory))
        renameSync(directory, elsewhere)
        symlinkSync(elsewhere, directory)
      },
    ],
    ['becomes another of the same size and times', (file) => renameSync(twin(file, `${file}.twin`), file)],
  ]
  const places = new Map<string, string>()
  /** A file in a directory of its own. */
  const place = (what: string): string => {
    const directory = `${what.replace(/\W+/g, '-')}-${places.size}`
    places.set(directory, what)
    mkdirSync(path.join(folder, directory))
    return write(`${directory}/file.pdf`, sizedFile(1_300_000))
  }
  for (const [what, change] of [...changes, ...exchanges]) {
    it(`is refused when the file ${what} before it is read`, async () => {
      const name = place(what)
      const { file } = await takePath(name, HINTS, [folder])
      change(name)
      await failing('REDOX_BAD_INPUT', () => bytesOf(file.read()), /^File changed while it was read/)
    })

    it(`is refused when the file ${what} between two readings`, async () => {
      const name = place(what)
      const { file } = await takePath(name, HINTS, [folder])
      await sha256Of(file)
      change(name)
      await failing('REDOX_BAD_INPUT', () => sha256Of(file), /^File changed while it was read/)
    })
  }
  for (const [what, change] of changes) {
    it(`is refused when the file ${what} while it is read`, async () => {
      const name = place(what)
      const { file } = await takePath(name, HINTS, [folder])
      const reading = file.read()[Symbol.asyncIterator]()
      await reading.next()
      change(name)
      const rest = { [Symbol.asyncIterator]: () => reading }
      await failing('REDOX_BAD_INPUT', () => bytesOf(rest), /^File changed while it was read/)
    })
  }
})
