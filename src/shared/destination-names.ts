/** The setting *Destination names* of a connection: names for destinations, one per line as `ID = name`. */

const LINE = /^\s*([^\s=]+)\s*=\s*(\S.*?)\s*$/

/** Maximum length of the name of a destination, in characters. */
const MAX_NAME = 100

const linesOf = (setting: string): string[] => setting.split(/\r?\n/).filter((line) => line.trim() !== '')

/** Returns true if a string can be shown as the name of a destination: short, and without control characters. */
export const isDestinationName = (name: string): boolean =>
  name.trim() !== '' && name.length <= MAX_NAME && !/[\p{C}\p{Zl}\p{Zp}]/u.test(name)

/**
 * Returns the names in the setting, by the ID (Data Model API) or the slug (FHIR API) of the destination, in lowercase.
 * Lines of another form are left out.
 */
export function destinationNamesIn(setting: string): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  for (const line of linesOf(setting)) {
    const [, id, name] = LINE.exec(line) ?? []
    if (id !== undefined && name !== undefined && isDestinationName(name)) names.set(id.toLowerCase(), name)
  }
  return names
}

/** Returns true if every line of the setting has the form `ID = name`. */
export const areDestinationNames = (setting: string): boolean =>
  linesOf(setting).every((line) => isDestinationName(LINE.exec(line)?.[2] ?? ''))
