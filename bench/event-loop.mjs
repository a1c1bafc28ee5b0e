// Measures how long the processing of large strings and objects blocks the event loop: for each case, the longest time
// between two iterations of the loop, and the total duration. Code of this package should not block the loop for more
// than 50 ms.
//
//   npm run build && node --expose-gc bench/event-loop.mjs [part of a name]
import { plainProperties } from '../dist/nodes/lib/node/send-or-queue.js'
import { takeFile } from '../dist/src/file/file.js'
import { Seal } from '../dist/src/queue/seal.js'
import { assertContentsEmbeddable, draftDataModel } from '../dist/src/message/datamodel.js'
import { draftFhir } from '../dist/src/message/fhir.js'
import { copyJson, withValueAt } from '../dist/src/message/json.js'
import { jsonBody } from '../dist/src/transport/body.js'
import { codeOf } from '../scripts/lib/process.mjs'

/** @typedef {import('../dist/src/message/json.js').JsonObject} JsonObject */

const [, , only = ''] = process.argv
const MB = 1_000_000
const most = 30 * MB
const hints = { where: 'msg.payload', most }
/** @param {number} size size in bytes */
const pdf = (size) => Buffer.alloc(size, '%PDF-1.7\n')
/**
 * @param {string} text
 * @param {number} length
 */
const repeated = (text, length) => Buffer.alloc(length, text).toString('latin1')
/** @param {number} size size in bytes */
const percent = (size) => `data:application/pdf,%25PDF-1.7${repeated('%0A', size * 3)}`
/** @param {number} count */
const keys = (count) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`key${at}`, at]))
/** @param {number} count */
const lists = (count) => ({ list: Array.from({ length: count / 10 }, () => keys(9)) })

/** @type {Record<string, () => unknown>} */
const FILES = {
  'data: URI, percent-encoded, 5 MB': () => percent((5 * MB) / 3),
  'data: URI, percent-encoded, 90 MB': () => percent(29.9 * MB),
  'data: URI, percent-encoded, 100 MB': () => percent((100 * MB) / 3),
  'data: URI, base64, 40 MB': () => `data:application/pdf;base64,${pdf(30 * MB).toString('base64')}`,
  'base64, 40 MB': () => pdf(30 * MB).toString('base64'),
  'base64 in lines, 40 MB': () =>
    pdf(30 * MB)
      .toString('base64')
      .replace(/.{76}/g, '$&\n'),
  'Buffer of base64, 40 MB': () => Buffer.from(pdf(30 * MB).toString('base64')),
  'hex, 60 MB': () => pdf(30 * MB).toString('hex'),
  'words with blanks, 5 MB': () => repeated('words and ', 5 * MB),
  'words with blanks, 80 MB': () => repeated('words and ', 80 * MB),
  'base64 in lines of 16, then words, 80 MB': () =>
    `${repeated('JVBERi0xLjcKJVBE\n', 80 * MB)}words and words`,
  'blanks, 80 MB': () => repeated(' ', 80 * MB),
  'text note, 30 MB': () => repeated('words and ', 30 * MB),
  'Buffer as JSON, 30 MB': () => ({ type: 'Buffer', data: Array.from({ length: 30 * MB }, () => 37) }),
  'PNG of empty chunks, 30 MB': () =>
    Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(30 * MB, '\0\0\0\0IDATcrc_')]),
  'JPEG of fill bytes, 30 MB': () => Buffer.concat([Buffer.from([0xff, 0xd8]), Buffer.alloc(30 * MB, 0xff)]),
}
/** @type {Record<string, () => object>} */
const OBJECTS = {
  'object of 99 000 keys': () => keys(99_000),
  'object of 99 000 values in lists': () => lists(99_000),
  'object of a million keys': () => keys(MB),
  'object of a million values in lists': () => lists(MB),
}
// Messages with large data from a flow, up to the size limit of a request.
/** @param {number} size size in characters */
const base64 = (size) => flat(repeated('JVBERi0xLjcK', size))
/**
 * @param {string} text
 * @param {string} [type]
 */
const note = (text, type = 'Base64 Encoded') => ({ Note: { FileContents: text, ContentType: type } })
/** @param {object} [more] */
const report = (more) => ({ resourceType: 'DiagnosticReport', presentedForm: [], ...more })
/** @type {Record<string, () => object>} */
const MESSAGES = {
  'note of 9.9 MB of text': () => note(flat(repeated('words "and" ', 9.9 * MB)), 'Plain Text'),
  'note with base64 of 13 MB': () => note(base64(13 * MB)),
  'note with base64 of 40 MB': () => note(base64(40 * MB)),
  'FHIR report with base64 of 39 MB': () =>
    report({ presentedForm: [{ contentType: 'application/pdf', data: base64(39 * MB) }] }),
  'FHIR report with 39 000 texts of 1 KB': () =>
    report({ extension: Array.from({ length: 19_500 }, () => ({ url: 'a', valueString: base64(2000) })) }),
  'FHIR Bundle of 5 000 Observations': () => [
    ...Array.from({ length: 5000 }, (_, at) => ({
      resourceType: 'Observation',
      id: `id-${at}`,
      status: 'final',
      code: { coding: [{ system: 'http://loinc.org', code: '11502-2' }] },
      note: [{ text: base64(1000) }],
    })),
    report(),
  ],
}

/**
 * @template T
 * @param {Record<string, T>} cases by name
 */
const wanted = (cases) => Object.entries(cases).filter(([name]) => name.includes(only))

const noName = ['JPEG', 'PNG', 'text']
/**
 * @param {string} name name of the case
 * @returns {import('../dist/src/file/types.js').FileHints}
 */
const hintsFor = (name) => ({
  ...hints,
  ...(!noName.some((start) => name.startsWith(start)) && { filename: 'a.pdf' }),
  ...(name.startsWith('text') && { isText: true }),
})

for (const [name, make] of wanted(FILES))
  await measure(name, flat(make()), (value) => takeFile(value, hintsFor(name)))
for (const [name, make] of wanted(OBJECTS)) {
  await measure(`copied: ${name}`, make(), async (value) => copyJson(value, ''))
  await measure(`kept: ${name}`, { _msgid: '1', data: make() }, plainProperties)
}
const limits = { embedBySelf: 200_000, dataModelEmbed: 10 * MB, request: 40 * MB, upload: 30 * MB }
const common = { fields: [], files: [], now: new Date() }
const sender = { test: true, environment: 'Development', fhirBase: 'https://api.redoxengine.com/fhir/R4' }

/** @param {object} data */
function draftOf(data) {
  if (!('Note' in data)) {
    const operation = 'DiagnosticReport/$diagnosticreport-create'
    return draftFhir({ ...common, operation, slug: 'a', place: 'presentedForm[]', data }, sender)
  }
  const draft = draftDataModel(
    { ...common, model: 'Notes', eventType: 'New', destinations: [], data },
    sender,
  )
  assertContentsEmbeddable(draft.message.body, limits)
  return draft
}
const seal = new Seal('a secret of more than sixteen characters')
for (const [name, make] of wanted(MESSAGES)) {
  const data = make()
  const draft = await measure(`built and checked: ${name}`, data, async (value) => draftOf(value))
  if (draft === undefined) continue
  const { body } = draft.message
  const json = await measure(`as JSON: ${name}`, body, (value) => jsonBody('a/b', value, [], withValueAt))
  await measure(`sent: ${name}`, json, async (value) => {
    for await (const piece of value?.open() ?? []) void piece
  })
  const sealed = await measure(`sealed: ${name}`, body, (value) => seal.encrypt(value, ''))
  if (sealed !== undefined) await measure(`opened: ${name}`, sealed, (value) => seal.decrypt(value, ''))
}

/**
 * Returns a string as one flat string, so that the cost of flattening a concatenated string is not measured. Other
 * values are returned unchanged.
 * @template T
 * @param {T} value
 * @returns {T}
 */
function flat(value) {
  if (typeof value !== 'string') return value
  return /** @type {T & string} */ (Buffer.from(value, 'latin1').toString('latin1'))
}

/**
 * Prints the longest time between two iterations of the event loop while `work` runs.
 * @template T, R
 * @param {string} name
 * @param {T} value
 * @param {(value: T) => Promise<R>} work
 * @returns {Promise<R | undefined>} the result; undefined after an error, whose code is printed
 */
async function measure(name, value, work) {
  void globalThis.gc?.()
  let longest = 0
  let last = performance.now()
  const look = () => {
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
  }
  const timer = setInterval(look, 0)
  let turning = true
  const turn = () => {
    look()
    if (turning) setImmediate(turn)
  }
  await new Promise((resolve) => setImmediate(resolve))
  last = performance.now()
  setImmediate(turn)
  const began = performance.now()
  const end = await work(value).then(
    (result) => ({ result, text: textOf(result) }),
    (error) => ({ result: undefined, text: codeOf(error) }),
  )
  look()
  turning = false
  clearInterval(timer)
  const all = performance.now() - began
  console.log(
    `${name.padEnd(56)} ${longest.toFixed(0).padStart(5)} ms of ${all.toFixed(0).padStart(5)} ms  ${end.text}`,
  )
  return end.result
}

/** @param {unknown} result result of the work */
function textOf(result) {
  const isFile = typeof result === 'object' && result !== null && 'file' in result
  return isFile ? `${/** @type {{ file: { size: number } }} */ (result).file.size} bytes` : 'taken'
}
