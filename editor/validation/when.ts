/** When the checks of a field count, by its table. */
import { checkedWhen, holds, settingOf } from '../../nodes/lib/fields/conditions'
import type { Field, Table } from '../../nodes/lib/fields/types'
import { VARIABLE } from '../../src/shared/formats'
import type { Read } from '../forms'

/** What a node's choices are set to, also those that were not saved. */
export const settingsOf =
  (table: Table, read: Read): Read =>
  (name) =>
    settingOf(table, name, read(name))

export const isChecked = (table: Table, field: Field, read: Read): boolean =>
  holds(checkedWhen(field), settingsOf(table, read)) && !(field.notInSandbox && mayBeSandbox(read))

/** Whether a connection is to the sandbox, or to what a variable says: that is known to the runtime only. */
export const mayBeSandbox = (read: Read): boolean =>
  read('environmentType') === 'env' ||
  VARIABLE.test(read('environment')) ||
  ['', 'Sandbox'].includes(read('environment'))
