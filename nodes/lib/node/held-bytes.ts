import type { NodeMessageInFlow } from 'node-red'
import { keysUpTo } from '../../../src/message/json'

// A walk over a message has to be short; larger ones consist of texts and Buffers nearly always.
const MOST_VALUES = 10_000
const BYTES_OF_A_VALUE = 8

const OF_HTTP_IN = new Set(['req', 'res'])

type MessageOfHttpIn = NodeMessageInFlow & { req?: { body?: unknown; files?: unknown }; res?: unknown }

/**
 * About how many bytes a message holds in memory: its texts, its Buffers, and its other values. Of `req` only what came
 * with the request counts, and not its socket.
 */
export function heldBytes(msg: MessageOfHttpIn): number {
  const seen = new Set<object>()
  const found: unknown[] = []
  let bytes = BYTES_OF_A_VALUE
  try {
    const { req } = msg
    found.push(...dataOf(msg, OF_HTTP_IN), req?.body, req?.files)
    for (let values = 0; values < MOST_VALUES && found.length > 0; values++) {
      const value = found.pop()
      bytes += sizeOf(value)
      if (!isWalked(value) || seen.has(value)) continue
      seen.add(value)
      const parts = Array.isArray(value) ? value.slice(0, MOST_VALUES) : dataOf(value)
      for (const part of parts) found.push(part)
    }
  } catch {
    // An object that does not let itself be looked at, such as a Proxy: what was counted so far is what is known.
  }
  return bytes
}

function sizeOf(value: unknown): number {
  if (typeof value === 'string') return value.length
  if (ArrayBuffer.isView(value)) return value.byteLength
  return BYTES_OF_A_VALUE * (Array.isArray(value) ? value.length : 1)
}

const isWalked = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)

/** Without calling getters: they may throw, or make what is not there yet. More keys than are walked tell nothing. */
const dataOf = (value: object, without?: Set<string>): unknown[] =>
  (keysUpTo(MOST_VALUES, value) ?? []).flatMap((key): unknown[] => {
    if (without?.has(key)) return []
    const property = Object.getOwnPropertyDescriptor(value, key)
    return property && 'value' in property ? [property.value] : []
  })
