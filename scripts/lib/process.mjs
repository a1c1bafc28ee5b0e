// Helpers for servers and child processes that every script would otherwise repeat with its checks.

/**
 * Returns the TCP port of a server that listens.
 * @param {import('node:net').Server} server
 * @throws if the server does not listen, or listens on a pipe
 */
export function portOf(server) {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The server has no TCP port')
  return address.port
}

/**
 * Sends a message to the process that forked this one.
 * @param {object} message
 * @param {() => void} [sent] called when the message has left
 * @throws if this process was not forked
 */
export function sendToParent(message, sent) {
  if (process.send === undefined) throw new Error('This script is started by another one, with fork()')
  process.send(message, undefined, undefined, sent)
}

/**
 * Collects garbage. The process has to be started with --expose-gc.
 * @throws if it was not
 */
export function collectGarbage() {
  if (globalThis.gc === undefined) throw new Error('Start it with node --expose-gc')
  void globalThis.gc()
}

/**
 * Waits for some milliseconds.
 * @param {number} milliseconds
 * @returns {Promise<void>}
 */
export function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

/**
 * Returns the error code of an error of Node.js, such as `EEXIST`; undefined if it has none.
 * @param {unknown} error
 */
export function codeOf(error) {
  return error instanceof Error ? /** @type {NodeJS.ErrnoException} */ (error).code : undefined
}
