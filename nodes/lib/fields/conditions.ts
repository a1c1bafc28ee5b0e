/** Questions about conditions and choices, which the runtime and the dialogs ask in the same words. */
import type { Condition, Field, Table } from './types'

export const fieldNamed = (table: Table, name: string): Field | undefined =>
  table.fields.find((field) => field.name === name)

/**
 * Returns true if a condition is met.
 * @param read returns the value of a choice field by its name
 */
export const holds = (condition: Condition = {}, read: (name: string) => string): boolean =>
  Object.entries(condition).every(([name, values]) => values.includes(read(name)))

/** Returns the value of a property; for a list without a saved value, its first option. */
export function settingOf(table: Table, name: string, saved: string): string {
  if (saved !== '') return saved
  const field = fieldNamed(table, name)
  return field?.kind === 'choice' ? field.options[0] : ''
}

/** When the checks of a field count. */
export const checkedWhen = ({ section, when, checksWhen }: Field): Condition => ({
  ...section?.when,
  ...when,
  ...checksWhen,
})
