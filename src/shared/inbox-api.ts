/** Response bodies (JSON) of the admin routes below `redox/inbox`: the messages that the sandbox received. */

export interface InboxFile {
  /** Path of the file in the message: `Note.FileContents`, `entry[1].resource.presentedForm[0]`. */
  place: string
  way: 'embedded' | 'referenced'
  /** MIME type of the file. */
  contentType?: string
  /** `FileType` of the Data Model API, such as `PDF`. */
  fileType?: string
  name?: string
  /** Size of the file in bytes. */
  size: number
  /** SHA-256 of the file, in hex. */
  sha256: string
  /** MIME type with which the browser may display the file; null: the file must only be downloaded. */
  shown: string | null
}

/** Delivery of a message to one of its destinations, as the sandbox plays it. */
export interface InboxDelivery {
  destination: string
  logId: string
  status: 'pending' | 'succeeded' | 'failed' | 'filtered'
  /** Number of attempts so far. */
  attempts: number
  /** Why the latest attempt did not succeed. `code`: HTTP status of the destination. */
  problem?: { stage: 'filter' | 'request'; code?: number; reason: string } | undefined
}

/** A message in the list of received messages. */
export interface InboxMessage {
  id: string
  /** Time when the message arrived, ISO 8601, UTC. */
  at: string
  api: 'datamodel' | 'fhir'
  operation: string
  environment: string
  destinations: string[]
  patient: string
  document: string
  /** Name of the fault that was simulated for the request, as written in the fault plan. */
  fault?: string | undefined
  files: InboxFile[]
  /** Deliveries, in the order of the destinations. */
  deliveries: InboxDelivery[]
}

/** Response of `GET redox/inbox/:id`. */
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
  /** The message as its destination receives it: with the uploaded files in place of the references to them. */
  delivered: unknown
}

/** A request with a simulated fault. Does not contain the path and the headers, which may identify a patient. */
export interface SimulatedFault {
  at: string
  api: string
  fault?: string | undefined
  /** True if the sandbox accepted the message although the client saw a failure. */
  accepted: boolean
}

/** Response of `GET redox/inbox`: messages and faults, newest first. */
export interface InboxList {
  running: boolean
  messages: InboxMessage[]
  faults: SimulatedFault[]
  /** True if Node-RED has no login, so that all users who can open the editor can read the inbox. */
  openToAll?: true
}

/** Event for the editor after a change of the inbox. */
export interface InboxNews {
  /** Number of messages in the inbox, and number of messages that arrived since the last event. */
  count: number
  news: number
}
