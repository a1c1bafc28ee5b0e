/**
 * Profiles of the sandbox: what is not known of Redox (docs/redox-api.md), settled in different ways. With them, the
 * command `redox-check` can be tried without an account: each profile gives it something else to find.
 */

const [DEVELOPMENT, STAGING] = ['Development', 'Staging']
export type BinaryBody = 'raw' | 'fhir-json' | 'multipart'
/** Place of a file in an Observation message: an element of the Observation, or another resource of the Bundle. */
export type ObservationPlace = 'presentedForm' | 'valueAttachment' | 'DocumentReference' | 'Media'

export interface Profile {
  /** One line for the help text of `redox-sandbox`. */
  about: string
  tokens: {
    /** True if an assertion without `aud` is refused. */
    needsAudience: boolean
    /** True if an OAuth token is given only for the scope `fhir:<environment>`. */
    needsScope: boolean
    /** Form of OAuth access tokens. */
    form: 'jwt' | 'opaque'
    /** Lifetime of all access tokens, in seconds; undefined: as the options of the sandbox say. */
    lifetimeSeconds?: number
    /** False if legacy keys get no token. */
    legacyKeys: boolean
  }
  /** Environment that all keys belong to; undefined: the sandbox accepts every environment in a FHIR URL. */
  keyEnvironment?: string
  binary: {
    /** Host that takes a Binary: that of the API, or that of blob uploads. */
    host: 'api' | 'blob'
    forms: readonly BinaryBody[]
    /** Where the answer to an upload names the file. */
    reference: 'location' | 'relative-location' | 'body'
  }
  observationPlaces: readonly ObservationPlace[]
  /** Values of `Note.ContentType` with which a Note may refer to an upload. */
  noteReferenceTypes: readonly string[]
  /**
   * Body of a 200 to a FHIR operation. `by-destination`: a Bundle from `redox-fhir-sandbox`, nothing from other
   * destinations. `other`: JSON that is no answer of Redox.
   */
  fhirAnswer: 'by-destination' | 'bundle' | 'outcome' | 'object' | 'other'
  /** True if a Bundle needs a Patient entry. */
  needsPatientEntry: boolean
  /** Form of `Meta.Logs[].ID`. */
  logIds: 'uuid' | 'number' | 'none'
  /** Headers of the answer to a FHIR operation. */
  traceHeader: boolean
  rateHeader: boolean
  /**
   * Limits in bytes: of an uploaded file, of a whole request to the Data Model or FHIR API, and the size that a file
   * embedded in a Data Model message must not reach, before base64.
   */
  limits: { upload: number; request: number; embedded: number }
}

/** The documented behaviour; also that of a sandbox without a profile. */
export const DOCUMENTED: Profile = {
  about: 'as Redox documents it',
  tokens: { needsAudience: false, needsScope: false, form: 'jwt', legacyKeys: true },
  binary: { host: 'api', forms: ['raw', 'fhir-json', 'multipart'], reference: 'location' },
  observationPlaces: ['presentedForm', 'valueAttachment', 'DocumentReference', 'Media'],
  noteReferenceTypes: ['Base64 Encoded', 'Plain Text', 'Rich Text'],
  fhirAnswer: 'by-destination',
  needsPatientEntry: false,
  logIds: 'uuid',
  traceHeader: true,
  rateHeader: false,
  // docs/redox-api.md#sizes; 1 MB taken as 10^6, the stricter reading
  limits: { upload: 30_000_000, request: 40_000_000, embedded: 10_000_000 },
}

const { tokens, binary, limits } = DOCUMENTED
const profile = (about: string, differs: Partial<Profile>): Profile => ({
  ...DOCUMENTED,
  keyEnvironment: DEVELOPMENT,
  ...differs,
  about,
})

export const PROFILES = {
  documented: profile(DOCUMENTED.about, {}),
  'binary-on-blob-host': profile('a Binary goes to the host of blob uploads', {
    binary: { ...binary, host: 'blob' },
  }),
  'binary-as-json': profile('a Binary is a FHIR resource, on the host of blob uploads', {
    binary: { host: 'blob', forms: ['fhir-json'], reference: 'body' },
  }),
  'binary-as-form': profile('a Binary is a multipart form, and its Location is relative', {
    binary: { host: 'api', forms: ['multipart'], reference: 'relative-location' },
  }),
  'no-binary': profile('a Binary is never accepted', { binary: { ...binary, forms: [] } }),
  'value-attachment': profile('the file of an Observation is in valueAttachment', {
    observationPlaces: ['valueAttachment'],
  }),
  'document-of-observation': profile('the file of an Observation is in a DocumentReference or Media entry', {
    observationPlaces: ['DocumentReference', 'Media'],
  }),
  'plain-text-reference': profile('a Note refers to an upload only as Plain Text', {
    noteReferenceTypes: ['Plain Text'],
  }),
  'base64-reference': profile('a Note refers to an upload only as Base64 Encoded', {
    noteReferenceTypes: ['Base64 Encoded'],
  }),
  'answers-outcome': profile('a 200 of the FHIR API holds an OperationOutcome', { fhirAnswer: 'outcome' }),
  'answers-object': profile('a 200 of the FHIR API holds {}', { fhirAnswer: 'object' }),
  'answers-other': profile('a 200 of the FHIR API holds {"accepted":true}', { fhirAnswer: 'other' }),
  'answers-bundle': profile('every destination answers with a Bundle', { fhirAnswer: 'bundle' }),
  'needs-audience': profile('an assertion needs aud', { tokens: { ...tokens, needsAudience: true } }),
  'needs-scope': profile('an assertion needs aud and the scope of the environment', {
    tokens: { ...tokens, needsAudience: true, needsScope: true },
  }),
  'opaque-tokens': profile('access tokens are opaque and live for a day', {
    tokens: { ...tokens, form: 'opaque', lifetimeSeconds: 86_400 },
  }),
  'no-legacy-keys': profile('legacy keys get no token', { tokens: { ...tokens, legacyKeys: false } }),
  'needs-patient': profile('a Bundle needs a Patient entry', { needsPatientEntry: true }),
  'numeric-log-ids': profile('log ids are numbers, and FHIR answers have X-RateLimit-Limit', {
    logIds: 'number',
    traceHeader: false,
    rateHeader: true,
  }),
  'no-log-ids': profile('messages have no log id', { logIds: 'none' }),
  'large-embedded': profile('a file is embedded up to the limit of the request', {
    limits: { ...limits, embedded: limits.request },
  }),
  'old-limits': profile('a request has 10 MB at most, an upload too', {
    limits: { upload: 10_000_000, request: 10_000_000, embedded: 10_000_000 },
  }),
  'staging-keys': profile('the keys belong to Staging', { keyEnvironment: STAGING }),
} as const satisfies Record<string, Profile>

export type ProfileName = keyof typeof PROFILES
export const isProfileName = (name: string): name is ProfileName => Object.hasOwn(PROFILES, name)
