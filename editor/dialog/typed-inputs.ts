import { TARGETS } from '../../src/shared/values'
import { nameOf } from '../forms'
import { text } from '../texts'
import { suggestionsFor } from '../tables'

type TypedInputType = EditorApi.TypedInputType

// Types of a typed input that this package adds to those of Node-RED.
const OWN_TYPES: Record<string, () => TypedInputType> = {
  environment: () => ({
    value: 'environment',
    label: text('label.environment'),
    showLabel: false,
    options: TARGETS.map((value) => ({
      value,
      label: text(`option.environment.${value}`),
    })),
  }),
  content: () => ({
    value: 'content',
    label: text('option.documentId.content'),
    icon: 'fa fa-magic',
    hasValue: false,
  }),
}
/** Definition of the typed input widget for a type of this package: a list of values, or a type without a value. */
const CONTROLS: Record<string, string> = { environment: 'choice', content: 'type' }

/**
 * Turns the marked inputs of a form into typed inputs.
 * @param type type of the node
 */
export function makeTypedInputs(form: JQuery, type: string): void {
  form.find<HTMLInputElement>('input[data-types]').each((_index, input) => makeTypedInput(form, input, type))
}

/**
 * Turns one input into a typed input. The widget adds its own controls next to the input, so label, hint and
 * suggestions are attached to those controls.
 */
function makeTypedInput(form: JQuery, input: HTMLInputElement, nodeType: string): void {
  const own = $<HTMLElement>(input)
  const { id } = input
  const names = (own.attr('data-types') ?? '').split(',')
  const types = names.map((name) => OWN_TYPES[name]?.() ?? name)
  // The runtime treats a property without a saved type as a string.
  const standard = names.includes('str') ? 'str' : (names[0] ?? 'str')
  own.typedInput({ types, default: standard, typeField: `#${id}Type` })
  const inner = describeControls(own, id)
  const label = form.find(`label[for="${id}"]`)
  const list = suggestionList(form, id, nodeType)
  const follow = (): void => {
    const chosen = own.typedInput('type')
    label.attr('for', `${id}-${CONTROLS[chosen] ?? 'typed'}`)
    inner.attr('list', chosen === 'str' ? (list ?? null) : null)
  }
  own.on('change', follow)
  follow()
}

/**
 * Connects label and hint with the controls of a typed input.
 * @returns the control in which the user types
 */
function describeControls(own: JQuery, id: string): JQuery {
  const described = own.attr('aria-describedby') ?? null
  const controls = own.siblings('.red-ui-typedInput-container')
  const part = (name: string): JQuery => controls.find(`.red-ui-typedInput-${name}`)
  part('option-trigger').attr({ id: `${id}-choice`, 'aria-describedby': described })
  part('type-select').attr({ id: `${id}-type`, 'aria-describedby': described })
  return part('input').attr({
    id: `${id}-typed`,
    placeholder: own.attr('placeholder') ?? null,
    'aria-describedby': described,
  })
}

/**
 * Adds the list of suggested values for an input to the form.
 * @returns id of the list; undefined if there are no suggestions
 */
function suggestionList(form: JQuery, inputId: string, nodeType: string): string | undefined {
  const values = suggestionsFor(nodeType, nameOf({ id: inputId }))
  if (values === undefined) return undefined
  const id = `${inputId}-values`
  const options = values.map((value) => $('<option>').attr('value', value))
  $('<datalist>').attr('id', id).append(options).appendTo(form)
  return id
}

/**
 * Connects hints with the lists of config nodes: the editor replaces the inputs by these lists, which lack the hints.
 */
export function describeNodeLists(form: JQuery): void {
  form.find('.form-row:has(> .redox-hint) select:not([aria-describedby])').each((_index, list) => {
    $(list).attr('aria-describedby', `${list.id}-hint`)
  })
}
