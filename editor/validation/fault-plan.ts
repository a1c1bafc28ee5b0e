import { FAULT_EXAMPLES, FaultPlan, FaultPlanError, PLACES, type RulePart } from '../../src/sandbox/faults'
import { VARIABLE } from '../../src/shared/formats'
import type { ValidationError } from './validation-error'

const SENTENCES: Record<RulePart, string> = {
  seed: 'faultSeed',
  place: 'faultPlace',
  fault: 'faultKind',
  count: 'faultCount',
}
const CHOICES: Partial<Record<RulePart, readonly string[]>> = { place: PLACES, fault: FAULT_EXAMPLES }

/** Returns the error of a fault plan, with the invalid line. Uses the parser of the sandbox. */
export function faultPlan(value: string): ValidationError | undefined {
  if (VARIABLE.test(value.trim())) return undefined
  try {
    new FaultPlan(value)
    return undefined
  } catch (error) {
    if (!(error instanceof FaultPlanError)) throw error
    const { line, part, word } = error
    return [SENTENCES[part], { line, word, values: CHOICES[part]?.join(', ') }]
  }
}
