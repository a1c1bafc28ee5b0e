/** Conditions under which the fields of a table are checked. */
import { checkedWhen, holds, settingOf } from '../../nodes/lib/fields/conditions'
import type { Field, Table } from '../../nodes/lib/fields/types'
import { VARIABLE } from '../../src/shared/formats'
import type { Read } from '../forms'

/** Returns a reader of the values of choice fields; a choice without a saved value has its default. */
export const settingsOf =
  (table: Table, read: Read): Read =>
  (name) =>
    settingOf(table, name, read(name))

export const isChecked = (table: Table, field: Field, read: Read): boolean =>
  holds(checkedWhen(field), settingsOf(table, read)) && !(field.notInSandbox && mayBeSandbox(read))

/** Returns true if a connection may be to the sandbox. Only the runtime knows the value of an environment variable. */
export const mayBeSandbox = (read: Read): boolean =>
  read('environmentType') === 'env' ||
  VARIABLE.test(read('environment')) ||
  ['', 'Sandbox'].includes(read('environment'))
