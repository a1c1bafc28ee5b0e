import type {
  ConnectionTestRequest,
  ConnectionTestResponse,
  PlatformTestResponse,
} from '../../src/shared/dialog-api'
import { settings } from '../../nodes/lib/fields/settings'
import type { Field } from '../../nodes/lib/fields/types'
import { formValues, reader } from '../forms'
import { labelOf, text } from '../texts'
import { STORED } from '../validation/key-shape'
import { ask, messageOf } from './ask'
import { line } from './parts'

/** Prepares the button that tests a connection, and the element that shows the result. */
export function prepareTest(form: JQuery, node: EditorApi.EditorNode): void {
  form.find('.redox-test').on('click', () => void test(node, form))
  // After a change in the form, an earlier result is no longer valid. The response to a test in progress is ignored.
  form.on('input change', () => forgetResult(form))
}

async function test(node: EditorApi.EditorNode, form: JQuery): Promise<void> {
  const request = requestFor(node)
  tellResult(form, '', text('test.running'))
  form.find('.redox-at-fault').removeClass('redox-at-fault')
  const shown = resultOf(form).children()[0]
  try {
    const result = await ask<ConnectionTestResponse>('redox/test', request)
    if (!shown?.isConnected) return
    tellResult(form, result.ok ? 'redox-good' : 'redox-bad', resultText(result))
    if (result.platform) tellPlatform(form, result.platform)
    markField(form, result.field ?? result.platform?.field)
  } catch (failure) {
    tellResult(form, 'redox-bad', messageOf(failure))
  }
}

/**
 * Returns the request of a connection test. A secret that the user did not type is left out, so that the runtime uses
 * the stored secret.
 */
function requestFor(node: EditorApi.EditorNode): ConnectionTestRequest {
  const read = reader(node)
  const fields: readonly Field[] = settings.fields
  const secrets = fields
    .filter(({ kind, notInSandbox }) => kind === 'secret' && notInSandbox)
    .map(({ name }) => [name, read(name)] as const)
    .filter(([, value]) => value !== STORED)
  return { id: node.id, config: formValues(node), secrets: Object.fromEntries(secrets) }
}

// If a server rejects the times of a token request in a response without a `Date` header, the clock skew is unknown.
function keyOf({ ok, environment, reason, clockSkewSeconds }: ConnectionTestResponse): string {
  if (ok) return environment === 'Sandbox' ? 'okSandbox' : 'ok'
  return reason === 'clock' && clockSkewSeconds === undefined ? 'time' : String(reason)
}

function resultText(result: ConnectionTestResponse): string {
  const { field, host, message, environment, clockSkewSeconds } = result
  const key = keyOf(result)
  return text(`test.${key}`, {
    environment: environment && text(`option.environment.${environment}`),
    field: field && labelOf(field),
    host,
    message,
    seconds: Math.abs(clockSkewSeconds ?? 0),
  })
}

/** Adds the result for the user-level key to the result of the test. */
function tellPlatform(form: JQuery, { ok, searched, message }: PlatformTestResponse): void {
  const key = ok ? (searched ? 'platformOk' : 'platformNoSearch') : 'other'
  resultOf(form).append(line(ok ? 'redox-good' : 'redox-bad', text(`test.${key}`, { message })))
}

const resultOf = (form: JQuery): JQuery => form.find('.redox-test-result')

export function forgetResult(form: JQuery): void {
  resultOf(form).empty()
}

export function tellResult(form: JQuery, className: string, content: string): void {
  resultOf(form).empty().append(line(className, content))
}

function markField(form: JQuery, field: string | undefined): void {
  if (field === undefined) return
  const input = form.find(`#node-config-input-${field}`)
  // An empty field means the standard host, which is correct. So the error has another cause, and the field is not
  // marked.
  if (field === 'apiBase' && input.val() === '') return
  input.closest('details').prop('open', true)
  input.addClass('redox-at-fault').trigger('focus')
  input.one('input', () => input.removeClass('redox-at-fault'))
}
