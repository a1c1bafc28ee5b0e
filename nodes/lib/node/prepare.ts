import type { FileSource } from '../../../src/file/file'
import type { Fingerprints } from '../../../src/file/fingerprint'
import type { Draft } from '../../../src/message/prepared'
import type { UploadKind } from '../../../src/redox/uploads'
import type { Connection } from '../connection/connection'
import type { Inputs } from './inputs'

/** What one message gives a node's `prepare`. */
export interface Task {
  connection: Connection
  inputs: Inputs
  /** aborted when the message is not wanted any more */
  signal: AbortSignal
  /** of the bytes that the message came with */
  fingerprints: Fingerprints
  /** Waits until this message may take its files; it may be called again. */
  admitted: () => Promise<void>
  /** for `msg.redox.warnings`, and the first time for the debug sidebar; no patient data */
  warn(warning: string): void
}

/** What a message asks of Redox, before anything is sent. */
export type Prepared =
  | {
      kind: 'message'
      draft: Draft
      /** the message's text is the document: it has no file */
      isText: boolean
    }
  | { kind: 'upload'; file: FileSource; uploadKind: UploadKind }

/** Reads a node's inputs for one message and builds what is to be sent. No I/O but reading the file's head. */
export type Prepare = (task: Task) => Promise<Prepared>
