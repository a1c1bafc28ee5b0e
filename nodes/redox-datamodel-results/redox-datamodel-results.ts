import type { NodeAPI } from 'node-red'
import { registerSendNode } from '../lib/node/send-node'

export = function register(RED: NodeAPI): void {
  registerSendNode(RED, 'redox-datamodel-results', async () => {
    const { dataModelNode, PATIENT_FIELDS } = await import('../lib/node/datamodel-node.js')
    return dataModelNode({
      model: 'Results',
      fields: [
        ...PATIENT_FIELDS,
        { name: 'orderId', path: 'Orders[0].ID' },
        { name: 'applicationOrderId', path: 'Orders[0].ApplicationOrderID' },
        { name: 'orderStatus', path: 'Orders[0].Status' },
        { name: 'resultsStatus', path: 'Orders[0].ResultsStatus' },
        { name: 'resultCode', path: 'Orders[0].Results[0].Code' },
        { name: 'resultCodeset', path: 'Orders[0].Results[0].Codeset', with: 'resultCode' },
        { name: 'resultDescription', path: 'Orders[0].Results[0].Description' },
        { name: 'resultStatus', path: 'Orders[0].Results[0].Status' },
      ],
      severalFiles: true,
    })
  })
}
