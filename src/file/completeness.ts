// What the ends of a file tell of the whole: nothing here needs more of it than a few kilobytes.

/** Bytes that are looked at: at the start, at the end, and where a PDF keeps its table of objects. */
export const END_LENGTH = 2048

export interface Ends {
  start: Buffer
  end: Buffer
  /** a PDF: what stands at its {@link tablePosition} */
  table?: Buffer
}

/** What complete files end with; programs may append a little. JPEG is none of them: cameras append megabytes. */
const END_MARKS = [
  { what: 'PDF', start: Buffer.from('%PDF-'), mark: '%%EOF' },
  { what: 'PNG', start: Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), mark: 'IEND' },
]

const isPdf = (start: Buffer): boolean => start.indexOf('%PDF-') === 0

/**
 * Where a PDF's last table of objects begins: in new files it is a stream, and the entry for encryption stands there
 * and not near the end. A linearized file has one near its start, too.
 */
export function tablePosition({ start, end }: Ends): number | undefined {
  if (!isPdf(start)) return undefined
  const last = [...text(end).matchAll(/startxref\s+(\d{1,15})\s+%%EOF/g)].pop()
  return last && Number(last[1])
}

/** What a receiver may not be able to open. No reason to stop: these are signs, not proof. */
export function endWarnings(ends: Ends, where: string): string[] {
  const { start, end, table } = ends
  const known = END_MARKS.find((one) => start.indexOf(one.start) === 0)
  const isCutShort = known !== undefined && !end.includes(known.mark)
  const isEncrypted =
    isPdf(start) &&
    [start, end, table].some((part) => part?.includes('/Encrypt') && ENCRYPTED.test(text(part)))
  return [
    ...(isCutShort
      ? [`the ${known.what} in ${where} seems to be cut short: ${known.mark} is missing at its end`]
      : []),
    ...(isEncrypted
      ? [`the PDF in ${where} is encrypted: who receives it may not be able to open or to store it`]
      : []),
  ]
}

/** In a trailer or a table that is a stream: a reference, or the dictionary itself. */
const ENCRYPTED = /\/Encrypt\s*(\d+\s+\d+\s+R\b|<<)/

const text = (bytes: Buffer): string => bytes.toString('latin1')
