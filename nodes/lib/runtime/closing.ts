import type { NodeAPI } from 'node-red'

// Node-RED waits 15 s for a node to close, or what the settings say
// (https://nodered.org/docs/creating-nodes/node-js#closing-the-node).
const NODE_RED_WAITS_MS = 15_000
const PART_OF_IT = 0.8

/** Milliseconds that a node may take to close. */
export function closeWithinMs(RED: NodeAPI): number {
  const { nodeCloseTimeout } = RED.settings as { nodeCloseTimeout?: number }
  return PART_OF_IT * (nodeCloseTimeout ?? NODE_RED_WAITS_MS)
}

/**
 * Milliseconds in which what is between two requests may begin the next one when Node-RED ends. After that a request
 * alone that may have reached Redox is worth the wait: a token, a connection or a pause is not.
 */
export const HURRY_AFTER_MS = 1000

/** Resolves with the value after so long. Does not keep the process alive. */
export const timer = <T>(milliseconds: number, value: T): Promise<T> =>
  new Promise((resolve) => void setTimeout(resolve, milliseconds, value).unref())
