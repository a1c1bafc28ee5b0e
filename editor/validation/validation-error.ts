import { labelOf, text } from '../texts'

/** Error of a value: a key below `invalid` in the catalogue, and the values for its sentence. */
export type ValidationError = [key: string, values?: object]

/** Returns the sentence about an error of a property; true if there is no error. */
export const sentence = (name: string, fault: ValidationError | undefined): true | string =>
  fault === undefined || text(`invalid.${fault[0]}`, { label: labelOf(name), ...fault[1] })
