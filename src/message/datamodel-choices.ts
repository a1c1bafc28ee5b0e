import { indexesOf, isBlank, isSame, chooseOnly, type ElementChooser } from './fields'
import { getAt, isObject, type Json } from './json'

export const chooseIdentifier: ElementChooser = (elements, wanted, report) =>
  chooseOnly(
    indexesOf(elements, ({ IDType }) => isSame(IDType, wanted.IDType)),
    elements,
    ({ ID }) => isSame(ID, wanted.ID),
    () =>
      report(
        'is ambiguous: the data has several identifiers of this type',
        'Keep one of them in the data, or leave the Patient ID field empty.',
      ),
  )

export const chooseOrder: ElementChooser = (elements, wanted, report) => {
  const keys = ['ID', 'ApplicationOrderID'].filter((key) => !isBlank(wanted[key]))
  const several = (): void =>
    report(
      'is ambiguous: the data has several matching orders',
      'Enter the ID of one of them in the Order ID field.',
    )
  for (const key of keys) {
    const named = indexesOf(elements, (order) => order[key] === wanted[key])
    if (named.length > 0) return chooseOnly(named, elements, () => false, several)
  }
  const free = elements.flatMap((order, index) =>
    keys.every((key) => isBlank(getAt(order, [key]))) ? [index] : [],
  )
  return chooseOnly(free, elements, () => false, several)
}

export const isWithoutValue = (result: Json): boolean => isBlank(getAt(result, ['Value']))

/** Selects the first result without a value. A result with the form's code has priority. */
export const chooseResult: ElementChooser = (elements, wanted) => {
  const { Code } = wanted
  const free = elements.flatMap((result, index) => (isWithoutValue(result) ? [index] : []))
  const ofCode = free.find((index) => !isBlank(Code) && getAt(elements[index], ['Code']) === Code)
  const index = ofCode ?? free[0] ?? elements.length
  const chosen = elements[index]
  // Description and code set of the result belong to the old code, which the form replaces.
  if (isObject(chosen) && !isBlank(Code) && !isBlank(chosen.Code) && chosen.Code !== Code) {
    delete chosen.Description
    delete chosen.Codeset
  }
  return index
}
