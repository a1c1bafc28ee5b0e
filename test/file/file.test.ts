import assert from 'node:assert/strict'
import { runInNewContext } from 'node:vm'
import { decodeDataUri, decodeLoosely } from '../../src/file/base64'
import { noteText, cleanFileName, readText, takeFile, type FileHints } from '../../src/file/file'
import { fixture, sha256, sizedFile } from '../lib/fixtures'
import { bytesOf, failing } from '../lib/redox'
import { HINTS, PDF, thrice, disguised, taken } from './support'

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
    it(`accepts ${what}`, async () => {
      const file = await taken(value, { filename: 'report.pdf' })
      assert.equal(sha256(await bytesOf(file.read())), sha256(PDF))
      assert.deepEqual(
        [file.size, file.contentType, file.fileType, file.name],
        [PDF.length, 'application/pdf', 'PDF', 'report.pdf'],
      )
    })
  }

  it('uses name and type of an object or a data: URI unless the node sets others', async () => {
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
    // A charset parameter is kept only with a text type; other types lose the parameter.
    assert.equal(
      (await taken('data:text/csv;charset=iso-8859-1,a%FCb')).contentType,
      'text/csv;charset=iso-8859-1',
    )
  })

  it('takes base64 in a format without a signature when the file name or type is not that of a text', async () => {
    const noise = Buffer.from([1, 2, 3, 200])
    for (const hints of [{ filename: 'a.bin' }, { filename: 'a.nrrd' }, { contentType: 'application/x-ecg' }])
      assert.deepEqual(await bytesOf((await taken(noise.toString('base64'), hints)).read()), noise)
    const csv = Buffer.from('a;b')
    assert.equal((await taken(csv.toString('base64'), { filename: 'a.csv' })).contentType, 'text/csv')
    assert.equal((await taken(fixture('scan.tiff').toString('base64'))).contentType, 'image/tiff')
  })

  it('refuses a text of one word although its name or type is that of a file', async () => {
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

  it('accepts a text unchanged where the caller wants a text', async () => {
    for (const value of [`data:application/pdf;base64,${text}`, text, 'success', 'https://example.org/x']) {
      for (const given of [value, Buffer.from(value)])
        assert.equal((await bytesOf((await taken(given, { isText: true })).read())).toString(), value)
    }
  })

  it('does not decode a text that only looks like an encoding', async () => {
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

  describe('file in memory that other code writes to', () => {
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
      it(`is refused when ${what} changes before the file is read`, async () => {
        const shared = Buffer.from(bytes)
        const file = await taken(shared)
        shared[at]! ^= 1
        await failing('REDOX_BAD_INPUT', () => bytesOf(file.read()), /^File changed in memory/)
        shared[at]! ^= 1
        assert.equal(sha256(await bytesOf(file.read())), sha256(bytes))
      })
    }

    it('is refused when it changes during reading, before the last chunk is sent', async () => {
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

    it('is refused when any part of a large file changes', async () => {
      for (let at = 0; at + 100_000 < large.length; at += 700_001) {
        const shared = Buffer.from(large)
        const file = await taken(shared)
        shared.fill(0, at, at + 100_000)
        await failing('REDOX_BAD_INPUT', () => bytesOf(file.read()), /^File changed in memory/)
      }
    })
  })

  it('warns about base64 in base64 and not about simple base64', async () => {
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

  it('reads the visible part of a view, and the text in an object if it proves to be a file', async () => {
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

  it('knows many type names that carry no information, and many names of known types', async () => {
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

  it('reports a zip container under a type with its own signature as ZIP, and DICM after a PDF header as DICOM', async () => {
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

  it('does not change texts that only look like an encoding', async () => {
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

  it('reads percent-encoded data: URIs, as text and as bytes', async () => {
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

  it('reports a contradiction without the parameters of the type, which may contain the file name', async () => {
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

  it('prefers the content type of the node to that of a data: URI', async () => {
    const uri = `data:application/x-pdf;base64,${text}`
    assert.equal((await taken(uri)).contentType, 'application/x-pdf')
    assert.equal((await taken(uri, { contentType: 'application/pdf' })).contentType, 'application/pdf')
  })

  it('yields chunks that are views of whole base64 groups, and a second reading yields the same chunks', async () => {
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

  it('accepts text of a note only in UTF-8', async () => {
    const note = await taken(fixture('note.txt'))
    assert.equal(await readText(note, 'x'), fixture('note.txt').toString('utf8'))
    await failing('REDOX_BAD_INPUT', async () => readText(await taken(PDF), 'msg.payload'), /not UTF-8/)
    const wide = await taken(Buffer.from('well', 'utf16le'))
    await failing('REDOX_BAD_INPUT', () => readText(wide, 'msg.payload'), /NUL characters/)
    await failing('REDOX_BAD_INPUT', () => noteText('we\0ll', 'msg.payload'), /NUL characters/)
    assert.deepEqual(
      [noteText('\ufeffwell', 'x'), await readText(await taken(Buffer.from('\ufeffwell')), 'x')],
      ['well', 'well'],
    )
  })
})
