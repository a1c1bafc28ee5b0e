import { labelOf, text } from '../texts'

/** What is wrong with a value: a key below `invalid` in the catalogue, with the values of its sentence. */
export type Fault = [key: string, values?: object]

/** The sentence about a property, true for one that is right. */
export const sentence = (name: string, fault: Fault | undefined): true | string =>
  fault === undefined || text(`invalid.${fault[0]}`, { label: labelOf(name), ...fault[1] })
