import { VARIABLE } from '../../../src/shared/formats'
/** Node-RED replaces a value `${NAME}` at start; what still looks like one names a variable that is not set. */
export const unsetVariable = (value: unknown): string | undefined =>
  typeof value === 'string' ? VARIABLE.exec(value.trim())?.[1] : undefined
