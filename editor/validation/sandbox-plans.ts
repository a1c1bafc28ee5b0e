import {
  DeliveryPlan,
  DeliveryPlanError,
  EFFECT_EXAMPLES,
  type DeliveryPart,
} from '../../src/sandbox/delivery-plan'
import { FAULT_EXAMPLES, FaultPlan, FaultPlanError, PLACES, type RulePart } from '../../src/sandbox/faults'
import { VARIABLE } from '../../src/shared/formats'
import type { ValidationError } from './validation-error'

const FAULT_SENTENCES: Record<RulePart, string> = {
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
    return [FAULT_SENTENCES[part], { line, word, values: CHOICES[part]?.join(', ') }]
  }
}

const DELIVERY_SENTENCES: Record<DeliveryPart, string> = {
  seed: 'faultSeed',
  time: 'deliveryTime',
  destination: 'deliveryDestination',
  effect: 'deliveryEffect',
  count: 'faultCount',
}

/** Returns the error of a delivery plan, with the invalid line. Uses the parser of the sandbox. */
export function deliveryPlan(value: string): ValidationError | undefined {
  if (VARIABLE.test(value.trim())) return undefined
  try {
    new DeliveryPlan(value)
    return undefined
  } catch (error) {
    if (!(error instanceof DeliveryPlanError)) throw error
    const { line, part, word } = error
    return [DELIVERY_SENTENCES[part], { line, word, values: EFFECT_EXAMPLES.join(', ') }]
  }
}
