import type { FileSource } from '../../../src/file/file'
import type { Fingerprints } from '../../../src/file/fingerprint'
import type { Draft } from '../../../src/message/prepared'
import type { UploadKind } from '../../../src/redox/uploads'
import type { Connection } from '../connection/connection'
import type { Inputs } from './inputs'

/** Input of a node's `prepare` function for one message. */
export interface PrepareInput {
  connection: Connection
  inputs: Inputs
  /** signal that aborts when the message is stopped */
  signal: AbortSignal
  /** fingerprints of the bytes in the received message */
  fingerprints: Fingerprints
  /** Waits until this message may read its files. May be called several times. */
  admitted: () => Promise<void>
  /** Adds a text to `msg.redox.warnings`; the debug sidebar shows it the first time. Without patient data. */
  warn(warning: string): void
}

/** Prepared request to Redox, before anything is sent. */
export type Prepared =
  | {
      kind: 'message'
      draft: Draft
      /** true if the document is the text of the message, and not a file */
      isText: boolean
    }
  | { kind: 'upload'; file: FileSource; uploadKind: UploadKind }

/**
 * Function that reads a node's inputs for one message and builds the request. The only I/O is reading the head of a
 * file.
 */
export type Prepare = (task: PrepareInput) => Promise<Prepared>
