/**
 * Returns true if a date exists in the calendar, false e.g. for `1990-02-31`. Accepts `YYYY`, `YYYY-MM` and
 * `YYYY-MM-DD`, with or without a time after `T`.
 */
export function isRealDate(text: string): boolean {
  const [day] = text.split('T') as [string]
  const date = new Date(`${day}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day)
}

/** Advice in the error message for a date that is not in the calendar. */
export const NO_SUCH_DATE = 'Correct the date: it does not exist.'
