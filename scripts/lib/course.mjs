// The examples in `examples/`: for each example, the actions of a user and the expected results. Every message that
// arrives at the sandbox is described by one line, so that a difference is easy to read:
//
//   Notes:New for af394f14: lab-report.pdf (PDF, embedded)
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import {
  alertThe,
  fillInTheForm,
  meetTheFaults,
  noteOverHttp,
  PRODUCTION,
  REPORT,
  scanDurably,
  scanIntoTheFolder,
  switchToProduction,
  until,
} from './course-actions.mjs'

/**
 * @typedef {import('./runtime.mjs').FlowNode} FlowNode
 * @typedef {import('./runtime.mjs').Runtime} Runtime
 * @typedef {import('./runtime.mjs').ReceiveEvent} ReceiveEvent
 * @typedef {import('../../dist/src/sandbox/index.js').Sandbox} Sandbox
 * @typedef {import('../../dist/src/sandbox/index.js').ReceivedMessage} ReceivedMessage
 * @typedef {Record<string, number>} Counts of messages, by the id of the node without the prefix of the example
 */

/**
 * The Node-RED that runs the examples.
 * @typedef {object} Host
 * @property {Runtime} RED
 * @property {string} folder of the example files
 * @property {string} pages address of the flows' pages
 * @property {string} userDir
 * @property {(flow: FlowNode[]) => Promise<void>} deploy
 * @property {(id: string) => Promise<void>} press a button
 * @property {() => Promise<Sandbox | undefined>} sandbox undefined until it runs
 *
 * An example that is deployed; `prefix`: the string with which the ids of its nodes begin.
 * @typedef {{ prefix: string, flow: FlowNode[], visits: ReturnType<typeof countVisits> }} Deployed
 *
 * Function that does with an example what a user would do, and returns a description of each problem.
 * @typedef {(host: Host, example: Deployed) => Promise<string[]>} Action
 *
 * Actions of a user with an example, and the results that are expected.
 * @typedef {object} Lesson
 * @property {Action} [run] the actions of a user; if missing, the user only presses the buttons in `press`
 * @property {string[]} [press] ids of the buttons, without the prefix
 * @property {string[]} arrives all messages in the inbox of the sandbox
 * @property {Counts} reaches exact numbers of messages at these nodes
 * @property {string[]} [speaks] nodes that get at least one message
 * @property {number} [quiet] milliseconds without further messages at the end
 */

// Milliseconds without further messages after which an example has ended; longer for flows that read a folder every
// second.
const QUIET_MS = 300
const QUIET_FOLDER_MS = 2_500

const NOTE = 'Notes:New for af394f14'
const TEXT = 'the text of the button (Plain Text, embedded)'

const USUAL_PATIENT = '0000000001'

/**
 * Actions and expected results of the examples, by the number in the file name.
 * @type {Record<number, Lesson>}
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
      // The HTTP response to this message was lost.
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
  14: {
    run: alertThe('redox-alert'),
    arrives: [`${NOTE}: ${TEXT}`],
    // The node tells of a parked message and of a stopped destination, and when each is over.
    reaches: { n: 1, d: 1, s: 4, v: 4, e: 1, x: 1 },
  },
  15: {
    run: alertThe('redox-page'),
    arrives: [`${NOTE}: ${TEXT}`],
    reaches: { n: 1, d: 1, v: 4, e: 1, x: 1 },
  },
  16: {
    press: ['i', 'i'],
    arrives: [`${NOTE}: ${TEXT}`, `${NOTE}: ${TEXT}`],
    // The receiver refuses the first note.
    reaches: { l: 2, d: 1, m: 1, x: 1 },
  },
}

/**
 * Returns the differences between the list of files in `examples/` and the list of lessons.
 * @param {string[]} names names of the files, without the extension
 */
export function courseProblems(names) {
  const numbers = names.map(numberOf)
  const wanted = Object.keys(COURSE).map(Number)
  return [
    ...numbers.flatMap((number, index) => (COURSE[number] ? [] : [`${names[index]} is not in the course`])),
    ...wanted.filter((number) => !numbers.includes(number)).map((number) => `example ${number} is missing`),
  ]
}

/** @param {string} name */
const numberOf = (name) => Number(/^\d+/.exec(name)?.[0])

/**
 * Deploys one example alone, carries out the actions of its lesson, and compares the results with those in the lesson.
 * @param {Host} host
 * @param {string} name name of the file, without the extension
 * @param {FlowNode[]} flow
 * @returns {Promise<{ arrived: string[], problems: string[] }>}
 */
export async function runExample(host, name, flow) {
  const prefix = flow.find(({ type }) => type === 'tab')?.id
  const lesson = COURSE[numberOf(name)]
  if (prefix === undefined || lesson === undefined)
    return { arrived: [], problems: [`${name} has no tab, or is not in the course`] }
  const { press = [], run, arrives, reaches, speaks = [], quiet = QUIET_MS } = lesson
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

/**
 * @param {string[]} arrived
 * @param {string[]} wanted
 */
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

/** @param {Host} host */
async function refusals(host) {
  const { requests = [] } = (await host.sandbox()) ?? {}
  return requests
    .filter(({ status, fault }) => status >= 400 && fault === undefined)
    .map(({ path: place, status }) => `the sandbox answered ${status} to ${place}`)
}

/**
 * Counts the messages that each node of the running flows receives.
 * @param {Runtime} RED
 */
function countVisits(RED) {
  /** @type {Map<string, number>} */
  const counts = new Map()
  RED.hooks.add('onReceive.redox-course', (/** @type {ReceiveEvent} */ { destination: { id } }) => {
    counts.set(id, (counts.get(id) ?? 0) + 1)
  })
  const of = (/** @type {string} */ id) => counts.get(id) ?? 0
  return {
    /**
     * Returns true if each node in `wanted` has received at least the number of messages given there.
     * @param {string} prefix
     * @param {Counts} wanted
     * @returns {boolean}
     */
    ofAll: (prefix, wanted) => Object.entries(wanted).every(([id, count]) => of(prefix + id) >= count),
    /**
     * @param {string} prefix
     * @param {Counts} wanted exact numbers of messages
     * @param {string[]} spoken ids of nodes that must receive at least one message
     */
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

/**
 * @typedef {{ ContentType?: string, DocumentID?: string, OriginalDocumentID?: string }} DeliveredDocument
 * @typedef {{ Patient?: { Identifiers: { ID: string }[] }, Note?: DeliveredDocument, Media?: DeliveredDocument }} Delivered
 *   the parts of a delivered message that are compared; FHIR has none of them
 */

/**
 * Returns one line for each message.
 * @param {Host} host
 * @param {FlowNode[]} flow
 * @param {readonly ReceivedMessage[]} messages
 */
async function describeAll(host, flow, messages) {
  const known = await knownContents(host, flow)
  return messages.map(({ operation, destinations, files, delivered: body }) => {
    const delivered = /** @type {Delivered} */ (body)
    const to = destinations.map((one) => (UUID.test(one) ? one.slice(0, 8) : one)).join(', ')
    const contents = files.map((file) => describeFile(file, known, delivered.Note?.ContentType))
    return `${operation} for ${to}: ${contents.join(', ') || 'nothing'}${identifiers(delivered, flow)}`
  })
}

/**
 * Returns the identifiers in a Data Model message that come from the flow, without those that are generated for each
 * message.
 * @param {Delivered} delivered
 * @param {FlowNode[]} flow
 */
function identifiers({ Patient, Note, Media }, flow) {
  const { DocumentID, OriginalDocumentID } = Note ?? Media ?? {}
  const patient = Patient?.Identifiers[0]?.ID ?? USUAL_PATIENT
  return [
    ...(JSON.stringify(flow).includes(`"${DocumentID}"`) ? [` as ${DocumentID}`] : []),
    ...(OriginalDocumentID ? [` instead of ${OriginalDocumentID}`] : []),
    ...(patient === USUAL_PATIENT ? [] : [` about ${patient}`]),
  ].join('')
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/**
 * @param {ReceivedMessage['files'][number]} file
 * @param {Map<string, string>} known names of file contents, by SHA-256
 * @param {string | undefined} noteType
 */
function describeFile({ sha256, contentType, fileType, way }, known, noteType) {
  return `${known.get(sha256) ?? 'other bytes'} (${fileType ?? contentType ?? noteType}, ${way})`
}

/**
 * Returns names for file contents, by SHA-256: for the files beside the examples, and for the strings that inject nodes
 * emit.
 * @param {Host} host
 * @param {FlowNode[]} flow
 * @returns {Promise<Map<string, string>>}
 */
async function knownContents({ folder }, flow) {
  const names = (await readdir(folder)).filter((name) => !name.endsWith('.json'))
  /** @type {[string, string][]} */
  const files = await Promise.all(
    names.map(async (name) => [hash(await readFile(path.join(folder, name))), name]),
  )
  const buttonTexts = flow
    .flatMap(({ type, props }) =>
      type === 'inject' ? /** @type {{ p: string, v: string }[]} */ (props) : [],
    )
    .filter(({ p }) => p === 'payload')
  return new Map([...buttonTexts.map(({ v }) => textOfButton(v)), ...files])
}

/**
 * @param {string} text
 * @returns {[string, string]}
 */
const textOfButton = (text) => [hash(text), 'the text of the button']

/** @param {string | Buffer} content */
const hash = (content) => createHash('sha256').update(content).digest('hex')
