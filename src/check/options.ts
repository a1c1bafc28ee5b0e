import { parseArgs } from 'node:util'

/** Steps that send something, in their order. The token step cannot be skipped. */
export const STEPS = [
  ...(['binary', 'report', 'observation', 'document', 'bundle'] as const),
  ...(['blob', 'notes', 'results', 'media', 'limits'] as const),
] as const
export type StepName = (typeof STEPS)[number]

export interface CheckOptions {
  skipped: ReadonlySet<StepName>
  /** path of the report file */
  report: string
  /** true: runs the steps without asking before each of them */
  yes: boolean
}

/** Wrong command line or settings: exit code 2. The text never repeats a value, which could be a secret. */
export class UsageError extends Error {}

/** Parses the command line. `--limits` is an option, and not a step that runs by default, because its files are large. */
export function optionsOf(args: string[]): CheckOptions | 'help' {
  const values = parsed(args)
  if (values.help) return 'help'
  const names = (values.skip ?? '').split(',').flatMap((name) => name.trim() || [])
  const skipped = new Set(names.map(stepNamed))
  if (!values.limits) skipped.add('limits')
  return { skipped, report: values.report ?? 'redox-check.md', yes: values.yes ?? false }
}

function parsed(args: string[]) {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  try {
    const options = { skip: text, report: text, limits: flag, yes: flag, help: flag }
    return parseArgs({ args, options }).values
  } catch {
    throw new UsageError('Unknown argument. Secrets are never arguments: set them in the environment.')
  }
}

function stepNamed(name: string): StepName {
  const found = STEPS.find((one) => one === name)
  if (found === undefined) throw new UsageError(`Unknown step in --skip. Use ${STEPS.join(', ')}.`)
  return found
}
