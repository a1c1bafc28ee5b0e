import { text } from '../texts'

/**
 * Asks an admin route of the runtime.
 * @throws Error whose message is a sentence for the user
 */
export function ask<Answer>(path: string, body: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    $.ajax({ url: path, method: 'POST', contentType: 'application/json', data: JSON.stringify(body) }).then(
      resolve,
      (failed: JQuery.jqXHR) => reject(new Error(failureText(failed))),
    )
  })
}

/** Of a 403 Node-RED's answer itself says what has to be changed before it does what was asked. */
function failureText({ status, responseJSON }: JQuery.jqXHR): string {
  const { message } = (responseJSON ?? {}) as { message?: string }
  if (status === 403 && message) return message
  return status === 401 || status === 403 ? text('test.forbidden') : text('test.failed')
}

export const messageOf = (failure: unknown): string =>
  failure instanceof Error ? failure.message : String(failure)
