import { text } from '../texts'

/**
 * Prepares the field for the store key. When durable delivery is chosen for the first time, a key is created, and shown
 * until the dialog is closed. If the connection may already have a store, which a new key could not read, a key is
 * created only when the user asks for it.
 */
export function prepareStoreKey(form: JQuery, { id }: EditorApi.EditorNode): void {
  const delivery = form.find('#node-config-input-delivery')
  const key = form.find('#node-config-input-storeKey')
  const shown = form.find('.redox-store-key')
  const missing = form.find('.redox-store-key-missing')
  const wasDurable = (RED.nodes.originalFlow() ?? []).some(
    (saved) => saved.id === id && saved['delivery'] === 'durable',
  )
  let made = ''
  const make = (): void => {
    made = randomKey()
    key.val(made).trigger('change')
  }
  const follow = (): void => {
    const isDurable = delivery.val() === 'durable'
    const isEmpty = key.val() === ''
    if (isDurable && isEmpty && !wasDurable) make()
    else if (!isDurable && !isEmpty && key.val() === made) key.val('').trigger('change')
    const isMade = isDurable && key.val() !== '' && key.val() === made
    const isNew = isMade && shown.is(':hidden')
    shown.toggle(isMade)
    // The new key is shown only once, so it is scrolled into view.
    if (isNew) shown[0]?.scrollIntoView({ block: 'center' })
    shown.find('input').val(isMade ? made : '')
    missing.toggle(isDurable && key.val() === '')
  }
  delivery.on('change', follow)
  key.on('change', follow)
  follow()
  missing.find('.redox-store-key-make').on('click', make)
  shown.find('.redox-store-key-copy').on('click', ({ currentTarget }) => {
    RED.clipboard.copyText(made, $(currentTarget), text('key.copied'))
  })
}

const randomKey = (): string => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))
