/** Dialogs of the send nodes. */
import { text } from '../texts'
import { isFhir } from './faults'
import { prepareForm, showEnvironment } from './form'
import { preparePreview } from './preview'

/**
 * Selects the connection of a new node if there is only one connection. If there are several, none is selected, so that
 * no message is sent over the wrong connection.
 */
export function takeOnlyConnection(node: EditorApi.EditorNode): void {
  // The editor also calls `onadd` for pasted and imported nodes, which must stay unchanged.
  if (node['connection'] || RED.nodes.node(node.id)) return
  const usable: string[] = []
  RED.nodes.eachConfig((config) => {
    const isInReach = !config.z || config.z === node.z
    if (config.type === 'redox-config' && !config.d && isInReach) usable.push(config.id)
    return true
  })
  if (usable.length === 1) node['connection'] = usable[0]
}

/** Prepares the dialog of a node that sends nothing (redox-outbox, redox-log), and so has no preview. */
export function prepareOutbox(node: EditorApi.EditorNode): void {
  followConnection(node, prepareForm(node, 'node-input'))
}

export function prepareSender(node: EditorApi.EditorNode): void {
  const form = prepareForm(node, 'node-input')
  const connection = followConnection(node, form)
  hintOfFile(form)
  preparePreview(form, node, connection)
}

/**
 * Shows the environment of the connection that is chosen in the form. Returns a function that returns this connection.
 */
function followConnection(node: EditorApi.EditorNode, form: JQuery): () => EditorApi.EditorNode | undefined {
  // The editor has replaced the input by its own list of config nodes.
  const connection = (): EditorApi.EditorNode | undefined =>
    RED.nodes.node(form.find('#node-input-connection').val()) ?? undefined
  const tell = (): void => {
    const { environment, environmentType } = (connection() ?? {}) as Partial<Record<string, string>>
    showEnvironment(form, environment, environmentType)
    const isSandbox = environmentType !== 'env' && environment === 'Sandbox'
    const hint = form.find('#node-input-destination-hint')
    hint.find('.redox-of-sandbox').remove()
    const any = `. ${isFhir(node) ? text('hint.anySlug') : text('hint.anyUuid')}`
    if (isSandbox) $('<span>').addClass('redox-of-sandbox').text(any).appendTo(hint)
  }
  form.on('change', '#node-input-connection', tell)
  tell()
  return connection
}

/** Shows the hint for the File field. The hint depends on where the file is read from. */
function hintOfFile(form: JQuery): void {
  const from = form.find('#node-input-fileFrom')
  const tell = (): void => {
    form.find('#node-input-file-hint').text(from.val() === 'path' ? text('hint.filePath') : text('hint.file'))
  }
  from.on('change', tell)
  tell()
}
