// What tests start ends with the run, however the run ends: by a signal that no handler sees, too. Browsers and
// databases put themselves into sessions of their own, so that neither the process group nor the parent leads to them.
// They inherit the environment: each process of a run is known by a variable in it.
//
//   node scripts/lib/leftovers.mjs MARK      waits until its stdin is closed, then ends the processes of that run
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const VARIABLE = 'REDOX_TEST_RUN'
/** For Node-RED and PostgreSQL to end in order. */
const GRACE_MS = 5_000
const FILE = fileURLToPath(import.meta.url)

/**
 * The environment for what a run starts. From then on a process waits for the end of this one: the kernel closes
 * their pipe whatever ends it.
 */
export function endWithThisProcess() {
  const mark = randomUUID()
  const options = { stdio: ['pipe', 'ignore', 'ignore'], detached: true }
  const watcher = spawn(process.execPath, [FILE, mark], options)
  watcher.unref()
  watcher.stdin.unref()
  return { ...process.env, [VARIABLE]: mark }
}

/** Asks the processes whose environment has this mark to end, and ends what does not. */
export async function endRun({ [VARIABLE]: mark }) {
  signal(mark, 'SIGTERM')
  const until = Date.now() + GRACE_MS
  while (processesOf(mark).length > 0 && Date.now() < until) await sleep(100)
  signal(mark, 'SIGKILL')
}

function signal(mark, name) {
  for (const pid of processesOf(mark)) {
    try {
      process.kill(pid, name)
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
  }
}

/** Linux alone tells the environment of a process. */
function processesOf(mark) {
  if (!existsSync('/proc/self/environ')) return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => environmentOf(name).includes(`${VARIABLE}=${mark}`))
    .map(Number)
}

/** Of a process that ended, and of another user's, nothing is told. */
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
