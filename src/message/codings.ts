import { isLikeLoinc, isLoinc, isLoincSystem } from '../shared/loinc'
import { LOINC } from '../shared/values'
import { indexesOf, isBlank, chooseOnly, type ElementChooser } from './fields'
import { getAt, isObject, type Json, type JsonObject } from './json'

/** Derives the code system of a code without a system from the form of the code. */
export type SystemOf = (code: Json | undefined) => string | undefined

/** Code system of a report or document code: LOINC for a number with a check digit, such as `11502-2`. */
export const loincSystem: SystemOf = (code) =>
  typeof code === 'string' && isLikeLoinc(code) ? LOINC : undefined

const OBSERVATION_CATEGORIES = new Set(
  'social-history vital-signs imaging laboratory procedure survey exam therapy activity'.split(' '),
)

/** Code system of a category code by resource type, as in the examples of Redox (docs/redox-api.md#message-bundle). */
export const CATEGORY_SYSTEMS: Record<string, SystemOf> = {
  DiagnosticReport: (code) =>
    typeof code === 'string' && /^[A-Z]{2,3}$/.test(code)
      ? 'http://terminology.hl7.org/CodeSystem/v2-0074'
      : undefined,
  Observation: (code) =>
    typeof code === 'string' && OBSERVATION_CATEGORIES.has(code)
      ? 'http://terminology.hl7.org/CodeSystem/observation-category'
      : undefined,
}

export const noSystem: SystemOf = () => undefined

/**
 * Sets the code system of those codings of a CodeableConcept that have a code but no system, if `systemOf` can derive
 * the system from the code.
 */
export function fillSystems(concept: Json | undefined, systemOf: SystemOf): void {
  for (const coding of codingsOf(concept)) {
    const system = systemOf(coding.code)
    if (isBlank(coding.system) && coding._system === undefined && system !== undefined) coding.system = system
  }
}

const codingsOf = (concept: Json | undefined): JsonObject[] => {
  const codings = getAt(concept, ['coding'])
  return Array.isArray(codings) ? (codings.filter(isObject) as JsonObject[]) : []
}

/** Warning for a code that is said to be LOINC. The code itself is left out: it may be patient data in a wrong field. */
const wrongLoinc = (path: string): string =>
  `${path} is not a LOINC code: it has not the form of one, or its check digit is wrong. Look it up at loinc.org.`

/** Warnings for the LOINC codes of a CodeableConcept that cannot exist. */
export const loincWarnings = (concept: Json | undefined, path: string): string[] =>
  codingsOf(concept).some((coding) => isWrongLoinc(coding.system, coding.code)) ? [wrongLoinc(path)] : []

/** Warnings for the LOINC codes of results in a Data Model message that cannot exist. */
export const resultLoincWarnings = (results: Json[]): string[] =>
  results.some((result) => isWrongLoinc(getAt(result, ['Codeset']), getAt(result, ['Code'])))
    ? [wrongLoinc('Orders[].Results[].Code')]
    : []

const isWrongLoinc = (system: Json | undefined, code: Json | undefined): boolean =>
  typeof system === 'string' && isLoincSystem(system) && typeof code === 'string' && !isLoinc(code)

const effective = ({ system, _system, code }: JsonObject, systemOf: SystemOf): Json | undefined =>
  _system !== undefined ? null : isBlank(system) ? systemOf(code) : system

const SEVERAL: [string, string] = [
  'is ambiguous: the data has several codes of this system',
  'Keep one of them in the data, or leave the field of the node empty.',
]

/** Selects the element of a list of codings that has the same code system as the form's coding. */
export const chooseCoding =
  (systemOf: SystemOf): ElementChooser =>
  (codings, wanted, report) => {
    const system = effective(wanted, systemOf)
    const index = chooseOnly(
      indexesOf(codings, (coding) => effective(coding, systemOf) === system),
      codings,
      ({ code }) => code === wanted.code,
      () => report(...SEVERAL),
    )
    const chosen = codings[index]
    // The display text of the coding belongs to the old code, which the form replaces.
    if (isObject(chosen) && chosen.code !== wanted.code) delete chosen.display
    return index
  }

/**
 * Selects the element of a list of CodeableConcepts that has a coding of the same code system as the form's concept.
 */
export const chooseConcept =
  (systemOf: SystemOf): ElementChooser =>
  (concepts, wanted, report) => {
    const [coding = {}] = codingsOf(wanted)
    const system = effective(coding, systemOf)
    return chooseOnly(
      indexesOf(concepts, (concept) => codingsOf(concept).some((one) => effective(one, systemOf) === system)),
      concepts,
      (concept) => codingsOf(concept).some(({ code }) => code === coding.code),
      () => report(...SEVERAL),
    )
  }
