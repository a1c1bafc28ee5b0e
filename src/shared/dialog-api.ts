/** Request and response bodies (JSON) of the admin routes that the edit dialogs call. */

/**
 * Body of `POST redox/test`, which tests a connection with the values in its edit dialog, even before the values are
 * deployed.
 */
export interface ConnectionTestRequest {
  id: string
  config: Record<string, unknown>
  /** secrets that the user typed; for a missing secret the stored one is used */
  secrets: {
    privateKey?: string | undefined
    apiKey?: string | undefined
    secret?: string | undefined
    platformPrivateKey?: string | undefined
  }
}

export interface ConnectionTestResponse {
  ok: boolean
  /** environment that the connection reached: that of the Redox access token, or `Sandbox` */
  environment?: string
  /** key of the translated sentence that explains why the test failed */
  reason?: string
  /** property of the node whose value is wrong */
  field?: string
  /** host of the token request */
  host?: string
  /** error message, in English */
  message?: string
  /** seconds that the clock of this machine is ahead of the server's */
  clockSkewSeconds?: number
  /** result for the user-level key; missing if there is none, or the first key failed */
  platform?: PlatformTestResponse
}

/** Result of a test of the user-level key of the Platform API. */
export interface PlatformTestResponse {
  ok: boolean
  /** true if the logs of the environment were searched, not only those of the organization */
  searched?: boolean
  /** property of the node whose value is wrong */
  field?: string
  /** error message, in English */
  message?: string
}

/** Response of `POST redox/key-pair`: a new key pair. */
export interface KeyPairResponse {
  /** private key, PKCS#8 PEM */
  privateKey: string
  publicJwk: { kid: string }
}

/** Body of `POST redox/preview`: a send node and its connection, with the values in their edit dialogs. */
export interface PreviewRequest {
  id: string
  type: string
  config: Record<string, unknown>
  connectionId: string
  connection: Record<string, unknown>
  /**
   * Environment variables that the editor knows, by name; the runtime does not know variables of flows that are not
   * deployed. null: a variable that is declared but gets its value only when the flow runs.
   */
  variables?: Record<string, string | null> | undefined
}

/** A form field whose environment variable has no value before the flow runs. */
export interface SampledField {
  field: string
  /** name of the environment variable */
  name: string
}

export interface PreviewResponse {
  /** requests in the order of sending; empty when the message cannot be built */
  requests: PreviewedRequest[]
  problems: PreviewProblem[]
  warnings: string[]
  /** form fields for which the preview used an example value */
  sampled: SampledField[]
  /** reason why the message cannot be built */
  error?: { code: string; message: string }
}

export interface PreviewedRequest {
  method: string
  url: string
  /** request headers without the access token */
  headers: Record<string, string>
  /** request body, with `<base64, 12345 bytes>` in place of each file */
  body: string
}

export type ProblemKind = 'missing' | 'empty' | 'values' | 'format' | 'date' | 'dateTime' | 'variable'

/** A problem of a message. The form shows the sentence for its `kind` in the user's language. */
export interface PreviewProblem {
  /** path (in the message) of the wrong value */
  path: string
  /** problem and fix: two sentences, in English */
  problem: string
  fix: string
  /** form input that sets the wrong value */
  field?: string
  /** key of the translated sentence for the problem */
  kind?: ProblemKind
  /** name of the environment variable, if the kind is `variable` */
  name?: string
  /** allowed values, if the kind is `values` */
  values?: string
}
