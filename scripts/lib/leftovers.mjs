// Ends the processes that a test run has started when the run ends, even if a signal that cannot be handled kills the
// run. Browsers and databases start their own sessions, so they cannot be found by process group or parent process. But
// they inherit an environment variable that identifies the run.
//
//   node scripts/lib/leftovers.mjs MARK      waits until its stdin is closed, then ends the processes of that run
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { codeOf } from './process.mjs'

const VARIABLE = 'REDOX_TEST_RUN'
/** Milliseconds for Node-RED and PostgreSQL to shut down. */
const GRACE_MS = 5_000
const FILE = fileURLToPath(import.meta.url)

/**
 * Returns the environment for processes that a run starts. Also starts a watcher process that waits for the end of this
 * process: the kernel closes the pipe between them, however this process ends.
 */
export function endWithThisProcess() {
  const mark = randomUUID()
  const watcher = spawn(process.execPath, [FILE, mark], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watcher.unref()
  // The pipe to a child process is a socket, although its TypeScript type does not show this.
  const pipe = /** @type {import('node:net').Socket} */ (watcher.stdin)
  pipe.unref()
  return { ...process.env, [VARIABLE]: mark }
}

/**
 * Ends the processes whose environment contains the id of this test run: with SIGTERM, and after some time with
 * SIGKILL.
 * @param {NodeJS.ProcessEnv} environment environment variables of the test run, with the id of the run
 */
export async function endRun({ [VARIABLE]: mark }) {
  if (mark === undefined) return
  signal(mark, 'SIGTERM')
  const until = Date.now() + GRACE_MS
  while (processesOf(mark).length > 0 && Date.now() < until) await sleep(100)
  signal(mark, 'SIGKILL')
}

/**
 * @param {string} mark id of the test run in the environment of its processes
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
 * Returns the process ids of a run; none on systems other than Linux, which do not publish the environment of a
 * process.
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
 * Returns the environment of a process; empty if the process has ended or belongs to another user.
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
