import { connectionFor } from '../lib/fields/connection'
import { section, table } from '../lib/fields/types'

export const fields = table('redox-outbox', 1, [
  ...connectionFor('connectionOfOutbox'),
  ...section('emit', { open: true }, [
    { name: 'emitParked', kind: 'box', icon: 'hand-paper-o', ticked: true },
    { name: 'emitLate', kind: 'box', icon: 'bell-o', ticked: true },
    { name: 'emitStopped', kind: 'box', icon: 'pause', ticked: true },
    { name: 'emitStore', kind: 'box', icon: 'database', ticked: true },
    { name: 'emitToken', kind: 'box', icon: 'key', ticked: true },
    { name: 'emitAudit', kind: 'box', icon: 'list-alt' },
  ]),
  ...section('allow', [
    { name: 'mayDiscard', kind: 'box', icon: 'trash-o' },
    { name: 'mayMarkDelivered', kind: 'box', icon: 'check' },
    { name: 'mayDecideUnknown', kind: 'box', icon: 'question-circle-o' },
  ]),
])
