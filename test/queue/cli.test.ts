/** Command `redox-store`, which manages stores while Node-RED is stopped. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { type SealedStore } from '../../src/queue/jobs'
import { LevelStore } from '../../src/queue/level/store'
import { openStore } from '../../src/queue/open-store'
import { locationIn } from '../../src/queue/store-location'
import { accept, describeAll } from './messages'
import { POSTGRES, server } from './stores'
import { NO_POSTGRES, skip } from '../lib/skip'

const CLI = path.join(__dirname, '../../src/queue/cli.js')
const KEY = 'the key of the first store'
const OTHER_KEY = 'the key of the second store'
const REASON = ['--reason', 'the store moves']

describe('redox-store', () => {
  let userDir: string
  beforeEach(async () => void (userDir = await mkdtemp(path.join(tmpdir(), 'redox-store-cli-'))))
  afterEach(() => rm(userDir, { recursive: true, force: true }))

  const start = (args: string[], env: object = {}) =>
    spawn(process.execPath, [CLI, '--user-dir', userDir, ...args], {
      env: { PATH: process.env['PATH'], REDOX_STORE_KEY: KEY, REDOX_TARGET_KEY: OTHER_KEY, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })

  async function run(args: string[], env: object = {}): Promise<{ code: number; said: string }> {
    const child = start(args, env)
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += String(chunk)))
    const [code] = (await once(child, 'close')) as [number]
    for (const secret of [KEY, OTHER_KEY]) assert.ok(!said.includes(secret), said)
    return { code, said }
  }

  async function use<T>(
    contents: Promise<SealedStore>,
    task: (contents: SealedStore) => Promise<T>,
  ): Promise<T> {
    const opened = await contents
    try {
      return await task(opened)
    } finally {
      await opened.store.close()
    }
  }

  const embedded = (id: string, key = KEY): Promise<SealedStore> => openStore(locationIn(userDir, id), key)
  const fill = (id: string, count: number): Promise<string[]> =>
    use(embedded(id), (contents) => accept(contents, count))

  it('lists the open messages of each store, and stores that it cannot read with the reason', async () => {
    assert.deepEqual(await run(['list']), { code: 0, said: 'No stores.\n' })
    await fill('first', 3)
    await fill('second', 1)
    await rm(path.join(userDir, 'redox-store', 'second', 'messages'), { recursive: true })
    const { code, said } = await run(['list'])
    assert.equal(code, 2)
    assert.deepEqual(said.split('\n'), [
      'embedded:first  waiting 3, parked 0',
      'embedded:second  REDOX_STORE_UNREADABLE',
      '',
    ])
  })

  it('does not touch a store that a process has open', async () => {
    const store = await use(embedded('first'), async () => undefined).then(() =>
      LevelStore.open(path.join(userDir, 'redox-store', 'first')),
    )
    try {
      const { code, said } = await run(['list'])
      assert.deepEqual([code, said], [2, 'embedded:first  REDOX_STORE_LOCKED\n'])
      assert.match((await run(['verify', 'embedded:first'])).said, /^REDOX_STORE_LOCKED: /)
    } finally {
      await store.close()
    }
  })

  it('verifies every message and file', async () => {
    await fill('first', 3)
    assert.deepEqual(await run(['verify', 'embedded:first']), {
      code: 0,
      said: 'messages 3, files 3, unreadable 0\n',
    })
    const wrong = await run(['verify', 'embedded:first'], { REDOX_STORE_KEY: OTHER_KEY })
    assert.match(wrong.said, /^REDOX_STORE_UNREADABLE: /)
    const files = path.join(userDir, 'redox-store', 'first', 'files')
    const [file] = await readdir(files)
    await writeFile(path.join(files, file!), 'damaged')
    const { code, said } = await run(['verify', 'embedded:first'])
    assert.equal(code, 2)
    assert.match(said, /^messages 3, files 0, unreadable 3\n(\d \S+ {2}REDOX_STORE_UNREADABLE\n){3}$/)
  })

  it('moves messages to another id with another key', async () => {
    const ids = await fill('first', 5)
    const before = await use(embedded('first'), describeAll)
    assert.deepEqual(await run(['move', 'embedded:first', 'embedded:second', ...REASON]), {
      code: 0,
      said: 'moved 5, left 0\n',
    })
    assert.deepEqual(await use(embedded('second', OTHER_KEY), describeAll), before)
    const { said } = await run(['list'])
    assert.deepEqual(said.split('\n').slice(0, 2), [
      'embedded:first  waiting 0, parked 0',
      `embedded:second  waiting ${ids.length}, parked 0`,
    ])
  })

  it('replaces only a store that cannot be read', async () => {
    await fill('first', 2)
    const begin = ['begin-new', 'embedded:first', ...REASON]
    assert.match((await run(begin)).said, /^REDOX_STORE_LOST: /)
    await rm(path.join(userDir, 'redox-store', 'first', 'messages'), { recursive: true })
    const { code, said } = await run(begin)
    assert.equal(code, 0)
    const [, setAside] =
      /^A new store was created\. The old store was renamed to (first\.unreadable-\S+)\.\n$/.exec(said)!
    assert.deepEqual((await readdir(path.join(userDir, 'redox-store'))).sort(), ['first', setAside])
    assert.equal((await run(['list'])).said, 'embedded:first  waiting 0, parked 0\n')
  })

  it('decides about many messages in order, when their number is given', async () => {
    const ids = await fill('first', 3)
    const [refused, unknown, waiting] = ids as [string, string, string]
    await use(embedded('first'), async (contents) => {
      for (const [id, reason] of [
        [refused, 'REDOX_REJECTED'],
        [unknown, 'REDOX_OUTCOME_UNKNOWN'],
      ] as const) {
        const standing = { state: 'parked', reason, dueAt: 0, announced: true, endedAt: 1 } as const
        await contents.store.setStatus(id, {
          ...standing,
          notes: await contents.sealRecord(id, { uploaded: {} }),
        })
      }
    })
    const states = async (): Promise<Record<string, unknown>> =>
      Object.fromEntries(
        (await use(embedded('first'), describeAll)).map(({ id, state }) => [String(id), state]),
      )
    const resend = ['resend', 'embedded:first', ...REASON]
    const { code, said } = await run(resend)
    assert.deepEqual(
      [code, said],
      [2, '2 messages match. Nothing was decided. Add --count 2 to apply the decision.\n'],
    )
    assert.deepEqual(await states(), { [refused]: 'parked', [unknown]: 'parked', [waiting]: 'waiting' })
    // Without --code, a message that Redox has possibly received already keeps its state.
    assert.deepEqual(await run([...resend, '--count', '2']), { code: 2, said: 'decided 1, left 1\n' })
    assert.deepEqual(await states(), { [refused]: 'waiting', [unknown]: 'parked', [waiting]: 'waiting' })
    const named = ['--code', 'REDOX_OUTCOME_UNKNOWN', '--count', '1']
    assert.deepEqual(await run([...resend, ...named]), { code: 0, said: 'decided 1, left 0\n' })
    const extend = ['extend', 'embedded:first', ...REASON, '--hours', '100', '--count', '3']
    assert.deepEqual(await run(extend), { code: 0, said: 'decided 3, left 0\n' })
    assert.deepEqual(await run(extend.with(-3, '50')), {
      ...{ code: 2, said: 'decided 0, left 3 (deadline already that late: 3)\n' },
    })
    const discard = ['discard', 'embedded:first', ...REASON, '--search', waiting, '--count', '1']
    assert.deepEqual(await run(discard), { code: 0, said: 'decided 1, left 0\n' })
    const lines = await use(embedded('first'), ({ store }) => store.audit({ skip: 0, limit: 100 }))
    assert.deepEqual(
      lines.map(({ action, subject }) => [action, subject]),
      [
        ['resend', refused],
        ['resend', unknown],
        ['extend', refused],
        ['extend', unknown],
        ['extend', waiting],
        ['discard', waiting],
      ],
    )
  })

  it('refuses secrets as arguments, and names missing settings', async () => {
    const noKey = { REDOX_STORE_KEY: '' }
    const wrong: [args: string[], env: object, says: RegExp][] = [
      [['verify', 'embedded:first', '--key', 'x'], {}, /Unknown option '--key'/],
      [['verify', 'embedded:first'], noKey, /Set REDOX_STORE_KEY/],
      [['verify', 'postgresql:first'], {}, /Set REDOX_STORE_URL/],
      [['move', 'embedded:first', 'embedded:second'], {}, /Set --reason/],
      [['move', 'embedded:first', ...REASON], {}, /move needs 2 stores/],
      [['verify', 'somewhere'], {}, /Not a store: somewhere/],
      [['verify', 'postgresql:Lab/x'], { REDOX_STORE_URL: 'postgresql://h/d' }, /Not a schema: Lab/],
      [['list', '--schema', 'x"; DROP'], {}, /Not a schema: x"; DROP/],
      [['migrate', '--grant', 'app'], {}, /Set REDOX_STORE_URL/],
      [['mend'], {}, /Not a command: mend/],
      [['resend', 'embedded:first', '--state', 'lost', ...REASON], {}, /Unknown state: lost/],
      [['resend', 'embedded:first', '--count', 'all', ...REASON], {}, /--count is not a number: all/],
      [['resend', 'embedded:first', '--since', 'now', ...REASON], {}, /--since is not a time/],
    ]
    for (const [args, env, says] of wrong) {
      const { code, said } = await run(args, env)
      assert.equal(code, 1, said)
      assert.match(said, says)
    }
    assert.match((await run(['--help'])).said, /^Usage: redox-store/)
    assert.deepEqual(await readdir(userDir), [])
  })

  describe('with PostgreSQL', () => {
    before(async function () {
      if (POSTGRES.missing() !== undefined) skip(this, NO_POSTGRES)
      await POSTGRES.start()
    })
    after(() => POSTGRES.stop())

    async function ask(sql: string): Promise<void> {
      const client = new Client({ connectionString: server().url() })
      await client.connect()
      await client.query(sql).finally(() => client.end())
    }

    it('lists the database, and moves messages there and back', async () => {
      const env = { REDOX_STORE_URL: server().url() }
      await fill('first', 4)
      const before = await use(embedded('first'), describeAll)
      await run(['move', 'embedded:first', 'postgresql:shared', ...REASON], env)
      assert.match((await run(['list'], env)).said, /postgresql:shared {2}waiting 4, parked 0/)
      const keys = { ...env, REDOX_STORE_KEY: OTHER_KEY, REDOX_TARGET_KEY: KEY }
      assert.equal(
        (await run(['verify', 'postgresql:shared'], keys)).said,
        'messages 4, files 4, unreadable 0\n',
      )
      await run(['move', 'postgresql:shared', 'embedded:first', ...REASON], keys)
      assert.deepEqual(await use(embedded('first'), describeAll), before)
    })

    it('migrates a schema and grants its rights to a role, lists it, and moves messages into it', async () => {
      const env = { REDOX_STORE_URL: server().url() }
      await ask(`CREATE ROLE "The app" LOGIN PASSWORD 'secret'`)
      const migrate = ['migrate', '--schema', 'lab', '--grant']
      const { said, code } = await run([...migrate, 'missing role'], env)
      assert.match(said, /REDOX_STORE_UNAVAILABLE: PostgreSQL role does not exist/)
      assert.equal(code, 1)
      assert.match((await run([...migrate, 'The app'], env)).said, /^schema lab: .*The app has its rights\n$/)
      const app = new URL(server().url())
      app.username = encodeURIComponent('The app')
      app.password = 'secret'
      await fill('first', 2)
      const asApp = { REDOX_TARGET_URL: app.href }
      await run(['move', 'embedded:first', 'postgresql:lab/shared', ...REASON], asApp)
      assert.match(
        (await run(['list', '--schema', 'lab'], env)).said,
        /postgresql:lab\/shared {2}waiting 2, parked 0/,
      )
      assert.ok(!(await run(['list'], env)).said.includes('lab/shared'))
      const keys = { ...env, REDOX_STORE_KEY: OTHER_KEY }
      assert.match((await run(['verify', 'postgresql:lab/shared'], keys)).said, /messages 2/)
    })

    it('loses and doubles nothing in moves that are killed again and again', async function () {
      this.timeout(180_000)
      const env = { REDOX_STORE_URL: server().url() }
      const ids = await fill('first', 150)
      const before = await use(embedded('first'), describeAll)
      const move = ['move', 'embedded:first', 'postgresql:killed', ...REASON]
      let kills = 0
      // Equal steps would take a minute on a machine on which one move takes two seconds.
      for (let time = 150; ; time *= 1.15) {
        const child = start(move, env)
        const ended = once(child, 'exit') as Promise<[number | null]>
        const isKilled = await Promise.race([ended.then(() => false), pause(time, true)])
        if (isKilled) child.kill('SIGKILL')
        const [code] = await ended
        if (code === 0) break
        assert.equal(code, null)
        kills++
      }
      assert.ok(kills >= 3, `killed ${kills} times`)
      const place = locationIn(userDir, 'killed', { url: env.REDOX_STORE_URL })
      const after = await use(openStore(place, OTHER_KEY), describeAll)
      assert.deepEqual(
        after.map(({ id }) => id),
        ids,
      )
      assert.deepEqual(after, before)
    })
  })
})
