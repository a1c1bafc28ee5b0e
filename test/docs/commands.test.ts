/** Commands, code and output in the README and the guides: each is run or compared, or listed here with a reason. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { runInNewContext } from 'node:vm'
import { Client } from 'pg'
import { openStore } from '../../src/queue/open-store'
import { locationIn } from '../../src/queue/store-location'
import { DeliveryPlan } from '../../src/sandbox/delivery-plan'
import { FaultPlan } from '../../src/sandbox/faults'
import { startSandbox } from '../../src/sandbox'
import { check, hostsOf, oauthOf } from '../check/support'
import { accept } from '../queue/messages'
import { POSTGRES, server } from '../queue/stores'
import { startWithUsers, type GuardedNodeRed } from '../lib/admin'
import { AdminClient, askRaw } from '../lib/client'
import { freePort, startNodeRed } from '../lib/node-red'
import { OutboxClient } from '../lib/outbox'
import { reply, ScriptedServer } from '../lib/scripted-server'
import { BLOCKS, commandsOf, read, ROOT, shapeOf, type Block } from './pages'
import { NO_POSTGRES, skip } from '../lib/skip'

const run = promisify(execFile)
const { name, version } = JSON.parse(read('package.json')) as { name: string; version: string }
const TARBALL = `${name.replace('@', '').replace('/', '-')}-${version}.tgz`

/** Commands that the tests of this file do not run, with the reasons. */
const NOT_RUN: Record<string, string> = {
  [`npm install ${name}`]: 'the package is not published',
  'npm ci': 'the tests need what it installs; .ci/run begins with it',
  'npm pack': '.ci/run packs, and installs the result into Node-REDs of its own',
  'cd ~/.node-red': 'goes with the next one',
  [`npm install /path/to/node-red-redox/${TARBALL}`]: 'the same as in .ci/run, which knows the path',
}
const METRICS_TOKEN = 'a-token-for-the-scraper'
const NO_DOCKER = 'needs Docker, and an image from a registry'

const SANDBOX = /^npx -p @ehr-flows\/node-red-redox redox-sandbox /
const CHECK = /^npx -p @ehr-flows\/node-red-redox redox-check ?/
const STORE = /^npx -p @ehr-flows\/node-red-redox redox-store /

/** Kinds of code blocks in the pages, and how to recognize them; the tests below run the blocks of each kind. */
const HANDLED: { what: string; is: (block: Block) => boolean }[] = [
  { what: 'commands', is: ({ language }) => language === 'sh' },
  { what: 'settings.js', is: ({ language, text }) => language === 'js' && text.includes('module.exports') },
  { what: 'rights of PostgreSQL', is: ({ language }) => language === 'sql' },
  {
    what: 'answers of the outbox',
    is: ({ page, language }) => page === 'docs/outbox.md' && language === 'json',
  },
  { what: 'output of npm ci', is: ({ text }) => text.startsWith('npm warn install-scripts') },
  {
    // The tests of the examples compare this output. A second run of npm start at the same time would use the same user
    // directory.
    what: 'output of npm start',
    is: ({ text }) => text.includes('The answers come from the built-in sandbox'),
  },
  { what: 'output of redox-sandbox', is: ({ text }) => text.startsWith('Redox sandbox at ') },
  { what: 'output of redox-store', is: ({ text }) => text.startsWith('embedded:3f2a ') },
  {
    what: 'a fault plan',
    is: ({ page, language }) => page === 'docs/sandbox-faults.md' && language === 'text',
  },
  {
    what: 'a delivery plan',
    is: ({ page, language }) => page === 'docs/sandbox-delivery.md' && language === 'text',
  },
  {
    what: 'the folders of the repository',
    is: ({ page, language }) => page === 'CONTRIBUTING.md' && language === 'text',
  },
  {
    what: 'the diff that adds a field: it was built, and is not part of the package',
    is: ({ page, language }) => page === 'CONTRIBUTING.md' && language === 'diff',
  },
  { what: 'a drawing', is: ({ text }) => text.includes('──►') },
  {
    what: 'monitoring: needs Prometheus or Kubernetes; the page says what was run by hand',
    is: ({ page, language }) => page === 'docs/monitoring.md' && language === 'yaml',
  },
  { what: NO_DOCKER, is: ({ language }) => language === 'yaml' },
]

const blocksOf = (what: string): Block[] => {
  const { is } = HANDLED.find((one) => one.what === what)!
  const found = BLOCKS.filter(is)
  assert.ok(found.length > 0, `no block: ${what}`)
  return found
}
const COMMANDS = blocksOf('commands').flatMap((block) => commandsOf(block))
const isStart = (command: string): boolean => command === 'npm start'
const isCurl = (command: string): boolean => command.startsWith('curl ')
const isSbom = (command: string): boolean => command.startsWith('npm sbom ')

const hasCurl = (): Promise<boolean> =>
  run('curl', ['--version']).then(
    () => true,
    () => false,
  )

/** Arguments of a shell command, some of them in double quotes. */
const wordsOf = (text: string): string[] =>
  [...text.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!)

describe('commands and snippets of the pages', () => {
  it('are run, or listed in this file', () => {
    const unknown = BLOCKS.filter((block) => !HANDLED.some(({ is }) => is(block)))
    assert.deepEqual(unknown, [], 'run it here, or list it with a reason')
    const runs = (command: string): boolean =>
      isStart(command) ||
      isCurl(command) ||
      isSbom(command) ||
      SANDBOX.test(command) ||
      CHECK.test(command) ||
      STORE.test(command) ||
      command in NOT_RUN
    assert.deepEqual(
      COMMANDS.filter((command) => !runs(command)),
      [],
    )
    assert.deepEqual(
      Object.keys(NOT_RUN).filter((command) => !COMMANDS.includes(command)),
      [],
      'no page has it any more',
    )
  })

  it('npm ci: warns of the packages with an install script', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as {
      packages: Record<string, { version: string; hasInstallScript?: boolean; optional?: boolean }>
    }
    const scripts = Object.entries(packages).filter(
      ([place, { hasInstallScript }]) => hasInstallScript && place !== 'node_modules/fsevents',
    )
    const named = scripts.map(([place, script]) => `${place.replace('node_modules/', '')}@${script.version}`)
    for (const { text } of blocksOf('output of npm ci'))
      assert.deepEqual([...text.matchAll(/\S+@\d\S+/g)].map(String), named)
  })

  it('npm sbom: lists the runtime dependencies', async function () {
    this.timeout(60_000)
    for (const command of COMMANDS.filter(isSbom)) {
      const [npm, ...args] = wordsOf(command)
      const { stdout } = await run(npm!, args, { cwd: ROOT, shell: process.platform === 'win32' })
      const { components } = JSON.parse(stdout) as { components: { name: string }[] }
      const names = components.map((one) => one.name)
      assert.ok(names.includes('undici') && names.includes('jose'), names.join(', '))
      assert.ok(!names.includes('mocha'))
    }
  })

  it('redox-sandbox: prints the output of the page', async function () {
    this.timeout(60_000)
    const commands = COMMANDS.filter((command) => SANDBOX.test(command))
    assert.equal(commands.length, 3)
    for (const command of commands) {
      const port = String(await freePort())
      const args = wordsOf(command.replace(SANDBOX, '')).map((word) => (word === '8787' ? port : word))
      const child = spawn(process.execPath, [path.join(ROOT, 'dist/src/sandbox/cli.js'), ...args])
      let said = ''
      for await (const chunk of child.stdout) {
        said += String(chunk)
        if (said.includes('Legacy secret')) child.kill()
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      if (args.includes('--port')) assert.ok(said.includes(`http://127.0.0.1:${port}`))
      for (const { text } of blocksOf('output of redox-sandbox'))
        assert.ok(shapeOf(said).startsWith(shapeOf(text)), said)
    }
  })

  it('redox-check: runs as on the page', async function () {
    this.timeout(120_000)
    const commands = COMMANDS.filter((command) => CHECK.test(command))
    assert.equal(commands.length, 3)
    const sandbox = await startSandbox({ profile: 'documented' })
    try {
      for (const command of commands) {
        // The report of --report is written into a folder of the test and dropped with it.
        const { code, said } = await check(
          { ...hostsOf(sandbox), ...oauthOf(sandbox) },
          wordsOf(command.replace(CHECK, '')),
        )
        assert.equal(code, 0, said)
      }
    } finally {
      await sandbox.close()
    }
  })

  it('fault plan, delivery plan: can be parsed', () => {
    for (const { text } of blocksOf('a fault plan')) assert.ok(new FaultPlan(text))
    for (const { text } of blocksOf('a delivery plan')) assert.ok(new DeliveryPlan(text))
  })

  it('folders of the repository: exist', () => {
    for (const { text } of blocksOf('the folders of the repository'))
      for (const line of text.split('\n')) {
        const [folder] = line.split(/\s/)
        assert.ok(existsSync(path.join(ROOT, folder!.replace(/<\w+>.*/, ''))), line)
      }
  })

  it('settings.js: Node-RED accepts it, and it has the described effect', async function () {
    this.timeout(60_000)
    const loaded = blocksOf('settings.js').map(({ text }) => {
      const module = { exports: {} as { redox: object } }
      runInNewContext(text, { module, process: { env: { REDOX_METRICS_TOKEN: METRICS_TOKEN } } })
      return module.exports.redox
    })
    // The settings are compared as JSON, because objects from another vm context have other prototypes.
    assert.deepEqual(JSON.parse(JSON.stringify(loaded)), [
      { allowedOrigins: ['http://nodered.example:1880'] },
      { contentWithoutAdminAuth: true },
      // nodes/outbox-access.test.ts shows its effect.
      { identifiersForReaders: true },
      { metricsToken: METRICS_TOKEN, metricsPort: 9464, metricsHost: '0.0.0.0' },
    ])
    const content = 'redox/outbox/none/messages/none/content?reason=test'
    const seen = async (redox: object): Promise<unknown[]> => {
      // This Node-RED can be reached from other machines. Otherwise contentWithoutAdminAuth would have no effect.
      const nodeRed = await startNodeRed({ uiHost: '0.0.0.0', redox })
      try {
        const headers = { origin: 'http://nodered.example:1880' }
        const foreign = await askRaw(`${nodeRed.url}redox/outbox`, { headers })
        const asked = await new AdminClient(nodeRed.url).ask(content)
        return [foreign.status, ((await asked.json()) as { code: string }).code]
      } finally {
        await nodeRed.stop()
      }
    }
    const [status, code] = await seen({})
    assert.deepEqual([status, code], [403, 'REDOX_CONTENT_CLOSED'])
    const [opened, other] = await seen(Object.assign({}, ...loaded) as object)
    assert.equal(opened, 200)
    assert.notEqual(other, 'REDOX_CONTENT_CLOSED')
  })
})

describe('commands of the pages: outbox with curl', function () {
  this.timeout(60_000)
  let redox: ScriptedServer
  let nodeRed: GuardedNodeRed<'operator'>
  before(async function () {
    // On CI, a missing curl is an error, so that no release is untested.
    if (!process.env['CI'] && !(await hasCurl())) return skip(this, 'commands of the guides: install curl')
    redox = await ScriptedServer.start()
    nodeRed = await startWithUsers({ operator: '*' })
  })
  after(async () => {
    await nodeRed?.stop()
    await redox?.close()
  })

  it('have the answers that the page shows', async () => {
    const client = new OutboxClient(nodeRed.url, nodeRed.tokens.operator)
    await client.deploy(redox.url)
    redox.script('send', reply(400, { Meta: { Errors: [{ Text: 'no such patient' }] } }))
    const { id } = (await client.accept({ documentId: 'doc-1' })) as { id: string }
    await client.until(id, 'parked')
    redox.script('send')
    const env = { ...process.env, TOKEN: nodeRed.tokens.operator, CONNECTION: 'outboxconfig', ID: id }
    const asked: string[] = []
    const answers: Record<string, unknown>[] = []
    for (const command of COMMANDS.filter(isCurl)) {
      const real = command
        .replace('curl ', "curl --silent --show-error --write-out '\\n%{http_code}' ")
        .replace('http://127.0.0.1:1880/', nodeRed.url)
      const { stdout } = await run('bash', ['-c', real], { env })
      const [, body, status] = /^([^]*)\n(\d+)$/.exec(stdout)!
      asked.push(`${/redox\/outbox\S*?(?=[?"])/.exec(command)![0]} ${status!}`)
      answers.push(body === '' ? {} : (JSON.parse(body!) as Record<string, unknown>))
    }
    const connection = 'redox/outbox/$CONNECTION'
    assert.deepEqual(asked, [
      'redox/outbox 200',
      `${connection}/messages 200`,
      `${connection}/messages/$ID 204`,
      `${connection}/count 200`,
      `${connection}/decisions 200`,
    ])
    const [, listed, , ...many] = answers as [object, { messages: { id: string }[] }, object, object, object]
    assert.deepEqual(
      listed.messages.map((message) => message.id),
      [id],
    )
    const kinds = (answer: object): unknown =>
      Object.entries(answer).map(([key, value]) => [key, typeof value])
    const shown = blocksOf('answers of the outbox').map(({ text }) => JSON.parse(text) as object)
    assert.deepEqual(shown.map(kinds), many.map(kinds))
    await client.until(id, 'delivered')
  })
})

describe('commands of the pages: stores', function () {
  this.timeout(120_000)
  const KEY = 'the key of these stores'
  const hasPostgres = POSTGRES.missing() === undefined
  let userDir: string
  before(async () => {
    if (hasPostgres) await POSTGRES.start()
    userDir = await mkdtemp(path.join(tmpdir(), 'redox-docs-'))
  })
  after(async () => {
    await rm(userDir, { recursive: true, force: true })
    if (hasPostgres) await POSTGRES.stop()
  })

  const fill = async (id: string, url: string | undefined, count: number): Promise<void> => {
    const contents = await openStore(locationIn(userDir, id, url === undefined ? undefined : { url }), KEY)
    await accept(contents, count)
    await contents.store.close()
  }

  async function redoxStore(command: string, url?: string): Promise<string> {
    const args = wordsOf(command.replace(STORE, ''))
    const env = {
      ...{ PATH: process.env['PATH'], REDOX_STORE_KEY: KEY, REDOX_TARGET_KEY: KEY },
      // Without the variable, the list has the embedded stores only.
      ...(/ migrate /.test(command) ? { REDOX_STORE_URL: url } : { REDOX_TARGET_URL: url }),
    }
    const cli = path.join(ROOT, 'dist/src/queue/cli.js')
    const { stdout } = await run(process.execPath, [cli, '--user-dir', userDir, ...args], { env })
    return stdout
  }

  it('redox-store: prints the output of the page', async () => {
    const [migrate, list, verify, move, ...others] = COMMANDS.filter((command) => STORE.test(command))
    assert.match(migrate!, / migrate --grant app$/)
    assert.deepEqual(others, [])
    await fill('3f2a', undefined, 3)
    const said = (await redoxStore(list!)) + (await redoxStore(verify!))
    for (const { text } of blocksOf('output of redox-store')) assert.equal(said.trimEnd(), text)
    if (hasPostgres) assert.equal(await redoxStore(move!, server().url()), 'moved 3, left 0\n')
  })

  it('PostgreSQL: the rights that the page grants are sufficient, by SQL and by command', async function () {
    if (!hasPostgres) return skip(this, NO_POSTGRES)
    const url = server().url()
    await fill('rights', url, 1)
    const database = new Client({ connectionString: url })
    await database.connect()
    try {
      await database.query(`CREATE ROLE app LOGIN PASSWORD 'secret'`)
      const app = new URL(url)
      app.username = 'app'
      app.password = 'secret'
      await assert.rejects(fill('rights', app.href, 1), { code: 'REDOX_STORE_UNAVAILABLE' })
      for (const { text } of blocksOf('rights of PostgreSQL')) await database.query(text)
      await fill('rights', app.href, 1)
      await database.query('DROP OWNED BY app')
      await assert.rejects(fill('rights', app.href, 1), { code: 'REDOX_STORE_UNAVAILABLE' })
      await redoxStore(
        COMMANDS.find((command) => / migrate /.test(command))!,
        url,
      )
      await fill('rights', app.href, 1)
    } finally {
      await database.end()
    }
  })
})
