/** Conditions under which the checks of a field apply. */
import { checkedWhen, holds, settingOf } from '../../nodes/lib/fields/conditions'
import type { Field, Table } from '../../nodes/lib/fields/types'
import { VARIABLE } from '../../src/shared/formats'
import type { Read } from '../forms'

/**
 * Returns a function that reads the choices of a node. For a choice that was not saved, it returns the first option.
 */
export const settingsOf =
  (table: Table, read: Read): Read =>
  (name) =>
    settingOf(table, name, read(name))

export const isChecked = (table: Table, field: Field, read: Read): boolean =>
  holds(checkedWhen(field), settingsOf(table, read)) && !(field.notInSandbox && mayBeSandbox(read))

/**
 * Returns true if a connection uses the sandbox, or if its environment is an environment variable, whose value only the
 * runtime knows.
 */
export const mayBeSandbox = (read: Read): boolean =>
  read('environmentType') === 'env' ||
  VARIABLE.test(read('environment')) ||
  ['', 'Sandbox'].includes(read('environment'))
