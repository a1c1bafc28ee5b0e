import assert from 'node:assert/strict'
import fc from 'fast-check'
import { isContentType } from '../../src/file/content-types'
import { takeFile, type FileHints } from '../../src/file/file'
import { bytesOf } from '../lib/redox'
import {
  assertSilent,
  bytes,
  CANARY,
  contentTypes,
  fileNames,
  holds,
  oddities,
  settled,
  texts,
} from './support'

const WHERE = { where: 'msg.payload' }

const hints = fc
  .tuple(fc.option(fileNames, { nil: undefined }), contentTypes, fc.option(texts, { nil: undefined }))
  .map(([filename, contentType, fileType]): FileHints => ({
    ...WHERE,
    ...(filename !== undefined && { filename }),
    ...(contentType !== undefined && { contentType }),
    ...(fileType !== undefined && { fileType }),
  }))

const references = fc.record(
  {
    url: texts,
    name: fileNames,
    contentType: contentTypes,
    fileType: oddities,
    size: oddities,
    upload: oddities,
  },
  { requiredKeys: ['url'] },
)

/** Content of the file that `takeFile` finds in a value, and warnings; undefined if `takeFile` refuses the value. */
async function taken(value: unknown): Promise<{ content: Buffer; warnings: string[] } | undefined> {
  // The file name is necessary: without it, strings of unknown content type are refused.
  const result = await settled(() => takeFile(value, { ...WHERE, filename: 'a.dat' }))
  if ('error' in result) return undefined
  const { file, warnings } = result.value
  assert.ok(file.kind === 'file')
  return { content: await bytesOf(file.read()), warnings }
}

/** Bytes of a base64 string according to RFC 4648, decoded bit by bit; undefined for any other string. */
function strictBytes(text: string): Buffer | undefined {
  const compact = text
    .replace(/[\s\ufeff]/g, '')
    .replace(/-/g, '+')
    .replace(/_/g, '/')
  const letters = compact.replace(/={1,2}$/, '')
  if (letters.length < compact.length && compact.length % 4 !== 0) return undefined
  if (letters.length % 4 === 1) return undefined
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
  let bits = ''
  for (const letter of letters) {
    const value = alphabet.indexOf(letter)
    if (value < 0) return undefined
    bits += value.toString(2).padStart(6, '0')
  }
  return Buffer.from((bits.match(/[01]{8}/g) ?? []).map((octet) => parseInt(octet, 2)))
}

const mangled = fc
  .record({
    content: bytes,
    urlSafe: fc.boolean(),
    padded: fc.boolean(),
    line: fc.constantFrom(0, 16, 64, 76),
    lineBreak: fc.constantFrom('\n', '\r\n', ' ', '\r\n\t'),
    around: fc.constantFrom('', ' ', '\n', '\ufeff'),
    uri: fc.constantFrom('', 'data:;base64,', 'DATA:application/octet-stream;name=x; BASE64,'),
    escaped: fc.boolean(),
  })
  .map(({ content, urlSafe, padded, line, lineBreak, around, uri, escaped }) => {
    const whole = content.toString(urlSafe ? 'base64url' : 'base64').replace(/=*$/, '')
    const text = padded ? whole.padEnd(Math.ceil(whole.length / 4) * 4, '=') : whole
    const lines = line === 0 ? text : text.match(new RegExp(`.{1,${line}}`, 'g'))!.join(lineBreak)
    const body = uri !== '' && escaped ? encodeURIComponent(lines) : lines
    return { content, text: `${around}${uri}${body}${around}` }
  })

const LETTERS = [...'ABCDwxyz0189+/-_= \n%,;'].concat(
  'data:',
  ';base64,',
  'JVBERi0x',
  '\u00e4',
  '\ud800',
  '\0',
)
const almostBase64 = fc.oneof(
  texts,
  fc.array(fc.constantFrom(...LETTERS), { maxLength: 40 }).map((parts) => parts.join('')),
)

describe('any file', () => {
  const values = fc.oneof(
    bytes,
    fc.uint8Array(),
    texts,
    almostBase64,
    mangled.map(({ text }) => text),
    references,
    oddities,
  )

  it('becomes a file with its bytes, a reference, or a refusal without patient data', () =>
    holds(4000, fc.tuple(values, hints), async ([value, hint]) => {
      const result = await settled(() => takeFile(value, hint))
      if ('error' in result) return assertSilent(result.error.message)
      const { file, warnings } = result.value
      assertSilent(warnings.join())
      assert.ok(isContentType(file.contentType), file.contentType)
      assert.ok(file.name !== '' && !/[\p{Cc}/\\]/u.test(file.name), file.name)
      assert.ok(file.name === Buffer.from(file.name).toString(), 'a name that UTF-8 cannot carry')
      if (file.kind === 'reference') return assert.equal(typeof file.url, 'string')
      const content = await bytesOf(file.read())
      assert.ok(content.length > 0 && content.length === file.size)
      if (value instanceof Uint8Array && warnings.length === 0) assert.ok(content.equals(value))
    }))

  it('is the same however its base64 is written', () =>
    holds(2000, mangled, async ({ content, text }) => {
      const file = await taken(text)
      assert.ok(file, text)
      if (!file.warnings.some((warning) => warning.includes('once more')))
        assert.deepEqual(file.content, content)
    }))

  it('has the bytes of its base64', () =>
    holds(4000, almostBase64, async (text) => {
      if (/^\s*(data:|https?:)/i.test(text)) return
      const file = await taken(text)
      if (file && file.warnings.length === 0) assert.deepEqual(file.content, strictBytes(text))
    }))

  it('has the bytes of its data: URI', () =>
    holds(
      1000,
      fc.oneof(
        bytes,
        texts.map((text) => Buffer.from(text)),
      ),
      async (content) => {
        const percent = [...content].map((octet) => `%${octet.toString(16).padStart(2, '0')}`).join('')
        const file = await taken(`data:application/octet-stream,${percent}`)
        if (content.length === 0) return assert.equal(file, undefined)
        if (file!.warnings.length === 0) assert.deepEqual(file!.content, content)
      },
    ))

  it('is decoded again only when it is base64 of a known format', () =>
    holds(500, bytes, async (content) => {
      const file = await taken(Buffer.from(content.toString('base64')))
      const { content: found, warnings } = file!
      if (warnings.length > 0) assert.deepEqual(found, content)
      else assert.equal(found.toString(), content.toString('base64'))
    }))

  it('is refused when it is text with characters outside UTF-8', async () => {
    assert.equal(await taken(`data:text/plain,${CANARY}\ud800`), undefined)
  })
})
