// Helpers for servers and child processes that several scripts use.

/**
 * Returns the TCP port of a listening server.
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
 * @param {() => void} [sent] called when the message was sent
 * @throws if this process was not forked
 */
export function sendToParent(message, sent) {
  if (process.send === undefined) throw new Error('This script is started by another one, with fork()')
  process.send(message, undefined, undefined, sent)
}

/**
 * Runs the garbage collector. The process has to be started with --expose-gc.
 * @throws if the process was started without this option
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
 * Returns the code of a Node.js error, such as `EEXIST`; undefined if the error has no code.
 * @param {unknown} error
 */
export function codeOf(error) {
  return error instanceof Error ? /** @type {NodeJS.ErrnoException} */ (error).code : undefined
}
