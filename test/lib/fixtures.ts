import { createCipheriv, createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'

// Compiled tests run in dist/test, but the fixture files stay in test/fixtures.
const FOLDER = path.join(__dirname, '../../../test/fixtures')

/** PDF header with the comment of bytes above 127 that marks the file as binary. */
const PDF_HEADER = Buffer.from('%PDF-1.7\n%\u00e2\u00e3\u00cf\u00d3\n', 'latin1')

/** End of a PDF; the nodes refuse a PDF without this end as truncated. */
const PDF_END = Buffer.from('\nstartxref\n9\n%%EOF\n', 'latin1')

export function fixturePath(name: string): string {
  return path.join(FOLDER, name)
}

export function fixture(name: string): Buffer {
  return readFileSync(fixturePath(name))
}

/** FHIR example of `fixtures/fhir`, parsed again at every call so that a test can change the returned object. */
export function fhirFixture(name: string): Record<string, unknown> {
  return JSON.parse(fixture(path.join('fhir', `${name}.json`)).toString('utf8')) as Record<string, unknown>
}

/**
 * File of exactly `bytes` bytes that begins and ends like a PDF. The content is always the same and does not
 * compress, so its SHA-256 is the same in each run, and compression does not reduce the bytes that are sent.
 */
export function sizedFile(bytes: number): Buffer {
  // AES-CTR over zeros with a fixed key is the fastest repeatable noise in Node.js (30 MB in 50 ms).
  const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16, 2))
  const file = noise.update(Buffer.alloc(bytes))
  PDF_HEADER.copy(file)
  if (bytes >= PDF_HEADER.length + PDF_END.length) PDF_END.copy(file, bytes - PDF_END.length)
  return file
}

export function sha256(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex')
}
