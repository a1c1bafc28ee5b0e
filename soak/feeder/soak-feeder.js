/**
 * Inside the Node-RED that is soaked: gives messages to the send nodes as fast as they may wait, over all deploys,
 * and keeps what Node-RED itself says of each message's end. No node of a flow could: deploys would restart it.
 */
const { createHash, randomFillSync } = require('node:crypto')
const { setTimeout: sleep } = require('node:timers/promises')

// Below the connection's own limits for what waits, which are not what is soaked here.
const MOST_BYTES = 150_000_000

module.exports = function register(RED) {
  const runs = new Map()

  RED.hooks.add('onComplete.soak', ({ msg, error, node }) => {
    if (!node.node.type.startsWith('redox-')) return
    const run = runs.get(msg._msgid?.split('-')[0])
    if (run) ended(run, msg, error)
  })

  RED.httpAdmin.post('/soak/:name', (request, response) => {
    const run = newRun(request.params.name, request.body)
    runs.set(run.name, run)
    void feed(RED, run)
    response.sendStatus(202)
  })
  RED.httpAdmin.get('/soak/:name', (request, response) =>
    response.json(stateOf(runs.get(request.params.name), 'all' in request.query)),
  )
}

/** @param plan messages: `{ node, bytes }` of each; `atOnce`: messages that may be on their way */
function newRun(name, plan) {
  const counts = { given: 0, outstanding: 0, bytes: 0, mostRss: 0, rssBefore: process.memoryUsage.rss() }
  return { name, ...plan, ...counts, ends: new Map(), files: new Map() }
}

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

/** While a deploy is under way, the node is not there; nothing is given to it then. */
async function receiver(RED, id) {
  for (;;) {
    const node = RED.nodes.getNode(id)
    if (node) return node
    await sleep(5)
  }
}

function pdf(bytes) {
  const file = Buffer.allocUnsafe(bytes)
  // Random, so that no two files are one.
  randomFillSync(file)
  file.write('%PDF-1.7\n')
  file.write('\n%%EOF\n', bytes - 7)
  return file
}

function ended(run, msg, error) {
  run.mostRss = Math.max(run.mostRss, process.memoryUsage.rss())
  const { id, bytes } = msg
  run.outstanding--
  run.bytes -= bytes
  const end = error ? { code: error.code } : { sha256: msg.redox.files[0].sha256 }
  run.ends.set(id, [...(run.ends.get(id) ?? []), end])
}

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
