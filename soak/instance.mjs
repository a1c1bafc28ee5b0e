// A Node-RED that can be killed and started again, on the same user directory and port.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { freePort, settingsOf } from './node-red.mjs'

const ROOT = path.join(import.meta.dirname, '..')
const DEPLOYS = ['full', 'nodes', 'flows']

export class Instance {
  isUp = false
  #child
  #lines = []

  constructor(userDir, port, flow, env) {
    Object.assign(this, { userDir, url: `http://127.0.0.1:${port}`, flow, env })
  }

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
    await this.#until('Started flows', 0)
    this.isUp = child.exitCode === null
  }

  async #until(text, from) {
    while (!this.#lines.slice(from).some((line) => line.includes(text))) {
      if (this.#child.exitCode !== null) throw new Error(`Node-RED ended:\n${this.#lines.join('\n')}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  /** Without a word, as when the power fails. */
  async kill() {
    this.isUp = false
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
  }

  async stop() {
    this.isUp = false
    this.#child.kill()
    if (this.#child.exitCode === null) await once(this.#child, 'exit')
  }

  /** @returns whether it was deployed before the process was killed */
  async deploy(number) {
    const kind = DEPLOYS[number % DEPLOYS.length]
    const isChanged = ({ id, type }) =>
      kind === 'nodes' ? id === 'connection' : type.startsWith('redox-data')
    for (const node of this.flow) if (kind !== 'full' && isChanged(node)) node.name = `deployed ${number}`
    return this.#deploy(this.flow, kind)
  }

  async #deploy(flow, kind) {
    const headers = { 'content-type': 'application/json', 'node-red-deployment-type': kind }
    const answer = await fetch(`${this.url}/flows`, { method: 'POST', headers, body: JSON.stringify(flow) })
    return answer.ok
  }

  /** @returns the status; undefined: there was no answer */
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

  async json(place) {
    const answer = await fetch(`${this.url}/${place}`)
    if (!answer.ok) throw new Error(`${place} answers ${answer.status}`)
    return answer.json()
  }

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
