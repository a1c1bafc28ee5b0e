import { setTimeout as sleep } from 'node:timers/promises'

export interface Repetition {
  /** milliseconds between two runs */
  every: number
  /** milliseconds of the longest pause */
  longest: number
  /** ends it */
  signal: AbortSignal
  onError: (error: unknown) => void
}

/**
 * Repeats a task every so many milliseconds, or after 20 × its own duration if that is longer, so that it uses at most
 * 5 % of the time. What fails is told to `onError` and run again.
 */
export async function repeat(
  task: () => Promise<void>,
  { every, longest, signal, onError }: Repetition,
): Promise<void> {
  while (!signal.aborted) {
    const began = performance.now()
    await task().catch(onError)
    await pause(Math.min(Math.max(every, 20 * (performance.now() - began)), longest), signal)
  }
}

/** Resolves after so many milliseconds, or when the signal is aborted. */
export const pause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  sleep(milliseconds, undefined, { signal }).catch(() => undefined)
