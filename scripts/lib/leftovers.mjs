// Ends the processes that tests have started when the run ends, also by a signal that cannot be handled. Browsers and
// databases start sessions of their own, so that neither the process group nor the parent leads to them. They inherit the
// environment: each process of a run is known by a variable in it.
//
//   node scripts/lib/leftovers.mjs MARK      waits until its stdin is closed, then ends the processes of that run
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { codeOf } from './process.mjs'

const VARIABLE = 'REDOX_TEST_RUN'
/** Time for Node-RED and PostgreSQL to shut down. */
const GRACE_MS = 5_000
const FILE = fileURLToPath(import.meta.url)

/**
 * The environment for processes that a run starts. Also starts a process that waits for the end of this one: the kernel
 * closes their pipe, however this process ends.
 */
export function endWithThisProcess() {
  const mark = randomUUID()
  const watcher = spawn(process.execPath, [FILE, mark], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watcher.unref()
  // A pipe to a child is a socket, which its type does not say.
  const pipe = /** @type {import('node:net').Socket} */ (watcher.stdin)
  pipe.unref()
  return { ...process.env, [VARIABLE]: mark }
}

/**
 * Ends the processes whose environment has this mark: with SIGTERM, and after a while with SIGKILL.
 * @param {NodeJS.ProcessEnv} environment of the run
 */
export async function endRun({ [VARIABLE]: mark }) {
  if (mark === undefined) return
  signal(mark, 'SIGTERM')
  const until = Date.now() + GRACE_MS
  while (processesOf(mark).length > 0 && Date.now() < until) await sleep(100)
  signal(mark, 'SIGKILL')
}

/**
 * @param {string} mark
 * @param {NodeJS.Signals} name
 */
function signal(mark, name) {
  for (const pid of processesOf(mark)) {
    try {
      process.kill(pid, name)
    } catch (error) {
      if (codeOf(error) !== 'ESRCH') throw error
    }
  }
}

/**
 * Ids of the processes of a run; none on systems other than Linux, which do not publish the environment of a process.
 * @param {string} mark
 */
function processesOf(mark) {
  if (!existsSync('/proc/self/environ')) return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => environmentOf(name).includes(`${VARIABLE}=${mark}`))
    .map(Number)
}

/**
 * The environment of a process; empty if it has ended, or belongs to another user.
 * @param {string} pid
 */
function environmentOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
  } catch {
    return []
  }
}

if (process.argv[1] === FILE) {
  process.stdin.resume()
  process.stdin.once('close', () => endRun({ [VARIABLE]: process.argv[2] }))
}
