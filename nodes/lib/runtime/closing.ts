import type { NodeAPI } from 'node-red'

// Milliseconds that Node-RED waits for a node to close, unless the setting `nodeCloseTimeout` is set
// (https://nodered.org/docs/creating-nodes/node-js#closing-the-node).
const NODE_RED_WAITS_MS = 15_000
const PART_OF_IT = 0.8

/** Returns the milliseconds that a node may take to close. */
export function closeWithinMs(RED: NodeAPI): number {
  const { nodeCloseTimeout } = RED.settings as { nodeCloseTimeout?: number }
  return PART_OF_IT * (nodeCloseTimeout ?? NODE_RED_WAITS_MS)
}

/**
 * Milliseconds after the start of Node-RED's shutdown in which messages may still start a request. After that, only
 * requests that Redox may have received are waited for: not token requests, connection attempts or retry delays.
 */
export const HURRY_AFTER_MS = 1000

/** Resolves with a value after some milliseconds. Does not keep the process alive. */
export const timer = <T>(milliseconds: number, value: T): Promise<T> =>
  new Promise((resolve) => void setTimeout(resolve, milliseconds, value).unref())
