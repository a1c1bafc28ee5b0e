import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { takeMemory, type FileSource } from '../../src/file/file'
import { withValueAt, type JsonObject } from '../../src/message/json'
import { fhirBinaryBody, jsonBody, multipartBody, rawBody, type RequestBody } from '../../src/transport/body'
import { sizedFile } from '../lib/fixtures'
import { bytesOf } from '../lib/redox'
import { bytes, contentTypes, fileNames, holds, json, settled } from './support'

// File sizes in bytes close to those at which request bodies are divided into chunks.
const sizes = fc
  .constantFrom(48, 96, 256)
  .chain((kib) => fc.integer({ min: kib * 1024 - 3, max: kib * 1024 + 3 }))

const files: fc.Arbitrary<FileSource> = fc
  .tuple(fc.oneof({ arbitrary: bytes, weight: 9 }, sizes.map(sizedFile)), fileNames, contentTypes)
  .chain(([content, filename, contentType]) => {
    const hints = { where: 'x', filename, ...(contentType !== undefined && { contentType }) }
    try {
      return fc.constant(takeMemory(content, hints).file)
    } catch {
      return fc.constant(takeMemory(content, { where: 'x' }).file)
    }
  })

const digest = (content: Buffer): string => createHash('sha256').update(content).digest('hex')

/** Checks the properties that every request body must have, and returns its bytes. */
async function sent(body: RequestBody, fileBytes: Buffer[]): Promise<Buffer> {
  const first = await bytesOf(body.open())
  assert.equal(body.length, first.length, 'content-length')
  assert.doesNotMatch(body.contentType, /[\r\n\0]/)
  assert.deepEqual(body.sha256(), fileBytes.map(digest))
  assert.deepEqual(await bytesOf(body.open()), first, 'a second pass')
  assert.deepEqual(body.sha256(), fileBytes.map(digest))
  assert.equal(typeof body.shortened(), 'string')
  return first
}

const contentOf = (file: FileSource): Promise<Buffer> => bytesOf(file.read())

/** Header lines of the only part of a multipart request body. */
const partHead = (body: Buffer): string[] =>
  body.toString('utf8', 0, body.indexOf('\r\n\r\n')).split('\r\n').slice(1)

describe('any body', () => {
  it('multipart: an independent parser finds the file, its name and its type', () =>
    holds(400, files, async (file) => {
      const content = await contentOf(file)
      const body = multipartBody(file)
      const whole = await sent(body, [content])
      const head = partHead(whole)
      assert.equal(head.length, 2, head.join('\n'))
      for (const line of head) assert.doesNotMatch(line, /[\p{Cc}]/u)
      const response = new Response(new Uint8Array(whole), { headers: { 'content-type': body.contentType } })
      const fields = [...(await response.formData())]
      assert.equal(fields.length, 1)
      const [[name, found]] = fields as [[string, File]]
      assert.equal(name, 'file')
      // In the multipart format of the WHATWG, %22, %0D and %0A in a file name are ambiguous: they can belong to the
      // name or be escaped characters.
      assert.equal(found.name, file.name.replace(/%22/g, '"').replace(/%0D/gi, '\r').replace(/%0A/gi, '\n'))
      assert.deepEqual(Buffer.from(await found.arrayBuffer()), content)
    }))

  it('raw and FHIR Binary: bytes and type are those of the file', () =>
    holds(200, files, async (file) => {
      const content = await contentOf(file)
      assert.deepEqual(await sent(rawBody(file), [content]), content)
      const binary: unknown = JSON.parse((await sent(fhirBinaryBody(file), [content])).toString())
      const { contentType } = file
      assert.deepEqual(binary, { resourceType: 'Binary', contentType, data: content.toString('base64') })
    }))

  it('JSON: the parsed body is the value, with the files at their paths', () =>
    holds(600, fc.tuple(json(), fc.array(files, { maxLength: 3 })), async ([value, embedded]) => {
      const whole: JsonObject = { value, files: embedded.map(() => 'file') }
      const places = embedded.map((file, index) => ({ path: ['files', index], file }))
      const contents = await Promise.all(embedded.map(contentOf))
      const body = await sent(await jsonBody('application/json', whole, places, withValueAt), contents)
      const expected = { value, files: contents.map((content) => content.toString('base64')) }
      assert.deepEqual(JSON.parse(body.toString()), JSON.parse(JSON.stringify(expected)))
    }))

  it('file name with forbidden characters: refused before the request', () =>
    holds(1000, fileNames, async (filename) => {
      const result = await settled(() => takeMemory(Buffer.from('x'), { where: 'x', filename }))
      if (/[\0\r\n]/.test(filename)) assert.ok('error' in result)
    }))
})
