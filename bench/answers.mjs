// HTTP responses of the server, in the form of recorded and documented responses of Redox, so that the measured costs
// are realistic. The headers and the first two bodies (a message, an upload) are those of recordings of 2020; log ids
// are UUIDs in Redox's reference and numbers in its samples; FHIR responses follow the documentation, and
// `redox-trace-id` was observed on that host.
import { createHash } from 'node:crypto'

const POLICY = `default-src https:; style-src https: 'unsafe-inline'; object-src 'none'`
const HEADERS = {
  'content-type': 'application/json; charset=utf-8',
  'strict-transport-security': 'max-age=300; includeSubdomains;',
  'content-security-policy': POLICY,
  'x-content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'deny',
  'x-xss-protection': '1; mode=block',
  'referrer-policy': 'same-origin',
  'cache-control': 'private, no-cache, no-store, must-revalidate',
  expires: '-1',
  pragma: 'no-cache',
  vary: 'Accept-Encoding',
}
const CROSS_ORIGIN = Object.fromEntries(
  ['allow-origin', 'allow-credentials', 'allow-methods', 'allow-headers', 'expose-headers'].map((name) => [
    `access-control-${name}`,
    '',
  ]),
)

/**
 * @typedef {{ status: number, headers: import('node:http').OutgoingHttpHeaders, body: string }} Answer
 * @typedef {{ uri: string } & Answer} UploadAnswer response with the URI of the uploaded file
 */

/**
 * Returns the weak ETag that Express would compute. The headers `date`, `connection` and `keep-alive` are added by
 * Node.js.
 * @param {string} body
 */
function etagOf(body) {
  const hash = createHash('md5').update(body).digest('base64').replace(/=+$/, '')
  return `W/"${Buffer.byteLength(body).toString(16)}-${hash}"`
}

/**
 * @param {number} status
 * @param {object} content sent as JSON
 * @returns {Answer}
 */
function answer(status, content, headers = {}) {
  const body = JSON.stringify(content)
  const own = { 'content-length': Buffer.byteLength(body), etag: etagOf(body), ...headers }
  return { status, headers: { ...HEADERS, ...own }, body }
}

/**
 * Returns a UUID that depends only on kind and number, so that all contestants get the same ids.
 * @param {string} kind
 * @param {number} number
 */
function uuidOf(kind, number) {
  const hex = createHash('md5').update(`${kind} ${number}`).digest('hex')
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-4$3-a$4-$5')
}

/** @param {number} number number of the upload */
const numberedBlob = (number) => `https://blob.redoxengine.com/${14_652_614 + number}`

const SOURCE = { ID: '49f9e2cf-9f6a-4081-8616-8e5845fda1bf', Name: 'Bench' }
const DESTINATIONS = [{ ID: 'af394f14-b34a-464f-8d24-895f370af4c9', Name: 'Redox EMR' }]
/** @param {number} number number of the message */
const uuidLog = (number) => ({ ID: uuidOf('log', number), AttemptID: uuidOf('attempt', number) })

/** @type {((number: number) => object)[]} variants of `Meta` in responses */
const META = [
  (number) => ({ Message: { ID: 4242 + number } }),
  (number) => ({ Logs: [uuidLog(number)] }),
  (number) => ({ Logs: [{ ID: String(500_000_000 + number) }], Message: { ID: 4242 + number } }),
  (number) => ({ Logs: [uuidLog(number)], Message: { ID: 4242 + number } }),
]

/** @param {number} number number of the request */
const fhirHeaders = (number) => ({
  'content-type': 'application/fhir+json; charset=utf-8',
  'redox-trace-id': uuidOf('trace', number),
})

/**
 * @param {string} type type of the resource
 * @param {number} number number of the message
 */
const created = (type, number) => ({
  response: {
    status: '201 Created',
    location: `https://fhir.redoxengine.com/fhir-sandbox/${type}/${uuidOf(type, number)}/_history/1`,
  },
})

/** @type {((type: string, number: number) => { entry?: object[] })[]} variants of FHIR responses */
const BUNDLES = [
  (type, number) => ({ entry: [created(type, number), created('Patient', number)] }),
  // Response of an asynchronous destination: it accepts a message and returns no entries.
  () => ({}),
]

export const token = () => answer(200, { access_token: 'bench', token_type: 'Bearer', expires_in: 3600 })

/**
 * Returns the response to an upload to the blob host.
 * @param {number} number number of the upload, from 0
 * @returns {UploadAnswer}
 */
export function blobUpload(number) {
  const uri = numberedBlob(number)
  return { uri, ...answer(201, { URI: uri }, CROSS_ORIGIN) }
}

/**
 * Returns the response to an upload of a FHIR Binary.
 * @param {number} number number of the upload, from 0
 * @param {string} base URL of the request
 * @returns {UploadAnswer}
 */
export function binaryUpload(number, base) {
  const id = uuidOf('binary', number)
  const uri = `${base}/${id}`
  const body = { resourceType: 'Binary', id, contentType: 'application/pdf' }
  return { uri, ...answer(201, body, { ...fhirHeaders(number), location: uri }) }
}

/**
 * Returns the response to a message of the Data Model API; the variants of responses alternate.
 * @param {number} number number of the message, from 0
 * @param {{ DataModel: string | undefined, EventType: string | undefined }} meta of the message
 */
export function dataModelMessage(number, { DataModel, EventType }) {
  const Meta = {
    ...{ DataModel, EventType },
    ...META[number % META.length]?.(number),
    ...{ Source: SOURCE, Destinations: DESTINATIONS },
  }
  return answer(200, { Meta })
}

/**
 * Returns the response to a FHIR message; the variants of responses alternate.
 * @param {number} number number of the message, from 0
 * @param {string} type type of the resource in the path of the operation
 */
export function fhirMessage(number, type) {
  const entries = BUNDLES[number % BUNDLES.length]?.(type, number)
  const bundle = { resourceType: 'Bundle', type: 'transaction-response', ...entries }
  return answer(200, bundle, fhirHeaders(number))
}
