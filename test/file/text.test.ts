import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { decodeDataUri, decodeLoosely } from '../../src/file/base64'
import { examine } from '../../src/file/completeness'
import { type FileHints, type FileSource } from '../../src/file/file'
import { fixture, sha256, sizedFile } from '../lib/fixtures'
import { bytesOf, failing } from '../lib/redox'
import { PDF, taken } from './support'

describe('large text as a file', () => {
  /** Number of event-loop iterations that pass during `work`. */
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
    it(`is processed in chunks of at most 1 MB per event-loop iteration: ${what}`, async () => {
      let file: FileSource | undefined
      const turns = await turnsDuring(async () => (file = await taken(value, { maxBytes: 30_000_000 })))
      assert.ok(turns >= size / 1_000_000, `${size} characters in ${turns} turns`)
      assert.equal(sha256(await bytesOf(file!.read())), sha256(bytes))
    })

  it('is processed in chunks also where it is not decoded or is refused', async () => {
    const asItIs = () => taken(words, { isText: true, filename: 'a.txt', maxBytes: 30_000_000 })
    assert.ok((await turnsDuring(asItIs)) >= 6)
    const blank = () => failing('REDOX_BAD_INPUT', () => taken(' '.repeat(6_000_000)), /empty/)
    assert.ok((await turnsDuring(blank)) >= 6)
    // The first blank in the string shows that the string is not base64, so the check ends early.
    const none = () => failing('REDOX_BAD_INPUT', () => taken(words, { filename: 'a.pdf' }), /not a file/)
    assert.ok((await turnsDuring(none)) <= 3)
  })

  it('is refused by its length, before it is read, when every transfer would refuse it', async () => {
    const maxBytes = 1_000_000
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
      const refuse = () => failing('REDOX_TOO_LARGE', () => taken(text, { ...hints, maxBytes }), /1(\.0)? MB/)
      assert.ok((await turnsDuring(refuse)) <= 3)
    }
    assert.equal((await taken(`data:text/plain,${'%41'.repeat(1_000_000)}`, { maxBytes })).size, maxBytes)
  })

  it('decodes to the same bytes whatever the characters at the ends of its slices are', async () => {
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

  it('is a file name or a content type only up to a maximum length', async () => {
    await failing(
      'REDOX_BAD_INPUT',
      () => taken(PDF, { filename: 'a'.repeat(100_001) }),
      /^File name is too long/,
    )
    await failing('REDOX_BAD_INPUT', () => taken(PDF, { contentType: `a/${'b'.repeat(9000)}` }), /MIME type/)
  })

  it('that begins as an image and contains only markers is not searched to its end', () => {
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
