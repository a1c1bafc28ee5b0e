/** Formats for values in the user's language. */

export const pretty = (value: unknown): string => JSON.stringify(value, null, 2)

/**
 * Returns a date and time in the user's language.
 * @param at date and time in ISO 8601
 */
export function time(at: string): string {
  const format = new Intl.DateTimeFormat(RED.i18n.lang(), { dateStyle: 'short', timeStyle: 'medium' })
  return format.format(new Date(at))
}

export function size(bytes: number): string {
  if (bytes < 1000) return inUnit(bytes, 'byte')
  return bytes < 1e6 ? inUnit(bytes / 1e3, 'kilobyte') : inUnit(bytes / 1e6, 'megabyte')
}

const UNITS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const

/**
 * Returns the time since a date, in the largest suitable unit.
 * @param at date and time in ISO 8601
 */
export function age(at: string): string {
  const seconds = Math.max(0, (Date.now() - Date.parse(at)) / 1000)
  const [unit, length] = UNITS.find(([, ofUnit]) => seconds >= ofUnit) ?? UNITS[3]
  return inUnit(Math.floor(seconds / length), unit)
}

function inUnit(number: number, unit: string): string {
  // `Intl.NumberFormat` has no plural for the short form of the unit byte.
  const unitDisplay = unit === 'byte' ? 'long' : 'short'
  const format = new Intl.NumberFormat(RED.i18n.lang(), {
    ...({ style: 'unit', unit, unitDisplay } as const),
    maximumFractionDigits: 1,
  })
  return format.format(number)
}
