import type { NodeMessageInFlow } from 'node-red'
import { keysUpTo } from '../../../src/message/json'

// Maximum number of values of a message whose sizes are added up, so that this stays fast. In larger messages, nearly
// all bytes are in strings and Buffers.
const MOST_VALUES = 10_000
const BYTES_OF_A_VALUE = 8

const OF_HTTP_IN = new Set(['req', 'res'])

type MessageOfHttpIn = NodeMessageInFlow & { req?: { body?: unknown; files?: unknown }; res?: unknown }

/**
 * Returns the approximate number of bytes that a message uses in memory: strings, Buffers and other values. Of `req` of
 * an HTTP In node, only the body and the uploaded files are included.
 */
export function messageSize(msg: MessageOfHttpIn): number {
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
    // Some objects, such as a Proxy, throw when they are inspected. The bytes counted so far are returned.
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

/**
 * Returns the values of an object without calling getters, which may throw or create data. Returns no values for an
 * object with more than MOST_VALUES keys.
 */
const dataOf = (value: object, without?: Set<string>): unknown[] =>
  (keysUpTo(MOST_VALUES, value) ?? []).flatMap((key): unknown[] => {
    if (without?.has(key)) return []
    const property = Object.getOwnPropertyDescriptor(value, key)
    return property && 'value' in property ? [property.value] : []
  })
