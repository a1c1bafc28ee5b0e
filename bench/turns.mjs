// How long texts and objects hold the event loop: for each, the longest time between two turns while it is worked on,
// and how long all of it takes. Nothing of ours should hold the loop above 50 ms.
//
//   npm run build && node --expose-gc bench/turns.mjs [part of a name]
import { plainProperties } from '../dist/nodes/lib/node/deliver.js'
import { takeFile } from '../dist/src/file/file.js'
import { Seal } from '../dist/src/queue/seal.js'
import { assertContentsEmbeddable, draftDataModel } from '../dist/src/message/datamodel.js'
import { draftFhir } from '../dist/src/message/fhir.js'
import { copyJson, withValueAt } from '../dist/src/message/json.js'
import { jsonBody } from '../dist/src/transport/body.js'

const [, , only = ''] = process.argv
const MB = 1_000_000
const most = 30 * MB
const hints = { where: 'msg.payload', filename: 'a.pdf', most }
const pdf = (size) => Buffer.alloc(size, '%PDF-1.7\n')
const repeated = (text, length) => Buffer.alloc(length, text).toString('latin1')
const percent = (size) => `data:application/pdf,%25PDF-1.7${repeated('%0A', size * 3)}`
const keys = (count) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`key${at}`, at]))
const lists = (count) => ({ list: Array.from({ length: count / 10 }, () => keys(9)) })

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
const OBJECTS = {
  'object of 99 000 keys': () => keys(99_000),
  'object of 99 000 values in lists': () => lists(99_000),
  'object of a million keys': () => keys(MB),
  'object of a million values in lists': () => lists(MB),
}
// A message as a flow may bring it in its data, up to what a request may have.
const base64 = (size) => flat(repeated('JVBERi0xLjcK', size))
const note = (text, type = 'Base64 Encoded') => ({ Note: { FileContents: text, ContentType: type } })
const report = (more) => ({ resourceType: 'DiagnosticReport', presentedForm: [], ...more })
const MESSAGES = {
  'note of 9.9 MB of text': () => note(flat(repeated('words "and" ', 9.9 * MB)), 'Plain Text'),
  'note with base64 of 13 MB': () => note(base64(13 * MB)),
  'note with base64 of 40 MB': () => note(base64(40 * MB)),
  'FHIR report with base64 of 39 MB': () =>
    report({ presentedForm: [{ contentType: 'application/pdf', data: base64(39 * MB) }] }),
  'FHIR report with 39 000 texts of 1 KB': () =>
    report({ extension: Array.from({ length: 19_500 }, () => ({ url: 'a', valueString: base64(2000) })) }),
  'FHIR Bundle of 5 000 Observations': () =>
    Array.from({ length: 5000 }, (_, at) => ({
      resourceType: 'Observation',
      id: `id-${at}`,
      status: 'final',
      code: { coding: [{ system: 'http://loinc.org', code: '11502-2' }] },
      note: [{ text: base64(1000) }],
    })).concat(report()),
}

const noName = ['JPEG', 'PNG', 'text']
const hintsFor = (name) => ({
  ...hints,
  ...(noName.some((start) => name.startsWith(start)) && { filename: undefined }),
  ...(name.startsWith('text') && { isText: true }),
})

for (const [name, make] of Object.entries(FILES).filter(([name]) => name.includes(only)))
  await measure(name, flat(make()), (value) => takeFile(value, hintsFor(name)))
for (const [name, make] of Object.entries(OBJECTS).filter(([name]) => name.includes(only))) {
  await measure(`copied: ${name}`, make(), async (value) => copyJson(value, ''))
  await measure(`kept: ${name}`, { _msgid: '1', data: make() }, plainProperties)
}
const limits = { embedBySelf: 200_000, dataModelEmbed: 10 * MB, request: 40 * MB, upload: 30 * MB }
const common = { fields: [], files: [], now: new Date() }
const sender = { test: true, environment: 'Development', fhirBase: 'https://api.redoxengine.com/fhir/R4' }
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
for (const [name, make] of Object.entries(MESSAGES).filter(([name]) => name.includes(only))) {
  const data = make()
  let body
  await measure(`built and checked: ${name}`, data, async () => ({ body } = draftOf(data).message))
  if (body === undefined) continue
  let json
  await measure(`as JSON: ${name}`, body, async () => (json = await jsonBody('a/b', body, [], withValueAt)))
  await measure(`sent: ${name}`, json, async () => {
    for await (const piece of json.open()) void piece
  })
  await measure(`looked through: ${name}`, json, async () => ({ is: json.repeats('0b9f0b9f0b9f0b9f') }))
  let sealed
  await measure(`sealed: ${name}`, body, async () => (sealed = await seal.close(body, '')))
  await measure(`opened: ${name}`, sealed, () => seal.open(sealed, ''))
}

/** What was put together is one piece to V8 only when it is read: that is not ours. */
function flat(value) {
  return typeof value === 'string' ? Buffer.from(value, 'latin1').toString('latin1') : value
}

async function measure(name, value, work) {
  globalThis.gc?.()
  let longest = 0
  let last = performance.now()
  const look = () => {
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
  }
  const timer = setInterval(look, 0)
  let turning = true
  const turn = () => (look(), turning && setImmediate(turn))
  await new Promise(setImmediate)
  last = performance.now()
  setImmediate(turn)
  const began = performance.now()
  const end = await work(value).then(
    (result) => (result?.file ? `${result.file.size} bytes` : 'taken'),
    ({ code }) => code,
  )
  look()
  turning = false
  clearInterval(timer)
  const all = performance.now() - began
  console.log(
    `${name.padEnd(56)} ${longest.toFixed(0).padStart(5)} ms of ${all.toFixed(0).padStart(5)} ms  ${end}`,
  )
}
