// Measures what the package adds to the start of Node-RED: when no flow contains a node of the package, and with one
// node of each type.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { collectGarbage, pause, sendToParent } from '../scripts/lib/process.mjs'
import { deployed, ROOT, startNodeRed } from './node-red.mjs'

/** @typedef {'alone' | 'none' | 'all'} StartKind without the package, without a node of it, with each node of it */
/** @typedef {{ ms: number, mb: number }} StartFigures time until the flows run, and resident memory */
/** @typedef {{ alone: StartFigures, added: { none: StartFigures, all: StartFigures } }} StartUp */

const TYPES = [
  ...['redox-upload', 'redox-fhir-result', 'redox-fhir-document'],
  ...['redox-datamodel-note', 'redox-datamodel-results', 'redox-datamodel-media'],
]
/** @type {[StartKind, StartKind, StartKind]} */
const KINDS = ['alone', 'none', 'all']

/**
 * Returns medians of `rounds` starts of each kind; the kinds alternate.
 * @param {number} rounds
 * @param {(numbers: number[]) => number} median
 * @returns {Promise<StartUp>}
 */
export async function startUp(rounds, median) {
  /** @type {Record<StartKind, StartFigures[]>} */
  const found = { alone: [], none: [], all: [] }
  for (let round = 0; round < rounds; round++)
    for (const kind of KINDS) {
      const child = fork(fileURLToPath(import.meta.url), [kind], { execArgv: ['--expose-gc'] })
      const ended = once(child, 'exit')
      found[kind].push((await once(child, 'message'))[0])
      await ended
    }
  const medians = (/** @type {StartFigures[]} */ starts) => ({
    ms: median(starts.map(({ ms }) => ms)),
    mb: median(starts.map(({ mb }) => mb)),
  })
  const [alone, none, all] = [medians(found.alone), medians(found.none), medians(found.all)]
  const beside = (/** @type {StartFigures} */ { ms, mb }) => ({ ms: ms - alone.ms, mb: mb - alone.mb })
  return { alone, added: { none: beside(none), all: beside(all) } }
}

/**
 * Measures this process from its start until the flows run.
 * @param {string | undefined} kind a StartKind
 */
async function measure(kind) {
  const nodes =
    kind === 'all'
      ? TYPES.map((type) => ({ id: type, type, z: 'tab', connection: 'config', wires: [[]] }))
      : []
  await startNodeRed({ root: kind === 'alone' ? undefined : ROOT, withEditor: true, flow: flowOf(nodes) })
  const ms = process.uptime() * 1000
  // Modules that the first node of a type loads are loaded at this time.
  await pause(1000)
  for (let turn = 0; turn < 3; turn++) collectGarbage()
  sendToParent({ ms, mb: process.memoryUsage.rss() / 1e6 }, () => process.exit())
}

/** @param {import('../scripts/lib/runtime.mjs').FlowNode[]} nodes */
function flowOf(nodes) {
  const config = { id: 'config', type: 'redox-config', environment: 'Development', clientId: 'a', keyId: 'b' }
  return deployed([{ id: 'tab', type: 'tab' }, ...(nodes.length > 0 ? [config] : []), ...nodes])
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await measure(process.argv[2])
