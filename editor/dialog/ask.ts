import { text } from '../texts'

/**
 * Sends a POST request to an admin route of the runtime.
 * @throws Error with a message for the user
 */
export function ask<Answer>(path: string, body: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    $.ajax({ url: path, method: 'POST', contentType: 'application/json', data: JSON.stringify(body) }).then(
      resolve,
      (failed: JQuery.jqXHR) => reject(new Error(failureText(failed))),
    )
  })
}

/**
 * Returns the error text for a failed request. The text of a 403 response itself explains which setting has to be
 * changed.
 */
function failureText({ status, responseJSON }: JQuery.jqXHR): string {
  const { message } = (responseJSON ?? {}) as { message?: string }
  if (status === 403 && message) return message
  return status === 401 || status === 403 ? text('test.forbidden') : text('test.failed')
}

export const messageOf = (failure: unknown): string =>
  failure instanceof Error ? failure.message : String(failure)
