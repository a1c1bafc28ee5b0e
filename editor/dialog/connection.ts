/** Dialog of a redox-config node. */
import { holds } from '../../nodes/lib/fields/conditions'
import { SANDBOX, settings } from '../../nodes/lib/fields/settings'
import type { Field } from '../../nodes/lib/fields/types'
import { reader } from '../forms'
import { text } from '../texts'
import { prepareTest } from './connection-test'
import { prepareForm, showEnvironment } from './form'
import { prepareKeyPair } from './key-pair'
import { prepareStoreKey } from './store-key'

export function prepareConnection(node: EditorApi.EditorNode): void {
  const form = prepareForm(node, 'node-config-input')
  const environment = form.find('#node-config-input-environment')
  const tell = (): void =>
    showEnvironment(form, environment.typedInput('value'), environment.typedInput('type'))
  environment.on('change', tell)
  tell()
  tellSandboxCredentials(form, node)
  prepareTest(form, node)
  prepareKeyPair(form)
  prepareStoreKey(form, node)
}

/**
 * Warns if a connection with credentials uses the sandbox, perhaps by mistake: none of its messages would reach Redox.
 */
function tellSandboxCredentials(form: JQuery, node: EditorApi.EditorNode): void {
  const place = form.find('.redox-sandbox-credentials')
  const read = reader(node)
  const fields: readonly Field[] = settings.fields
  const ofAccount = fields.filter(({ notInSandbox }) => notInSandbox)
  const tell = (): void => {
    const isFilled = ofAccount.some(({ name, when }) => holds(when, read) && read(name).trim() !== '')
    place.text(holds(SANDBOX, read) && isFilled ? text('banner.credentials') : '')
  }
  form.on('change input', tell)
  tell()
}
