/** The forms that are open, so that a field can look at its neighbours as they are now. */

type EditorNode = EditorApi.EditorNode

/** Returns a property of a node as text; '' for one that is not set. */
export type Read = (name: string) => string

export type IdPrefix = 'node-input' | 'node-config-input'

interface OpenForm {
  node: EditorNode
  prefix: IdPrefix
  form: JQuery
}

// A connection may be open above the node that is to use it. The editor takes the form below out of the document
// meanwhile; it removes a form, with the data that jQuery keeps of it, only when its dialog is closed.
const OPEN = 'redoxOpen'
let forms: OpenForm[] = []
let last: OpenForm | undefined

export function opened(node: EditorNode, prefix: IdPrefix, form: JQuery): void {
  form.data(OPEN, true)
  last = { node, prefix, form }
  forms = [...forms.filter(isOpen), last]
}

/** Whether the form of this node was the last one to be opened. */
export const isLastOpened = (node: EditorNode): boolean => last?.node === node

const isOpen = ({ form }: OpenForm): boolean => form.data(OPEN) === true

/** How to read a property of a node: from its open form, else as it is saved. */
export function reader(node: EditorNode): Read {
  const own = forms.filter((one) => one.node === node && isOpen(one)).at(-1)
  return (name) => {
    const input = own?.form.find(`[id="${own.prefix}-${name}"]`)
    const value = String((input !== undefined && input.length > 0 ? input.val() : node[name]) ?? '')
    // How the editor's own list of config nodes says that none is chosen.
    return value === '_ADD_' ? '' : value
  }
}

/** The property that an input is for. */
export const nameOf = ({ id }: { id: string }): string => id.replace(/^node-(config-)?input-/, '')

/** What the form holds now, by property. */
export function formValues(node: EditorNode): Record<string, string> {
  const read = reader(node)
  return Object.fromEntries(Object.keys(node._def.defaults).map((name) => [name, read(name)]))
}
