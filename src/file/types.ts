// What the package knows of a file.
import type { Fingerprints } from './fingerprint'

/** What is known of a file without reading all of it. Sizes in bytes. */
export interface FileDescription {
  contentType: string
  /** Redox `FileType`, e.g. `PDF` (docs/redox-api.md#file-types) */
  fileType?: string
  /** base name, no path parts, no control characters */
  name: string
  /** the file came without a name: `name` is made up */
  unnamed?: true
}

/** A file whose bytes can be read, as often as needed: a repeated request reads them again. */
export interface FileSource extends FileDescription {
  kind: 'file'
  size: number
  /** its bytes are held in memory, not on the disk */
  inMemory: boolean
  /**
   * The file, piece by piece. Each is good until the next is asked for; what is handed to a socket as it is, until it
   * has drained. All but the last have a multiple of 3 bytes, so that their base64 can be joined. Each has waited for
   * its turn of the event loop (see turns.ts): what comes with the last piece is done in the turn in which the file was
   * found to be unchanged.
   */
  read(): AsyncIterable<Buffer>
}

/** A file that was uploaded before: what `redox-upload` puts into `msg.payload`. Plain data. */
export interface FileReference extends FileDescription {
  kind: 'reference'
  /** the reference as Redox gave it: blob `URI` or Binary `Location` */
  url: string
  size?: number
  sha256?: string
  /** which upload made it */
  upload?: 'blob' | 'binary'
}

export type MessageFile = FileSource | FileReference

/** What a node's settings and the message say of a file, beside the file itself. */
export interface FileHints {
  filename?: string
  contentType?: string
  fileType?: string
  /** where the file was taken from, for error texts, e.g. `msg.payload` */
  where: string
  /** bytes that a file may have, in whatever way it travels: a text that stands for more is not decoded */
  most?: number
  /** the file is a text that is taken as it is: nothing in it is an encoding of something else */
  isText?: true
  /** of the bytes that the message came with; without them, bytes are compared with what they are when they are taken */
  fingerprints?: Fingerprints
}

export interface IntakeResult<T extends MessageFile = MessageFile> {
  file: T
  /** worth telling, not worth stopping for; without patient data */
  warnings: string[]
  /** the file's own structure proves that bytes are missing: which file, and what proves it */
  cutShort?: string
}

/** What the first bytes of a file prove. */
export interface Signature {
  contentType: string
  /** the bytes prove a container or a markup family, not the type itself: a file name may say more */
  family?: true
}
