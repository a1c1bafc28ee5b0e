/**
 * Inside a Node-RED that is killed again and again: takes files over HTTP for the send nodes, answers once Node-RED
 * says that a message is done (accepted) or failed, and writes down what the send nodes emit. No node of a flow could:
 * deploys would restart it.
 */
const { appendFileSync, readdirSync } = require('node:fs')
const v8 = require('node:v8')
const vm = require('node:vm')

v8.setFlagsFromString('--expose-gc')
const collect = vm.runInNewContext('gc')

module.exports = function register(RED) {
  const pending = new Map()
  const isOurs = (node) => node.node.type.startsWith('redox-')

  RED.hooks.add('onComplete.durable', ({ msg, error, node }) => {
    if (!isOurs(node)) return
    const answer = pending.get(msg._msgid)
    pending.delete(msg._msgid)
    if (error) answer?.status(500).json({ code: error.code })
    else answer?.json({ accepted: msg._msgid })
  })
  RED.hooks.add('onSend.durable', (events) => {
    // What the kernel has taken outlives a process that is killed.
    for (const { msg, source } of events)
      if (isOurs(source)) appendFileSync(process.env.SOAK_EMITTED, `${msg._msgid}\n`)
  })

  /** What a process may have too much of one day; the heap after a collection, in bytes. */
  RED.httpAdmin.get('/probe', (_request, response) => {
    collect()
    response.json({
      heap: process.memoryUsage().heapUsed,
      descriptors: readdirSync('/proc/self/fd').length,
      listeners: listenersOf(RED.events) + listenersOf(process),
    })
  })

  RED.httpAdmin.post('/durable/:node/:id', async (request, response) => {
    const { node, id } = request.params
    const pieces = []
    for await (const piece of request) pieces.push(piece)
    const found = RED.nodes.getNode(node)
    // While a deploy is under way, the node is not there.
    if (!found) return response.sendStatus(503)
    pending.set(id, response)
    const { lane } = request.query
    found.receive({ _msgid: id, payload: Buffer.concat(pieces), filename: 'scan.pdf', id, lane })
  })
}

const listenersOf = (emitter) =>
  emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0)
