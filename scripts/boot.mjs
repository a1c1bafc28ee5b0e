// Boots a real Node-RED that has the package installed, asks it what it loaded, runs every example on the
// built-in sandbox and looks at what arrived. Ends with 0 when all is true.
//
//   node scripts/boot.mjs <folder whose node_modules has node-red and the package>
//
// Node-RED runs inside this process: the sandbox does too, and only there can one see what it received.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { rmSync } from 'node:fs'
import { mkdtemp, readFile, readdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'

const MODULE = '@ehr-flows/node-red-redox'
// The operation of the one node that has no choice of operations.
const DOCUMENT = 'DocumentReference/$documentreference-create'
const WITHIN_MS = 30_000
/** Of the plugins' texts. */
const LANGUAGES = ['en-US', 'de']
// Types that are known to every Node-RED without a node of that name.
const BUILT_IN = ['tab', 'group', 'subflow', 'junction', 'global-config']
const MODELS = {
  'redox-datamodel-note': 'Notes',
  'redox-datamodel-results': 'Results',
  'redox-datamodel-media': 'Media',
}

const folder = process.argv[2]
if (folder === undefined) throw new Error('Which folder? node scripts/boot.mjs <folder with node_modules>')
const install = createRequire(path.join(path.resolve(folder), 'package.json'))
const packageDir = path.join(path.resolve(folder), 'node_modules', MODULE)
const manifest = JSON.parse(await readFile(path.join(packageDir, 'package.json'), 'utf8'))
const types = Object.keys(manifest['node-red'].nodes)
const plugins = Object.keys(manifest['node-red'].plugins)
// What every Node-RED says that starts with an empty user directory.
const USUAL_WARNINGS = [/^runtime: Projects disabled/, /^runtime: Encrypted credentials not found/]
const problems = []

const userDir = await mkdtemp(path.join(os.tmpdir(), 'redox-boot-'))
process.once('exit', () => rmSync(userDir, { recursive: true, force: true }))
const { RED, base, warnings, stop } = await startNodeRed()
try {
  report('versions', [], versions())
  report('nodes', await nodeProblems(), `${types.length} types, no errors`)
  report('plugins', await pluginProblems(), `${plugins.length}, with texts in ${LANGUAGES.join(' and ')}`)
  report('icons', await iconProblems(), 'every icon is found')
  report('texts', await textProblems(), 'catalogue and help of every type')
  const examples = await exampleList()
  const known = await knownTypes()
  report('examples', importProblems(examples, known), `${examples.length} importable, all types known`)
  for (const { name, flow } of examples) {
    if (flow?.every(({ type }) => known.has(type))) await runExample(name, flow)
  }
  report('warnings', unexpected(warnings), 'none but those of an empty user directory')
} finally {
  await stop()
}
process.exitCode = problems.length === 0 ? 0 : 1
endByItself()

/** One line for each group of checks, and one for each thing in it that is not true. */
function report(group, found, summary) {
  problems.push(...found)
  console.log(`${found.length === 0 ? 'ok ' : 'NOT'} ${group}${found.length === 0 ? `: ${summary}` : ''}`)
  for (const problem of found) console.log(`    ${problem}`)
}

function unexpected(warnings) {
  return warnings.filter((warning) => !USUAL_WARNINGS.some((usual) => usual.test(warning)))
}

function versions() {
  const undici = createRequire(path.join(packageDir, 'package.json'))('undici/package.json').version
  return `Node ${process.versions.node}, Node-RED ${RED.settings.version ?? RED.version()}, undici ${undici}`
}

// ---- Node-RED -----------------------------------------------------------------------------------------

async function startNodeRed() {
  const RED = install('node-red')
  const app = createRequire(install.resolve('node-red'))('express')()
  const server = createServer(app)
  const warnings = []
  const remember = ({ type, msg }) => warnings.push(`${type ?? 'runtime'}: ${msg?.message ?? msg}`)
  RED.init(server, {
    userDir,
    flowFile: 'flows.json',
    credentialSecret: 'nothing secret here',
    telemetry: { enabled: false },
    editorTheme: { projects: { enabled: false } },
    logging: { remember: { level: 'warn', metrics: false, audit: false, handler: () => remember } },
  })
  app.use('/', RED.httpAdmin)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const started = next(RED, 'flows:started')
  await RED.start()
  await started
  const stop = async () => {
    await RED.stop()
    await sandboxHost().stopSandbox()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { RED, base: `http://127.0.0.1:${server.address().port}`, warnings, stop }
}

/** Rejects when it does not come: flows with missing types are never started. */
function next(RED, event) {
  return once(RED.events, event, { signal: AbortSignal.timeout(WITHIN_MS) })
}

/** The same instance that the nodes use: Node-RED loads CommonJS from the one cache, also with import(). */
function sandboxHost() {
  return install(path.join(packageDir, 'dist/nodes/lib/sandbox-host.js'))
}

async function ask(place, options = {}) {
  const answer = await fetch(`${base}${place}`, options)
  if (!answer.ok) throw new Error(`${options.method ?? 'GET'} ${place} answers ${answer.status}`)
  return answer
}

async function askJson(place) {
  return (await ask(place, { headers: { accept: 'application/json', 'accept-language': 'en-US' } })).json()
}

async function askHtml(place) {
  return (await ask(place, { headers: { accept: 'text/html', 'accept-language': 'en-US' } })).text()
}

// ---- What it loaded -----------------------------------------------------------------------------------

async function nodeProblems() {
  const sets = (await askJson('/nodes')).filter(({ module }) => module === MODULE)
  const registered = sets.flatMap((set) => (set.enabled && !set.err ? set.types : []))
  return [
    ...sets.filter(({ err }) => err).map(({ id, err }) => `${id}: ${err.message ?? err}`),
    ...types.filter((type) => !registered.includes(type)).map((type) => `${type} is not registered`),
  ]
}

async function pluginProblems() {
  const sets = (await askJson('/plugins')).filter(({ module }) => module === MODULE)
  const html = await askHtml('/plugins')
  const found = sets.filter(({ err }) => err).map(({ id, err }) => `${id}: ${err.message ?? err}`)
  for (const name of plugins) {
    const set = sets.find((one) => one.name === name)
    if (!set?.enabled) found.push(`plugin ${name} is not enabled`)
    // A set without an error may have registered nothing.
    if (!set?.plugins.some(({ id }) => id === name)) found.push(`plugin ${name} is not registered`)
    if (!html.includes(`[red-plugin:${MODULE}/${name}]`))
      found.push(`plugin ${name} has no part in the editor`)
  }
  for (const language of LANGUAGES) {
    const texts = await askJson(`/plugins/messages?lng=${language}`)
    for (const name of plugins)
      if (Object.keys(texts[`${MODULE}/${name}`] ?? {}).length === 0)
        found.push(`plugin ${name} has no texts in ${language}`)
  }
  return found
}

// Asking for the image itself proves nothing: a missing one is answered with 200 and a stock arrow.
async function iconProblems() {
  const html = await askHtml('/nodes')
  const found = (await askJson('/icons'))[MODULE] ?? []
  return types
    .map(
      (type) =>
        new RegExp(`registerType\\(\\s*'${type}'[^]*?\\bicon: '([^']+)'`).exec(html)?.[1] ?? `${type}: ?`,
    )
    .filter((icon) => !icon.startsWith('font-awesome/') && !found.includes(icon))
    .map((icon) => `icon ${icon} is not found`)
}

async function textProblems() {
  const html = await askHtml('/nodes')
  const found = []
  for (const type of types) {
    const catalogue = await askJson(`/locales/${MODULE}/${type}?lng=en-US`)
    if (Object.keys(catalogue).length === 0) found.push(`${type} has no message catalogue for en-US`)
    if (!html.includes(`data-help-name="${type}"`)) found.push(`${type} has no help`)
  }
  return found
}

// ---- Examples -----------------------------------------------------------------------------------------

async function exampleList() {
  const files = (await readdir(path.join(packageDir, 'examples'), { recursive: true })).sort()
  const names = files.filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length))
  return Promise.all(names.map(async (name) => ({ name, flow: await importExample(name) })))
}

/** What the editor's import dialog gets; undefined when it gets none. */
async function importExample(name) {
  const place = name.split(path.sep).map(encodeURIComponent).join('/')
  return askJson(`/library/examples/flows/${MODULE}/${place}`).catch(() => undefined)
}

async function knownTypes() {
  return new Set([...BUILT_IN, ...(await askJson('/nodes')).flatMap((set) => (set.err ? [] : set.types))])
}

function importProblems(examples, known) {
  const strange = ({ name, flow = [] }) =>
    flow.filter(({ type }) => !known.has(type)).map(({ type }) => `${name}: type ${type} is not known`)
  return [
    ...(examples.length === 0 ? ['the package has no examples'] : []),
    ...examples.filter(({ flow }) => !flow).map(({ name }) => `${name} cannot be imported`),
    ...examples.flatMap(strange),
  ]
}

/** Deploys an example alone, presses its buttons, and compares what the sandbox got with what it sends. */
async function runExample(name, flow) {
  const group = `example "${name}"`
  await deploy(flow)
  const sandbox = await sandboxHost().runningSandbox()
  sandbox?.clear()
  const senders = flow.filter(({ type }) => types.includes(type) && type !== 'redox-config')
  const outcomes = watchOutcomes(senders)
  for (const { id } of flow.filter(({ type }) => type === 'inject'))
    await ask(`/inject/${id}`, { method: 'POST' })
  const results = await outcomes
  const found = senders.flatMap((sender) => senderProblems(sender, results.get(sender.id), flow))
  const { lines, problems: unlike } = await received(senders, results, flow)
  report(group, [...found, ...unlike], lines.join(', '))
}

async function deploy(flow) {
  const started = next(RED, 'flows:started')
  await ask('/flows', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'node-red-deployment-type': 'full' },
    body: JSON.stringify(flow),
  })
  await started
}

/** How the first message of each sender ended: node id to `{ error }`. Stops early when no more can come. */
function watchOutcomes(senders) {
  const results = new Map()
  const wanted = new Set(senders.map(({ id }) => id))
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      RED.hooks.remove('*.redox-boot')
      resolve(results)
    }
    const timer = setTimeout(end, WITHIN_MS)
    RED.hooks.add('onComplete.redox-boot', ({ node, error }) => {
      if (!wanted.has(node.id)) return
      results.set(node.id, { error })
      if (results.size === wanted.size) end()
    })
  })
}

// An example with a Catch node is there to show errors; they have to be the coded ones then.
function senderProblems({ type, id }, result, flow) {
  if (!result) return [`${type} ${id} got no message, or never said that it was done`]
  const { error } = result
  const showsErrors = flow.some((node) => node.type === 'catch')
  if (!error || (showsErrors && String(error.code).startsWith('REDOX_'))) return []
  return [`${type} ${id} failed: ${error.code ?? ''} ${error.message}`]
}

async function received(senders, results, flow) {
  const sandbox = await sandboxHost().runningSandbox()
  const inbox = [...(sandbox?.received ?? [])]
  const hashes = hashesOf(flow)
  const lines = []
  const found = []
  for (const sender of senders.filter(({ id }) => results.get(id) && !results.get(id).error)) {
    const what = expectation(sender)
    const problem = what.upload ? uploadProblem(sandbox, what.upload) : messageProblem(inbox, what, hashes)
    if (problem) found.push(problem)
    lines.push(what.operation ?? `upload to ${what.upload}`)
  }
  const refused = (sandbox?.requests ?? []).filter(({ status }) => status >= 400)
  found.push(...refused.map(({ path: place, status }) => `the sandbox answered ${status} to ${place}`))
  return { lines: lines.length > 0 ? lines : ['refused before anything was sent'], problems: found }
}

/** What a node's settings say that Redox gets. */
function expectation({ type, operation, eventType, api, fileFrom, destination, destinationType }) {
  if (type === 'redox-upload') return { upload: api === 'datamodel' ? '/upload' : '/Binary' }
  return {
    operation: MODELS[type] ? `${MODELS[type]}:${eventType}` : (operation ?? DOCUMENT),
    withFile: fileFrom !== 'none' && eventType !== 'Delete',
    ...(destinationType === 'str' && { destination }),
  }
}

function uploadProblem(sandbox, end) {
  const done = sandbox?.requests.some(({ path: place, status }) => place.endsWith(end) && status === 201)
  return done ? undefined : `the sandbox got no upload to ${end}`
}

/** Takes the message out of the inbox, so that each node has to have sent one of its own. */
function messageProblem(inbox, { operation, destination, withFile }, hashes) {
  const index = inbox.findIndex(
    (one) =>
      one.operation === operation && (destination === undefined || one.destinations.includes(destination)),
  )
  if (index < 0) return `the sandbox got no ${operation}${destination ? ` for ${destination}` : ''}`
  const [{ files }] = inbox.splice(index, 1)
  const exact = !withFile || files.some(({ size, sha256 }) => size > 0 && hashes.has(sha256))
  return exact ? undefined : `the file of ${operation} is not, byte for byte, the one that was injected`
}

/** Of everything that the buttons inject, as base64 and as text. */
function hashesOf(flow) {
  const values = flow
    .flatMap(({ props = [] }) => props.map(({ v }) => v))
    .filter((v) => typeof v === 'string')
  const bytes = values.flatMap((value) => [Buffer.from(value, 'base64'), Buffer.from(value, 'utf8')])
  return new Set(bytes.map((one) => createHash('sha256').update(one).digest('hex')))
}

/** Whatever still holds the process when all is stopped was left behind; this timer itself holds nothing. */
function endByItself() {
  const left = () => {
    console.log(`NOT ended: held by ${process.getActiveResourcesInfo().join(', ')}`)
    process.exit(1)
  }
  setTimeout(left, 10_000).unref()
}
