import type { NodeAPI } from 'node-red'
import { PATIENT_FIELDS, registerDataModelNode } from '../lib/datamodel-node'

export = function register(RED: NodeAPI): void {
  registerDataModelNode(RED, 'redox-datamodel-results', {
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
}
