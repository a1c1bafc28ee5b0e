// Starts a real Node-RED in which the package is installed, checks which nodes and plugins it has loaded, runs every
// example on the built-in sandbox, and checks which messages arrived. The exit code is 0 if there are no problems.
//
//   node scripts/boot.mjs <folder whose node_modules has node-red and the package>
//   node scripts/boot.mjs .     this package as it is built here, with the Node-RED of its node_modules
//
// Node-RED and the sandbox run inside this process, so that the received messages can be read.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { existsSync, rmSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, readdir, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { courseProblems, runExample } from './lib/course.mjs'
import { portOf } from './lib/process.mjs'

/**
 * @typedef {import('./lib/runtime.mjs').FlowNode} FlowNode
 * @typedef {import('./lib/runtime.mjs').Runtime} Runtime
 * @typedef {import('./lib/course.mjs').Sandbox} Sandbox
 * @typedef {{ name: string, flow: FlowNode[] | undefined }} Example
 * @typedef {{ runningSandbox: () => Promise<Sandbox | undefined>, stopSandbox: () => Promise<void> }} SandboxHost
 */

/**
 * Set of nodes or plugins, as Node-RED's admin API lists it.
 * @typedef {object} LoadedSet
 * @property {string} id
 * @property {string} name
 * @property {string} module
 * @property {boolean} enabled
 * @property {string | { message?: string }} [err]
 * @property {string[]} types
 * @property {{ id: string }[]} plugins
 */

const MODULE = '@ehr-flows/node-red-redox'
const WITHIN_MS = 30_000
/** Languages of the catalogues of the plugins. */
const LANGUAGES = ['en-US', 'de']
// Types in flow files that every Node-RED can load, in addition to the types in its list of nodes.
const BUILT_IN = ['tab', 'group', 'subflow', 'junction', 'global-config']
// Path below which flows serve HTTP. Not the root, because users may set `httpNodeRoot`, too.
const PAGES = '/pages'

const folder = process.argv[2]
if (folder === undefined) throw new Error('Which folder? node scripts/boot.mjs <folder with node_modules>')
const install = createRequire(path.join(path.resolve(folder), 'package.json'))
const installed = path.join(path.resolve(folder), 'node_modules', MODULE)
const packageDir = existsSync(installed) ? installed : path.resolve(folder)
const manifest = JSON.parse(await readFile(path.join(packageDir, 'package.json'), 'utf8'))
const types = Object.keys(manifest['node-red'].nodes)
const plugins = Object.keys(manifest['node-red'].plugins)
// Warnings that every Node-RED logs when it starts with an empty user directory.
const USUAL_WARNINGS = [/^runtime: Projects disabled/, /^runtime: Encrypted credentials not found/]
/** @type {string[]} */
const problems = []

const userDir = await mkdtemp(path.join(os.tmpdir(), 'redox-boot-'))
process.once('exit', () => rmSync(userDir, { recursive: true, force: true }))
if (packageDir !== installed) await linkPackage()
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
  const host = courseHost()
  for (const { name, flow } of examples) {
    if (!flow?.every(({ type }) => known.has(type))) continue
    const { arrived, problems: found } = await runExample(host, name, flow)
    report(`example "${name}"`, found, arrived.join('; '))
  }
  report('warnings', unexpected(), 'none but those of an empty user directory')
} finally {
  await stop()
}
process.exitCode = problems.length === 0 ? 0 : 1
endByItself()

/**
 * Prints one line for a group of checks, and one line for each problem.
 * @param {string} group
 * @param {string[]} found problems
 * @param {string} summary text that is printed if there are no problems
 */
function report(group, found, summary) {
  problems.push(...found)
  console.log(`${found.length === 0 ? 'ok ' : 'NOT'} ${group}${found.length === 0 ? `: ${summary}` : ''}`)
  for (const problem of found) console.log(`    ${problem}`)
}

function unexpected() {
  return warnings.filter((warning) => !USUAL_WARNINGS.some((usual) => usual.test(warning)))
}

function versions() {
  const undici = createRequire(path.join(packageDir, 'package.json'))('undici/package.json').version
  const { version } = /** @type {{ version: string }} */ (/** @type {unknown} */ (RED.settings))
  return `Node ${process.versions.node}, Node-RED ${version}, undici ${undici}`
}

// ---- Node-RED -----------------------------------------------------------------------------------------

async function startNodeRed() {
  /** @type {Runtime} */
  const runtime = install('node-red')
  /** @type {import('express').Express} */
  const app = createRequire(install.resolve('node-red'))('express')()
  const server = createServer(app)
  /** @type {string[]} */
  const logged = []
  /** @param {{ type?: string, msg: string | { message?: string } }} entry */
  const remember = ({ type, msg }) =>
    logged.push(`${type ?? 'runtime'}: ${typeof msg === 'string' ? msg : (msg?.message ?? msg)}`)
  runtime.init(server, {
    userDir,
    flowFile: 'flows.json',
    credentialSecret: 'nothing secret here',
    httpNodeRoot: PAGES,
    telemetry: { enabled: false },
    editorTheme: { projects: { enabled: false } },
    logging: { remember: { level: 'warn', metrics: false, audit: false, handler: () => remember } },
  })
  app.use(PAGES, runtime.httpNode)
  app.use('/', runtime.httpAdmin)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const started = next(runtime, 'flows:started')
  await runtime.start()
  await started
  const stopAll = async () => {
    await runtime.stop()
    await sandboxHost().stopSandbox()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { RED: runtime, base: `http://127.0.0.1:${portOf(server)}`, warnings: logged, stop: stopAll }
}

/** Links the package into the folder in which Node-RED looks for packages that a user has installed. */
async function linkPackage() {
  const link = path.join(userDir, 'node_modules', MODULE)
  await mkdir(path.dirname(link), { recursive: true })
  await symlink(packageDir, link, 'junction')
}

/**
 * Waits for an event of the runtime. Rejects after a time limit, because flows with missing node types are never
 * started.
 * @param {Runtime} runtime
 * @param {string} event
 */
function next(runtime, event) {
  return once(runtime.events, event, { signal: AbortSignal.timeout(WITHIN_MS) })
}

/**
 * Returns the module instance that the nodes use, too: Node-RED and import() share the cache of CommonJS modules.
 * @returns {SandboxHost}
 */
function sandboxHost() {
  return install(path.join(packageDir, 'dist/nodes/lib/connection/sandbox-host.js'))
}

/**
 * @param {string} place path in the admin API
 * @param {RequestInit} [options]
 * @throws for an HTTP status other than 2xx
 */
async function ask(place, options = {}) {
  const answer = await fetch(`${base}${place}`, options)
  if (!answer.ok) throw new Error(`${options.method ?? 'GET'} ${place} answers ${answer.status}`)
  return answer
}

/** @param {string} place path in the admin API */
async function askJson(place) {
  return (await ask(place, { headers: { accept: 'application/json', 'accept-language': 'en-US' } })).json()
}

/** @param {string} place path in the admin API */
async function askHtml(place) {
  return (await ask(place, { headers: { accept: 'text/html', 'accept-language': 'en-US' } })).text()
}

// ---- Loaded sets --------------------------------------------------------------------------------------

/** @param {'/nodes' | '/plugins'} place */
async function setsOf(place) {
  const sets = /** @type {LoadedSet[]} */ (await askJson(place))
  return sets.filter(({ module }) => module === MODULE)
}

/** @param {LoadedSet} set */
function errorOf({ id, err }) {
  return err ? [`${id}: ${typeof err === 'string' ? err : (err.message ?? String(err))}`] : []
}

async function nodeProblems() {
  const sets = await setsOf('/nodes')
  const registered = sets.flatMap((set) => (set.enabled && !set.err ? set.types : []))
  return [
    ...sets.flatMap(errorOf),
    ...types.filter((type) => !registered.includes(type)).map((type) => `${type} is not registered`),
  ]
}

async function pluginProblems() {
  const sets = await setsOf('/plugins')
  const html = await askHtml('/plugins')
  const found = sets.flatMap(errorOf)
  for (const name of plugins) {
    const set = sets.find((one) => one.name === name)
    if (!set?.enabled) found.push(`plugin ${name} is not enabled`)
    // A set without an error can still have failed to register its plugin.
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

// Reads the list of icons: a request for a missing icon would succeed, because Node-RED serves a default arrow with
// status 200.
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

/** @returns {Promise<Example[]>} */
async function exampleList() {
  const files = (await readdir(path.join(packageDir, 'examples'), { recursive: true })).sort()
  const names = files.filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length))
  return Promise.all(names.map(async (name) => ({ name, flow: await importExample(name) })))
}

/**
 * Returns the flow of an example as the editor's import dialog gets it; undefined if the dialog gets none.
 * @param {string} name
 * @returns {Promise<FlowNode[] | undefined>}
 */
async function importExample(name) {
  const place = name.split(path.sep).map(encodeURIComponent).join('/')
  return askJson(`/library/examples/flows/${MODULE}/${place}`).catch(() => undefined)
}

async function knownTypes() {
  const sets = /** @type {LoadedSet[]} */ (await askJson('/nodes'))
  return new Set([...BUILT_IN, ...sets.flatMap(({ err, types: ofSet }) => (err ? [] : ofSet))])
}

/**
 * @param {Example[]} examples
 * @param {Set<string>} known known node types
 */
function importProblems(examples, known) {
  const strange = (/** @type {Example} */ { name, flow = [] }) =>
    flow.filter(({ type }) => !known.has(type)).map(({ type }) => `${name}: type ${type} is not known`)
  return [
    ...(examples.length === 0 ? ['the package has no examples'] : []),
    ...courseProblems(examples.map(({ name }) => name)),
    ...examples.filter(({ flow }) => !flow).map(({ name }) => `${name} cannot be imported`),
    ...examples.flatMap(strange),
  ]
}

/**
 * Returns the functions and folders of this Node-RED that the runner of the examples needs.
 * @returns {import('./lib/course.mjs').Host}
 */
function courseHost() {
  return {
    RED,
    folder: path.join(packageDir, 'examples'),
    pages: base + PAGES,
    userDir,
    deploy,
    press: async (id) => void (await ask(`/inject/${id}`, { method: 'POST' })),
    sandbox: () => sandboxHost().runningSandbox(),
  }
}

/** @param {FlowNode[]} flow */
async function deploy(flow) {
  const started = next(RED, 'flows:started')
  await ask('/flows', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'node-red-deployment-type': 'full' },
    body: JSON.stringify(flow),
  })
  await started
}

/**
 * The process must end by itself. This timer does not keep it alive, but fails if something else does after everything
 * was stopped.
 */
function endByItself() {
  const left = () => {
    console.log(`NOT ended: held by ${process.getActiveResourcesInfo().join(', ')}`)
    process.exit(1)
  }
  setTimeout(left, 10_000).unref()
}
