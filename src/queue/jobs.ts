import { createHash } from 'node:crypto'
import { present } from '../shared/present'
import { badInput, type RedoxErrorCode, type RedoxErrorDetail } from '../errors'
import {
  sha256Of,
  type FileDescription,
  type FileReference,
  type FileSource,
  type MessageFile,
} from '../file/file'
import { isObject, type JsonObject } from '../message/json'
import type { Attachment, PreparedMessage } from '../message/prepared'
import { identifiersOf } from '../redox/identifiers'
import type { Delivery, Uploaded } from '../redox/delivery'
import { inTurns } from '../event-loop'
import { Seal } from './seal'
import type { DeliveryStore, NewMessage, Standing, StoredMessage } from './types'

/** What is accepted: a message that was checked, with everything that its answer is to carry. */
export interface Parcel {
  /** id of the node that emits the answer */
  owner: string
  message: PreparedMessage
  /** the message's text is the document: it has no file */
  isText: boolean
  /** `sandbox`, or the environment's name */
  environment: string
  /**
   * Where it may be sent to: it goes over no other account than the one it was accepted for, unless an operator says
   * so. A fingerprint, see `accountOf` in `src/redox/account.ts`; undefined: accepted by a release before there was one.
   */
  account?: string
  /** the properties of the flow's message that are plain data */
  msg: JsonObject
}

export interface StoredFile extends FileDescription {
  kind: 'stored'
  /** its name in the store */
  stored: string
  size: number
  sha256: string
}

/** A message as it is stored, without the files of its attachments. */
export interface StoredBody extends Omit<PreparedMessage, 'attachments'> {
  /** its attachments */
  files: Pick<Attachment, 'way' | 'path'>[]
}

/** What is sealed as `content`. */
export interface Content extends Omit<Parcel, 'message'> {
  message: StoredBody
  /** in the order of `message.files` */
  files: (StoredFile | FileReference)[]
}

export interface Failure {
  code: RedoxErrorCode
  message: string
  cause: RedoxErrorDetail
}

/** What is sealed as `notes`. */
export interface Notes {
  /** by the index of the file */
  uploaded: Record<number, Uploaded>
  /** the account that they were uploaded to, where it is another than the message's */
  uploadAccount?: string
  /** the account that an operator lets the message go over, although it was accepted for another one */
  allowedAccount?: string
  delivery?: Delivery
  /** how the last attempt failed */
  error?: Failure
  /** an attempt that may have been delivered: no later failure can take that back */
  unknown?: Failure
  /** it is on its way from one store to another (their identities), and stands so where it arrives */
  move?: { from: string; to: string; standing: Standing }
}

/** What of a message its content does not say. */
type Terms = Pick<NewMessage, 'id' | 'ordered' | 'acceptedAt' | 'deadline'>

/** What a store has of its messages in sealed form: with the key of the seal it is written and read. */
export class Contents {
  private constructor(
    readonly store: DeliveryStore,
    readonly seal: Seal,
  ) {}

  /** of this store and no other */
  get identity(): string {
    return this.store.identity
  }

  /**
   * @param key seals what is stored; that of a new store is the first one it is opened with
   * @throws RedoxError REDOX_STORE_UNREADABLE when the store is sealed with another key
   */
  static async open(store: DeliveryStore, key: string): Promise<Contents> {
    const seal = new Seal(key)
    // What it says is of no matter: with another key it cannot be opened.
    await seal.open(await store.mark(await seal.close('redox', MARK)), MARK)
    return new Contents(store, seal)
  }

  /** @throws RedoxError REDOX_STORE_UNREADABLE */
  async contentOf({ id, content }: StoredMessage): Promise<Content> {
    return (await this.seal.open(content, contentPlace(id))) as Content
  }

  /** @throws RedoxError REDOX_STORE_UNREADABLE */
  async notesOf({ id, notes }: StoredMessage): Promise<Notes> {
    return notes ? ((await this.seal.open(notes, notesPlace(id))) as Notes) : { uploaded: {} }
  }

  sealNotes(id: string, notes: Notes): Promise<Buffer> {
    return this.seal.close(notes, notesPlace(id))
  }

  /** What is stored of a message, once its files are in the store. */
  async keepAll({ message, ...parcel }: Parcel): Promise<Content> {
    const { attachments, ...rest } = message
    const files = await Promise.all(attachments.map(({ file }) => this.keep(file)))
    return {
      ...parcel,
      message: { ...rest, files: attachments.map(({ way, path }) => ({ way, path })) },
      files,
    }
  }

  /** The message, to be sent: its files come out of the store as they are read. */
  messageOf({ message: { files: places, ...rest }, files }: Content): PreparedMessage {
    const attachments = places.map(({ way, path }, index) => {
      const file = present(files[index], 'the file of an attachment')
      return { way, path, file: file.kind === 'stored' ? this.source(file) : file }
    })
    return { ...rest, attachments }
  }

  /** A message as a store takes it. */
  async sealed(content: Content, terms: Terms): Promise<NewMessage> {
    return {
      ...terms,
      lane: laneOf(content.message),
      owner: content.owner,
      files: content.files.flatMap((file) => (file.kind === 'stored' ? [file.stored] : [])),
      tags: tagsOf(content).map((tag) => this.seal.nameFor(tag)),
      content: await this.seal.close(content, contentPlace(terms.id)),
    }
  }

  /** A file is stored once, however many messages contain it. */
  async keep(file: MessageFile): Promise<StoredFile | FileReference> {
    if (file.kind === 'reference') return file
    const sha256 = await sha256Of(file)
    const stored = await this.#put(file, sha256)
    const { contentType, fileType, name, unnamed, size } = file
    return {
      ...{ kind: 'stored', stored, sha256, contentType, name, size },
      ...(fileType !== undefined && { fileType }),
      ...(unnamed && { unnamed }),
    }
  }

  /** Stores a file that another store has. */
  async copy(file: StoredFile, from: Contents): Promise<StoredFile> {
    return { ...file, stored: await this.#put(from.source(file), file.sha256) }
  }

  /** @returns its name in the store */
  async #put(file: FileSource, sha256: string): Promise<string> {
    const stored = this.seal.nameFor(sha256)
    if (!(await this.store.hasFile(stored)))
      await this.store.putFile(stored, this.seal.closeFile(unchanged(file, sha256), filePlace(stored)))
    return stored
  }

  /** A file out of the store, to be sent. */
  source({ kind: _kind, stored, sha256: _sha256, ...described }: StoredFile): FileSource {
    const read = (): AsyncIterable<Buffer> =>
      inTurns(this.seal.openFile(this.store.readFile(stored), filePlace(stored)))
    return { ...described, kind: 'file', inMemory: false, read }
  }
}

/** What a parcel is found by: hashes of its files, and the ids that people know. */
const tagsOf = ({ message, msg, files }: Content): string[] => [
  ...new Set([
    ...files.flatMap(({ sha256 }) => sha256 ?? []),
    ...Object.values(identifiersOf(message.body)),
    ...(typeof msg._msgid === 'string' ? [msg._msgid] : []),
  ]),
]

/** Where a message goes: what has one order. */
export const laneOf = ({ api, slug, body }: Pick<PreparedMessage, 'api' | 'slug' | 'body'>): string =>
  api === 'fhir' ? `fhir ${slug}` : `datamodel ${destinationsOf(body).sort().join(' ')}`

function destinationsOf({ Meta }: JsonObject): string[] {
  const { Destinations: found } = isObject(Meta) ? Meta : {}
  return Array.isArray(found) ? found.flatMap((one) => (isObject(one) ? String(one.ID) : [])) : []
}

/** What is stored under a hash has to be what was hashed: a file may be written to meanwhile. */
async function* unchanged(file: FileSource, sha256: string): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  for await (const piece of file.read()) {
    hash.update(piece)
    yield piece
  }
  if (hash.digest('hex') !== sha256)
    throw badInput('File changed while it was being stored. Send it when it is complete.')
}

const MARK = 'mark'
const contentPlace = (id: string): string => `content ${id}`
const notesPlace = (id: string): string => `notes ${id}`
const filePlace = (name: string): string => `file ${name}`
