// Network connection to the sandbox that a soak can cut, to simulate an outage of Redox.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { portOf } from '../scripts/lib/process.mjs'

/** @typedef {import('../dist/src/sandbox/index.js').Sandbox} Sandbox */

/**
 * TCP proxy in front of a local port. While the proxy is cut, no server listens on its port, and its open connections
 * are destroyed.
 * @param {number} to port
 */
export async function startLine(to) {
  /** @type {Set<import('node:net').Socket>} */
  const sockets = new Set()
  /** @param {import('node:net').Socket} socket */
  const track = (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  }
  const server = createServer((socket) => {
    const other = connect(to, '127.0.0.1')
    track(socket)
    track(other)
    socket.pipe(other).on('close', () => socket.destroy())
    other.pipe(socket).on('close', () => other.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = portOf(server)
  const cut = () => {
    server.close()
    sockets.forEach((socket) => socket.destroy())
  }
  return {
    port,
    cut,
    mend() {
      if (!server.listening) server.listen(port, '127.0.0.1')
    },
    close: cut,
  }
}

/**
 * Returns the sandbox's key, and its endpoints with another port.
 * @param {Pick<Sandbox, 'endpoints' | 'oauthKey'>} sandbox
 * @param {number} port
 * @returns {import('./durable-flow.mjs').Keys}
 */
export function through({ endpoints, oauthKey }, port) {
  const { apiBase, blobUploadUrl, fhirBase, binaryUploadBase } = endpoints
  /** @param {string} address */
  const rewired = (address) => {
    const url = new URL(address)
    url.port = String(port)
    return url.href.replace(/\/$/, '')
  }
  return {
    ...oauthKey,
    endpoints: {
      apiBase: rewired(apiBase),
      blobUploadUrl: rewired(blobUploadUrl),
      fhirBase: rewired(fhirBase),
      binaryUploadBase: rewired(binaryUploadBase),
    },
    audience: `${apiBase}/v2/auth/token`,
  }
}
