/** Whether a date exists: `1990-02-31` is written well and is no day. Takes `YYYY`, `YYYY-MM` and `YYYY-MM-DD`, with or without a time behind. */
export function isRealDate(text: string): boolean {
  const [day] = text.split('T') as [string]
  const date = new Date(`${day}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day)
}

/** What to do about one that does not. */
export const NO_SUCH_DATE = 'Correct the date: it does not exist.'
