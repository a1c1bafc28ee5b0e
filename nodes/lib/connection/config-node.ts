import type { NodeAPI } from 'node-red'
import type { RedoxConfigNode } from './connection'

/** Returns the redox-config node with an id; undefined if there is none, or it is disabled. */
export function configNodeOf(RED: NodeAPI, id: string): RedoxConfigNode | undefined {
  const node = RED.nodes.getNode(id) as RedoxConfigNode | null
  return node && typeof node.connection === 'function' ? node : undefined
}
