/** HTTP reverse proxy with its own address in front of a server on this machine. */
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'

export interface ReverseProxy {
  port: number
  close(): Promise<void>
}

/**
 * Starts a proxy.
 * @param target URL to which the proxy forwards requests; the Host header contains the host of this URL
 */
export async function startReverseProxy(target: string): Promise<ReverseProxy> {
  const { host, hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  const server = createServer((asked, answer) => {
    const passed = request(
      { hostname, port, method: asked.method, path: asked.url, headers: { ...asked.headers, host } },
      (got) => {
        answer.writeHead(got.statusCode!, got.headers)
        got.pipe(answer)
      },
    )
    passed.on('error', () => answer.destroy())
    asked.pipe(passed)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  })
  // The editor opens a WebSocket with an upgrade request.
  server.on('upgrade', ({ url, headers }, socket: Socket, head) => {
    const lines = Object.entries({ ...headers, host }).map(([name, value]) => `${name}: ${String(value)}`)
    const passed = connect(Number(port), hostname)
    sockets.add(passed)
    passed.on('error', () => socket.destroy()).on('close', () => sockets.delete(passed))
    passed.write([`GET ${url} HTTP/1.1`, ...lines, '', ''].join('\r\n'))
    passed.write(head)
    passed.pipe(socket).pipe(passed)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async (): Promise<void> => {
    server.close()
    sockets.forEach((socket) => socket.destroy())
    await once(server, 'close')
  }
  return { port: (server.address() as AddressInfo).port, close }
}
