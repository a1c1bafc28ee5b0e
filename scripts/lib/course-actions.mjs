// User actions for the examples that need more than pressing a button.
import { appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

/** @typedef {import('./course.mjs').Action} Action */
/** @typedef {import('./course.mjs').Host} Host */
/** @typedef {import('./runtime.mjs').CompleteEvent} CompleteEvent */
/** @typedef {{ status: number, type: string | null, text: string }} Page HTTP response; `type`: its Content-Type */

const WITHIN_MS = 30_000
export const REPORT = 'lab-report.pdf'
/** id of the destination of example 9 in production */
export const PRODUCTION = 'c1e5d2a0-3b7f-4d96-8e24-5f60a9b8c713'

/**
 * Waits until a condition is true, with a time limit.
 * @param {() => boolean | Promise<boolean>} happened
 * @returns {Promise<boolean>} true if the condition became true before the time limit
 */
export async function until(happened) {
  const end = Date.now() + WITHIN_MS
  for (;;) {
    if (await happened()) return true
    if (Date.now() > end) return false
    await wait(50)
  }
}

/**
 * Example 4 (consent form): opens the page and sends the form: normally, with a file name in RFC 6266 format, without a
 * file, without a patient, with an empty file and with a file that is too large. Then sends it while Redox refuses the
 * message, is unavailable, and does not respond.
 * @type {Action}
 */
export async function fillInTheForm({ pages, folder, deploy }, { flow }) {
  const address = `${pages}/redox-consent`
  const file = new File([await readFile(path.join(folder, REPORT))], '<b>für Sam.pdf', {
    type: 'application/pdf',
  })
  const patientId = '0000000004'
  const send = (/** @type {Record<string, string | File>} */ fields) => sendForm(address, fields)
  const form = await pageOf(await fetch(address))
  const sent = await send({ file, patientId })
  const latin = await sendExtended(address, file, 'für Zoë.pdf')
  const japanese = await sendExtended(address, file, '同意書.pdf')
  const withoutFile = await send({ file: new File([], ''), patientId })
  const withoutPatient = await send({ file, patientId: '' })
  const empty = await send({ file: new File([], 'empty.pdf'), patientId })
  // No other example is deployed, so the size limit and the faults of the shared connection may be changed.
  const change = (/** @type {object} */ changes) =>
    deploy(flow.map((node) => (node.type === 'redox-config' ? { ...node, ...changes } : node)))
  await change({ uploadMb: '1' })
  const large = new File([file, Buffer.alloc(1.5e6), file], 'large.pdf', { type: file.type })
  const tooLarge = await send({ file: large, patientId })
  const faults = 'endpoint 400 once\nendpoint 503 once\nendpoint reset-after-accept once'
  await change({ attempts: '1', faults })
  const refused = await send({ file, patientId })
  const down = await send({ file, patientId })
  const unanswered = await send({ file, patientId })
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
    // The paths of pages depend on the setting httpNodeRoot.
    ...[form, sent, withoutFile].map(({ text }) =>
      /(href|action|src)="(\/|https?:)/.test(text) ? 'a page has an absolute address' : undefined,
    ),
  ].filter((problem) => problem !== undefined)
}

/**
 * Sends an HTML form as a browser does.
 * @param {string} address
 * @param {Record<string, string | File>} fields
 */
async function sendForm(address, fields) {
  const body = new FormData()
  for (const [name, value] of Object.entries(fields)) body.set(name, value)
  return pageOf(await fetch(address, { method: 'POST', body }))
}

/**
 * Sends the form with the file name in RFC 6266 format (`filename*=`).
 * @param {string} address
 * @param {File} file
 * @param {string} name
 */
async function sendExtended(address, file, name) {
  const disposition = `form-data; name="file"; filename="ascii.pdf"; filename*=UTF-8''${encodeURIComponent(name)}`
  const before =
    `--part\r\nContent-Disposition: form-data; name="patientId"\r\n\r\n0000000004\r\n` +
    `--part\r\nContent-Disposition: ${disposition}\r\nContent-Type: application/pdf\r\n\r\n`
  const after = '\r\n--part--\r\n'
  const body = Buffer.concat([Buffer.from(before), Buffer.from(await file.arrayBuffer()), Buffer.from(after)])
  const headers = { 'content-type': 'multipart/form-data; boundary=part' }
  return pageOf(await fetch(address, { method: 'POST', headers, body }))
}

/**
 * @param {Response} response
 * @returns {Promise<Page>}
 */
const pageOf = async (response) => ({
  status: response.status,
  type: response.headers.get('content-type'),
  text: await response.text(),
})

/**
 * @param {string} what name of the page for the report of the problem
 * @param {Page} page
 * @param {number} wantedStatus
 * @param {string[]} parts strings that the page must contain
 * @returns {string | undefined} description of the problem; undefined if there is none
 */
function expected(what, { status, type, text }, wantedStatus, parts) {
  const missing = parts.filter((part) => !text.includes(part))
  if (status === wantedStatus && type === 'text/html; charset=utf-8' && missing.length === 0) return undefined
  return `${what}: ${status} ${type}${missing.length > 0 ? `, without ${missing.join(' and ')}` : ''}`
}

/**
 * Example 5 (folder): presses the button, writes one file slowly and one file that cannot be sent. Then deletes a scan
 * that was sent, and deploys.
 * @type {Action}
 */
export async function scanIntoTheFolder({ userDir, folder, press, deploy }, { prefix, flow, visits }) {
  const scans = path.join(userDir, 'redox-scans')
  const into = (/** @type {string} */ name) => path.join(scans, name)
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

/**
 * Example 12 (durable folder): one scan exists before the deploy. Presses the button, then adds a scan without a
 * patient and a file that is not a scan.
 * @type {Action}
 */
export async function scanDurably({ userDir, folder, press, deploy }, { prefix, flow, visits }) {
  const scans = path.join(userDir, 'redox-durable-scans')
  const into = (/** @type {string} */ name) => path.join(scans, name)
  await mkdir(scans, { recursive: true })
  await writeFile(into('0000000002_early.pdf'), await readFile(path.join(folder, REPORT)))
  await deploy(flow)
  await press(`${prefix}i`)
  await writeFile(into('_patient-forgotten.pdf'), await readFile(path.join(folder, REPORT)))
  await writeFile(into('notes.txt'), 'no scan')
  await writeFile(path.join(userDir, '20260131_invoice.pdf'), '%PDF-1.4 foreign')
  await until(() => visits.ofAll(prefix, { p: 2, d: 2, x: 1 }))
  const filesIn = async (/** @type {string} */ name) => `${await namesIn(into(name))}`
  const found = [
    ...[await filesIn('accepted'), await filesIn('failed'), await filesIn('taken')],
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

/**
 * Example 13: the unchanged example does nothing. It is run without a database, as one instance with the embedded
 * store.
 * @type {Action}
 */
export async function noteOverHttp({ pages, sandbox, deploy }, { prefix, flow, visits }) {
  const send = async (/** @type {Record<string, string>} */ fields) => {
    const answer = await fetch(`${pages}/redox-note`, { method: 'POST', body: new URLSearchParams(fields) })
    return `${answer.status} ${answer.status === 404 ? '' : await answer.text()}`
  }
  const note = { patientId: '0000000001', id: 'note-1', text: 'Seen' }
  const off = await send(note)
  const isOff = ((await sandbox())?.requests.length ?? 0) === 0
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

/**
 * Examples 14 and 15: sends a note that is parked, waits until the receiver of the tab is told of both troubles, and
 * sends the note again.
 * @param {string} receiver path of the receiver
 * @returns {Action}
 */
export function alertThe(receiver) {
  return async ({ pages, press, deploy }, { prefix, flow, visits }) => {
    // The receiver is at the port of this Node-RED, and the page of example 15 comes after a second.
    const values = /** @type {Record<string, string>} */ ({
      WEBHOOK: `${pages}/${receiver}`,
      PAGE_AFTER: String(1 / 60),
    })
    const withValue = (/** @type {{ name: string, value: string }} */ one) => ({
      ...one,
      value: values[one.name] ?? one.value,
    })
    await deploy(
      flow.map((node) => (node.type === 'tab' ? { ...node, env: node.env?.map(withValue) } : node)),
    )
    await press(`${prefix}i`)
    const isTold = await until(() => visits.ofAll(prefix, { v: 2 }))
    await press(`${prefix}j`)
    return isTold ? [] : ['the receiver was not told of the troubles']
  }
}

/** @param {string} folder path of a folder that may not exist */
const namesIn = async (folder) => {
  /** @type {string[]} */
  const names = await readdir(folder).catch(() => [])
  return names.sort()
}

/**
 * @param {Host} host
 * @throws if the sandbox does not run
 */
async function runningSandbox({ sandbox }) {
  const found = await sandbox()
  if (found === undefined) throw new Error('The sandbox does not run')
  return found
}

/**
 * Example 6: sends a Notes message for each part of the fault plan, each after the previous message has ended, then an
 * invalid message.
 * @type {Action}
 */
export async function meetTheFaults(host, { prefix, visits }) {
  /** @type {[button: string, end: Record<string, number>][]} */
  const ends = [
    ['a', { z: 1 }],
    ['a', { u: 1 }],
    ['a', { y: 1 }],
    ['a', { z: 2 }],
    ['b', { x: 1 }],
  ]
  for (const [button, end] of ends) {
    await host.press(prefix + button)
    await until(() => visits.ofAll(prefix, end))
  }
  const { requests, received } = await runningSandbox(host)
  const injected = requests.flatMap(({ fault }) => fault ?? [])
  const marked = received.map(({ fault }) => fault ?? 'none')
  return [
    ...(`${injected}` === '503,503,reset-after-accept,503,503,503,503'
      ? []
      : [`faults injected: ${injected}`]),
    ...(`${marked}` === 'none,reset-after-accept,none' ? [] : [`faults of what arrived: ${marked}`]),
  ]
}

/**
 * Example 9: sends to the sandbox, then to Production without a key, then to Production with a key. The hosts set for
 * Production are those of the sandbox, so that nothing leaves this machine.
 * @type {Action}
 */
export async function switchToProduction(host, { prefix, flow, visits }) {
  const { RED, press, deploy } = host
  await press(`${prefix}i`)
  await until(() => visits.ofAll(prefix, { d: 1 }))
  /** @type {(string | undefined)[]} */
  const ends = []
  RED.hooks.add('onComplete.redox-course', (/** @type {CompleteEvent} */ { node, error }) => {
    if (node.id === `${prefix}n`) ends.push(error ? error.code : 'sent')
  })
  const { endpoints, oauthKey } = await runningSandbox(host)
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
