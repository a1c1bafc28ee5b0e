import type { FileSource } from '../../../src/file/file'
import type { Fingerprints } from '../../../src/file/fingerprint'
import type { Draft } from '../../../src/message/prepared'
import type { UploadKind } from '../../../src/redox/uploads'
import type { Connection } from '../connection/connection'
import type { Inputs } from './inputs'

/** Argument of a node's `prepare` function for one message. */
export interface PrepareInput {
  connection: Connection
  inputs: Inputs
  /** signal that aborts when the message is stopped */
  signal: AbortSignal
  /** fingerprints of the Buffers in the received message, to detect changes by other branches of the flow */
  fingerprints: Fingerprints
  /** Resolves when a concurrency slot is free and this message may read its files. May be called several times. */
  admitted: () => Promise<void>
  /**
   * Adds a warning to `msg.redox.warnings`; the debug sidebar shows each warning once. Must not contain patient data.
   */
  warn(warning: string): void
}

/** Prepared request to Redox, before anything is sent. */
export type Prepared =
  | {
      kind: 'message'
      draft: Draft
      /** true if the document is text in the message, and not a file */
      isText: boolean
    }
  | { kind: 'upload'; file: FileSource; uploadKind: UploadKind }

/**
 * Function that reads a node's inputs for one message and builds the request. Does no I/O except reading the first
 * bytes of a file.
 */
export type Prepare = (task: PrepareInput) => Promise<Prepared>
