import { setTimeout as sleep } from 'node:timers/promises'

export interface PeriodicTask {
  /** pause between two runs, in milliseconds */
  every: number
  /** longest pause in milliseconds */
  longest: number
  /** signal that ends the repetition */
  signal: AbortSignal
  onError: (error: unknown) => void
}

/**
 * Repeats a task every `every` milliseconds, or after 20 × its own duration if that is longer (but at most after
 * `longest`), so that it uses at most 5 % of the time. Errors are passed to `onError`, and the task runs again.
 */
export async function runPeriodically(
  task: () => Promise<void>,
  { every, longest, signal, onError }: PeriodicTask,
): Promise<void> {
  while (!signal.aborted) {
    const began = performance.now()
    await task().catch(onError)
    await pause(Math.min(Math.max(every, 20 * (performance.now() - began)), longest), signal)
  }
}

/** Resolves after some milliseconds, or as soon as the signal is aborted. */
export const pause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  sleep(milliseconds, undefined, { signal }).catch(() => undefined)
