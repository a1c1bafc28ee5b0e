import { LOINC } from './values'

const FORM = /^\d{1,7}-\d$/

/** Returns true for a string with the form of a LOINC code: up to seven digits, a hyphen and a check digit. */
export const isLikeLoinc = (code: string): boolean => FORM.test(code)

/**
 * Returns true for a LOINC code whose check digit is right (modulus 10, as in https://loinc.org/kb/users-guide/,
 * appendix "Calculating Mod 10 Check Digits"). It need not exist.
 */
export function isLoinc(code: string): boolean {
  if (!isLikeLoinc(code)) return false
  const [number = '', check = ''] = code.split('-')
  const sum = [...number].reverse().reduce((total, digit, index) => {
    const weighted = Number(digit) * (index % 2 === 0 ? 2 : 1)
    return total + (weighted > 9 ? weighted - 9 : weighted)
  }, 0)
  return (sum + Number(check)) % 10 === 0
}

/** Returns true for the name of LOINC as a code system: its URI in FHIR, or its name in a Data Model. */
export const isLoincSystem = (system: string): boolean =>
  [LOINC, 'loinc'].includes(system.trim().toLowerCase())
