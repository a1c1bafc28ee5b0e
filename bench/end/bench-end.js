/** Where every flow of the bench ends. */
module.exports = function register(RED) {
  RED.nodes.registerType('bench-end', function End(definition) {
    RED.nodes.createNode(this, definition)
    this.on('input', (msg, _send, done) => {
      globalThis.benchEnd(msg)
      done()
    })
  })
}
