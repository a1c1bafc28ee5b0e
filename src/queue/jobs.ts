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
import { documentIdentityOf } from '../redox/document-identity'
import { identifiersOf } from '../redox/identifiers'
import { patientIdentityOf } from '../redox/patient-identity'
import type { SendResult, UploadResult } from '../redox/client-types'
import { yieldingChunks } from '../event-loop'
import type { LogVerdict } from '../shared/values'
import { Seal } from './seal'
import type { DeliveryStore, MessageOrder, NewMessage, MessageStatus, StoredMessage } from './types'

/** Job before it is stored: a checked message, with all that is needed to emit its result. */
export interface Job {
  /** id of the node that accepted the message and emits its result */
  owner: string
  message: PreparedMessage
  /** true: the document is text inside the message, so that the job has no file */
  isText: boolean
  /** `sandbox`, or the name of the Redox environment */
  environment: string
  /**
   * Fingerprint of the Redox account that the message was accepted for, see `accountOf` in `src/redox/account.ts`. The
   * message is sent through no other account, unless an operator allows it. undefined: accepted by a release without
   * fingerprints.
   */
  account?: string
  /** properties of the flow's message that are plain data */
  msg: JsonObject
}

export interface StoredFile extends FileDescription {
  kind: 'stored'
  /** name of the file in the store */
  stored: string
  size: number
  sha256: string
}

/** Message in its stored form, without the files of its attachments. */
export interface StoredBody extends Omit<PreparedMessage, 'attachments'> {
  /** for each attachment: its path in the message, and the way in which the file is sent (embedded or uploaded) */
  files: Pick<Attachment, 'way' | 'path'>[]
}

/** Content of a job. It is encrypted before it is stored, and never changes. */
export interface JobContent extends Omit<Job, 'message'> {
  message: StoredBody
  /** files of the attachments, in the order of `message.files` */
  files: (StoredFile | FileReference)[]
}

export interface StoredFailure {
  code: RedoxErrorCode
  message: string
  cause: RedoxErrorDetail
}

/** Facts of Redox's logs about a delivered message. */
export interface RecordedVerdict {
  /** time of the last record, by the wall clock (system time), in milliseconds since 1970 */
  at: number
  logs: LogVerdict[]
  /** texts of the destinations that refused the message, by the id of the log. They may name a patient. */
  reasons?: Record<string, string>
}

/** Attempt record: the facts known about a job since its acceptance. Encrypted as `notes`. */
export interface AttemptRecord {
  /** uploaded files, by the index of the file in the message */
  uploaded: Record<number, UploadResult>
  /** account that the files were uploaded to, if it differs from the account that the job was accepted for */
  uploadAccount?: string
  /** account that an operator allowed for the job, although it was accepted for another one */
  allowedAccount?: string
  delivery?: SendResult
  /** what Redox's logs say that the destinations did with the message after `delivery` */
  verdict?: RecordedVerdict
  /** error of the last attempt */
  error?: StoredFailure
  /** error of an attempt after which the message may have arrived; later errors do not replace it */
  unknown?: StoredFailure
  /** true: an attempt before the last decision of a person to send the message again may have arrived */
  mayHaveArrivedBefore?: true
  /** id of the log in which a person found the message, and because of which it was marked as delivered */
  foundLogId?: string
  /**
   * set while the job is moved between two stores (given by their identities): status that the job gets in the second
   * store at the end
   */
  move?: { from: string; to: string; standing: MessageStatus }
}

/** Fields of a stored message that are not part of its encrypted content. */
interface AcceptanceTerms extends Pick<NewMessage, 'id' | 'acceptedAt' | 'deadline'> {
  order: MessageOrder
}

/** Store together with its key: encrypts data for the store, and decrypts data from it. */
export class SealedStore {
  private constructor(
    readonly store: DeliveryStore,
    readonly seal: Seal,
  ) {}

  /** Random id of the store, see {@link DeliveryStore}. */
  get identity(): string {
    return this.store.identity
  }

  /**
   * Checks the key, and returns the store together with it.
   * @param key store key; a new store keeps the first key with which it is opened
   * @throws RedoxError REDOX_STORE_UNREADABLE if the store is encrypted with another key
   */
  static async open(store: DeliveryStore, key: string): Promise<SealedStore> {
    const seal = new Seal(key)
    // The decrypted value does not matter: with another key the decryption fails.
    await seal.decrypt(await store.keyCheckValue(await seal.encrypt('redox', KEY_CHECK)), KEY_CHECK)
    return new SealedStore(store, seal)
  }

  /**
   * Decrypts the content of a message.
   * @throws RedoxError REDOX_STORE_UNREADABLE
   */
  async contentOf({ id, content }: StoredMessage): Promise<JobContent> {
    return (await this.seal.decrypt(content, contentPlace(id))) as JobContent
  }

  /**
   * Decrypts the attempt record of a message.
   * @throws RedoxError REDOX_STORE_UNREADABLE
   */
  async recordOf({ id, notes }: StoredMessage): Promise<AttemptRecord> {
    return notes ? ((await this.seal.decrypt(notes, notesPlace(id))) as AttemptRecord) : { uploaded: {} }
  }

  /** Returns the tags of the logs of Redox in an attempt record, by which people can find the job. */
  logTags({ delivery, error, unknown, foundLogId }: AttemptRecord): string[] {
    const found = [delivery?.facts.logIds, error?.cause.logIds, unknown?.cause.logIds, foundLogId]
    const logIds = found.flatMap((ids) => ids ?? [])
    return [...new Set(logIds)].map((id) => this.seal.nameFor(id))
  }

  sealRecord(id: string, notes: AttemptRecord): Promise<Buffer> {
    return this.seal.encrypt(notes, notesPlace(id))
  }

  /** Stores the files of a job, and returns the content to be encrypted. */
  async storeFiles({ message, ...job }: Job): Promise<JobContent> {
    const { attachments, ...rest } = message
    const files = await Promise.all(attachments.map(({ file }) => this.storeFile(file)))
    return {
      ...job,
      message: { ...rest, files: attachments.map(({ way, path }) => ({ way, path })) },
      files,
    }
  }

  /** Returns the message to send. Its files are read from the store while they are sent. */
  messageOf({ message: { files: places, ...rest }, files }: JobContent): PreparedMessage {
    const attachments = places.map(({ way, path }, index) => {
      const file = present(files[index], 'the file of an attachment')
      return { way, path, file: file.kind === 'stored' ? this.fileSource(file) : file }
    })
    return { ...rest, attachments }
  }

  /** Encrypts the content of a job, and returns the message in the form that a store accepts. */
  async sealMessage(
    content: JobContent,
    { id, acceptedAt, deadline, order }: AcceptanceTerms,
  ): Promise<NewMessage> {
    const destination = destinationOf(content.message)
    return {
      ...{ id, destination, acceptedAt, deadline, ordered: order !== 'none' },
      ...(order === 'patient' && { orderKey: this.#orderKeyOf(destination, content) }),
      owner: content.owner,
      files: content.files.flatMap((file) => (file.kind === 'stored' ? [file.stored] : [])),
      tags: [...tagsOf(content).map((tag) => this.seal.nameFor(tag)), ...optional(this.documentTag(content))],
      content: await this.seal.encrypt(content, contentPlace(id)),
    }
  }

  /**
   * Returns the tag of a job's document at its destination, by which equal jobs are found; undefined if the document
   * has no identifier or no file.
   */
  documentTag({ message, files }: JobContent): string | undefined {
    const identity = documentIdentityOf(message, files)
    if (identity === undefined) return undefined
    return this.seal.nameFor(JSON.stringify(['document', destinationOf(message), identity]))
  }

  /** Messages without identifiers of a patient have an order key of their own for each destination. */
  #orderKeyOf(destination: string, { message }: JobContent): string {
    return this.seal.nameFor(JSON.stringify(['order', destination, patientIdentityOf(message) ?? null]))
  }

  /** Stores a file. Messages with the same file share it. */
  async storeFile(file: MessageFile): Promise<StoredFile | FileReference> {
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

  /** Stores a copy of a file of another store. */
  async copyFile(file: StoredFile, from: SealedStore): Promise<StoredFile> {
    return { ...file, stored: await this.#put(from.fileSource(file), file.sha256) }
  }

  /**
   * Stores a file, unless the store has it.
   * @returns the name of the file in the store
   */
  async #put(file: FileSource, sha256: string): Promise<string> {
    const stored = this.seal.nameFor(sha256)
    if (!(await this.store.hasFile(stored)))
      await this.store.putFile(
        stored,
        this.seal.encryptFile(assertingUnchanged(file, sha256), filePlace(stored)),
      )
    return stored
  }

  /** Returns a file of the store, to be sent. */
  fileSource({ kind: _kind, stored, sha256: _sha256, ...described }: StoredFile): FileSource {
    const read = (): AsyncIterable<Buffer> =>
      yieldingChunks(this.seal.decryptFile(this.store.readFile(stored), filePlace(stored)))
    return { ...described, kind: 'file', inMemory: false, read }
  }
}

const optional = (value: string | undefined): string[] => (value === undefined ? [] : [value])

/** Returns the strings by which people can find a job: SHA-256 of its files, document and order IDs, and `_msgid`. */
const tagsOf = ({ message, msg, files }: JobContent): string[] => [
  ...new Set([
    ...files.flatMap(({ sha256 }) => sha256 ?? []),
    ...Object.values(identifiersOf(message.body)),
    ...(typeof msg._msgid === 'string' ? [msg._msgid] : []),
  ]),
]

/** Returns the order in which a stored message is sent. */
export const orderOf = ({ ordered, orderKey }: Pick<NewMessage, 'ordered' | 'orderKey'>): MessageOrder =>
  !ordered ? 'none' : orderKey === undefined ? 'destination' : 'patient'

/** Returns the name of a message's destination. */
export const destinationOf = ({ api, slug, body }: Pick<PreparedMessage, 'api' | 'slug' | 'body'>): string =>
  api === 'fhir' ? `fhir ${slug}` : `datamodel ${destinationsOf(body).sort().join(' ')}`

function destinationsOf({ Meta }: JsonObject): string[] {
  const { Destinations: found } = isObject(Meta) ? Meta : {}
  return Array.isArray(found) ? found.flatMap((one) => (isObject(one) ? String(one.ID) : [])) : []
}

/**
 * Yields the bytes of a file. Throws at the end if their SHA-256 is not the expected one, because the file may change
 * while it is being stored.
 */
async function* assertingUnchanged(file: FileSource, sha256: string): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  for await (const piece of file.read()) {
    hash.update(piece)
    yield piece
  }
  if (hash.digest('hex') !== sha256)
    throw badInput('File changed while it was being stored. Send it when it is complete.')
}

const KEY_CHECK = 'mark'
const contentPlace = (id: string): string => `content ${id}`
const notesPlace = (id: string): string => `notes ${id}`
const filePlace = (name: string): string => `file ${name}`
