import type { Dispatcher } from 'undici'

/** Headers of a response, with lower-case names. */
export type ReceivedHeaders = Record<string, string | string[] | undefined>

/** Request of an exchange. */
export interface Outgoing {
  method: 'GET' | 'POST'
  url: string
  headers: Record<string, string>
  body?: AsyncIterable<Buffer>
}

interface Receiving {
  signal: AbortSignal
  /** maximum milliseconds from the first byte of the response to its last */
  timeoutMs: number
  /** called with the head of the response; an error that it throws ends the exchange */
  onHead: (status: number, headers: ReceivedHeaders) => void
}

/** Response that the client does not accept. */
export class AnswerError extends Error {
  constructor(readonly code: 'EARLY_ANSWER' | 'LATE_ANSWER') {
    super(code)
  }
}

const FIRST_FINAL_STATUS = 200

/**
 * Sends a request and returns the bytes of the response's body. Uses undici's `dispatch`, because `request` creates
 * a stream for each response, which costs as much CPU time as the rest of a small exchange.
 * @throws the reason of the signal, the error of `onHead`, AnswerError, or undici's error
 */
export function exchange(
  dispatcher: Dispatcher,
  { method, url, headers, body }: Outgoing,
  receiving: Receiving,
): Promise<Buffer> {
  const { origin, pathname, search } = new URL(url)
  return new Promise((resolve, reject) => {
    const handler = new ResponseHandler(receiving, resolve, reject)
    dispatcher.dispatch(
      { origin, path: `${pathname}${search}`, method, headers, body: body as never },
      handler,
    )
  })
}

/** Collects the chunks of one response. undici calls the methods. */
class ResponseHandler implements Dispatcher.DispatchHandler {
  readonly #chunks: Buffer[] = []
  #controller: Dispatcher.DispatchController | undefined
  #late: NodeJS.Timeout | undefined

  constructor(
    private readonly receiving: Receiving,
    private readonly resolve: (body: Buffer) => void,
    private readonly reject: (error: Error) => void,
  ) {
    receiving.signal.addEventListener('abort', this.#abort)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.receiving.signal.aborted) this.#abort()
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: ReceivedHeaders): void {
    if (status < FIRST_FINAL_STATUS) return
    const { timeoutMs, onHead } = this.receiving
    try {
      onHead(status, headers)
    } catch (error) {
      return controller.abort(error as Error)
    }
    // undici's bodyTimeout restarts with every chunk, so it never ends for a server that sends its response in very
    // small chunks.
    this.#late = setTimeout(() => controller.abort(new AnswerError('LATE_ANSWER')), timeoutMs)
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    this.#end()
    const [first] = this.#chunks
    this.resolve(first !== undefined && this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks))
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#end()
    this.reject(error)
  }

  readonly #abort = (): void => this.#controller?.abort(this.receiving.signal.reason as Error)

  #end(): void {
    clearTimeout(this.#late)
    this.receiving.signal.removeEventListener('abort', this.#abort)
  }
}
