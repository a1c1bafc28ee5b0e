/** Evaluation of the conditions and choices in a table of fields, shared by the runtime and the dialogs. */
import type { Condition, Field, Table } from './types'

export const fieldNamed = (table: Table, name: string): Field | undefined =>
  table.fields.find((field) => field.name === name)

/**
 * Returns true if each choice in the condition has one of the listed values.
 * @param read returns the value of the choice with the given name
 */
export const holds = (condition: Condition = {}, read: (name: string) => string): boolean =>
  Object.entries(condition).every(([name, values]) => values.includes(read(name)))

/** Returns the saved value of a property; for a choice field without a saved value, its first option. */
export function settingOf(table: Table, name: string, saved: string): string {
  if (saved !== '') return saved
  const field = fieldNamed(table, name)
  return field?.kind === 'choice' ? field.options[0] : ''
}

/** Returns the condition under which the checks of a field apply. */
export const checkedWhen = ({ section, when, checksWhen }: Field): Condition => ({
  ...section?.when,
  ...when,
  ...checksWhen,
})
