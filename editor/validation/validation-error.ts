import { labelOf, text } from '../texts'

/** Error of a value: key below `invalid` in the catalogue, and values to insert into its text. */
export type ValidationError = [key: string, values?: object]

/** Returns the error text for a property; true if there is no error. */
export const sentence = (name: string, fault: ValidationError | undefined): true | string =>
  fault === undefined || text(`invalid.${fault[0]}`, { label: labelOf(name), ...fault[1] })
