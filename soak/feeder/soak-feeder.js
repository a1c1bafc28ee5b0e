/**
 * Node-RED plugin for the direct soak: passes messages to the send nodes as fast as the limits of the plan allow, also
 * during deploys, and records the result of each message. Not a node, because deploys would restart it.
 */
const { createHash, randomFillSync } = require('node:crypto')
const { setTimeout: sleep } = require('node:timers/promises')

// Maximum bytes of messages without a result. Below the limit of the connection, because this limit is not tested here.
const MOST_BYTES = 150_000_000

/**
 * @typedef {import('../../scripts/lib/runtime.mjs').NodeApi} NodeApi
 * @typedef {import('../../scripts/lib/runtime.mjs').CompleteEvent} CompleteEvent
 * @typedef {import('../messages.mjs').PlannedMessage} PlannedMessage
 */

/**
 * @typedef {{ messages: PlannedMessage[], atOnce: number }} Plan `atOnce`: maximum number of messages without a result
 *
 * @typedef {{ code?: string | undefined, sha256?: string }} End error code, or SHA-256 of the sent file
 *
 * @typedef {object} Counts
 * @property {number} given number of messages that were passed to the flow
 * @property {number} outstanding number of messages without a result
 * @property {number} bytes size of the files of outstanding messages
 * @property {number} mostRss greatest resident memory of Node-RED in bytes
 * @property {number} rssBefore resident memory of Node-RED before the run in bytes
 *
 * @typedef {Plan & Counts & { name: string, ends: Map<string, End[]>, files: Map<string, string> }} Run
 *   results, and SHA-256 of the files, by id of the message
 */

/** @param {NodeApi} RED */
module.exports = function register(RED) {
  /** @type {Map<string, Run>} */
  const runs = new Map()

  RED.hooks.add('onComplete.soak', (/** @type {CompleteEvent} */ { msg, error, node }) => {
    if (!node.node.type.startsWith('redox-')) return
    const run = runs.get(msg._msgid?.split('-')[0] ?? '')
    if (run) ended(run, msg, error)
  })

  RED.httpAdmin.post('/soak/:name', (request, response) => {
    const run = newRun(request.params.name, request.body)
    runs.set(run.name, run)
    void feed(RED, run)
    response.sendStatus(202)
  })
  RED.httpAdmin.get('/soak/:name', (request, response) => {
    const run = runs.get(request.params.name)
    if (run === undefined) return response.sendStatus(404)
    return response.json(stateOf(run, 'all' in request.query))
  })
}

/**
 * @param {string} name
 * @param {Plan} plan
 * @returns {Run}
 */
function newRun(name, plan) {
  const counts = { given: 0, outstanding: 0, bytes: 0, mostRss: 0, rssBefore: process.memoryUsage.rss() }
  return { name, ...plan, ...counts, ends: new Map(), files: new Map() }
}

/**
 * @param {NodeApi} RED
 * @param {Run} run
 */
async function feed(RED, run) {
  for (const [index, { node, bytes }] of run.messages.entries()) {
    while (run.outstanding >= run.atOnce || run.bytes + bytes > MOST_BYTES) await sleep(2)
    const file = pdf(bytes)
    const id = `${run.name}-${String(index).padStart(6, '0')}`
    run.files.set(id, createHash('sha256').update(file).digest('hex'))
    await receiver(RED, node).then((found) => {
      run.given++
      run.outstanding++
      run.bytes += bytes
      found.receive({ _msgid: id, payload: file, filename: 'scan.pdf', id, bytes })
    })
  }
}

/**
 * Returns the node with this id. Waits for the node, because it does not exist during a deploy.
 * @param {NodeApi} RED
 * @param {string} id
 */
async function receiver(RED, id) {
  for (;;) {
    const node = RED.nodes.getNode(id)
    if (node) return node
    await sleep(5)
  }
}

/** @param {number} bytes */
function pdf(bytes) {
  const file = Buffer.allocUnsafe(bytes)
  // Random bytes, so that all files differ.
  randomFillSync(file)
  file.write('%PDF-1.7\n')
  file.write('\n%%EOF\n', bytes - 7)
  return file
}

/**
 * @param {Run} run
 * @param {CompleteEvent['msg']} msg
 * @param {CompleteEvent['error']} error
 */
function ended(run, msg, error) {
  run.mostRss = Math.max(run.mostRss, process.memoryUsage.rss())
  const { id, bytes } = msg
  run.outstanding--
  run.bytes -= bytes
  const end = error ? { code: error.code } : { sha256: msg.redox.files[0].sha256 }
  run.ends.set(id, [...(run.ends.get(id) ?? []), end])
}

/**
 * @param {Run} run
 * @param {boolean} isAsked true if `ends` and `files` are requested before the end of the run
 * @returns {import('../node-red.mjs').RunState}
 */
const stateOf = ({ given, messages, ends, files, mostRss, rssBefore }, isAsked) => ({
  given,
  of: messages.length,
  ended: ends.size,
  mostRss,
  rssBefore,
  ...((isAsked || ends.size === messages.length) && {
    ends: Object.fromEntries(ends),
    files: Object.fromEntries(files),
  }),
})
