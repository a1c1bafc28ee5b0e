/** HTTP CONNECT proxy whose tunnels for all hosts lead to this machine, and TLS certificates for tests. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { fixture } from './fixtures'

const pem = (name: string): string => fixture(`tls/${name}.pem`).toString('latin1')

export const CA = pem('ca')
export const CLIENT = { cert: pem('client'), key: pem('key') }
export const ENCRYPTED_KEY = pem('encrypted-key')
/** Certificate of a test server, and its private key; all test certificates have the same key. */
export const certified = (name: 'server' | 'elsewhere' | 'expired' | 'self-signed'): ServerOptions => ({
  cert: pem(name),
  key: pem('key'),
})

/**
 * Reaction of the proxy to a CONNECT request: opens the tunnel, resets the connection, sends no response, or responds
 * with this HTTP status code.
 */
export type Behaviour = 'open' | 'reset' | 'silent' | number

export class ConnectProxy {
  readonly tunnels: { target: string; authorization: string | undefined }[] = []
  /** all bytes that clients have sent, including the CONNECT requests */
  read = ''
  behaviour: Behaviour = 'open'
  /** the only user and password that the proxy accepts; undefined: the proxy requires no login */
  login: string | undefined
  /** number of bytes that the proxy forwards from a client before it resets both connections */
  cutAfter = Infinity
  /** number of times that the proxy resets connections */
  mostCuts = Infinity
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
        if (passed <= this.cutAfter || this.cuts >= this.mostCuts) return void server.write(piece)
        this.cuts++
        server.resetAndDestroy()
        client.resetAndDestroy()
      })
    })
  }
}

export const basic = (login: string): string => `Basic ${Buffer.from(login).toString('base64')}`
