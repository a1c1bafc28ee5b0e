/** Error of a failed request to an admin route. */
export class RequestError extends Error {
  constructor(
    readonly status: number,
    readonly body: string,
  ) {
    super(`HTTP ${status}`)
    this.name = 'RequestError'
  }

  get isForbidden(): boolean {
    return this.status === 401 || this.status === 403
  }

  /** Parsed JSON body of the HTTP response, even if another type was requested; undefined if the body is not JSON. */
  get answer(): { code?: string; message?: string; [property: string]: unknown } | undefined {
    try {
      return JSON.parse(this.body) as { code?: string }
    } catch {
      return undefined
    }
  }

  /** Text of a 403 response that explains which setting has to be changed; undefined for other errors. */
  get refusal(): string | undefined {
    return this.status === 403 ? this.answer?.message : undefined
  }
}

export interface RequestOptions {
  method?: 'POST' | 'DELETE'
  /** type of the response; default: JSON */
  answer?: 'blob' | 'text'
  /** request body, sent as JSON */
  body?: object
}

/**
 * Sends a request to an admin route.
 * @throws RequestError
 */
export function request<Answer>(url: string, { method, answer, body }: RequestOptions = {}): Promise<Answer> {
  const settings: JQuery.AjaxSettings = {
    url,
    ...(method && { method }),
    ...(answer !== 'blob' && { dataType: answer ?? 'json' }),
    ...(answer === 'blob' && { xhrFields: { responseType: 'blob' } }),
    ...(body && { contentType: 'application/json', data: JSON.stringify(body) }),
  }
  return new Promise((resolve, reject) => {
    $.ajax(settings).then(resolve, (failed: JQuery.jqXHR) =>
      reject(new RequestError(failed.status, failed.responseText ?? '')),
    )
  })
}

/** Returns a query string with the values that are neither undefined nor the empty string. */
export function queryOf(values: Record<string, string | number | undefined>): string {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== '')
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()
}
