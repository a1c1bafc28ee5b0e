import { TARGETS } from '../../src/shared/values'
import { nameOf } from '../forms'
import { text } from '../texts'
import { suggestionsFor } from '../tables'

type TypedInputType = EditorApi.TypedInputType

// Types of a typed input that only these nodes have.
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
/** What is shown of a typed input of such a type: a list of values, or its type alone. */
const CONTROLS: Record<string, string> = { environment: 'choice', content: 'type' }

/** @param type of the node */
export function makeTypedInputs(form: JQuery, type: string): void {
  form.find<HTMLInputElement>('input[data-types]').each((_index, input) => makeTypedInput(form, input, type))
}

/** The typed input puts controls of its own beside ours: label, hint and suggestions belong to those. */
function makeTypedInput(form: JQuery, input: HTMLInputElement, nodeType: string): void {
  const own = $<HTMLElement>(input)
  const { id } = input
  const names = (own.attr('data-types') ?? '').split(',')
  const types = names.map((name) => OWN_TYPES[name]?.() ?? name)
  // A property that an earlier release did not save is a text to the runtime.
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

/** @returns the control that takes the text */
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

/** @returns the id of the list */
function suggestionList(form: JQuery, inputId: string, nodeType: string): string | undefined {
  const values = suggestionsFor(nodeType, nameOf({ id: inputId }))
  if (values === undefined) return undefined
  const id = `${inputId}-values`
  const options = values.map((value) => $('<option>').attr('value', value))
  $('<datalist>').attr('id', id).append(options).appendTo(form)
  return id
}

/** For a config node the editor puts a list of its own in place of our input, without the hint. */
export function describeNodeLists(form: JQuery): void {
  form.find('.form-row:has(> .redox-hint) select:not([aria-describedby])').each((_index, list) => {
    $(list).attr('aria-describedby', `${list.id}-hint`)
  })
}
