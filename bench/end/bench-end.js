/**
 * Registers the node at the end of every benchmark flow, which passes each message to `benchEnd` of node-red.mjs.
 * @param {import('node-red').NodeAPI} RED
 */
module.exports = function register(RED) {
  RED.nodes.registerType('bench-end', End)

  /**
   * @this {import('node-red').Node}
   * @param {import('node-red').NodeDef} definition
   */
  function End(definition) {
    RED.nodes.createNode(this, definition)
    this.on('input', (msg, _send, done) => {
      ;/** @type {typeof globalThis & { benchEnd: (msg: object) => void }} */ (globalThis).benchEnd(msg)
      done()
    })
  }
}
