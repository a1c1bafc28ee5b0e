import { VARIABLE } from '../../../src/shared/formats'
/**
 * Returns the unset environment variable in a setting: at start, Node-RED replaces `${NAME}` only if the variable is
 * set.
 */
export const unsetVariable = (value: unknown): string | undefined =>
  typeof value === 'string' ? VARIABLE.exec(value.trim())?.[1] : undefined
