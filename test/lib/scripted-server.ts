/** HTTP server in place of Redox whose responses a test defines; by default, the server accepts every request. */
import { EventEmitter, once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { serve, type Recorded, type Reply, type Server } from './redox'

/** Kind of a request to Redox. */
export type Purpose = 'token' | 'upload' | 'send'

const purposeOf = ({ path }: Recorded): Purpose =>
  path.includes('/auth/') ? 'token' : /\/(upload|Binary)$/.test(path) ? 'upload' : 'send'

export const reply = (
  status: number,
  body: object | string,
  headers: Record<string, string> = {},
): Reply => ({
  status,
  headers: { 'content-type': typeof body === 'string' ? 'text/html' : 'application/json', ...headers },
  body,
})
export const silence: Reply = () => undefined
export const reset: Reply = (response) => void response.socket?.resetAndDestroy()
/** Reply whose content-length is larger than the body that is sent before the connection ends. */
export const cutShort: Reply = (response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
  response.write('{"Meta":{', () => response.destroy())
}

/** Log ID in the answers of the scripted server to Data Model messages. */
const LOG_ID = 'd9f5d293-7110-461e-a875-3beb089e79f3'

/**
 * Reply that is sent when the test calls `answer`, also if the call comes before the request: a message is in the state
 * `sending` before its request arrives here.
 */
export function heldBack(status = 200): { answer: (body?: object) => void; held: Reply } {
  let answer!: (body?: object) => void
  const told = new Promise<object | undefined>((resolve) => (answer = resolve))
  return {
    answer,
    held: async (response) => {
      const body = (await told) ?? { Meta: { Logs: [{ ID: LOG_ID }] } }
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(body))
    },
  }
}

export class ScriptedServer extends EventEmitter {
  /** number of messages that wait for their HTTP responses now, and the highest number so far */
  busy = 0
  busiest = 0
  /** number of messages that must arrive before the server responds to any of them */
  gather = 0
  #tokens = 0
  readonly #scripts = new Map<Purpose, Reply[]>()
  #server!: Server

  static async start(): Promise<ScriptedServer> {
    const scripted = new ScriptedServer()
    scripted.#server = await serve((request) => scripted.#reply(request))
    return scripted
  }

  get url(): string {
    return this.#server.url
  }

  get requests(): Recorded[] {
    return this.#server.requests
  }

  of(purpose: Purpose): Recorded[] {
    return this.requests.filter((request) => purposeOf(request) === purpose)
  }

  /** Sets the replies to requests of this kind in order; the last reply is repeated. */
  script(purpose: Purpose, ...replies: Reply[]): this {
    this.#scripts.set(purpose, replies)
    return this
  }

  async until(purpose: Purpose, count: number): Promise<void> {
    while (this.of(purpose).length < count) await once(this, 'request')
  }

  async untilIdle(): Promise<void> {
    while (this.busy > 0) await once(this, 'left')
  }

  close(): Promise<void> {
    return this.#server.close()
  }

  #reply(request: Recorded): Reply {
    const purpose = purposeOf(request)
    const script = this.#scripts.get(purpose) ?? []
    const next = (script.length > 1 ? script.shift() : script[0]) ?? this.#acceptance(purpose, request.path)
    this.emit('request')
    return async (response, incoming) => {
      if (purpose === 'send') await this.#meet(response)
      if (typeof next === 'function') return next(response, incoming)
      response.writeHead(next.status!, next.headers)
      response.end(typeof next.body === 'string' ? next.body : JSON.stringify(next.body))
    }
  }

  async #meet(response: ServerResponse): Promise<void> {
    response.once('close', () => this.emit('left', this.busy--))
    this.busiest = Math.max(this.busiest, ++this.busy)
    this.emit('arrived')
    while (this.busiest < this.gather) await once(this, 'arrived')
    // If the client sent one message more than allowed, that message would arrive during this pause.
    if (this.gather > 0) await pause(20)
  }

  #acceptance(purpose: Purpose, path: string): Reply {
    if (purpose === 'token') return reply(200, { access_token: `token-${++this.#tokens}`, expires_in: 300 })
    const file = `${this.url}/files/${this.requests.length}`
    if (purpose === 'upload') return reply(201, { URI: file }, { location: file })
    if (path === '/endpoint') return reply(200, { Meta: { Logs: [{ ID: LOG_ID }] } })
    const location = `${this.url}/DiagnosticReport/1/_history/1`
    return reply(200, { resourceType: 'Bundle', entry: [{ response: { status: '201 Created', location } }] })
  }
}
