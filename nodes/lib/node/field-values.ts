import type { FieldValue } from '../../../src/message/fields'
import { holds } from '../fields/conditions'
import { pathOf, typedFields } from '../fields/lookup'
import type { TypedField } from '../fields/types'
import type { PrepareInput } from './prepare-types'

/**
 * Returns the values of a node's filled fields. Fields that the form hides keep their saved values, which are not sent.
 */
export const fieldValues = (task: PrepareInput): Promise<FieldValue[]> =>
  valuesOf(
    task,
    ({ when, withoutFile }) => !withoutFile && holds(when, (choice) => task.inputs.setting(choice)),
  )

/** Returns the values of the file name and file type fields for a message without a file (Delete, text note). */
export const fileValues = (task: PrepareInput): Promise<FieldValue[]> =>
  valuesOf(task, ({ withoutFile }) => withoutFile === true)

async function valuesOf(
  { inputs }: PrepareInput,
  isWanted: (field: TypedField) => boolean,
): Promise<FieldValue[]> {
  const values: FieldValue[] = []
  for (const field of typedFields(inputs.table)) {
    const { name, with: other } = field
    const path = pathOf(field)
    // Most fields are not set, and each `await` takes time.
    if (path === undefined || !inputs.isSet(name) || !isWanted(field)) continue
    if (other !== undefined && (await inputs.value(other)) === undefined) continue
    const value = await inputs.value(name)
    if (value !== undefined) values.push({ path, value })
  }
  return values
}
