import { connectionFor } from '../lib/fields/connection'
import { table } from '../lib/fields/types'

export const fields = table('redox-log', 1, [
  ...connectionFor('connectionOfLog'),
  {
    name: 'logIds',
    kind: 'typed',
    icon: 'list',
    types: ['msg', 'flow', 'global', 'jsonata', 'str', 'env'],
    value: 'redox.logIds',
    valueType: 'msg',
    checks: ['needed'],
  },
  { name: 'followMinutes', kind: 'text', icon: 'clock-o', checks: ['amount'] },
])
