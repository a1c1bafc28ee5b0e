// What the package adds to the start of Node-RED: with no node of it in a flow, and with each node once.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { deployed, ROOT, startNodeRed } from './node-red.mjs'

const TYPES = [
  ...['redox-upload', 'redox-fhir-result', 'redox-fhir-document'],
  ...['redox-datamodel-note', 'redox-datamodel-results', 'redox-datamodel-media'],
]
const KINDS = ['alone', 'none', 'all']

/** @returns `{ alone: { ms, mb }, added: { none, all } }`: medians of so many starts of each kind, in turns */
export async function startUp(rounds, median) {
  const found = { alone: [], none: [], all: [] }
  for (let round = 0; round < rounds; round++)
    for (const kind of KINDS) {
      const child = fork(fileURLToPath(import.meta.url), [kind], { execArgv: ['--expose-gc'] })
      const ended = once(child, 'exit')
      found[kind].push((await once(child, 'message'))[0])
      await ended
    }
  const [alone, none, all] = KINDS.map((kind) => ({
    ms: median(found[kind].map(({ ms }) => ms)),
    mb: median(found[kind].map(({ mb }) => mb)),
  }))
  const beside = ({ ms, mb }) => ({ ms: ms - alone.ms, mb: mb - alone.mb })
  return { alone, added: { none: beside(none), all: beside(all) } }
}

/** In a process of its own: from the beginning of the process until the flows run. */
async function measure(kind) {
  const nodes =
    kind === 'all'
      ? TYPES.map((type) => ({ id: type, type, z: 'tab', connection: 'config', wires: [[]] }))
      : []
  await startNodeRed({ root: kind === 'alone' ? undefined : ROOT, withEditor: true, flow: flowOf(nodes) })
  const ms = process.uptime() * 1000
  // What is loaded with the first node has come by then.
  await new Promise((resolve) => setTimeout(resolve, 1000))
  for (let turn = 0; turn < 3; turn++) globalThis.gc()
  process.send({ ms, mb: process.memoryUsage.rss() / 1e6 }, () => process.exit())
}

function flowOf(nodes) {
  const config = { id: 'config', type: 'redox-config', environment: 'Development', clientId: 'a', keyId: 'b' }
  return deployed([{ id: 'tab', type: 'tab' }, ...(nodes.length > 0 ? [config] : []), ...nodes])
}

if (process.argv[1] === path.resolve(fileURLToPath(import.meta.url))) await measure(process.argv[2])
