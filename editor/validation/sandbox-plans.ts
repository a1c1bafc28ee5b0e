import { DeliveryPlan, EFFECT_EXAMPLES, type DeliveryPart } from '../../src/sandbox/delivery-plan'
import { FAULT_EXAMPLES, FaultPlan, PLACES, type RulePart } from '../../src/sandbox/faults'
import { PlanError } from '../../src/sandbox/plan-lines'
import { VARIABLE } from '../../src/shared/formats'
import type { ValidationError } from './validation-error'

/** Catalogue keys of the sentences about a wrong part of a rule, and the words that it may have. */
interface PlanTexts<Part extends string> {
  sentences: Record<Part, string>
  choices: Partial<Record<Part, readonly string[]>>
}

const FAULTS: PlanTexts<RulePart> = {
  sentences: { seed: 'faultSeed', place: 'faultPlace', fault: 'faultKind', count: 'faultCount' },
  choices: { place: PLACES, fault: FAULT_EXAMPLES },
}
const DELIVERIES: PlanTexts<DeliveryPart> = {
  sentences: {
    seed: 'faultSeed',
    time: 'deliveryTime',
    destination: 'deliveryDestination',
    effect: 'deliveryEffect',
    count: 'faultCount',
  },
  choices: { effect: EFFECT_EXAMPLES },
}

/** Returns the error of a fault plan, with the invalid line. Uses the parser of the sandbox. */
export const faultPlan = (value: string): ValidationError | undefined => errorIn(value, FaultPlan, FAULTS)

/** Returns the error of a delivery plan, with the invalid line. Uses the parser of the sandbox. */
export const deliveryPlan = (value: string): ValidationError | undefined =>
  errorIn(value, DeliveryPlan, DELIVERIES)

function errorIn<Part extends string>(
  value: string,
  Plan: new (text: string) => object,
  { sentences, choices }: PlanTexts<Part>,
): ValidationError | undefined {
  if (VARIABLE.test(value.trim())) return undefined
  try {
    new Plan(value)
    return undefined
  } catch (error) {
    if (!(error instanceof PlanError)) throw error
    const { line, part, word } = error as PlanError<Part>
    return [sentences[part], { line, word, values: choices[part]?.join(', ') }]
  }
}
