import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { takeFile, takePath } from '../../src/file/file'
import { fixture, sizedFile } from '../lib/fixtures'
import { HINTS, PDF } from './support'

describe('head and tail of a file', () => {
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

  /**
   * PDF whose cross-reference table is a stream. The stream is so long that its dictionary, with this entry, is far
   * from the end of the file.
   */
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
    it(`are checked the same way in memory and on disk: ${what}`, async () => {
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

  it('are the only parts of a file on disk that are read before the file is sent', async () => {
    // The file is sparse: it uses no disk space, but reading all of it would take longer than a test may.
    const file = path.join(folder, 'large.pdf')
    writeFileSync(file, '%PDF-1.7')
    truncateSync(file, 1_000_000_000_000)
    const { cutShort } = await takePath(file, HINTS, [folder])
    assert.match(cutShort!, cut('PDF'))
  })
})
