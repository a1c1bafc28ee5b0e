/** PgBouncer for tests, with its default settings except for address, login and pool mode. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort } from './node-red'
import type { Postgres } from './postgres'

const run = promisify(execFile)
const PROGRAM = '/usr/sbin/pgbouncer'
const USER = 'postgres'
const isRoot = process.getuid?.() === 0

export const hasPgBouncer = (): boolean => existsSync(PROGRAM)

export class PgBouncer {
  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: string,
    private readonly port: number,
  ) {}

  static async before(postgres: Postgres, password: string): Promise<PgBouncer> {
    const folder = await mkdtemp(path.join(tmpdir(), 'redox-pgbouncer-'))
    const port = await freePort()
    const file = path.join(folder, 'pgbouncer.ini')
    const users = path.join(folder, 'users.txt')
    await writeFile(users, `"redox" "${password}"\n`)
    await writeFile(
      file,
      `[databases]\n* = host=127.0.0.1 port=${postgres.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n` +
        `listen_port = ${port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = ${users}\npool_mode = transaction\n`,
    )
    // PgBouncer refuses to run as root.
    if (isRoot) await run('chown', ['-R', USER, folder])
    const child = isRoot ? spawn('runuser', ['-u', USER, '--', PROGRAM, file]) : spawn(PROGRAM, [file])
    child.stderr.resume()
    child.stdout.resume()
    const bouncer = new PgBouncer(child, folder, port)
    await bouncer.#listening()
    return bouncer
  }

  async #listening(): Promise<void> {
    for (;;) {
      if (this.child.exitCode !== null) throw new Error('PgBouncer ended')
      const socket = connect(this.port, '127.0.0.1')
      const isThere = await Promise.race([
        once(socket, 'connect').then(() => true),
        once(socket, 'error').then(() => false),
      ]).catch(() => false)
      socket.destroy()
      if (isThere) return
      await pause(50)
    }
  }

  url(from: string): string {
    const url = new URL(from)
    url.port = String(this.port)
    return url.href
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null) {
      const ended = once(this.child, 'exit')
      // SIGTERM is the signal that a service manager sends; PgBouncer then stops at once.
      this.child.kill('SIGTERM')
      await ended
    }
    await rm(this.folder, { recursive: true, force: true })
  }
}
