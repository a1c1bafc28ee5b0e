/** Node-RED with the built package installed, in a separate process with its own user directory. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import os from 'node:os'
import path from 'node:path'

const MODULE = '@ehr-flows/node-red-redox'
const ROOT = path.join(__dirname, '../../..')
/** Folder whose node_modules contains the Node-RED to test; by default the repository, with its devDependencies. */
const NODE_RED = process.env['REDOX_TEST_NODE_RED'] ?? ROOT

export interface NodeRed {
  /** URL of Node-RED, with a trailing slash. */
  url: string
  /** folder with the flows and the embedded stores */
  userDir: string
  /** log output of the process so far */
  log(): string
  /** Stops the process with a signal, as a service manager does, and waits for its end. */
  stop(): Promise<void>
}

/**
 * Starts a Node-RED.
 * @param settings Node-RED settings as plain data; they replace the defaults of the tests
 * @param env further environment variables of the process
 */
export async function startNodeRed(settings: object = {}, env: object = {}): Promise<NodeRed> {
  const userDir = await mkdtemp(path.join(os.tmpdir(), 'redox-editor-'))
  linkPackage(userDir)
  const port = await freePort()
  const file = path.join(userDir, 'settings.js')
  await writeFile(file, `module.exports = ${JSON.stringify({ ...settingsOf(port), ...settings })}`)
  const red = path.join(NODE_RED, 'node_modules/node-red/red.js')
  // A separate process: Node-RED is a singleton, and the node tests run one in this process.
  const child = spawn(process.execPath, [red, '-u', userDir, '-s', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  const log = await started(child)
  const stop = async (): Promise<void> => {
    child.kill()
    if (child.exitCode === null) await once(child, 'exit')
    await rm(userDir, { recursive: true, force: true })
  }
  return { url: `http://127.0.0.1:${port}/`, userDir, log, stop }
}

const settingsOf = (uiPort: number): object => ({
  uiHost: '127.0.0.1',
  uiPort,
  flowFile: 'flows.json',
  credentialSecret: 'nothing secret here',
  telemetry: { enabled: false, updateNotification: false },
  // Without this setting, the palette manager would request the Flow Library's catalogue.
  editorTheme: { tours: false, projects: { enabled: false }, palette: { catalogues: [] } },
})

/** Links the package into the user directory, as npm does for a folder, unless the package is installed already. */
function linkPackage(userDir: string): void {
  if (existsSync(path.join(NODE_RED, 'node_modules', MODULE))) return
  const link = path.join(userDir, 'node_modules', MODULE)
  mkdirSync(path.dirname(link), { recursive: true })
  symlinkSync(ROOT, link, 'junction')
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Log lines that Node-RED writes when it has started, in either order. */
const STARTED = ['Started flows', 'Server now running']

/** Waits until the flows run and the HTTP server listens. Returns a function that returns the log output so far. */
async function started(child: ChildProcess): Promise<() => string> {
  let output = ''
  await new Promise<void>((resolve, reject) => {
    const listen = (chunk: Buffer): void => {
      output += chunk.toString('utf8')
      if (STARTED.every((line) => output.includes(line))) resolve()
    }
    child.stdout?.on('data', listen)
    child.stderr?.on('data', listen)
    child.once('exit', () => reject(new Error(`Node-RED ended:\n${output}`)))
  })
  return () => output
}
