import { nameOf, reader } from '../forms'
import { fieldOf } from '../tables'
import { text } from '../texts'
import { line } from './parts'

// While a mouse button is pressed, no error line may appear: it would move the element that is about to be clicked.
let isPressed = false

/** Starts to listen to pointer events of the whole page. Must be called only once. */
export function watchPointer(): void {
  document.addEventListener('pointerdown', () => (isPressed = true), true)
  for (const end of ['pointerup', 'pointercancel'])
    document.addEventListener(end, () => (isPressed = false), true)
}

function afterPress(action: () => void): void {
  if (isPressed)
    document.addEventListener('pointerup', () => setTimeout(action), { once: true, capture: true })
  else setTimeout(action)
}

const propertiesOf = ({ _def }: EditorApi.EditorNode): Record<string, EditorApi.PropertyDefinition> => ({
  ..._def.defaults,
  ..._def.credentials,
})

/** Validates all fields again after each change, because the allowed values of a field depend on other fields. */
export function checkTogether(form: JQuery, node: EditorApi.EditorNode): void {
  const properties = Object.entries(propertiesOf(node))
  const inputOf = ([name]: [string, unknown]): JQuery => form.find(`[id$="-input-${name}"]`)
  const ruled = properties.filter(([, { validate }]) => validate).map(inputOf)
  // The type of a typed input is a property with its own hidden input, in the same row.
  const all = properties.map(inputOf).filter((input) => input.is('[data-types], :not([type=hidden])'))
  let isPlanned = false
  const check = (): void => {
    for (const input of ruled) input.triggerHandler('change')
    for (const input of all) showError(node, input)
    isPlanned = false
  }
  const plan = (): void => {
    if (!isPlanned) afterPress(check)
    isPlanned = true
  }
  form.on('change', plan)
  plan()
}

/**
 * Shows the error of a field below the field (the sentence that the node's red triangle also shows), so that no field
 * is red without a reason.
 */
function showError(node: EditorApi.EditorNode, input: JQuery): void {
  const row = input.closest('.form-row')
  const name = nameOf({ id: input.attr('id') ?? '' })
  const field = fieldOf(node.type, name)
  // The error of a secret is shown below the field of the secret, not below the choice.
  const isOfSecrets = field?.kind === 'choice' && field.validator === 'secrets'
  const [fault] = isOfSecrets ? [] : faultsOf(node, name)
  tell(row, 'redox-fault redox-bad', fault)
  tell(row, 'redox-advice', fault === undefined ? adviceOn(node, name) : undefined)
}

/** Shows a sentence with a CSS class at the end of a row; undefined removes the sentence. */
function tell(row: JQuery, classes: string, sentence: string | undefined): void {
  const shown = row.find(`.${classes.replaceAll(' ', '.')}`)
  if (shown.text() === (sentence ?? '')) return
  shown.remove()
  if (sentence !== undefined) row.append(line(classes, sentence))
}

export const isFhir = ({ type }: EditorApi.EditorNode): boolean => type.startsWith('redox-fhir-')

/**
 * Returns advice about a value that a FHIR message should have, although it is not required: the system of a patient
 * ID, or the code of a document. undefined if there is no advice.
 */
export function adviceOn(node: EditorApi.EditorNode, name: string): string | undefined {
  const read = reader(node)
  const isEmpty = (property: string): boolean => read(property).trim() === ''
  if (!isFhir(node) || !isEmpty('data') || !isEmpty(name)) return undefined
  if (name === 'patientIdSystem' && !isEmpty('patientId')) return text('advice.patientIdSystem')
  return name === 'code' && node.type === 'redox-fhir-document' ? text('advice.code') : undefined
}

/** Returns the errors of one property of a node as sentences. */
export function faultsOf(node: EditorApi.EditorNode, name: string): string[] {
  const { required, validate } = propertiesOf(node)[name] ?? {}
  const value = reader(node)(name)
  if (required && value === '') return [text('invalid.needed', { label: text(`label.${name}`) })]
  const result = validate ? validate.call(node, value, {}) : true
  return [result].flat().filter((one) => typeof one === 'string')
}
