/**
 * The value, where the code around it guarantees that there is one. The sandbox has its own: it shares nothing with the
 * client.
 * @param what names it in the error, which tells of a fault in the sandbox
 */
export function present<T>(value: T | null | undefined, what: string): T {
  if (value === undefined || value === null)
    throw new Error(`Internal error of the sandbox: ${what} is missing.`)
  return value
}
