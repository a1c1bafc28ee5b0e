/** Processes that a test run has started: they end when the test run ends. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { skip } from '../lib/skip'

const LEFTOVERS = pathToFileURL(path.join(__dirname, '../../../scripts/lib/leftovers.mjs')).href

// Process similar to a browser or database: runs in its own session and ignores SIGTERM.
const STUBBORN = "process.on('SIGTERM', () => {}); console.log(process.pid); setInterval(() => {}, 1000)"
const RUN = `
  import { spawn } from 'node:child_process'
  import { endWithThisProcess } from '${LEFTOVERS}'
  const options = { detached: true, stdio: ['ignore', 'inherit', 'ignore'], env: endWithThisProcess() }
  spawn(process.execPath, ['-e', ${JSON.stringify(STUBBORN)}], options)
`

/** Longest wait in ms for the end of a process, which is killed if it has not ended by itself after 5 s. */
const LONGEST_MS = 30_000

describe('processes of a test run', () => {
  before(function () {
    if (!existsSync('/proc/self/environ')) skip(this, 'only Linux shows the environment of a process')
  })

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGKILL'] as const)
    it(`end when the run gets ${signal}`, async () => {
      const run = spawn(process.execPath, ['--input-type=module', '-e', RUN])
      const [line] = (await once(run.stdout, 'data')) as [Buffer]
      const pid = Number(line.toString())
      assert.ok(isRunning(pid))
      run.kill(signal)
      await once(run, 'exit')
      const until = Date.now() + LONGEST_MS
      while (isRunning(pid) && Date.now() < until) await sleep(50)
      const isLeft = isRunning(pid)
      if (isLeft) process.kill(pid, 'SIGKILL')
      assert.ok(!isLeft, 'still runs')
    })
})

/** Returns true if the process is running. Zombies, as in containers without an init process, do not count. */
function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !stat.slice(stat.lastIndexOf(')')).startsWith(') Z')
  } catch {
    return false
  }
}
