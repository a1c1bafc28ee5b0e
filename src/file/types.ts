// Types of files and their descriptions.
import type { Fingerprints } from './fingerprint'

/** Description of a file that is available without reading all of it. Sizes in bytes. */
export interface FileDescription {
  contentType: string
  /** Redox `FileType`, e.g. `PDF` (docs/redox-api.md#file-types) */
  fileType?: string
  /** base name, without path and control characters */
  name: string
  /** true if the file has no name of its own, so that `name` is a default */
  unnamed?: true
}

/** File whose bytes can be read several times: each attempt to send the file reads them again. */
export interface FileSource extends FileDescription {
  kind: 'file'
  size: number
  /** true if the bytes are in memory, false if they are on the disk */
  inMemory: boolean
  /**
   * Reads the file in chunks. A chunk is valid until the next one is requested; if it is written to a socket, the
   * caller must wait for the socket to drain before that. The length of every chunk except the last is a multiple of 3,
   * so that the base64 strings of the chunks can be concatenated. Each chunk waits for the event-loop budget
   * (event-loop.ts). Before the last chunk is yielded, the method checks that the file has not changed, and throws
   * otherwise.
   */
  read(): AsyncIterable<Buffer>
}

/** File that was uploaded before: plain data, as the node `redox-upload` emits it in `msg.payload`. */
export interface FileReference extends FileDescription {
  kind: 'reference'
  /** reference as Redox returned it: `URI` of a blob or `Location` of a Binary */
  url: string
  size?: number
  sha256?: string
  /** API that the file was uploaded for */
  upload?: 'blob' | 'binary'
}

export type MessageFile = FileSource | FileReference

/** Information about a file from the node's settings and the message, apart from the file itself. */
export interface FileHints {
  filename?: string
  contentType?: string
  fileType?: string
  /** name of the message property that contains the file, for error texts, e.g. `msg.payload` */
  where: string
  /** maximum size of a file in any mode, in bytes: a string that encodes more bytes is not decoded */
  maxBytes?: number
  /** content types that the connection accepts; undefined: all */
  accepted?: readonly string[]
  /** true if the content of the message property is text that must not be decoded */
  isText?: true
  /**
   * fingerprints of the bytes at the arrival of the message; without them, changes are detected only from the time when
   * the file is taken
   */
  fingerprints?: Fingerprints
}

export interface IntakeResult<T extends MessageFile = MessageFile> {
  file: T
  /** warnings that do not prevent sending; without patient data */
  warnings: string[]
  /** error text, if the structure of the file shows that it is truncated */
  cutShort?: string
}

/** Content type that the first bytes of a file prove. */
export interface Signature {
  contentType: string
  /**
   * set if the bytes prove only a container (such as ZIP) or a markup language: the file name may give a more specific
   * type
   */
  family?: true
}
