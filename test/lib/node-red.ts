/** A real Node-RED with the package as it was built, in a process and a user directory of its own. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import os from 'node:os'
import path from 'node:path'

const MODULE = '@ehr-flows/node-red-redox'
const ROOT = path.join(__dirname, '../../..')
/** Another Node-RED than the one of devDependencies: a folder whose node_modules has it. */
const NODE_RED = process.env['REDOX_TEST_NODE_RED'] ?? ROOT

export interface NodeRed {
  /** With a slash at its end. */
  url: string
  /** what it has printed */
  log(): string
  /** Asks it to end, as a service manager does, and waits until it has. */
  stop(): Promise<void>
}

/**
 * @param settings laid over those of the tests; plain data
 * @param env further variables of the process
 */
export async function startNodeRed(settings: object = {}, env: object = {}): Promise<NodeRed> {
  const userDir = await mkdtemp(path.join(os.tmpdir(), 'redox-editor-'))
  linkPackage(userDir)
  const port = await freePort()
  const file = path.join(userDir, 'settings.js')
  await writeFile(file, `module.exports = ${JSON.stringify({ ...settingsOf(port), ...settings })}`)
  const red = path.join(NODE_RED, 'node_modules/node-red/red.js')
  // A process of its own: Node-RED is a singleton, and the tests of the nodes have theirs in this process.
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
  return { url: `http://127.0.0.1:${port}/`, log, stop }
}

const settingsOf = (uiPort: number): object => ({
  uiHost: '127.0.0.1',
  uiPort,
  flowFile: 'flows.json',
  credentialSecret: 'nothing secret here',
  telemetry: { enabled: false, updateNotification: false },
  // The palette manager would ask the Flow Library for its catalogue.
  editorTheme: { tours: false, projects: { enabled: false }, palette: { catalogues: [] } },
})

/** As npm would link a folder into the user directory; not needed where the package is installed already. */
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

/** In either order. */
const STARTED = ['Started flows', 'Server now running']

/** Waits until the flows run and the server listens, and gives what reads the output from then on. */
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
