import { nameOf, reader } from '../forms'
import { text } from '../texts'
import { line } from './parts'

type EditorNode = EditorApi.EditorNode

// A line that appears while a mouse button is down would move what is about to be clicked.
let isPressed = false

/** Called once: the page is watched from then on. */
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

const propertiesOf = ({ _def }: EditorNode): Record<string, EditorApi.PropertyDefinition> => ({
  ..._def.defaults,
  ..._def.credentials,
})

/** What a field may hold depends on others: all marks follow each change. */
export function checkTogether(form: JQuery, node: EditorNode): void {
  const properties = Object.entries(propertiesOf(node))
  const inputOf = ([name]: [string, unknown]): JQuery => form.find(`[id$="-input-${name}"]`)
  const ruled = properties.filter(([, { validate }]) => validate).map(inputOf)
  // The type of a typed input is a property of its own, in the same row.
  const all = properties.map(inputOf).filter((input) => input.is('[data-types], :not([type=hidden])'))
  let isPlanned = false
  const check = (): void => {
    for (const input of ruled) input.triggerHandler('change')
    for (const input of all) tellFault(node, input)
    isPlanned = false
  }
  const plan = (): void => {
    if (!isPlanned) afterPress(check)
    isPlanned = true
  }
  form.on('change', plan)
  plan()
}

// What is wrong with a secret stands beneath its own field.
const OF_SECRETS = ['auth', 'delivery']

/** The sentence of the red triangle, beneath the field that it is about: no field is red without a reason. */
function tellFault(node: EditorNode, input: JQuery): void {
  const row = input.closest('.form-row')
  const name = nameOf(input[0]!)
  const [fault] = OF_SECRETS.includes(name) ? [] : faultsOf(node, name)
  const told = row.find('.redox-fault')
  if (told.text() === (fault ?? '')) return
  told.remove()
  if (fault !== undefined) row.append(line('redox-fault redox-bad', fault))
}

/** What is wrong with one property of a form, in sentences. */
export function faultsOf(node: EditorNode, name: string): string[] {
  const { required, validate } = propertiesOf(node)[name]!
  const value = reader(node)(name)
  if (required && value === '') return [text('invalid.needed', { label: text(`label.${name}`) })]
  const result = validate ? validate.call(node, value, {}) : true
  return [result].flat().filter((one) => typeof one === 'string')
}
