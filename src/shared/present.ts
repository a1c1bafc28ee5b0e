/**
 * The value, where the code around it guarantees that there is one.
 * @param what names it in the error, which tells of a fault in this package
 */
export function present<T>(value: T | null | undefined, what: string): T {
  if (value === undefined || value === null) throw new Error(`Internal error: ${what} is missing.`)
  return value
}
