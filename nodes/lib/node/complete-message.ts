import type { Node, NodeAPI, NodeMessageInFlow } from 'node-red'
import type { MessageAnswer } from './in-flight-message'

type Message = NodeMessageInFlow & Record<string, unknown>

/**
 * Internal method that Node-RED calls in `done`. Only this method can complete a message with another object than the
 * received message.
 */
interface Completing {
  _complete(msg: NodeMessageInFlow, error?: Error): void
}

/**
 * Calls `done` for a message, which triggers Complete or Catch nodes. Node-RED copies the message for each of these
 * nodes, which fails for some messages (a getter that throws, a value nested too deep). Then the properties that cannot
 * be copied are left out.
 */
export function completeMessage(
  RED: NodeAPI,
  node: Node,
  { msg, done }: { msg: NodeMessageInFlow; done: (error?: Error) => void },
  error?: Error,
): void {
  // Read before `done`, because after a failed copy the message has no `req` and `res`.
  const before = readable(msg)
  try {
    done(error)
  } catch {
    ;(node as unknown as Completing)._complete(copyable(RED, before), error)
  }
}

/** Returns a message with its answer, in a form that Node-RED can pass on to all following nodes. */
export function withAnswer(
  RED: NodeAPI,
  node: Node,
  msg: NodeMessageInFlow,
  { payload, statusCode, redox }: MessageAnswer,
): NodeMessageInFlow {
  return withProperties(RED, node, msg, { payload, statusCode, redox })
}

/** Returns a message with further properties, in a form that Node-RED can pass on to all following nodes. */
export function withProperties(
  RED: NodeAPI,
  node: Node,
  msg: NodeMessageInFlow,
  properties: object,
): NodeMessageInFlow {
  const answered = laidOver(msg, properties)
  // Node-RED passes the message itself to the first node, and copies to the other nodes. If a copy failed, the first
  // node would already have the message.
  const isCopied = (node as unknown as { wires: unknown[][] }).wires.flat().length > 1
  return isCopied && !isCopyable(RED, answered) ? copyable(RED, readable(answered)) : answered
}

// A frozen message cannot be changed, so a copy of it gets the answer.
function laidOver(msg: NodeMessageInFlow, answer: object): NodeMessageInFlow {
  try {
    return Object.assign(msg, answer)
  } catch {
    return Object.assign(readable(msg), answer)
  }
}

/** Returns the properties of a message that can be read. */
function readable(msg: NodeMessageInFlow): Message {
  const properties: Record<string, unknown> = {}
  try {
    for (const name of Object.keys(msg)) read(properties, msg, name)
  } catch {
    // A Proxy may throw when its keys are listed.
  }
  return properties as Message
}

function read(properties: Record<string, unknown>, msg: Message, name: string): void {
  try {
    properties[name] = msg[name]
  } catch {
    // A property that cannot be read is left out.
  }
}

/** Returns the properties that Node-RED can copy. */
function copyable(RED: NodeAPI, properties: Message): Message {
  const names = Object.keys(properties).filter((name) => isCopyable(RED, { [name]: properties[name] }))
  return Object.fromEntries(names.map((name) => [name, properties[name]])) as Message
}

/**
 * Returns true if Node-RED can copy the properties. Tries this with a shallow copy, because a failed copy removes `req`
 * and `res` from its source.
 */
function isCopyable(RED: NodeAPI, properties: object): boolean {
  try {
    RED.util.cloneMessage({ ...properties } as NodeMessageInFlow)
    return true
  } catch {
    return false
  }
}
