/** Open forms, so that the validator of a field can read the current values of other fields. */

/** Function that returns a property of a node as text; '' for an unset property. */
export type Read = (name: string) => string

export type IdPrefix = 'node-input' | 'node-config-input'

interface OpenForm {
  node: EditorApi.EditorNode
  prefix: IdPrefix
  form: JQuery
}

// Data key of open forms. A connection's form may be open above that of its node. The editor then detaches the lower
// form from the document; it removes a form and its jQuery data only when the dialog is closed.
const OPEN = 'redoxOpen'
let forms: OpenForm[] = []
let last: OpenForm | undefined

export function opened(node: EditorApi.EditorNode, prefix: IdPrefix, form: JQuery): void {
  form.data(OPEN, true)
  last = { node, prefix, form }
  forms = [...forms.filter(isOpen), last]
}

/** Returns true if the form of this node was opened last. */
export const isLastOpened = (node: EditorApi.EditorNode): boolean => last?.node === node

const isOpen = ({ form }: OpenForm): boolean => form.data(OPEN) === true

/** Returns a function that reads a property of a node: from the open form, otherwise the saved value. */
export function reader(node: EditorApi.EditorNode): Read {
  const own = forms.filter((one) => one.node === node && isOpen(one)).at(-1)
  return (name) => {
    const input = own?.form.find(`[id="${own.prefix}-${name}"]`)
    const value = String((input !== undefined && input.length > 0 ? input.val() : node[name]) ?? '')
    // Value of the editor's own list of config nodes if none is chosen.
    return value === '_ADD_' ? '' : value
  }
}

/** The property that an input is for. */
export const nameOf = ({ id }: { id: string }): string => id.replace(/^node-(config-)?input-/, '')

/** Returns the current values of the form by property. */
export function formValues(node: EditorApi.EditorNode): Record<string, string> {
  const read = reader(node)
  return Object.fromEntries(Object.keys(node._def.defaults).map((name) => [name, read(name)]))
}
