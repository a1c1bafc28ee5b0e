import { holds } from '../../nodes/lib/fields/conditions'
import type { Condition } from '../../nodes/lib/fields/types'
import { TARGETS } from '../../src/shared/values'
import { nameOf, opened, reader, type IdPrefix, type Read } from '../forms'
import { text } from '../texts'
import { checkTogether } from './faults'
import { describeNodeLists, makeTypedInputs } from './typed-inputs'

type NodeDefinition = EditorApi.NodeDefinition

/** Prepares the parts that the dialogs of all nodes have in common. */
export function prepareForm(node: EditorApi.EditorNode, prefix: IdPrefix): JQuery {
  const form: JQuery = $(`#${prefix}-name`).closest<HTMLElement>('form').addClass('redox-form')
  opened(node, prefix, form)
  makeTypedInputs(form, node.type)
  describeNodeLists(form)
  const read = reader(node)
  chooseDefaults(form, node._def)
  form.find('select').on('change', () => showRows(form, read))
  showRows(form, read)
  checkTogether(form, node)
  openFilledSections(form, node)
  return form
}

function showRows(form: JQuery, read: Read): void {
  form.find('[data-when]').each((_index, row) => {
    $(row).toggle(holds(conditionIn($(row).attr('data-when') ?? ''), read))
  })
}

/** The condition of a row, in the format that the build writes: `eventType=New,Replace;fileFrom=message`. */
const conditionIn = (written: string): Condition =>
  Object.fromEntries(
    written.split(';').map((part) => {
      const [name = '', values = ''] = part.split('=')
      return [name, values.split(',')]
    }),
  )

/** A node that an earlier release saved has no value for a choice that was added later. */
function chooseDefaults(form: JQuery, { defaults }: NodeDefinition): void {
  form.find<HTMLSelectElement>('select').each((_index, select) => {
    const standard = defaults[nameOf(select)]
    if (select.selectedIndex < 0 && standard) $(select).val(standard.value as string)
  })
}

/** Opens the sections with a value that differs from the default, so that no such value is hidden. */
function openFilledSections(form: JQuery, node: EditorApi.EditorNode): void {
  const isFilled = (input: HTMLElement): boolean => {
    const name = nameOf(input)
    const standard = node._def.defaults[name]
    return standard !== undefined && node[name] !== undefined && String(node[name]) !== String(standard.value)
  }
  form.find<HTMLDetailsElement>('details:not([open])').each((_index, section) => {
    if ($(section).find('input[id], select[id], textarea[id]').toArray().some(isFilled)) section.open = true
  })
}

/** Shows in the banner of the dialog to which environment messages are sent. Production is highlighted. */
export function showEnvironment(form: JQuery, environment = '', type = ''): void {
  const key = type === 'env' ? 'env' : TARGETS.some((target) => target === environment) ? environment : 'none'
  form
    .find('.redox-banner')
    .attr('data-environment', key)
    .text(text(`banner.${key}`, { name: environment }))
}
