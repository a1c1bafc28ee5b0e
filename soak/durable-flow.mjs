// Flow of the durable soaks.
import { SENDERS } from './node-red.mjs'

/** @typedef {import('../dist/src/sandbox/index.js').Sandbox} Sandbox */
/** @typedef {import('../scripts/lib/runtime.mjs').FlowNode} FlowNode */
/** @typedef {Sandbox['oauthKey'] & { endpoints: Sandbox['endpoints'], audience: string }} Keys */
/**
 * @typedef {{ number: number, node: string, destination: string }} Destination type of the send node for the
 * destination, and id or slug of the destination
 */

/** @type {(keyof typeof SENDERS)[]} */
const NODES = ['note', 'media', 'results', 'fhir-result', 'fhir-document']
/** @param {number} number */
const destinationId = (number) => `af394f14-b34a-464f-8d24-${String(number).padStart(12, '0')}`

/**
 * Destinations of the messages. Messages to one destination have to arrive in order.
 * @type {Destination[]}
 */
export const DESTINATIONS = Array.from({ length: 4 }, (_, round) =>
  NODES.map((node, index) => {
    const number = round * NODES.length + index
    return { number, node, destination: node.startsWith('fhir') ? `slug-${number}` : destinationId(number) }
  }),
).flat()

/** Number of patients of each destination. The patient of a message follows from its number. */
export const PATIENTS = 4

/**
 * Returns a flow with every send node, all with the same durable connection.
 * @param {Keys} keys
 * @param {string} store `embedded` or `postgresql`
 * @param {string} [order] `destination` or `patient`
 * @returns {FlowNode[]}
 */
export function durableFlow(
  { clientId, keyId, privateKey, endpoints, audience },
  store,
  order = 'destination',
) {
  const secrets = { privateKey, storeKey: '${REDOX_STORE_KEY}', storeUrl: '${REDOX_STORE_URL}' }
  return [
    { id: 'tab', type: 'tab', label: 'soak' },
    {
      ...{ id: 'connection', type: 'redox-config', environment: 'Development', clientId, keyId },
      ...endpoints,
      // No rate limit: the soak sends more requests in five minutes than Redox allows.
      ...{
        audience,
        delivery: 'durable',
        store,
        answerTimeout: '20',
        perFiveMinutes: '0',
        credentials: secrets,
      },
      ...{ storeOrder: order, storeDuplicates: 'refuse' },
    },
    ...NODES.map((id, index) => ({
      ...{ id, z: 'tab', x: 200, y: 40 * index, connection: 'connection', wires: [['answers']] },
      ...SENDERS[id],
      ...{ destination: 'destination', destinationType: 'msg', patientId: 'patient', patientIdType: 'msg' },
      ...(id.startsWith('fhir') && { identifier: 'id', identifierType: 'msg' }),
    })),
    { id: 'answers', type: 'junction', z: 'tab', x: 400, y: 40, wires: [] },
  ]
}
