// Types for the parts of Node-RED's runtime that the scripts use. Node-RED's published types do not cover the nodes of
// running flows.

/**
 * A node of a running flow.
 * @typedef {import('node-red').Node & { wires: string[][], credentials?: Record<string, unknown> }} RuntimeNode
 */

/**
 * Node in a flow file: `id`, `type`, and the saved properties of its type.
 * @typedef {{ id: string, type: string, z?: string } & Record<string, any>} FlowNode
 */

/**
 * Node-RED's message, with the properties that this package adds.
 * @typedef {import('node-red').NodeMessageInFlow & Record<string, any>} Message
 */

/**
 * Access to the nodes of the runtime.
 * @typedef {object} RuntimeNodes
 * @property {(id: string) => RuntimeNode | null} getNode
 * @property {(visit: (node: FlowNode) => void) => void} eachNode
 */

/**
 * Argument of `setFlows`: flows to deploy. The nodes contain their credentials.
 * @typedef {{ flows: { flows: FlowNode[] }, deploymentType: 'full' | 'nodes' | 'flows' }} FlowsToSet
 */

/**
 * Handler of HTTP requests of Node.js, such as an Express app.
 * @typedef {(request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse, next: () => void) => void} Handler
 */

/**
 * Hooks of the runtime. The type of the event depends on the name of the hook.
 * @typedef {{ add: (name: string, handler: (event: any) => void) => void, remove: (name: string) => void }} Hooks
 */

/**
 * Node-RED runtime in this process.
 * @typedef {Omit<import('node-red').NodeRedApp, 'init' | 'nodes' | 'runtime' | 'hooks'> & {
 *   init: (server: import('node:http').Server, settings: object) => void,
 *   nodes: RuntimeNodes,
 *   hooks: Hooks,
 *   runtime: { flows: { setFlows: (options: FlowsToSet) => Promise<unknown> } },
 * }} Runtime
 */

/**
 * Part of a hook event that identifies a node.
 * @typedef {{ id: string, node: { type: string, z?: string } }} HookNode
 * @typedef {{ msg: Message, error?: Error & { code?: string }, node: HookNode }} CompleteEvent
 * @typedef {{ msg: Message, source: HookNode }} SendEvent
 * @typedef {{ destination: HookNode }} ReceiveEvent
 */

/**
 * Node-RED API as the modules in `nodesDir` get it, with the hooks, which the published types lack.
 * @typedef {Omit<import('node-red').NodeAPI, 'nodes' | 'hooks'> & {
 *   nodes: import('node-red').NodeAPI['nodes'],
 *   hooks: Hooks,
 * }} NodeApi
 */

export {}
