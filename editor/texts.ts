const CATALOGUE = '@ehr-flows/node-red-redox/redox-config:redox'

/** Returns a text from the message catalogue in the user's language, with `values` inserted. */
export const text = (key: string, values?: object): string => RED._(`${CATALOGUE}.${key}`, values)

export const labelOf = (name: string): string => text(`label.${name}`)
