// What Redox answers, as recorded and documented answers are: an answer that is kinder than the world measures nothing.
// The headers and the first two bodies are those of recordings of 2020 (a message, an upload); log ids are UUIDs in the
// reference and numbers in samples; what FHIR answers is documented, and `redox-trace-id` was observed on that host.
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

/** As Express makes it; Node adds `date`, `connection` and `keep-alive`. */
function etagOf(body) {
  const hash = createHash('md5').update(body).digest('base64').replace(/=+$/, '')
  return `W/"${Buffer.byteLength(body).toString(16)}-${hash}"`
}

function answer(status, content, headers = {}) {
  const body = JSON.stringify(content)
  const own = { 'content-length': Buffer.byteLength(body), etag: etagOf(body), ...headers }
  return { status, headers: { ...HEADERS, ...own }, body }
}

/** The same for the same number, so that every contestant gets the same ids. */
function uuidOf(kind, number) {
  const hex = createHash('md5').update(`${kind} ${number}`).digest('hex')
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-4$3-a$4-$5')
}

const numberedBlob = (number) => `https://blob.redoxengine.com/${14_652_614 + number}`

const SOURCE = { ID: '49f9e2cf-9f6a-4081-8616-8e5845fda1bf', Name: 'Bench' }
const DESTINATIONS = [{ ID: 'af394f14-b34a-464f-8d24-895f370af4c9', Name: 'Redox EMR' }]
const uuidLog = (number) => ({ ID: uuidOf('log', number), AttemptID: uuidOf('attempt', number) })

const META = [
  (number) => ({ Message: { ID: 4242 + number } }),
  (number) => ({ Logs: [uuidLog(number)] }),
  (number) => ({ Logs: [{ ID: String(500_000_000 + number) }], Message: { ID: 4242 + number } }),
  (number) => ({ Logs: [uuidLog(number)], Message: { ID: 4242 + number } }),
]

const fhirHeaders = (number) => ({
  'content-type': 'application/fhir+json; charset=utf-8',
  'redox-trace-id': uuidOf('trace', number),
})

const created = (type, number) => ({
  response: {
    status: '201 Created',
    location: `https://fhir.redoxengine.com/fhir-sandbox/${type}/${uuidOf(type, number)}/_history/1`,
  },
})

const BUNDLES = [
  (type, number) => ({ entry: [created(type, number), created('Patient', number)] }),
  // An asynchronous destination: accepted, and nothing is known of what becomes of it.
  () => ({}),
]

export const token = () => answer(200, { access_token: 'bench', token_type: 'Bearer', expires_in: 3600 })

/** @param number of the upload, from 0 */
export function blobUpload(number) {
  const uri = numberedBlob(number)
  return { uri, ...answer(201, { URI: uri }, CROSS_ORIGIN) }
}

/** @param base URL of the request */
export function binaryUpload(number, base) {
  const id = uuidOf('binary', number)
  const uri = `${base}/${id}`
  const body = { resourceType: 'Binary', id, contentType: 'application/pdf' }
  return { uri, ...answer(201, body, { ...fhirHeaders(number), location: uri }) }
}

/** @param number of the message, from 0: the forms of answers take turns */
export function dataModelMessage(number, { DataModel, EventType }) {
  const Meta = {
    ...{ DataModel, EventType },
    ...META[number % META.length](number),
    ...{ Source: SOURCE, Destinations: DESTINATIONS },
  }
  return answer(200, { Meta })
}

/** @param type of the resource in the path of the operation */
export function fhirMessage(number, type) {
  const { entry } = BUNDLES[number % BUNDLES.length](type, number)
  const bundle = { resourceType: 'Bundle', type: 'transaction-response', ...(entry && { entry }) }
  return answer(200, bundle, fhirHeaders(number))
}
