/** Answers of the admin routes below `redox/inbox`, as JSON: what the sandbox received. */

export interface InboxFile {
  /** Where it stood: `Note.FileContents`, `entry[1].resource.presentedForm[0]`. */
  place: string
  way: 'embedded' | 'referenced'
  /** MIME type. */
  contentType?: string
  /** `FileType` of the Data Model API, such as `PDF`. */
  fileType?: string
  name?: string
  /** Bytes. */
  size: number
  /** In hex. */
  sha256: string
  /** MIME type that it may be shown as; null when it is only to be downloaded. */
  shown: string | null
}

/** A line of the list. */
export interface InboxMessage {
  id: string
  /** ISO 8601, UTC. */
  at: string
  api: 'datamodel' | 'fhir'
  operation: string
  environment: string
  destinations: string[]
  patient: string
  document: string
  /** The fault that was simulated for its request, as the plan names it. */
  fault?: string | undefined
  files: InboxFile[]
}

/** `GET redox/inbox/:id` */
export interface InboxMessageDetails extends InboxMessage {
  source: string
  logIds: string[]
  locations: string[]
  request: {
    method: string
    path: string
    headers: Record<string, string | string[] | undefined>
    body: unknown
  }
  /** The message with its references resolved. */
  delivered: unknown
}

/** A request that a fault was simulated for; without path and headers, which may name a patient. */
export interface SimulatedFault {
  at: string
  api: string
  fault?: string | undefined
  /** Whether the message was accepted all the same. */
  accepted: boolean
}

/** `GET redox/inbox`: newest first. */
export interface InboxList {
  running: boolean
  messages: InboxMessage[]
  faults: SimulatedFault[]
  /** Anyone who reaches the editor sees it, too. */
  openToAll?: true
}

/** Published when something changed. */
export interface InboxNews {
  /** Messages that there are, and that came since the last time. */
  count: number
  news: number
}
