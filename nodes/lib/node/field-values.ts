import type { FieldValue } from '../../../src/message/fields'
import { holds } from '../fields/conditions'
import { pathOf, typedFields } from '../fields/lookup'
import type { TypedField } from '../fields/types'
import type { Task } from './prepare'

/** The values of a node's filled fields. A field that the form hides keeps what was typed, and is not sent. */
export const fieldValues = (task: Task): Promise<FieldValue[]> =>
  valuesOf(
    task,
    ({ when, withoutFile }) => !withoutFile && holds(when, (choice) => task.inputs.setting(choice)),
  )

/** What the inputs for a file's name and type fill when there is no file (Delete, text): then nothing else does. */
export const fileValues = (task: Task): Promise<FieldValue[]> =>
  valuesOf(task, ({ withoutFile }) => withoutFile === true)

async function valuesOf({ inputs }: Task, isWanted: (field: TypedField) => boolean): Promise<FieldValue[]> {
  const values: FieldValue[] = []
  for (const field of typedFields(inputs.table)) {
    const { name, with: other } = field
    const path = pathOf(field)
    // Most are not set, and each wait for nothing costs.
    if (path === undefined || !inputs.isSet(name) || !isWanted(field)) continue
    if (other !== undefined && (await inputs.value(other)) === undefined) continue
    const value = await inputs.value(name)
    if (value !== undefined) values.push({ path, value })
  }
  return values
}
