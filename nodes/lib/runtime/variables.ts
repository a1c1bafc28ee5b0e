import { VARIABLE } from '../../../src/shared/formats'
/**
 * Returns the name of an unset environment variable in a setting. At start, Node-RED replaces `${NAME}` only if the
 * variable is set, so a remaining `${NAME}` is unset.
 */
export const unsetVariable = (value: unknown): string | undefined =>
  typeof value === 'string' ? VARIABLE.exec(value.trim())?.[1] : undefined
