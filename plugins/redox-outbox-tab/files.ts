/** Files of a queued message: those in the store, and those that are text or base64 in the message itself. */
import { pipeline } from 'node:stream/promises'
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Outbox } from '../../nodes/lib/queue/outbox'
import { fileHeaders, shownType, type DeclaredFile } from '../../nodes/lib/runtime/shown-file'
import { RedoxError } from '../../src/errors'
import { slicesOf } from '../../src/file/text'
import { fileContentsIn, type ContentOfFile } from '../../src/message/contents'
import { getAt, isObject, type JsonObject } from '../../src/message/json'
import type { JobContent } from '../../src/queue/jobs'
import type { StoredMessage } from '../../src/queue/types'
import type { OutboxFile } from '../../src/shared/outbox-api'
import { AdminRefusal } from './refusal'

/** File of a message that can be read. `read` is missing if only the URL of the file is in the message. */
interface ReadableFile extends DeclaredFile, OutboxFile {
  read?: () => AsyncIterable<Buffer>
}

/** Returns the files of a message: first the attachments of its node, then the contents that came with its data. */
function filesOf({ sealedStore }: Outbox, { message, files }: JobContent): ReadableFile[] {
  const attachments = files.map((file): ReadableFile =>
    file.kind === 'stored' ? { ...file, read: () => sealedStore.fileSource(file).read() } : file,
  )
  const places = new Set(message.files.map(({ path }) => path.join('.')))
  const others = fileContentsIn(message.api, message.body).filter(({ path }) => !places.has(path.join('.')))
  return [...attachments, ...others.map((content) => fileInMessage(message.body, content))]
}

function fileInMessage(
  body: JsonObject,
  { path, content, isText, isUrl, contentType }: ContentOfFile,
): ReadableFile {
  if (isUrl) return { kind: 'reference', contentType }
  const holder = getAt(body, path.slice(0, -1))
  const { FileType, FileName } = isObject(holder) ? holder : {}
  return {
    kind: 'in-message',
    contentType,
    fileType: typeof FileType === 'string' ? FileType : undefined,
    name: typeof FileName === 'string' ? FileName : undefined,
    read: () => (isText ? utf8Of(content) : decoded(content)),
  }
}

async function* utf8Of(text: string): AsyncGenerator<Buffer> {
  for await (const slice of slicesOf(text)) yield Buffer.from(slice)
}

async function* decoded(base64: string): AsyncGenerator<Buffer> {
  let rest = ''
  for await (const slice of slicesOf(base64)) {
    const digits = rest + slice.replace(/\s+/g, '')
    const whole = digits.length - (digits.length % 4)
    rest = digits.slice(whole)
    yield Buffer.from(digits.slice(0, whole), 'base64')
  }
  if (rest !== '') yield Buffer.from(rest, 'base64')
}

/** Returns the description of each file for all users who may read the outbox, without its name and content. */
export const fileSummaries = (outbox: Outbox, content: JobContent): OutboxFile[] =>
  filesOf(outbox, content).map(({ kind, contentType, size, sha256 }) => ({ kind, contentType, size, sha256 }))

/** Response with the bytes of a file, as a stream. */
export class FileResponse {
  constructor(
    private readonly headers: OutgoingHttpHeaders,
    private readonly bytes: AsyncIterable<Buffer>,
  ) {}

  /** Sends the file. If it cannot be read to its end, the connection is closed, because the headers have been sent. */
  async send(response: ServerResponse): Promise<void> {
    response.writeHead(200, this.headers)
    await pipeline(this.bytes, response).catch(() => undefined)
  }
}

/**
 * Returns the response with a file of a message.
 * @param index position of the file in the list of {@link fileSummaries}
 * @throws Refusal 404 if there is no such file, or if its bytes are not in the outbox
 */
export async function fileResponse(
  outbox: Outbox,
  message: StoredMessage,
  index: number,
): Promise<FileResponse> {
  const file = filesOf(outbox, await outbox.sealedStore.contentOf(message))[index]
  if (!file) throw new AdminRefusal(404, 'not_found', 'The message has no file with this number.')
  const { read, name, size } = file
  if (!read)
    throw new AdminRefusal(404, 'not_stored', 'The file is not in the outbox: the message has only its URL.')
  const type = shownType(file, await headOf(read()).catch(missing))
  const headers = { ...fileHeaders(name, index, type), ...(size !== undefined && { 'Content-Length': size }) }
  return new FileResponse(headers, read())
}

/** Names a missing file as such: the code REDOX_STORE_LOST is also that of a message that has changed meanwhile. */
function missing(error: unknown): never {
  if (error instanceof RedoxError && error.code === 'REDOX_STORE_LOST')
    throw new AdminRefusal(404, 'file_missing', error.message)
  throw error
}

/** Returns the first chunk of a file, without a character that the end of the chunk cuts in two. */
async function headOf(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  let head: Buffer | undefined
  for await (const chunk of chunks) {
    if (head) return withoutCutCharacter(head)
    // A chunk is valid only until the next one is read.
    head = Buffer.from(chunk)
  }
  return head ?? Buffer.alloc(0)
}

/** Longest UTF-8 character, in bytes. */
const LONGEST_CHARACTER = 4

/** Removes a UTF-8 character at the end of which some bytes are missing. */
function withoutCutCharacter(bytes: Buffer): Buffer {
  for (let length = 1; length < LONGEST_CHARACTER; length++) {
    const byte = bytes.at(-length) ?? 0
    if ((byte & 0b1100_0000) === 0b1000_0000) continue
    const needed = byte >= 0b1111_0000 ? 4 : byte >= 0b1110_0000 ? 3 : byte >= 0b1100_0000 ? 2 : 1
    return needed > length ? bytes.subarray(0, -length) : bytes
  }
  return bytes
}
