/**
 * Returns the value, which the calling code guarantees to exist. The sandbox has its own copy of this function, because
 * it shares no code with the client.
 * @param what name of the value for the error, which reports a defect of the sandbox
 */
export function present<T>(value: T | null | undefined, what: string): T {
  if (value === undefined || value === null)
    throw new Error(`Internal error of the sandbox: ${what} is missing.`)
  return value
}
