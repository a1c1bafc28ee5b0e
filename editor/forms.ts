/** Open forms, so that the validator of a field can read the current values of other fields. */

/** Function that returns a property of a node as a string; '' for an unset property. */
export type Read = (name: string) => string

export type IdPrefix = 'node-input' | 'node-config-input'

interface OpenForm {
  node: EditorApi.EditorNode
  prefix: IdPrefix
  form: JQuery
}

// jQuery data key that marks open forms. The form of a connection may be open on top of the form of a send node. The
// editor then detaches the lower form from the document, but removes a form and its jQuery data only when the dialog is
// closed.
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

/** Returns a function that reads a property of a node: the value in the node's open form, otherwise the saved value. */
export function reader(node: EditorApi.EditorNode): Read {
  const own = forms.filter((one) => one.node === node && isOpen(one)).at(-1)
  return (name) => {
    const input = own?.form.find(`[id="${own.prefix}-${name}"]`)
    const value = String((input !== undefined && input.length > 0 ? input.val() : node[name]) ?? '')
    // Value of the editor's own list of config nodes if no config node is chosen.
    return value === '_ADD_' ? '' : value
  }
}

/** Returns the name of the property that an input element belongs to. */
export const nameOf = ({ id }: { id: string }): string => id.replace(/^node-(config-)?input-/, '')

/** Returns the current values in the form of a node, by property. */
export function formValues(node: EditorApi.EditorNode): Record<string, string> {
  const read = reader(node)
  return Object.fromEntries(Object.keys(node._def.defaults).map((name) => [name, read(name)]))
}
