/**
 * Node-RED plugin for the durable soaks, whose Node-RED process is killed repeatedly. Receives files over HTTP and
 * passes them to the send nodes, sends the HTTP response as soon as Node-RED reports the message as done (accepted) or
 * failed, and appends the ids of messages that the send nodes emit to a file. Not a node, because deploys would restart it.
 */
const { appendFileSync, readdirSync } = require('node:fs')

/** @typedef {import('../../scripts/lib/runtime.mjs').HookNode} HookNode */
/** @typedef {import('../../scripts/lib/runtime.mjs').CompleteEvent} CompleteEvent */
/** @typedef {import('../../scripts/lib/runtime.mjs').SendEvent} SendEvent */

const v8 = require('node:v8')
const vm = require('node:vm')

v8.setFlagsFromString('--expose-gc')
const collectGarbage = vm.runInNewContext('gc')
const { SOAK_EMITTED: emitted = '' } = process.env

/** @param {import('../../scripts/lib/runtime.mjs').NodeApi} RED */
module.exports = function register(RED) {
  /**
   * open HTTP responses, by the id of the message
   * @type {Map<string, import('express').Response>}
   */
  const pending = new Map()
  const isOurs = (/** @type {HookNode} */ node) => node.node.type.startsWith('redox-')

  RED.hooks.add('onComplete.durable', (/** @type {CompleteEvent} */ { msg, error, node }) => {
    if (!isOurs(node)) return
    const answer = pending.get(msg._msgid)
    pending.delete(msg._msgid)
    // The second copy of a document is refused with 400.
    const status = error?.code === 'REDOX_DUPLICATE' ? 400 : 500
    if (error) answer?.status(status).json({ code: error.code })
    else answer?.json({ accepted: msg._msgid })
  })
  RED.hooks.add('onSend.durable', (/** @type {SendEvent[]} */ events) => {
    // Synchronous: bytes that were written to the kernel are kept when the process is killed.
    for (const { msg, source } of events) if (isOurs(source)) appendFileSync(emitted, `${msg._msgid}\n`)
  })

  // Reports the resources that could leak: heap in bytes after a garbage collection, open file descriptors, event
  // listeners.
  RED.httpAdmin.get('/probe', (_request, response) => {
    collectGarbage()
    response.json({
      heap: process.memoryUsage().heapUsed,
      descriptors: readdirSync('/proc/self/fd').length,
      listeners: listenersOf(RED.events) + listenersOf(process),
    })
  })

  RED.httpAdmin.post('/durable/:node/:id', async (request, response) => {
    const { node, id } = request.params
    /** @type {Buffer[]} */
    const pieces = []
    for await (const piece of request) pieces.push(piece)
    const found = RED.nodes.getNode(node)
    // During a deploy, the node does not exist.
    if (!found) return response.sendStatus(503)
    pending.set(id, response)
    const { destination, patient = id } = request.query
    const payload = Buffer.concat(pieces)
    found.receive({ _msgid: id, payload, filename: 'scan.pdf', id, patient, destination })
  })
}

/** @param {import('node:events').EventEmitter} emitter */
const listenersOf = (emitter) =>
  emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0)
