import { SENDERS } from './node-red.mjs'

const NODES = ['note', 'media', 'results', 'fhir-result', 'fhir-document']
const destination = (number) => `af394f14-b34a-464f-8d24-${String(number).padStart(12, '0')}`

/** Destinations that messages are sent to, each in an order of its own. */
export const LANES = Array.from({ length: 20 }, (_, lane) => {
  const node = NODES[lane % NODES.length]
  return { lane, node, destination: node.startsWith('fhir') ? `slug-${lane}` : destination(lane) }
})

/** Every node that sends, over one durable connection. */
export function durableFlow({ clientId, keyId, privateKey, endpoints, audience }, store) {
  const secrets = { privateKey, storeKey: '${REDOX_STORE_KEY}', storeUrl: '${REDOX_STORE_URL}' }
  return [
    { id: 'tab', type: 'tab', label: 'soak' },
    {
      ...{ id: 'connection', type: 'redox-config', environment: 'Development', clientId, keyId },
      ...endpoints,
      ...{ audience, delivery: 'durable', store, answerTimeout: '20', credentials: secrets },
    },
    ...NODES.map((id, index) => ({
      ...{ id, z: 'tab', x: 200, y: 40 * index, connection: 'connection', wires: [['answers']] },
      ...SENDERS[id],
      ...{ destination: 'lane', destinationType: 'msg' },
    })),
    { id: 'answers', type: 'junction', z: 'tab', x: 400, y: 40, wires: [] },
  ]
}
