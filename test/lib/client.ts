/** Client for the admin API of a Node-RED in another process, with the login of one user; and helpers for flows. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request, type IncomingHttpHeaders, type IncomingMessage, type RequestOptions } from 'node:http'
import { text } from 'node:stream/consumers'
import { eventually } from './eventually'

export class AdminClient {
  constructor(
    /** URL of Node-RED, with a trailing slash. */
    private readonly url: string,
    private readonly token?: string,
  ) {}

  ask(place: string, options: RequestInit = {}): Promise<Response> {
    const access = this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }
    return fetch(this.url + place, { ...options, headers: { ...access, ...options.headers } })
  }

  post(place: string, body: unknown): Promise<Response> {
    const headers = { 'content-type': 'application/json' }
    return this.ask(place, { method: 'POST', headers, body: JSON.stringify(body) })
  }

  async deployFlows(flows: object[]): Promise<void> {
    assert.equal((await this.post('flows', flows)).status, 204)
  }

  /**
   * Presses the button of an Inject node.
   * @param values properties of the injected message
   */
  async inject(id: string, values: Record<string, string | object | undefined>): Promise<void> {
    const props = Object.entries(values)
      .filter(([, v]) => v !== undefined)
      .map(([p, v]) =>
        typeof v === 'string' ? { p, v, vt: 'str' } : { p, v: JSON.stringify(v), vt: 'json' },
      )
    let status = 0
    // Node-RED responds to the deploy request before the nodes exist.
    await eventually(`the button ${id} is there`, async () => {
      ;({ status } = await this.post(`inject/${id}`, { __user_inject_props__: props }))
      return status !== 404
    })
    assert.equal(status, 200)
  }
}

export interface RawAnswer {
  status: number
  headers: IncomingHttpHeaders
  text: string
}

/** Sends a request with headers that fetch does not let a caller set, such as Host. */
export async function askRaw(url: string, options: RequestOptions, body?: string): Promise<RawAnswer> {
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  const asked = request(url, { ...options, headers: { ...type, ...(options.headers as object) } })
  asked.end(body)
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  return { status: answer.statusCode!, headers: answer.headers, text: await text(answer) }
}

/** Node properties, as Node-RED saves them, of several typed inputs with the same type. */
export const typed = (values: Record<string, string>, type: 'str' | 'msg'): object =>
  Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => [
      [name, value],
      [`${name}Type`, type],
    ]),
  )
