/** Requests and answers of the admin routes that the dialogs call, as JSON. */

/** `POST redox/test`: a connection as its form is now. */
export interface ConnectionTestRequest {
  id: string
  config: Record<string, unknown>
  /** what was typed; a secret that is left out is the stored one */
  secrets: { privateKey?: string | undefined; apiKey?: string | undefined; secret?: string | undefined }
}

export interface ConnectionTestResponse {
  ok: boolean
  /** environment that the token is for, `Sandbox` included */
  environment?: string
  /** which sentence says why it failed */
  reason?: string
  /** the field at fault, as the node saves it */
  field?: string
  /** that the token is asked of */
  host?: string
  /** the error's own words, in English */
  message?: string
  /** seconds that this machine is ahead of the server */
  clockSkewSeconds?: number
}

/** `POST redox/key-pair` */
export interface KeyPairResponse {
  /** PKCS#8 PEM */
  privateKey: string
  publicJwk: { kid: string }
}

/** `POST redox/preview`: a send node and its connection, as their forms are now. */
export interface PreviewRequest {
  id: string
  type: string
  config: Record<string, unknown>
  connectionId: string
  connection: Record<string, unknown>
  /**
   * By name, those that the editor knows: of what is not deployed, nothing else does. null: one that is declared, and
   * whose value is found out when the flow runs
   */
  variables?: Record<string, string | null> | undefined
}

/** A field whose environment variable has no value before the flow runs. */
export interface SampledField {
  field: string
  /** of the variable */
  name: string
}

export interface PreviewResponse {
  /** the requests in their order; none when the message cannot be built at all */
  requests: PreviewedRequest[]
  problems: PreviewProblem[]
  warnings: string[]
  /** fields that a sample stands for */
  sampled: SampledField[]
  /** why the message cannot be built */
  error?: { code: string; message: string }
}

export interface PreviewedRequest {
  method: string
  url: string
  /** without the token */
  headers: Record<string, string>
  /** files stand as `<base64, 12345 bytes>` */
  body: string
}

export type ProblemKind = 'missing' | 'empty' | 'values' | 'format' | 'date' | 'dateTime' | 'variable'

/** A problem of a message, as the form tells of it in its own language. */
export interface PreviewProblem {
  /** where, as a path into the message */
  path: string
  /** what is wrong, and what would be right, in English */
  problem: string
  fix: string
  /** the input of the form that fills the place */
  field?: string
  /** what there is a sentence for */
  kind?: ProblemKind
  /** of the kind `variable`: its name */
  name?: string
  /** of the kind `values`: those that are allowed */
  values?: string
}
