// A Node-RED process that can be killed and started again, with the same user directory and port.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { pause } from '../scripts/lib/process.mjs'
import { freePort, settingsOf } from './node-red.mjs'

/** @typedef {import('../scripts/lib/runtime.mjs').FlowNode} FlowNode */
/** @typedef {'full' | 'nodes' | 'flows'} DeployKind */

const ROOT = path.join(import.meta.dirname, '..')
/** @type {DeployKind[]} */
const DEPLOYS = ['full', 'nodes', 'flows']

export class Instance {
  isUp = false
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child
  /** @type {string[]} */
  #lines = []

  /**
   * @param {string} userDir
   * @param {number} port
   * @param {FlowNode[]} flow
   * @param {NodeJS.ProcessEnv} env environment variables, added to those of this process
   */
  constructor(userDir, port, flow, env) {
    this.userDir = userDir
    this.url = `http://127.0.0.1:${port}`
    this.flow = flow
    this.env = env
  }

  /**
   * Starts a Node-RED on a free port and deploys the flow.
   * @param {string} userDir
   * @param {FlowNode[]} flow
   * @param {NodeJS.ProcessEnv} env environment variables, added to those of this process
   */
  static async start(userDir, flow, env) {
    const link = path.join(userDir, 'node_modules/@ehr-flows/node-red-redox')
    mkdirSync(path.dirname(link), { recursive: true })
    symlinkSync(ROOT, link, 'junction')
    const uiPort = await freePort()
    writeFileSync(path.join(userDir, 'settings.js'), `module.exports = ${JSON.stringify(settingsOf(uiPort))}`)
    const instance = new Instance(userDir, uiPort, flow, env)
    await instance.start()
    await instance.#deploy(flow, 'full')
    return instance
  }

  async start() {
    const red = createRequire(import.meta.url).resolve('node-red/red.js')
    const args = [red, '-u', this.userDir, '-s', path.join(this.userDir, 'settings.js')]
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...this.env },
    })
    this.#child = child
    this.#lines = []
    createInterface({ input: child.stdout }).on('line', (line) => this.#lines.push(line))
    while (!this.#lines.some((line) => line.includes('Started flows'))) {
      if (child.exitCode !== null) throw new Error(`Node-RED ended:\n${this.#lines.join('\n')}`)
      await pause(10)
    }
    this.isUp = child.exitCode === null
  }

  /** Kills the process without notice, like a power failure. */
  async kill() {
    this.isUp = false
    if (this.#child === undefined) return
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
  }

  async stop() {
    this.isUp = false
    this.#child?.kill()
    if (this.#child?.exitCode === null) await once(this.#child, 'exit')
  }

  /**
   * Deploys the flow with a change; the kinds of deploys alternate.
   * @param {number} number number of the deploy, from 0
   * @returns {Promise<boolean>} true if Node-RED has accepted the deploy
   */
  async deploy(number) {
    const kind = DEPLOYS[number % DEPLOYS.length] ?? 'full'
    const isChanged = (/** @type {FlowNode} */ { id, type }) =>
      kind === 'nodes' ? id === 'connection' : type.startsWith('redox-data')
    for (const node of this.flow) if (kind !== 'full' && isChanged(node)) node.name = `deployed ${number}`
    return this.#deploy(this.flow, kind)
  }

  /**
   * @param {FlowNode[]} flow
   * @param {DeployKind} kind
   */
  async #deploy(flow, kind) {
    const headers = { 'content-type': 'application/json', 'node-red-deployment-type': kind }
    const answer = await fetch(`${this.url}/flows`, { method: 'POST', headers, body: JSON.stringify(flow) })
    return answer.ok
  }

  /**
   * Sends a file to an HTTP In node in a POST request.
   * @param {string} place URL path with query
   * @param {Buffer<ArrayBuffer>} body
   * @returns {Promise<number | undefined>} the HTTP status; undefined without an HTTP response
   */
  async post(place, body) {
    try {
      const headers = { 'content-type': 'application/pdf' }
      const answer = await fetch(`${this.url}/${place}`, { method: 'POST', headers, body })
      await answer.arrayBuffer()
      return answer.status
    } catch {
      return undefined
    }
  }

  /**
   * Requests a path and returns the JSON of the response.
   * @param {string} place URL path with query
   * @returns {Promise<unknown>}
   * @throws for an HTTP status other than 2xx
   */
  async json(place) {
    const answer = await fetch(`${this.url}/${place}`)
    if (!answer.ok) throw new Error(`${place} answers ${answer.status}`)
    return answer.json()
  }

  /**
   * Sends JSON in a POST request.
   * @param {string} place URL path
   * @param {object} body
   * @throws for an HTTP status other than 2xx
   */
  async send(place, body) {
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${this.url}/${place}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    })
    if (!answer.ok) throw new Error(`${place} answers ${answer.status}`)
  }
}
