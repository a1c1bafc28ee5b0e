/** A request to an admin route that failed. */
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

  /** The answer's JSON, also of a request that expects no content; undefined: no JSON. */
  get answer(): { code?: string; message?: string; [property: string]: unknown } | undefined {
    try {
      return JSON.parse(this.body) as { code?: string }
    } catch {
      return undefined
    }
  }

  /** What Node-RED says has to be changed before it does what was asked; undefined when it says no such thing. */
  get refusal(): string | undefined {
    return this.status === 403 ? this.answer?.message : undefined
  }
}

export interface RequestOptions {
  method?: 'POST' | 'DELETE'
  /** JSON if it is left out */
  answer?: 'blob' | 'text'
  /** sent as JSON */
  body?: object
}

/** @throws RequestError */
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

/** A query string of the values that are set. */
export function queryOf(values: Record<string, string | number | undefined>): string {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== '')
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()
}
