import type { Node, NodeAPI, NodeMessageInFlow } from 'node-red'
import type { Answer } from './in-flight'

type Message = NodeMessageInFlow & Record<string, unknown>

/** What Node-RED calls `done` with: it has no other way to end a message than the object that came. */
interface Completing {
  _complete(msg: NodeMessageInFlow, error?: Error): void
}

/**
 * Ends a message: Complete, or Catch. Node-RED copies it for each of those nodes, and fails over some messages (a getter
 * that throws, a value nested too deep): what cannot be copied is left out then, and the rest is told.
 */
export function conclude(
  RED: NodeAPI,
  node: Node,
  { msg, done }: { msg: NodeMessageInFlow; done: (error?: Error) => void },
  error?: Error,
): void {
  // Before: a copy that fails leaves a message without its `req` and `res`.
  const before = readable(msg)
  try {
    done(error)
  } catch {
    ;(node as unknown as Completing)._complete(copyable(RED, before), error)
  }
}

/** A message with its answer, as Node-RED can pass it on to each of the nodes that follow. */
export function withAnswer(
  RED: NodeAPI,
  node: Node,
  msg: NodeMessageInFlow,
  { payload, statusCode, redox }: Answer,
): NodeMessageInFlow {
  const answered = laidOver(msg, { payload, statusCode, redox })
  // The first node gets the message itself, and the others copies: where one fails, that first one has it already.
  const isCopied = (node as unknown as { wires: unknown[][] }).wires.flat().length > 1
  return isCopied && !isCopyable(RED, answered) ? copyable(RED, readable(answered)) : answered
}

// A message that is frozen cannot carry its answer; what was delivered must be told all the same.
function laidOver(msg: NodeMessageInFlow, answer: object): NodeMessageInFlow {
  try {
    return Object.assign(msg, answer)
  } catch {
    return Object.assign(readable(msg), answer)
  }
}

/** The properties that can be read. */
function readable(msg: NodeMessageInFlow): Message {
  const properties: Record<string, unknown> = {}
  try {
    for (const name of Object.keys(msg)) read(properties, msg, name)
  } catch {
    // A Proxy that does not tell its keys.
  }
  return properties as Message
}

function read(properties: Record<string, unknown>, msg: Message, name: string): void {
  try {
    properties[name] = msg[name]
  } catch {
    // Left out.
  }
}

/** Copies of the properties that can be copied. */
function copyable(RED: NodeAPI, properties: Message): Message {
  const names = Object.keys(properties).filter((name) => isCopyable(RED, { [name]: properties[name] }))
  return Object.fromEntries(names.map((name) => [name, properties[name]])) as Message
}

/** A copy that fails leaves what it copied without `req` and `res`: not the message itself. */
function isCopyable(RED: NodeAPI, properties: object): boolean {
  try {
    RED.util.cloneMessage({ ...properties } as NodeMessageInFlow)
    return true
  } catch {
    return false
  }
}
