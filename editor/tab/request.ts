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
  /** type of the response, e.g. a File with its bytes and its name; default: JSON */
  answer?: 'file' | 'text'
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
    ...(answer === 'file' ? { xhr: fileRequest } : { dataType: answer ?? 'json' }),
    ...(body && { contentType: 'application/json', data: JSON.stringify(body) }),
  }
  return new Promise((resolve, reject) => {
    $.ajax(settings).then(
      (content: unknown, _status, { getResponseHeader }) =>
        resolve((content instanceof Blob ? fileIn(content, getResponseHeader) : content) as Answer),
      (failed: JQuery.jqXHR) => reject(new RequestError(failed.status, failed.responseText ?? '')),
    )
  })
}

/** Returns a request that reads the response as bytes, but that of a refusal as text, which contains a code. */
function fileRequest(): XMLHttpRequest {
  const made = new XMLHttpRequest()
  made.addEventListener('readystatechange', () => {
    if (made.readyState === made.HEADERS_RECEIVED && made.status === 200) made.responseType = 'blob'
  })
  return made
}

/** Returns the file in a response, with its name in the header Content-Disposition. */
function fileIn(content: Blob, header: JQuery.jqXHR['getResponseHeader']): File {
  const [, name = ''] = /filename\*=UTF-8''(\S+)$/.exec(header('Content-Disposition') ?? '') ?? []
  return new File([content], decodeURIComponent(name), { type: content.type })
}

/** Returns a query string with the values that are neither undefined nor the empty string. */
export function queryOf(values: Record<string, string | number | undefined>): string {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== '')
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()
}
