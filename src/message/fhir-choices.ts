import { indexesOf, isBlank, isSame, chooseOnly, type ElementChooser } from './fields'
import { getAt, isObject, type JsonObject } from './json'

/**
 * Selects the identifier with the same system that is currently valid. An identifier that has a type but no system does
 * not match an identifier without a system.
 */
export const chooseIdentifier: ElementChooser = (identifiers, wanted, report) =>
  chooseOnly(
    indexesOf(
      identifiers,
      ({ system, _system, type, use, period }) =>
        isSame(system, wanted.system) &&
        use !== 'old' &&
        isBlank(getAt(period, ['end'])) &&
        (!isBlank(system) || (type === undefined && _system === undefined)),
    ),
    identifiers,
    ({ value }) => value === wanted.value,
    () =>
      report(
        'is ambiguous: the data has several identifiers of this system',
        'Keep one of them in the data, or leave the field of the node empty.',
      ),
  )

/**
 * Selects the official name; if there is none, the usual name; otherwise the only name without a use. All other names
 * stay unchanged.
 */
export const chooseName: ElementChooser = (names, wanted, report) => {
  const index = nameIndex(names, wanted, report)
  const chosen = names[index]
  // The element `text` of the name would still contain the old name, so it is removed.
  if (isObject(chosen) && isRenamed(chosen, wanted)) delete chosen.text
  return index
}

const isRenamed = (name: JsonObject, wanted: JsonObject): boolean =>
  (wanted.family !== undefined && wanted.family !== name.family) ||
  (wanted.given !== undefined && getAt(wanted, ['given', 0]) !== getAt(name, ['given', 0]))

const nameIndex: ElementChooser = (names, wanted, report) => {
  for (const use of ['official', 'usual']) {
    const candidates = indexesOf(names, (name) => name.use === use && isBlank(getAt(name, ['period', 'end'])))
    if (candidates.length === 0) continue
    return chooseOnly(
      candidates,
      names,
      ({ family }) => family === wanted.family,
      () => report(`is ambiguous: the data has several names of use ${use}`, 'Keep one of them in the data.'),
    )
  }
  const without = indexesOf(names, ({ use, _use }) => isBlank(use) && _use === undefined)
  const [only = names.length, ...others] = without
  return others.length === 0 ? only : names.length
}
