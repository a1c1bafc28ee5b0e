import assert from 'node:assert/strict'
import {
  contentTypeOfName,
  detectContentType,
  fileTypeOf,
  isContentType,
  looksLikeText,
} from '../../src/file/content-types'
import { takeFile } from '../../src/file/file'
import { fixture } from '../lib/fixtures'
import { HINTS, PDF } from './support'

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
    it(`of ${name} is ${contentType}, by its bytes alone`, () => {
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
    it(`${contentType}${name ? ` named ${name}` : ''} has the FileType ${fileType}`, () =>
      assert.equal(fileTypeOf(contentType, name), fileType))
  }

  it('come from the declaration first, then the bytes, then the name, then text or octet-stream', () => {
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
    it(`of bytes that begin as ${type} are not PDF or image types, whatever the file name is`, () => {
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

  it('of markup are found after a byte order mark and white space', () => {
    for (const start of ['\ufeff', '\r\n', '\ufeff \t\n']) {
      const rtf = Buffer.from(`${start}{\\rtf1 x}`)
      assert.deepEqual(detectContentType(rtf, 'a.rtf', 'text/rtf'), { contentType: 'text/rtf' })
      assert.equal(detectContentType(rtf).contentType, 'application/rtf')
    }
  })

  it('of a photo made by a phone are not a video type, whatever the file name is', () => {
    const heic = Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1')
    assert.equal(detectContentType(heic, 'IMG_1.jpg').contentType, 'image/heic')
    assert.equal(detectContentType(heic, 'IMG_1.heic').contentType, 'image/heic')
  })

  it('of a PDF are found when its header begins a few bytes later; an empty header gives no type', () => {
    const late = Buffer.concat([Buffer.from('\ufeff\r\n'), PDF])
    assert.deepEqual(detectContentType(late, 'a.pdf', 'application/pdf'), { contentType: 'application/pdf' })
    // A format's header in the middle of a file is no signature: the declared type or the file name decides.
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
    ['a letter about a patient', Buffer.from('<John Smith> wrote: all well'), 'text/plain'],
    ['a value', Buffer.from('<5 mg/dl'), 'text/plain'],
    ['text with NUL', Buffer.from('well\0done'), 'application/octet-stream'],
  ]
  for (const [what, bytes, type] of PROVED)
    it(`of ${what} is ${type}`, () => assert.equal(detectContentType(bytes).contentType, type))

  it('treat image/heif and image/heic as the same family', () => {
    for (const type of ['image/heic', 'image/heif', 'image/heic-sequence'])
      assert.deepEqual(detectContentType(brands('mif1', 'heic'), undefined, type), { contentType: type })
    assert.equal(detectContentType(brands('mif1'), 'a.heic').warning, undefined)
    assert.equal(detectContentType(brands('isom'), 'a.heic', 'image/avif').contradiction, 'video/mp4')
  })

  it('that contradict a container or markup cause a warning, and FileType and warning agree', async () => {
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

  it('that a container or markup can have are accepted by name', () => {
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

  it('of text are found although the sample ends inside a character', () => {
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
