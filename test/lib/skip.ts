export const NO_POSTGRES = 'install PostgreSQL and PgBouncer (Debian: postgresql, pgbouncer)'
export const NO_MOUNT = 'only root may mount the small or broken disk of the test'

type Skippable = { type?: string; parent?: Skippable; skipReason?: string }

/**
 * Skips a test (in a `before` hook, all tests of the `describe` block) and records the reason. `npm test` lists these
 * reasons at the end of its output.
 */
export function skip(context: Mocha.Context, reason: string): never {
  const runnable = context.runnable() as unknown as Skippable
  const skipped = runnable.type === 'hook' ? runnable.parent! : runnable
  skipped.skipReason = reason
  return context.skip()
}
