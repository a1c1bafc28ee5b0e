import { types } from 'node:util'
import { badInput } from '../errors'
import { encodingOfText } from './encodings'
import { viewOf } from './fingerprint'

/** File reference in a message, e.g. the output of a redox-upload node. */
export interface GivenReference {
  url: string
  name?: unknown
  contentType?: unknown
  fileType?: unknown
  size?: unknown
  sha256?: unknown
  upload?: unknown
}

/** Content of a file object: a file with its own name and type, or a reference. */
export type FileObject =
  { content: FileContent; filename?: string; contentType?: string } | { reference: GivenReference }

type FileContent = Uint8Array | string | WrittenBuffer

/** Buffer that was serialized as JSON (`{ type: 'Buffer', data: […] }`). */
export class WrittenBuffer {
  constructor(readonly data: unknown[]) {}
}

/**
 * Names of the properties for content, file name and content type in file objects of other programs: multer, n8n, FHIR,
 * mail, express-fileupload.
 */
const CONTENT = ['buffer', 'data', 'content'] as const
const NAME = ['originalname', 'fileName', 'filename', 'title', 'name'] as const
const TYPE = ['mimetype', 'mimeType', 'contentType'] as const

/**
 * Extracts the file from a file object of another program.
 * @throws RedoxError REDOX_BAD_INPUT for an object without a file; the error names the property to use instead
 */
export function fileObjectOf(value: unknown, where: string): FileObject {
  try {
    return found(value) ?? refuse(value, where)
  } catch (error) {
    if (error instanceof Error && error.name === 'RedoxError') throw error
    throw badInput(
      `Object cannot be read: a property of ${where} throws an error. Provide the file as a Buffer.`,
    )
  }
}

function found(value: unknown): FileObject | undefined {
  const bytes = bytesOf(value)
  if (bytes !== undefined) return { content: bytes }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const object = value as Record<string, unknown>
  const filename = firstText(object, NAME)
  const contentType = firstText(object, TYPE)
  const content = contentOf(object, filename !== undefined || contentType !== undefined)
  if (content !== undefined)
    return {
      content,
      ...(filename !== undefined && { filename }),
      ...(contentType !== undefined && { contentType }),
    }
  const { url, name = filename, fileType, size, sha256, upload } = object
  return typeof url === 'string'
    ? { reference: { url, name, contentType, fileType, size, sha256, upload } }
    : undefined
}

/**
 * Content of a file object. A string counts as a file if the object has a file name or type, or if the string is an
 * encoded file.
 */
function contentOf(object: Record<string, unknown>, isFile: boolean): FileContent | undefined {
  for (const key of CONTENT) {
    const value = object[key]
    const bytes = bytesOf(value)
    if (bytes !== undefined) return bytes
    if (typeof value !== 'string' || value === '') continue
    if (isFile || encodingOfText(value) !== undefined) return value
  }
  return undefined
}

/**
 * Bytes of a Uint8Array, another view or an ArrayBuffer, without a copy. Also of a Buffer serialized as JSON, whose
 * bytes are copied.
 */
function bytesOf(value: unknown): Uint8Array | WrittenBuffer | undefined {
  if (types.isUint8Array(value)) return value
  if (types.isAnyArrayBuffer(value)) return new Uint8Array(value)
  // Only the range of the view is used, because the underlying ArrayBuffer may contain other data, too.
  if (ArrayBuffer.isView(value)) return viewOf(value)
  if (typeof value !== 'object' || value === null) return undefined
  const { type, data } = value as { type?: unknown; data?: unknown }
  return type === 'Buffer' && Array.isArray(data) ? new WrittenBuffer(data as unknown[]) : undefined
}

function firstText(object: Record<string, unknown>, names: readonly string[]): string | undefined {
  const texts = names.map((name) => object[name])
  return texts.find((text): text is string => typeof text === 'string' && text !== '')
}

function refuse(value: unknown, where: string): never {
  throw badInput(`Not a file: ${where} is ${describeKind(value)}. ${adviceFor(value)}`)
}

const describeKind = (value: unknown): string =>
  Array.isArray(value)
    ? 'an array'
    : typeof value === 'object'
      ? 'an object without a url'
      : `a ${typeof value}`

const ADVICE =
  'Provide a Buffer, base64 text, a data: URI, or the file reference of a redox-upload node. A file that was uploaded to ' +
  'an "http in" node is in msg.req.files[0].buffer.'

function adviceFor(value: unknown): string {
  if (typeof value !== 'object' || value === null) return ADVICE
  const object = value as Record<string, unknown>
  if (typeof object.arrayBuffer === 'function')
    return 'Provide its bytes: Buffer.from(await file.arrayBuffer()) in a Function node.'
  if (typeof object.path === 'string' || typeof object.filepath === 'string')
    return `It has a path: set "Read file from" to a path on this machine, and the File field to that property. ${ADVICE}`
  if (typeof object.pipe === 'function') return `It is a stream: collect it in a Buffer first. ${ADVICE}`
  const inner = [
    'binary',
    'body',
    'Body',
    'file',
    'files',
    'attachment',
    'attachments',
    'presentedForm',
    'buffer',
    'data',
    'content',
  ]
  const part = inner.find((name) => typeof object[name] === 'object' && object[name] !== null)
  return part === undefined
    ? ADVICE
    : `It has a property "${part}": set the File field to the file inside it. ${ADVICE}`
}
