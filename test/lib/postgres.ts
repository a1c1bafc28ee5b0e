/** PostgreSQL cluster for tests in a temporary folder, reachable on the loopback interface only. */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { freePort } from './node-red'

const run = promisify(execFile)

/** Number of ports that are tried. */
const MAX_PORTS = 5

/** Folder where Debian installs the binaries, which is not in the PATH. */
const DEBIAN = '/usr/lib/postgresql'

/** Folder of the newest installed PostgreSQL binaries; undefined if none are installed. */
export function postgresBinaries(): string | undefined {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [...versions.map((version) => path.join(DEBIAN, version, 'bin')), ...inPath()]
  return folders.find((folder) => existsSync(path.join(folder, 'initdb')))
}

const inPath = (): string[] => (process.env.PATH ?? '').split(path.delimiter).filter(Boolean)

/** Password with characters that need percent-encoding in a URL. */
export const PASSWORD = 'pässword/of@tests'

export class Postgres {
  port = 0

  private constructor(
    readonly folder: string,
    private readonly binaries: string,
  ) {}

  /** Creates and starts a cluster. fsync is on, as in production. */
  static async start(): Promise<Postgres> {
    const binaries = postgresBinaries()
    if (binaries === undefined) throw new Error('PostgreSQL is not installed')
    return Postgres.#startWith(binaries, (postgres) => postgres.#create())
  }

  /** Creates and starts a replica, which receives the changes of this server as a stream. */
  async replica(): Promise<Postgres> {
    const copy = ['-d', this.url(), '-R', '-X', 'stream', '-c', 'fast']
    return Postgres.#startWith(this.binaries, (made) =>
      made.#asUser('pg_basebackup', ['-D', made.#data, ...copy]),
    )
  }

  static async #startWith(
    binaries: string,
    create: (postgres: Postgres) => Promise<void>,
  ): Promise<Postgres> {
    const folder = await mkdtemp(path.join(tmpdir(), 'redox-postgres-'))
    const postgres = new Postgres(folder, binaries)
    try {
      // The server refuses to run as root. Its user needs access to the temporary folder.
      await postgres.give(folder)
      await create(postgres)
      await postgres.#startOnFreePort()
      return postgres
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      throw error
    }
  }

  async #create(): Promise<void> {
    const secret = path.join(this.folder, 'password')
    await writeFile(secret, PASSWORD, { mode: 0o644 })
    const login = ['-U', 'redox', '-A', 'scram-sha-256', '--pwfile', secret]
    await this.#asUser('initdb', ['-D', this.#data, ...login, '-E', 'UTF8', '--locale=C'])
  }

  get #data(): string {
    return path.join(this.folder, 'data')
  }

  url(database = 'postgres', password = PASSWORD): string {
    return `postgres://redox:${encodeURIComponent(password)}@127.0.0.1:${this.port}/${database}`
  }

  /** Starts the server. Another process may take a port between the choice and the start: then another one is chosen. */
  async #startOnFreePort(): Promise<void> {
    for (let tries = 1; ; tries++) {
      this.port = await freePort()
      try {
        return await this.resume()
      } catch (error) {
        const log = await readFile(path.join(this.folder, 'log'), 'utf8')
        if (tries === MAX_PORTS || !log.includes('Address already in use')) throw error
        await rm(path.join(this.folder, 'log'))
      }
    }
  }

  /** Starts the server again after `suspend` or `crash`. */
  async resume(fsync: 'on' | 'off' = 'on'): Promise<void> {
    const options = `-p ${this.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=${fsync}`
    await this.#control(['-o', options, '-l', path.join(this.folder, 'log'), '-t', '60', 'start'])
  }

  /** Stops the server and disconnects its clients. */
  async suspend(): Promise<void> {
    await this.#control(['-m', 'fast', 'stop'])
  }

  /** Stops the server as a crash does: what is not on its disk is lost. */
  async crash(): Promise<void> {
    await this.#control(['-m', 'immediate', 'stop'])
  }

  /** Makes a replica a server that can be written. */
  async promote(): Promise<void> {
    await this.#control(['promote'])
  }

  /** Enables TLS for new clients that request TLS. */
  async speakTls(certificate: string, key: string): Promise<void> {
    for (const [name, from] of Object.entries({ 'server.crt': certificate, 'server.key': key })) {
      const file = path.join(this.#data, name)
      await copyFile(from, file)
      await chmod(file, 0o600)
      await this.give(file)
    }
    await writeFile(path.join(this.#data, 'postgresql.auto.conf'), 'ssl = on\n', { flag: 'a' })
    await this.#control(['reload'])
  }

  /** Makes the user of the server the owner of a file or folder. */
  async give(file: string): Promise<void> {
    if (isRoot) await run('chown', [USER, file])
  }

  async stop(): Promise<void> {
    await this.#control(['-m', 'immediate', 'stop']).catch(() => undefined)
    await rm(this.folder, { recursive: true, force: true })
  }

  async #control(args: string[]): Promise<void> {
    await this.#asUser('pg_ctl', ['-D', this.#data, '-w', ...args])
  }

  async #asUser(name: string, args: string[]): Promise<void> {
    const command = path.join(this.binaries, name)
    const options = { cwd: this.folder }
    if (isRoot) await run('runuser', ['-u', USER, '--', command, ...args], options)
    else await run(command, args, options)
  }
}

const USER = 'postgres'
const isRoot = process.getuid?.() === 0
