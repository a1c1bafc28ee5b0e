/** A real HTTP proxy that opens tunnels to this machine, whatever host is asked for; and certificates for tests. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { fixture } from './fixtures'

const pem = (name: string): string => fixture(`tls/${name}.pem`).toString('latin1')

export const CA = pem('ca')
export const CLIENT = { cert: pem('client'), key: pem('key') }
export const ENCRYPTED_KEY = pem('encrypted-key')
/** A server's certificate, with the key of all of them. */
export const certified = (name: 'server' | 'elsewhere' | 'expired' | 'self-signed'): ServerOptions => ({
  cert: pem(name),
  key: pem('key'),
})

/** What the proxy does with a request for a tunnel: opens it, answers with a status, hangs up, or says nothing. */
export type Behaviour = 'open' | 'reset' | 'silent' | number

export class ConnectProxy {
  readonly tunnels: { target: string; authorization: string | undefined }[] = []
  /** all that clients sent, requests for tunnels too */
  read = ''
  behaviour: Behaviour = 'open'
  /** the only login that is let in */
  login: string | undefined
  /** so many bytes of a client are passed on, then both ends are reset */
  cutAfter = Infinity
  cuts = 0
  readonly #sockets = new Set<Socket>()
  readonly #server

  private constructor(tls: ServerOptions | undefined) {
    this.#server = tls ? createTlsServer(tls) : createServer()
    const keep = (socket: Socket): void => {
      this.#sockets.add(socket)
      socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket))
    }
    this.#server.on('connection', keep).on('secureConnection', keep)
    this.#server.on('connect', ({ url, headers }, client: Socket) => {
      this.tunnels.push({ target: url!, authorization: headers['proxy-authorization'] })
      this.read += JSON.stringify(headers)
      const isIn = this.login === undefined || headers['proxy-authorization'] === basic(this.login)
      const behaviour = isIn ? this.behaviour : 407
      if (behaviour === 'open') this.#open(url!, client)
      else if (behaviour === 'reset') client.resetAndDestroy()
      else if (behaviour !== 'silent') client.end(`HTTP/1.1 ${behaviour} No\r\nContent-Length: 0\r\n\r\n`)
    })
  }

  static async start(tls?: ServerOptions): Promise<ConnectProxy> {
    const proxy = new ConnectProxy(tls)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async close(): Promise<void> {
    this.#sockets.forEach((socket) => socket.destroy())
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #open(target: string, client: Socket): void {
    const server = connect(Number(target.split(':').at(-1)), '127.0.0.1')
    let passed = 0
    server.on('error', () => client.destroy()).on('close', () => client.destroy())
    client.on('close', () => server.destroy())
    server.once('connect', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      server.pipe(client)
      client.on('data', (piece: Buffer) => {
        this.read += piece.toString('latin1')
        passed += piece.length
        if (passed <= this.cutAfter) return void server.write(piece)
        this.cuts++
        server.resetAndDestroy()
        client.resetAndDestroy()
      })
    })
  }
}

export const basic = (login: string): string => `Basic ${Buffer.from(login).toString('base64')}`
