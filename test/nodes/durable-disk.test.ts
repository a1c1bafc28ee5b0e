/** Durable delivery with a changed store folder or a full disk: effects on the flow, the log and the outbox. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cp, mkdtemp, readdir, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import helper from 'node-red-node-test-helper'
import { durableConnections } from '../../nodes/lib/connection/durable-connection'
import { sizedFile } from '../lib/fixtures'
import { logged, useNodeRed, type Flow, type Message, type Settings } from '../lib/flow'
import { reply, ScriptedServer } from '../lib/scripted-server'
import { fileMessage, NOTE, startTo } from '../lib/send-nodes'
import { eventually } from '../lib/eventually'
import { NO_MOUNT, skip } from '../lib/skip'

const DOWN = reply(503, { error: 'down' })

let server: ScriptedServer
let userDir: string

const start = (config: Settings = {}): Promise<Flow> =>
  startTo(
    server,
    NOTE,
    { way: 'embed' },
    { delivery: 'durable', ...config },
    {
      secrets: { storeKey: 'a store key that is hard to guess' },
    },
  )

const folder = (): string => path.join(userDir, 'redox-store/config')
const codeOf = async (flow: Flow, message: Message = fileMessage()): Promise<string | undefined> =>
  (await flow.outcome(message)).error?.code
const delivery = () => durableConnections.get('config')!
const lines = (code: string): string[] => logged().filter((line) => line.includes(`config: ${code}`))

describe('durable delivery on a failing disk', function () {
  this.timeout(60_000)
  useNodeRed()
  beforeEach(async () => {
    server = await ScriptedServer.start()
    userDir = await mkdtemp(path.join(tmpdir(), 'redox-disk-'))
    helper.settings({ userDir })
  })
  afterEach(async () => {
    helper.settings({})
    await server.close()
    await rm(userDir, { recursive: true, force: true })
  })

  const losses: [what: string, lose: (away: string) => Promise<void>][] = [
    ['that is gone', (away) => rename(folder(), away)],
    ['whose volume is not mounted', (away) => rename(path.dirname(folder()), away)],
    ['without messages/', (away) => rename(path.join(folder(), 'messages'), away)],
    [
      'with half a log',
      async (away) => {
        await cp(folder(), away, { recursive: true })
        const messages = path.join(folder(), 'messages')
        for (const log of (await readdir(messages)).filter((name) => name.endsWith('.log')))
          await truncate(path.join(messages, log), 1000)
      },
    ],
  ]
  for (const [what, lose] of losses)
    it(`store ${what} at start: REDOX_STORE_UNREADABLE, and nothing is accepted`, async () => {
      server.script('send', DOWN)
      const before = await start()
      for (let times = 0; times < 3; times++) assert.equal(await codeOf(before), undefined)
      await helper.unload()
      await lose(path.join(userDir, 'away'))
      const after = await start()
      assert.equal(await codeOf(after), 'REDOX_STORE_UNREADABLE')
      await eventually('it says so', () => delivery().code === 'REDOX_STORE_UNREADABLE')
      assert.equal(delivery().outbox, undefined)
    })

  it('folder that disappears: nothing is accepted until it is back', async () => {
    server.script('send', DOWN)
    const flow = await start()
    assert.equal(await codeOf(flow), undefined)
    const away = path.join(userDir, 'away')
    await rename(path.dirname(folder()), away)
    assert.equal(await codeOf(flow), 'REDOX_STORE_UNAVAILABLE')
    await eventually('the status says so', () => delivery().code === 'REDOX_STORE_UNAVAILABLE')
    server.script('send')
    // A message whose file is temporarily unreadable waits and is not parked.
    await eventually('it waits for the store', async () => {
      const [message] = await delivery().outbox!.store.find({ limit: 1 })
      return message?.state === 'waiting' && message.reason === 'REDOX_STORE_UNAVAILABLE'
    })
    assert.equal((await delivery().outbox!.store.counts()).parked, 0)
    assert.equal(lines('REDOX_STORE_UNAVAILABLE').length, 1)
    await rename(away, path.dirname(folder()))
    await eventually('delivered', () => flow.emitted.length === 1)
    assert.equal(await codeOf(flow), undefined)
    await eventually('delivered', () => flow.emitted.length === 2)
    await eventually('the status is well', () => delivery().code === undefined)
  })

  it('missing file: its message is parked, and others continue', async () => {
    server.script('send', DOWN)
    const flow = await start({ storeOrder: 'none' })
    await flow.outcome({ ...fileMessage(), topic: 'without' })
    const files = path.join(folder(), 'files')
    for (const name of await readdir(files)) await rm(path.join(files, name))
    await flow.outcome({ ...fileMessage(sizedFile(1000)), topic: 'with' })
    server.script('send')
    await eventually('both ended', () => flow.caught.length + flow.emitted.length === 2)
    assert.deepEqual(
      [...flow.caught, ...flow.emitted].map(({ topic, error }) => [topic, error?.code] as unknown),
      [
        ['without', 'REDOX_STORE_LOST'],
        ['with', undefined],
      ],
    )
  })

  describe('full disk', () => {
    beforeEach(function () {
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', userDir], { stdio: 'ignore' })
      } catch {
        skip(this, NO_MOUNT)
      }
    })
    afterEach(() => {
      try {
        execFileSync('umount', ['-l', userDir], { stdio: 'ignore' })
      } catch {
        // There is nothing to unmount if the test could not mount the disk.
      }
    })

    it('REDOX_STORE_FULL once in the log, a readable outbox, and delivery, which frees space', async () => {
      server.script('send', DOWN)
      const flow = await start()
      let count = 0
      const fill = async (): Promise<string | undefined> => {
        for (;;) {
          const code = await codeOf(flow, fileMessage(sizedFile(400_000 + count)))
          if (code !== undefined) return code
          count++
        }
      }
      assert.equal(await fill(), 'REDOX_STORE_FULL')
      assert.ok(count > 5, String(count))
      await writeFile(path.join(userDir, 'ballast'), Buffer.alloc(16_000_000)).catch(() => undefined)
      await eventually('the status says so', () => delivery().code === 'REDOX_STORE_FULL')
      // A status changes at most once a second.
      await eventually('the node says so', () => flow.statuses.some((text) => text.includes('Store full')))
      const { store } = delivery().outbox!
      // At intervals, the store is opened again to check whether it can write. It cannot be read meanwhile.
      const readable = async (): Promise<number> => (await store.find({ limit: 100 }).catch(() => [])).length
      await eventually('all are found', async () => (await readable()) === count)
      server.script('send')
      // After many failures, the destination's back-off would last too long for this test.
      delivery().outbox!.sender.retryNow()
      await eventually('all are delivered', () => flow.emitted.length === count)
      assert.equal(lines('REDOX_STORE_FULL').length, 1)
      await rm(path.join(userDir, 'ballast'))
      await eventually('there is room', async () => (await codeOf(flow)) === undefined)
      await eventually('the status is well', () => delivery().code === undefined)
      await eventually('delivered', () => flow.emitted.length === count + 1)
      assert.deepEqual(
        flow.caught.filter(({ error }) => error.code !== 'REDOX_STORE_FULL'),
        [],
      )
    })
  })
})
