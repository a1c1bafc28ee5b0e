import type { FieldValue } from '../../../src/message/fields'
import { holds } from '../fields/conditions'
import { pathOf, typedFields } from '../fields/lookup'
import type { TypedField } from '../fields/types'
import type { PrepareInput } from './prepare-types'

/** Returns the values of a node's filled fields. Values of fields that the dialog hides stay saved but are not sent. */
export const fieldValues = (task: PrepareInput): Promise<FieldValue[]> =>
  valuesOf(
    task,
    ({ when, withoutFile }) => !withoutFile && holds(when, (choice) => task.inputs.setting(choice)),
  )

/**
 * Returns the values of the fields for file name and file type, for a message without a file (Delete, Notes message
 * with text).
 */
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
    // Empty fields are skipped without `await`, because most fields are empty and each `await` takes time.
    if (path === undefined || !inputs.isSet(name) || !isWanted(field)) continue
    if (other !== undefined && (await inputs.value(other)) === undefined) continue
    const value = await inputs.value(name)
    if (value !== undefined) values.push({ path, value })
  }
  return values
}
