// Checks the package before it is published: it must contain exactly the listed files, must be small enough, and its
// dialogs must be readable for the Flow Library. Needs a build; `--update` rewrites the list of files.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { readDialog } from './lib/dialog.mjs'

/** @typedef {import('./lib/dialog.mjs').Registration} Registration */
/** @typedef {import('./lib/dialog.mjs').Template} Template */
/** @typedef {{ registrations: Registration[], templates: Map<string, Template> }} Dialog */
/** @typedef {Registration & { defaults: import('./lib/dialog.mjs').SavedProperty[] }} CheckedRegistration */

const MAX_BYTES = 690_000
// Properties that the editor itself sets on a node, such as `status`. It would overwrite saved properties with these
// names.
const EDITORS_OWN = new Set(
  'id type z x y w h g d l _ _def status icon info users valid changed dirty moved selected highlighted resize ports'
    .concat(' wires inputs outputs validationErrors inputLabels outputLabels dirtyStatus')
    .split(' '),
)
const LIST = 'scripts/package-files.txt'
const root = fileURLToPath(new URL('..', import.meta.url))
const manifest = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'))
/** @type {Record<string, string>} */
const declared = manifest['node-red'].nodes
/** @type {typeof import('../dist/src/shared/migrations.js')} */
const migrations = createRequire(import.meta.url)(path.join(root, 'dist/src/shared/migrations.js'))
let failed = false

/** @type {string[]} */
const entryFiles = [...Object.values(declared), ...Object.values(manifest['node-red'].plugins)]
const missing = entryFiles.filter((file) => !existsSync(path.join(root, file)))
if (missing.length > 0) throw new Error(`Not built: ${missing.join(', ')}. Run npm run build first.`)

const pack = packed()
const files = pack.files.map((file) => file.path).sort()
if (process.argv.includes('--update')) await writeFile(path.join(root, LIST), `${files.join('\n')}\n`)

report('files', await listProblems(), `${files.length}, as listed`)
report('tarball', tarballProblems(), `${pack.size} of at most ${MAX_BYTES} bytes`)
/** @type {[set: string, dialog: Dialog][]} */
const dialogs = await Promise.all(
  Object.entries(declared).map(async ([set, file]) => [set, await dialogOf(file)]),
)
report('registrations', registrationProblems(), `${dialogs.length} types, all readable`)
for (const [type, dialog] of dialogs) report(`dialog ${type}`, dialogProblems(type, dialog), sizeOf(dialog))
process.exitCode = failed ? 1 : 0

/**
 * Prints one line for a group of checks, and one line for each problem.
 * @param {string} group
 * @param {string[]} problems
 * @param {string} summary text that is printed if there are no problems
 */
function report(group, problems, summary) {
  failed ||= problems.length > 0
  console.log(
    `${problems.length === 0 ? 'ok ' : 'NOT'} ${group}${problems.length === 0 ? `: ${summary}` : ''}`,
  )
  for (const problem of problems) console.log(`    ${problem}`)
}

// ---- The tarball --------------------------------------------------------------------------------------

/**
 * Returns the package as npm would pack it. Package scripts do not run: the caller has built the package, and another
 * process may be using dist/.
 * @returns {{ size: number, files: { path: string }[] }}
 */
function packed() {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts']
  const output = execFileSync('npm', args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return JSON.parse(output)[0]
}

async function listProblems() {
  const listed = (await readFile(path.join(root, LIST), 'utf8').catch(() => '')).split('\n').filter(Boolean)
  const found = [
    ...files.filter((file) => !listed.includes(file)).map((file) => `+ ${file}`),
    ...listed.filter((file) => !files.includes(file)).map((file) => `- ${file}`),
  ]
  if (found.length > 0) found.push('Meant? Then: node scripts/check-package.mjs --update')
  return found
}

function tarballProblems() {
  const has = (/** @type {RegExp} */ pattern) => files.some((file) => pattern.test(file))
  const wanted = { 'README.md': /^README\.md$/, LICENSE: /^LICENSE$/, examples: /^examples\/.*\.json$/ }
  const unwanted = { 'source maps': /\.map$/, declarations: /\.d\.ts$/, tests: /(^|\/)tests?\// }
  return [
    ...(pack.size < MAX_BYTES ? [] : [`${pack.size} bytes are too many (${MAX_BYTES})`]),
    ...Object.entries({ ...wanted, resources: /^resources\/./ })
      .filter(([, pattern]) => !has(pattern))
      .map(([name]) => `no ${name} in it`),
    ...Object.entries(unwanted)
      .filter(([, pattern]) => has(pattern))
      .map(([name]) => `${name} in it`),
    // Checked here, because the check of the Node-RED scorecard for this keyword always passes.
    ...(manifest.keywords.includes('node-red') ? [] : ['package.json lacks the keyword node-red']),
  ]
}

// ---- The dialogs --------------------------------------------------------------------------------------

/** @param {string} file path of the node's .js file */
async function dialogOf(file) {
  return readDialog(await readFile(path.join(root, file.replace(/\.js$/, '.html')), 'utf8'))
}

function registrationProblems() {
  return dialogs.flatMap(([set, { registrations, templates }]) => {
    const types = registrations.map(({ type }) => type)
    return [
      ...(types.length === 1 && types[0] === set
        ? []
        : [`${set} registers ${types.join(', ') || 'nothing'}`]),
      ...(templates.has(set) ? [] : [`${set} has no template`]),
    ]
  })
}

/**
 * @param {string} type
 * @param {Dialog} dialog
 */
function dialogProblems(type, { registrations: [found], templates }) {
  if (!found?.defaults) return [`${type} has no inline defaults`]
  const registration = { ...found, defaults: found.defaults }
  const template = templates.get(type) ?? { inputs: [], labels: [], conditions: [] }
  return [
    ...literalProblems(registration),
    ...nameProblems(registration, template),
    ...typedInputProblems(registration, template),
    ...choiceProblems(registration, template),
    ...versionProblems(registration),
  ]
}

/**
 * Checks the properties of a definition that must be literals, because the Flow Library does not run the code.
 * @param {CheckedRegistration} registration
 */
function literalProblems({ literals }) {
  const isConfig = literals.category === 'config'
  const wanted = ['category', 'color', 'icon', ...(isConfig ? [] : ['inputs', 'outputs'])]
  return [
    ...wanted.filter((name) => literals[name] === undefined).map((name) => `${name} is no literal`),
    ...(isConfig && 'inputs' in literals ? ['a config node has no inputs'] : []),
  ]
}

/**
 * Checks that every saved property has exactly one input, and that every input has exactly one saved property and a
 * label.
 * @param {CheckedRegistration} registration
 * @param {Template} template
 */
function nameProblems({ defaults, credentials, literals }, { inputs, labels }) {
  const saved = [...defaults, ...credentials].map(([name]) => name)
  const ids = inputs.map(({ id }) => id)
  // The saved property `version` has no input.
  const wanted = saved.filter((name) => name !== 'version').map((name) => idOf(literals, name))
  const unlabelled = inputs.filter(({ id, type }) => type !== 'hidden' && !labels.includes(id))
  return [
    ...saved
      .filter((name) => EDITORS_OWN.has(name))
      .map((name) => `${name} is a property of the editor itself`),
    ...twice(saved).map((name) => `${name} stands twice in defaults: the last one wins`),
    ...twice(ids).map((id) => `id ${id} stands twice in the template`),
    ...wanted.filter((id) => !ids.includes(id)).map((id) => `no input ${id} in the template`),
    ...ids.filter((id) => !wanted.includes(id)).map((id) => `input ${id} is saved nowhere`),
    ...unlabelled.map(({ id }) => `input ${id} has no label`),
  ]
}

/** @param {string[]} names */
function twice(names) {
  return [...new Set(names.filter((name, index) => names.indexOf(name) !== index))]
}

/**
 * Returns the id of the input for a property.
 * @param {CheckedRegistration['literals']} literals
 * @param {string} name
 */
function idOf({ category }, name) {
  return `node-${category === 'config' ? 'config-' : ''}input-${name}`
}

/**
 * Checks that a typed input has a hidden input for its type, and offers the type that is its default.
 * @param {CheckedRegistration} registration
 * @param {Template} template
 */
function typedInputProblems({ defaults, literals }, { inputs }) {
  const standard = new Map(defaults)
  return defaults.flatMap(([name]) => {
    const input = inputs.find(({ id }) => id === idOf(literals, name))
    if (input?.['data-types'] === undefined) return []
    const keeper = inputs.find(({ id }) => id === idOf(literals, `${name}Type`))
    const type = standard.get(`${name}Type`)?.value
    const offered = input['data-types'].split(',')
    return [
      ...(keeper?.type === 'hidden' ? [] : [`${name} is typed, but has no hidden input ${name}Type`]),
      ...(offered.includes(type) ? [] : [`${name} does not offer its default type ${type}`]),
    ]
  })
}

/**
 * Checks that every default is one of the options, and that the conditions of rows refer only to existing options.
 * @param {CheckedRegistration} registration
 * @param {Template} template
 */
function choiceProblems({ defaults, literals }, { inputs, conditions }) {
  const selects = inputs.filter(({ kind }) => kind === 'select')
  const optionsOf = (/** @type {string} */ name) =>
    selects.find(({ id }) => id === idOf(literals, name))?.options
  /**
   * @param {string} name
   * @returns {string[] | undefined}
   */
  const typesOf = (name) => inputs.find(({ id }) => id === idOf(literals, name))?.['data-types']?.split(',')
  // Only the types of a typed input are known, because its value may be anything.
  const canBe = (/** @type {string} */ name, /** @type {string} */ value) =>
    optionsOf(name)?.includes(value) ?? typesOf(name.replace(/Type$/, ''))?.includes(value) ?? false
  const unknownDefault = defaults.filter(
    ([name, { value }]) => optionsOf(name)?.includes(String(value)) === false,
  )
  const unknownCondition = conditions
    .flatMap((condition) => condition.split(';'))
    .filter((condition) => {
      const [name = '', values] = condition.split('=')
      return typesOf(name) === undefined && !values?.split(',').every((value) => canBe(name, value))
    })
  return [
    ...unknownDefault.map(([name, { value }]) => `${name} has no option ${value}, its default`),
    ...unknownCondition.map((condition) => `data-when="${condition}" can never be decided`),
  ]
}

/**
 * Checks that the version of a new node is the current one, so that it needs no migration.
 * @param {CheckedRegistration} registration
 */
function versionProblems({ type, defaults }) {
  const [, { value } = { value: undefined }] = defaults.find(([name]) => name === 'version') ?? []
  const current = migrations.currentVersion(String(type))
  return value === current ? [] : [`its version is ${value}, migrations.ts says ${current}`]
}

/** @param {Dialog} dialog */
function sizeOf({ registrations: [registration] }) {
  const { defaults = [], credentials = [] } = registration ?? { credentials: [] }
  return `${defaults.length + credentials.length} properties, each with its input`
}
