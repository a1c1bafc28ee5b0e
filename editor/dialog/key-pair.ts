import type { KeyPairResponse } from '../../src/shared/dialog-api'
import { text } from '../texts'
import { ask, messageOf } from './ask'
import { forgetResult, tellResult } from './connection-test'

/** Prepares the button that creates a key pair, and shows the public key, for the Redox dashboard. */
export function prepareKeyPair(form: JQuery): void {
  form.find('.redox-generate').on('click', () => askToGenerate(form))
  // The user has typed another private key, so the shown public key does not belong to it.
  form.find('#node-config-input-privateKey').on('input', () => {
    form.find('.redox-key').hide()
  })
  form.find('.redox-key-copy').on('click', ({ currentTarget }) => {
    const jwk = String(form.find('.redox-key-jwk').val())
    RED.clipboard.copyText(jwk, $(currentTarget), text('key.copied'))
  })
}

/** Asks for confirmation before an existing key is replaced, because it may be the only key that Redox knows. */
function askToGenerate(form: JQuery): void {
  if (form.find('#node-config-input-privateKey').val() === '') return void generate(form)
  const answer = (chosen: boolean) => (): void => {
    question.close()
    if (chosen) void generate(form)
  }
  const question = RED.notify($('<p>').text(text('key.replace')), {
    type: 'warning',
    modal: true,
    fixed: true,
    buttons: [
      { text: text('button.cancel'), click: answer(false) },
      { text: text('button.replace'), class: 'primary', click: answer(true) },
    ],
  })
}

async function generate(form: JQuery): Promise<void> {
  tellResult(form, '', text('key.generating'))
  try {
    const { privateKey, publicJwk } = await ask<KeyPairResponse>('redox/key-pair', {})
    form.find('#node-config-input-privateKey').val(privateKey).trigger('change')
    form.find('#node-config-input-keyId').val(publicJwk.kid).trigger('change')
    form.find('.redox-key-jwk').val(JSON.stringify(publicJwk, null, 2))
    form.find('.redox-key').show()
    forgetResult(form)
  } catch (failure) {
    tellResult(form, 'redox-bad', messageOf(failure))
  }
}
