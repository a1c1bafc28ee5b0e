import { createCipheriv, createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'

// Compiled tests run from dist/test/**, the files stay in test/fixtures.
const FOLDER = path.join(__dirname, '../../../test/fixtures')

/** Enough for magic numbers and for the "binary comment" that tells tools not to treat the file as text. */
const PDF_HEADER = Buffer.from('%PDF-1.7\n%\u00e2\u00e3\u00cf\u00d3\n', 'latin1')

/** Without it a PDF is refused as cut short. */
const PDF_END = Buffer.from('\nstartxref\n9\n%%EOF\n', 'latin1')

export function fixturePath(name: string): string {
  return path.join(FOLDER, name)
}

export function fixture(name: string): Buffer {
  return readFileSync(fixturePath(name))
}

/** A FHIR example of `fixtures/fhir`, parsed anew at every call so that a test may change it. */
export function fhirFixture(name: string): Record<string, unknown> {
  return JSON.parse(fixture(path.join('fhir', `${name}.json`)).toString('utf8')) as Record<string, unknown>
}

/**
 * A file of exactly `bytes` bytes that is sniffed as a PDF, with the end of one. The content never changes and does not compress,
 * so hashes can be compared between runs and no layer makes the file look smaller than it is.
 */
export function sizedFile(bytes: number): Buffer {
  // A cipher of zeros with a fixed key is the fastest repeatable noise that Node has (30 MB in 50 ms).
  const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16, 2))
  const file = noise.update(Buffer.alloc(bytes))
  PDF_HEADER.copy(file)
  if (bytes >= PDF_HEADER.length + PDF_END.length) PDF_END.copy(file, bytes - PDF_END.length)
  return file
}

export function sha256(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex')
}
