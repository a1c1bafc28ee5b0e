// The course in `examples/`: how each example is run, and what has to come of it. What arrives is written as
// one line for each message, so that a difference reads by itself:
//
//   Notes:New for af394f14: lab-report.pdf (PDF, embedded)
import { createHash } from 'node:crypto'
import { appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

const WITHIN_MS = 30_000
// How long nothing more may come after all has come; longer where a folder is looked at every second.
const QUIET_MS = 300
const QUIET_FOLDER_MS = 2_500

const NOTE = 'Notes:New for af394f14'
const REPORT = 'lab-report.pdf'
const TEXT = 'the text of the button (Plain Text, embedded)'

const USUAL_PATIENT = '0000000001'
const PRODUCTION = 'c1e5d2a0-3b7f-4d96-8e24-5f60a9b8c713'

/**
 * By the number in an example's file name.
 * - `run`: what a person would do; gives back what was not as it should be. Without it, `press` is all.
 * - `press`: ids of the buttons, without what all ids of the example begin with
 * - `arrives`: the messages in the sandbox's inbox, all of them
 * - `reaches`: how many messages came to these nodes in all
 */
const COURSE = {
  1: { press: ['i'], arrives: [`${NOTE}: ${REPORT} (PDF, embedded)`], reaches: { d: 1 } },
  2: {
    press: ['i'],
    arrives: [
      `DiagnosticReport/$diagnosticreport-create for redox-fhir-sandbox: ${REPORT} (application/pdf, referenced)`,
    ],
    reaches: { d: 1, e: 1 },
  },
  3: {
    press: ['i'],
    arrives: [
      `Results:New for af394f14: ${REPORT} (PDF, referenced), ecg.png (PNG, referenced)`,
      `Observation/$observation-create for redox-fhir-sandbox: ${REPORT} (application/pdf, embedded), ecg.png (image/png, embedded)`,
    ],
    reaches: { d: 1, e: 1 },
  },
  4: {
    run: fillInTheForm,
    arrives: [
      `${NOTE}: ${REPORT} (PDF, embedded) about 0000000004`,
      `${NOTE}: ${REPORT} (PDF, embedded) about 0000000004`,
      `${NOTE}: ${REPORT} (PDF, embedded) about 0000000004`,
      // Its answer was lost.
      `${NOTE}: ${REPORT} (PDF, embedded) about 0000000004`,
    ],
    reaches: { d: 3, q: 1, a: 3, b: 7, x: 7 },
  },
  5: {
    run: scanIntoTheFolder,
    arrives: [
      'Media:New for af394f14: ecg.png (PNG, embedded)',
      `Media:New for af394f14: ${REPORT} (PDF, embedded) about 0000000002`,
    ],
    reaches: { m: 3, d: 2, x: 1 },
    quiet: QUIET_FOLDER_MS,
  },
  6: {
    run: meetTheFaults,
    arrives: [`${NOTE}: ${TEXT}`, `${NOTE}: ${TEXT}`, `${NOTE}: ${TEXT}`],
    reaches: { d: 2, w: 5, y: 1, u: 1, x: 1, z: 2, v: 8 },
    speaks: ['q'],
  },
  7: {
    press: ['i', 'j', 'k'],
    arrives: [
      `${NOTE}: ${TEXT} as visit-4711-note-1`,
      `Notes:Replace for af394f14: ${TEXT} as visit-4711-note-2 instead of visit-4711-note-1`,
      'Notes:Delete for af394f14: nothing as visit-4711-note-2',
    ],
    reaches: { d: 3 },
  },
  8: {
    press: ['i'],
    arrives: ['Notes:New for af394f14, 0d9c5b2e, 7be3f410: ecg.png (PNG, embedded)'],
    reaches: { d: 1 },
  },
  9: {
    run: switchToProduction,
    arrives: [`${NOTE}: ${TEXT}`, `Notes:New for ${PRODUCTION.slice(0, 8)}: ${TEXT}`],
    reaches: { d: 2, x: 1 },
  },
  10: {
    press: ['i'],
    arrives: [`${NOTE}: ${TEXT}`],
    reaches: { d: 1 },
  },
  11: {
    press: ['i'],
    arrives: [
      `DocumentReference/$documentreference-create for redox-fhir-sandbox: ${REPORT} (application/pdf, embedded)`,
    ],
    reaches: { d: 1 },
  },
  12: {
    run: scanDurably,
    arrives: [
      'Media:New for af394f14: ecg.png (PNG, embedded)',
      `Media:New for af394f14: ${REPORT} (PDF, embedded) about 0000000002`,
    ],
    reaches: { n: 3, p: 2, d: 2, x: 1 },
    speaks: ['y'],
    quiet: QUIET_FOLDER_MS,
  },
  13: {
    run: noteOverHttp,
    arrives: [`${NOTE}: other bytes (Plain Text, embedded)`],
    reaches: { n: 2, d: 1, o: 1, p: 1, v: 1, x: 0 },
  },
}

/** @returns what does not fit between the files in `examples/` and the table above */
export function courseProblems(names) {
  const numbers = names.map(numberOf)
  const wanted = Object.keys(COURSE).map(Number)
  return [
    ...numbers.flatMap((number, index) => (COURSE[number] ? [] : [`${names[index]} is not in the course`])),
    ...wanted.filter((number) => !numbers.includes(number)).map((number) => `example ${number} is missing`),
  ]
}

const numberOf = (name) => Number(/^\d+/.exec(name)?.[0])

/**
 * Deploys an example alone, does what a person would do, and compares what came of it with the table.
 * @param host `RED`; `folder` of the example files; `pages`, the address of the flows' pages; `userDir` of it;
 *   `deploy(flow)`; `press(id)`; `sandbox()`, undefined until it runs
 * @returns {Promise<{ arrived: string[], problems: string[] }>}
 */
export async function runExample(host, name, flow) {
  const prefix = flow.find(({ type }) => type === 'tab').id
  const { press = [], run, arrives, reaches, speaks = [], quiet = QUIET_MS } = COURSE[numberOf(name)]
  delete process.env.REDOX_STAGE
  await host.deploy(flow)
  ;(await host.sandbox())?.clear()
  const visits = countVisits(host.RED)
  const received = async () => (await host.sandbox())?.received ?? []
  try {
    for (const button of press) await host.press(prefix + button)
    const problems = run ? await run(host, { prefix, flow, visits }) : []
    await until(async () => (await received()).length >= arrives.length && visits.ofAll(prefix, reaches))
    await wait(quiet)
    const arrived = await describeAll(host, flow, await received())
    return {
      arrived,
      problems: [
        ...problems,
        ...unlike(arrived, arrives),
        ...visits.problems(prefix, reaches, speaks),
        ...(await refusals(host)),
      ],
    }
  } finally {
    visits.stop()
  }
}

/** @returns whether it came true in time */
async function until(happened) {
  const end = Date.now() + WITHIN_MS
  for (;;) {
    if (await happened()) return true
    if (Date.now() > end) return false
    await wait(50)
  }
}

function unlike(arrived, wanted) {
  const left = [...arrived]
  const missing = wanted.filter((line) => {
    const index = left.indexOf(line)
    if (index >= 0) left.splice(index, 1)
    return index < 0
  })
  return [
    ...missing.map((line) => `did not arrive: ${line}`),
    ...left.map((line) => `arrived unasked: ${line}`),
  ]
}

async function refusals(host) {
  const { requests = [] } = (await host.sandbox()) ?? {}
  return requests
    .filter(({ status, fault }) => status >= 400 && fault === undefined)
    .map(({ path: place, status }) => `the sandbox answered ${status} to ${place}`)
}

/** How many messages each node got. */
function countVisits(RED) {
  const counts = new Map()
  RED.hooks.add('onReceive.redox-course', ({ destination: { id } }) => {
    counts.set(id, (counts.get(id) ?? 0) + 1)
  })
  const of = (id) => counts.get(id) ?? 0
  return {
    ofAll: (prefix, wanted) => Object.entries(wanted).every(([id, count]) => of(prefix + id) >= count),
    problems: (prefix, wanted, spoken) => [
      ...Object.entries(wanted)
        .filter(([id, count]) => of(prefix + id) !== count)
        .map(([id, count]) => `${prefix + id} got ${of(prefix + id)} messages instead of ${count}`),
      ...spoken.filter((id) => of(prefix + id) === 0).map((id) => `${prefix + id} got no message`),
    ],
    stop: () => RED.hooks.remove('*.redox-course'),
  }
}

// ---- What arrived -------------------------------------------------------------------------------------

async function describeAll(host, flow, messages) {
  const known = await knownContents(host, flow)
  return messages.map(({ operation, destinations, files, delivered }) => {
    const to = destinations.map((one) => (UUID.test(one) ? one.slice(0, 8) : one)).join(', ')
    const contents = files.map((file) => describeFile(file, known, delivered.Note?.ContentType))
    return `${operation} for ${to}: ${contents.join(', ') || 'nothing'}${identifiers(delivered, flow)}`
  })
}

/** The identifiers that a Data Model message gets from the flow, as far as they are not made up anew each time. */
function identifiers({ Patient, Note, Media }, flow) {
  const { DocumentID, OriginalDocumentID } = Note ?? Media ?? {}
  const patient = Patient?.Identifiers[0].ID ?? USUAL_PATIENT
  return [
    ...(JSON.stringify(flow).includes(`"${DocumentID}"`) ? [` as ${DocumentID}`] : []),
    ...(OriginalDocumentID ? [` instead of ${OriginalDocumentID}`] : []),
    ...(patient === USUAL_PATIENT ? [] : [` about ${patient}`]),
  ].join('')
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

function describeFile({ sha256, contentType, fileType, way }, known, noteType) {
  return `${known.get(sha256) ?? 'other bytes'} (${fileType ?? contentType ?? noteType}, ${way})`
}

/** Contents by their hash: the files beside the examples, and the texts that the buttons inject. */
async function knownContents({ folder }, flow) {
  const names = (await readdir(folder)).filter((name) => !name.endsWith('.json'))
  const files = await Promise.all(
    names.map(async (name) => [hash(await readFile(path.join(folder, name))), name]),
  )
  const texts = flow
    .flatMap(({ type, props }) => (type === 'inject' ? props : []))
    .flatMap(({ p, v }) => (p === 'payload' ? [[hash(v), 'the text of the button']] : []))
  return new Map([...texts, ...files])
}

const hash = (content) => createHash('sha256').update(content).digest('hex')

// ---- What a person would do ---------------------------------------------------------------------------

/**
 * Example 4: opens the page, sends a form, names the file by RFC 6266, forgets the file, forgets the patient, sends an
 * empty file and one that is too large; then meets a Redox that refuses, one that is down, and one that does not answer.
 */
async function fillInTheForm({ pages, folder, deploy }, { flow }) {
  const address = `${pages}/redox-consent`
  const file = new File([await readFile(path.join(folder, REPORT))], '<b>für Sam.pdf', {
    type: 'application/pdf',
  })
  const send = async (fields) => {
    const body = new FormData()
    for (const [name, value] of Object.entries(fields)) body.set(name, value)
    return pageOf(await fetch(address, { method: 'POST', body }))
  }
  const form = await pageOf(await fetch(address))
  const sent = await send({ file, patientId: '0000000004' })
  const extended = async (name) => {
    const disposition = `form-data; name="file"; filename="ascii.pdf"; filename*=UTF-8''${encodeURIComponent(name)}`
    const [before, after] = [
      `--part\r\nContent-Disposition: form-data; name="patientId"\r\n\r\n0000000004\r\n` +
        `--part\r\nContent-Disposition: ${disposition}\r\nContent-Type: application/pdf\r\n\r\n`,
      '\r\n--part--\r\n',
    ]
    const body = Buffer.concat([
      Buffer.from(before),
      Buffer.from(await file.arrayBuffer()),
      Buffer.from(after),
    ])
    const headers = { 'content-type': 'multipart/form-data; boundary=part' }
    return pageOf(await fetch(address, { method: 'POST', headers, body }))
  }
  const latin = await extended('für Zoë.pdf')
  const japanese = await extended('同意書.pdf')
  const withoutFile = await send({ file: new File([], ''), patientId: '0000000004' })
  const withoutPatient = await send({ file, patientId: '' })
  const empty = await send({ file: new File([], 'empty.pdf'), patientId: '0000000004' })
  // The connection belongs to the example alone here: its limit, and what it meets.
  const meets = (changes) =>
    deploy(flow.map((node) => (node.type === 'redox-config' ? { ...node, ...changes } : node)))
  await meets({ uploadMb: '1' })
  const large = new File([file, Buffer.alloc(1.5e6), file], 'large.pdf', { type: file.type })
  const tooLarge = await send({ file: large, patientId: '0000000004' })
  const faults = 'endpoint 400 once\nendpoint 503 once\nendpoint reset-after-accept once'
  await meets({ attempts: '1', faults })
  const refused = await send({ file, patientId: '0000000004' })
  const down = await send({ file, patientId: '0000000004' })
  const unanswered = await send({ file, patientId: '0000000004' })
  const notSent = 'The form was not sent'
  return [
    expected('the form', form, 200, ['<form method="post" enctype="multipart/form-data">', 'type="file"']),
    expected('the page after sending', sent, 200, ['&lt;b&gt;für Sam.pdf', 'log ID: ']),
    expected('the page after filename*= in Latin letters', latin, 200, ['für Zoë.pdf']),
    expected('the page after filename*= in Japanese', japanese, 200, ['同意書.pdf']),
    expected('the page without a file', withoutFile, 400, [`${notSent}. Please choose`, 'REDOX_BAD_INPUT']),
    expected('the page without a patient', withoutPatient, 400, [notSent, 'REDOX_INVALID_MESSAGE']),
    expected('the page after an empty file', empty, 400, [`${notSent}. Please choose`, 'REDOX_BAD_INPUT']),
    expected('the page after a large file', tooLarge, 413, [`${notSent}: the file`, 'REDOX_TOO_LARGE']),
    expected('the page after a refusal', refused, 422, ['refused the form', 'REDOX_REJECTED']),
    expected('the page while Redox is down', down, 503, [notSent, 'try again in a few minutes']),
    expected('the page without an answer of Redox', unanswered, 500, ['not certain', 'do not send it again']),
    ...[sent, latin, japanese, withoutFile, withoutPatient, empty, tooLarge, refused, down, unanswered].map(
      ({ text }) => (/0000000004|<b>/.test(text) ? 'a page says more than it should' : undefined),
    ),
    // Pages may lie under any httpNodeRoot.
    ...[form, sent, withoutFile].map(({ text }) =>
      /(href|action|src)="(\/|https?:)/.test(text) ? 'a page has an absolute address' : undefined,
    ),
  ].filter((problem) => problem !== undefined)
}

const pageOf = async (response) => ({
  status: response.status,
  type: response.headers.get('content-type'),
  text: await response.text(),
})

function expected(what, { status, type, text }, wantedStatus, parts) {
  const missing = parts.filter((part) => !text.includes(part))
  if (status === wantedStatus && type === 'text/html; charset=utf-8' && missing.length === 0) return undefined
  return `${what}: ${status} ${type}${missing.length > 0 ? `, without ${missing.join(' and ')}` : ''}`
}

/** Example 5: a button, a file that grows slowly, one that cannot be sent; then takes a scan away, and deploys. */
async function scanIntoTheFolder({ userDir, folder, press, deploy }, { prefix, flow, visits }) {
  const scans = path.join(userDir, 'redox-scans')
  const into = (name) => path.join(scans, name)
  const made = await until(async () => (await namesIn(userDir)).includes('redox-scans'))
  if (!made) return ['the example made no folder']
  const bytes = await readFile(path.join(folder, REPORT))
  await press(`${prefix}i`)
  await writeFile(into('0000000002_slow.pdf'), bytes.subarray(0, 2000))
  await writeFile(into('_patient-forgotten.pdf'), bytes)
  for (let from = 2000; from < bytes.length; from += 500) {
    await wait(300)
    await appendFile(into('0000000002_slow.pdf'), bytes.subarray(from, from + 500))
  }
  await until(() => visits.ofAll(prefix, { d: 2, x: 1 }))
  const sent = await namesIn(into('sent'))
  const failed = await namesIn(into('failed'))
  await rm(into(`sent/${sent[0]}`), { force: true })
  await deploy(flow)
  const left = (await namesIn(scans)).filter((name) => name.includes('.'))
  return [
    ...(sent.length === 2 && /^0000000001_page-\d+\.png,0000000002_slow\.pdf$/.test(sent.join())
      ? []
      : [`in "sent" lies ${sent.join(', ') || 'nothing'}`]),
    ...(failed.join() === '_patient-forgotten.pdf'
      ? []
      : [`in "failed" lies ${failed.join(', ') || 'nothing'}`]),
    ...left.map((name) => `${name} was left in the folder`),
  ]
}

/** Example 12: a scan that is there before, a button, one without a patient, one that is no scan. */
async function scanDurably({ userDir, folder, press, deploy }, { prefix, flow, visits }) {
  const scans = path.join(userDir, 'redox-durable-scans')
  const into = (name) => path.join(scans, name)
  await mkdir(scans, { recursive: true })
  await writeFile(into('0000000002_early.pdf'), await readFile(path.join(folder, REPORT)))
  await deploy(flow)
  await press(`${prefix}i`)
  await writeFile(into('_patient-forgotten.pdf'), await readFile(path.join(folder, REPORT)))
  await writeFile(into('notes.txt'), 'no scan')
  await writeFile(path.join(userDir, '20260131_invoice.pdf'), '%PDF-1.4 foreign')
  await until(() => visits.ofAll(prefix, { p: 2, d: 2, x: 1 }))
  const lies = async (name) => `${await namesIn(into(name))}`
  const found = [
    ...[await lies('accepted'), await lies('failed'), await lies('taken')],
    ...(await namesIn(scans)).filter((name) => name.includes('.')),
  ]
  const foreign = (await namesIn(userDir)).includes('20260131_invoice.pdf')
  return [
    ...(/^0000000001_page-\d+\.png,0000000002_early\.pdf\|_patient-forgotten\.pdf\|\|notes\.txt$/.test(
      found.join('|'),
    )
      ? []
      : [`in accepted, failed, taken and the folder lies ${found.join('|')}`]),
    ...(foreign ? [] : ['a file of the user directory was taken']),
  ]
}

/** Example 13: as it comes it does nothing. Without a database: one instance, on the embedded store. */
async function noteOverHttp({ pages, sandbox, deploy }, { prefix, flow, visits }) {
  const send = async (fields) => {
    const answer = await fetch(`${pages}/redox-note`, { method: 'POST', body: new URLSearchParams(fields) })
    return `${answer.status} ${answer.status === 404 ? '' : await answer.text()}`
  }
  const note = { patientId: '0000000001', id: 'note-1', text: 'Seen' }
  const off = await send(note)
  const isOff = (await sandbox()) === undefined || (await sandbox()).requests.length === 0
  const alone = flow.map((node) => {
    if (node.type === 'tab') return { ...node, disabled: false }
    if (node.type !== 'redox-config') return node
    return { ...node, store: 'embedded', credentials: { ...node.credentials, storeUrl: '' } }
  })
  process.env.REDOX_STORE_KEY = 'a key that only this run has'
  try {
    await deploy(alone)
    const answers = [off, await send(note), await send({ ...note, patientId: '' })].join(', ')
    await until(() => visits.ofAll(prefix, { d: 1 }))
    return [
      ...(answers === '404 , 202 accepted, 400 REDOX_INVALID_MESSAGE' ? [] : [`answers: ${answers}`]),
      ...(isOff ? [] : ['something was sent while the tab is disabled']),
    ]
  } finally {
    delete process.env.REDOX_STORE_KEY
  }
}

const namesIn = async (folder) => (await readdir(folder).catch(() => [])).sort()

/** Example 6: a note for each part of the fault plan, once the one before has come to its end, and a wrong one. */
async function meetTheFaults({ press, sandbox }, { prefix, visits }) {
  const ends = [
    ['a', { z: 1 }],
    ['a', { u: 1 }],
    ['a', { y: 1 }],
    ['a', { z: 2 }],
    ['b', { x: 1 }],
  ]
  for (const [button, end] of ends) {
    await press(prefix + button)
    await until(() => visits.ofAll(prefix, end))
  }
  const { requests, received } = await sandbox()
  const played = requests.flatMap(({ fault }) => fault ?? [])
  const marked = received.map(({ fault }) => fault ?? 'none')
  return [
    ...(`${played}` === '503,503,reset-after-accept,503,503,503,503' ? [] : [`faults played: ${played}`]),
    ...(`${marked}` === 'none,reset-after-accept,none' ? [] : [`faults of what arrived: ${marked}`]),
  ]
}

/**
 * Example 9: on the sandbox; as production without a key; as production with a key. The hosts of that production
 * are the sandbox's, so that nothing can leave this machine.
 */
async function switchToProduction({ RED, sandbox, press, deploy }, { prefix, flow, visits }) {
  await press(`${prefix}i`)
  await until(() => visits.ofAll(prefix, { d: 1 }))
  const ends = []
  RED.hooks.add('onComplete.redox-course', ({ node, error }) => {
    if (node.id === `${prefix}n`) ends.push(error ? error.code : 'sent')
  })
  const { endpoints, oauthKey } = await sandbox()
  const credentials = { privateKey: '${REDOX_PRIVATE_KEY}' }
  const production = flow.map((node) =>
    node.type === 'redox-config' ? { ...node, ...endpoints, credentials } : node,
  )
  const variables = { STAGE: 'production', PRODUCTION_DESTINATION: PRODUCTION }
  const key = {
    PRODUCTION_CLIENT_ID: oauthKey.clientId,
    PRODUCTION_KEY_ID: oauthKey.keyId,
    PRODUCTION_PRIVATE_KEY: oauthKey.privateKey,
  }
  const names = Object.keys({ ...variables, ...key }).map((name) => `REDOX_${name}`)
  try {
    for (const [index, values] of [variables, key].entries()) {
      for (const [name, value] of Object.entries(values)) process.env[`REDOX_${name}`] = value
      await deploy(production)
      await press(`${prefix}i`)
      await until(() => ends.length > index)
    }
  } finally {
    for (const name of names) delete process.env[name]
  }
  return ends.join() === 'REDOX_CONFIGURATION,sent'
    ? []
    : [`production ended as ${ends.join() || 'nothing'}, without a key and with one`]
}
