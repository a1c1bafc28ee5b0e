/**
 * Returns the value, which the calling code guarantees to exist.
 * @param what name of the value for the error, which reports a defect of this package
 */
export function present<T>(value: T | null | undefined, what: string): T {
  if (value === undefined || value === null) throw new Error(`Internal error: ${what} is missing.`)
  return value
}
