/** Deploys, stops and the end of Node-RED with messages in flight: each message ends exactly once and is reported. */
import assert from 'node:assert/strict'
import files from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import {
  defaultsOf,
  logged,
  PRIVATE_KEY,
  useNodeRed,
  type Flow,
  type Message,
  type Settings,
} from '../lib/flow'
import { InFlightMessage } from '../../nodes/lib/node/in-flight-message'
import { RedoxError } from '../../src/errors'
import { fixturePath } from '../lib/fixtures'
import { startNodeRed, type NodeRed } from '../lib/node-red'
import { heldBack, reply, reset, ScriptedServer, silence } from '../lib/scripted-server'
import { ALL_NODES, fileMessage, NOTE, PHOTO, purposeOf, startTo } from '../lib/send-nodes'
import { eventually } from '../lib/eventually'

const IN_FLIGHT = 64
const photo = (): Message => fileMessage(PHOTO)

let server: ScriptedServer

function useServer(): void {
  beforeEach(async () => {
    server = await ScriptedServer.start()
  })
  afterEach(() => server.close())
}

const ids = (messages: Message[]): string[] => messages.map(({ _msgid }) => _msgid as string)
const codes = (flow: Flow): string[] => flow.caught.map(({ error }) => error.code)

type Changes = Record<string, Settings | null>
const DEPLOYS: [title: string, type: 'full' | 'flows' | 'nodes', changes: Changes | undefined][] = [
  ['a full deploy', 'full', {}],
  ['a deploy of modified flows', 'flows', { node: { name: 'changed' } }],
  ['a deploy of modified nodes', 'nodes', { node: { name: 'changed' } }],
  ['a deploy of the config node', 'nodes', { config: { name: 'changed' } }],
  ['a deploy that rewires', 'flows', { node: { wires: [['emitted'], []] } }],
]

describe('a deploy', () => {
  // The server is closed before Node-RED, which ends requests that a failed test has left open.
  useServer()
  useNodeRed()

  for (const [title, type, changes] of DEPLOYS) {
    for (const inSubflow of [false, true]) {
      it(`${title}${inSubflow ? ', in a subflow' : ''}: 64 messages in flight, none lost, none doubled`, async () => {
        const { held, answer } = heldBack()
        server.script('send', ...Array.from({ length: 8 }, () => held), reply(200, { Meta: { Logs: [] } }))
        const flow = await startTo(server, NOTE, {}, {}, { inSubflow })
        const outcomes = Array.from({ length: IN_FLIGHT }, () => flow.outcome(photo()))
        await server.until('send', 8)
        const first = server.of('send').length
        await flow.redeploy(type, changes)
        answer()
        await Promise.all(outcomes)
        assert.equal(first, 8)
        assert.equal(server.of('send').length, IN_FLIGHT)
        assert.equal(new Set(ids(flow.emitted)).size, IN_FLIGHT)
        assert.equal(flow.emitted.length, IN_FLIGHT)
        assert.deepEqual(codes(flow), [])
      })
    }
  }

  for (const [title, type, changes] of DEPLOYS)
    it(`${title}: none of 200 messages that have just arrived is refused`, async () => {
      const flow = await startTo(server, NOTE)
      const outcomes = Array.from({ length: 200 }, () => flow.outcome(photo()))
      await flow.redeploy(type, changes)
      await Promise.all(outcomes)
      assert.deepEqual(codes(flow), [])
      assert.equal(new Set(ids(flow.emitted)).size, 200)
      assert.equal(server.of('send').length, 200)
    })

  it('keeps the number of simultaneous sends within the limit, however often the flows are deployed', async () => {
    const { held, answer } = heldBack()
    server.script('send', held)
    const flow = await startTo(server, NOTE, {}, { sendsAtOnce: '2' })
    const outcomes = Array.from({ length: 8 }, () => flow.outcome(photo()))
    await server.until('send', 2)
    for (let deploy = 0; deploy < 3; deploy++) await flow.redeploy('full', {})
    await pause(200)
    assert.equal(server.of('send').length, 2)
    answer()
    await Promise.all(outcomes)
    assert.equal(server.busiest, 2)
    assert.equal(server.of('send').length, 8)
  })

  it('keeps the count of requests and a pause that Redox requested', async () => {
    const flow = await startTo(server, NOTE, {}, { perFiveMinutes: '3', retryFor: '60' })
    await flow.send(photo())
    await flow.send(photo())
    await flow.fail(photo(), 'REDOX_RATE_LIMITED')
    await flow.redeploy('full', {})
    await flow.fail(photo(), 'REDOX_RATE_LIMITED')
    assert.equal(server.requests.length, 3)
    await flow.redeploy('nodes', { config: { perFiveMinutes: '', retryFor: '50' } })
    server.script('send', reply(429, 'slowly', { 'retry-after': '60' }))
    await flow.fail(photo(), 'REDOX_RATE_LIMITED')
    const made = server.requests.length
    await flow.redeploy('full', {})
    await flow.fail(photo(), 'REDOX_RATE_LIMITED')
    assert.equal(server.requests.length, made)
  })

  for (const node of ALL_NODES) {
    it(`of ${node.type} (${node.api}): the new node emits the answer with the message's properties`, async () => {
      const { held, answer } = heldBack()
      const purpose = purposeOf(node)
      server.script(purpose, held)
      const flow = await startTo(server, node, { way: 'embed' })
      const sent = flow.send(photo())
      await server.until(purpose, 1)
      await flow.redeploy()
      answer(purpose === 'upload' ? { URI: `${server.url}/files/1` } : undefined)
      const { redox } = await sent
      assert.deepEqual([redox.attempts, server.of(purpose).length], [1, 1])
      await flow.showsStatus((text) => text.startsWith('200'))
    })
  }

  it('sends a later failure to the new Catch node', async () => {
    const { held, answer } = heldBack()
    server.script('send', held)
    const flow = await startTo(server, NOTE)
    const failed = flow.fail(photo(), 'REDOX_REJECTED')
    await server.until('send', 1)
    await flow.redeploy('full', {})
    answer({ Meta: { Errors: [{ Text: 'no' }] } })
    await failed
  })

  it('repeated 20 times while a message is in flight: the message is sent once and answered once', async () => {
    const { held, answer } = heldBack()
    server.script('send', held)
    const flow = await startTo(server, NOTE)
    const sent = flow.send(photo())
    await server.until('send', 1)
    for (let deploy = 0; deploy < 20; deploy++) await flow.redeploy(deploy % 2 === 0 ? 'full' : 'nodes')
    answer()
    await sent
    assert.equal(server.of('send').length, 1)
  })

  it('gives waiting messages the new settings', async () => {
    const { held, answer } = heldBack()
    server.script('send', held, reply(200, { Meta: {} }))
    const flow = await startTo(server, NOTE, { documentType: 'Before' }, { sendsAtOnce: '1' })
    const both = [flow.send(photo()), flow.send(photo())]
    await server.until('send', 1)
    await flow.redeploy('nodes', { node: { documentType: 'After' } })
    answer()
    await Promise.all(both)
    const types = server.of('send').map(({ body }) => JSON.parse(body.toString()).Note.DocumentType as string)
    assert.deepEqual(types, ['Before', 'After'])
  })

  it('starts a waiting retry again, so that it uses a corrected connection at once', async () => {
    const other = await ScriptedServer.start()
    server.script('send', reply(503, 'later', { 'retry-after': '60' }))
    const flow = await startTo(server, NOTE, {}, { attempts: '5', retryFor: '120' })
    const sent = flow.send(photo())
    await flow.showsStatus((text) => text.includes('retrying'))
    await flow.redeploy('nodes', { config: { apiBase: other.url } })
    await sent
    assert.deepEqual([server.of('send').length, other.of('send').length], [1, 1])
    await other.close()
  })

  it('gives retries of messages in flight the new settings', async () => {
    const other = await ScriptedServer.start()
    const { held, answer } = heldBack(503)
    server.script('send', held)
    const flow = await startTo(server, NOTE, {}, { attempts: '5', retryFor: '120' })
    const sent = flow.send(photo())
    await server.until('send', 1)
    await flow.redeploy('nodes', { config: { apiBase: other.url } })
    answer({})
    await sent
    assert.deepEqual([server.of('send').length, other.of('send').length], [1, 1])
    await other.close()
  })

  it('does not repeat a message that may have been delivered', async () => {
    server.script('send', reset)
    const flow = await startTo(server, NOTE, {}, { repeatUnknown: 'yes', attempts: '5' })
    const failed = flow.fail(photo(), 'REDOX_OUTCOME_UNKNOWN')
    await server.until('send', 1)
    await flow.showsStatus((text) => text.includes('retrying'))
    const made = server.of('send').length
    await flow.redeploy('full', {})
    await failed
    assert.equal(server.of('send').length, made)
  })

  it('does not wait for messages in flight', async () => {
    const { held, answer } = heldBack()
    server.script('send', held)
    const flow = await startTo(server, NOTE)
    const sent = flow.send(photo())
    await server.until('send', 1)
    const began = Date.now()
    await flow.redeploy('full', {})
    assert.ok(Date.now() - began < 10_000, 'it waited until Node-RED gave up')
    answer()
    await sent
  })

  it('keeps the node working and its connection open', async () => {
    const flow = await startTo(server, NOTE)
    await flow.send(photo())
    await flow.redeploy()
    await flow.send(photo())
    assert.equal(server.of('token').length, 1)
  })

  for (const [how, change] of [
    ['removed', null],
    ['disabled', { d: true }],
  ] as const) {
    it(`with a node that is ${how} writes a log line for each message of the node`, async () => {
      const { held, answer } = heldBack()
      server.script('send', held, reset)
      const flow = await startTo(server, NOTE, {}, { sendsAtOnce: '2' })
      flow.node.receive({ ...photo(), _msgid: 'delivered' })
      await server.until('send', 1)
      for (const id of ['lost', 'waiting']) flow.node.receive({ ...photo(), _msgid: id })
      await server.until('send', 2)
      await flow.redeploy('full', { node: change })
      answer()
      await server.untilIdle()
      const ofMessages = (): string[] =>
        logged().filter((line) => line.startsWith(`${NOTE.type} node: the message`))
      await eventually('a line for each message', () => ofMessages().length >= 3)
      const lines = ofMessages()
      assert.equal(lines.length, 3, lines.join('\n'))
      assert.match(lines.join('\n'), /message delivered was delivered \(HTTP 200, log ID [0-9a-f-]{36}\)/)
      assert.match(lines.join('\n'), /message lost ended with REDOX_OUTCOME_UNKNOWN/)
      assert.match(
        lines.join('\n'),
        /message waiting was not sent yet \(REDOX_ABORTED\)\. Its node was removed/,
      )
      assert.equal(server.of('send').length, 2)
    })
  }
})

describe('stopped in-flight message', () => {
  const work = (hasBegun: 'sending' | 'accepting' | false): InFlightMessage =>
    new InFlightMessage({ _msgid: 'm' }, async (own) => {
      if (hasBegun === 'sending') own.onProgress({ phase: 'send', sent: 0, total: 1 })
      if (hasBegun === 'accepting') own.commit()
      await pause(10)
      // Error of a message whose connection was closed before the message was sent.
      throw new RedoxError('REDOX_CONFIGURATION', 'The node has no connection.')
    })

  it('is sent again after a failure before its first request, and not after a later one', async () => {
    for (const hasBegun of [false, 'sending', 'accepting'] as const) {
      const stopped = work(hasBegun)
      stopped.stop()
      await stopped.ended
      assert.equal(stopped.isUnsent, !hasBegun)
    }
    const failed = work(false)
    await failed.ended
    assert.equal(failed.isUnsent, false)
  })
})

describe('stopped flows', () => {
  useServer()
  useNodeRed()

  it('wait for requests in flight, log the results, and emit them after the next start', async () => {
    const { held, answer } = heldBack()
    server.script('send', held)
    const flow = await startTo(server, NOTE, {}, { sendsAtOnce: '1' })
    const both = [flow.outcome(photo()), flow.outcome(photo())]
    await server.until('send', 1)
    const stopped = flow.stop()
    await pause(100)
    answer()
    await stopped
    const lines = logged().filter((line) => line.includes('the message message-'))
    assert.match(lines.join('\n'), /message-1 was delivered \(HTTP 200, log ID [0-9a-f-]{36}\)/)
    assert.match(
      lines.join('\n'),
      /message-2 was not sent yet \(REDOX_ABORTED\)\. It continues when the flows start again/,
    )
    assert.deepEqual([flow.emitted, flow.caught], [[], []])
    await flow.start()
    await Promise.all(both)
    assert.deepEqual(ids(flow.emitted).sort(), ['message-1', 'message-2'])
    assert.equal(server.of('send').length, 2)
  })

  it('log a message that was blocked since before a deploy, and send it after the next start', async () => {
    const { realpath } = files
    let goOn = (): void => undefined
    const hung = new Promise<void>((resolve) => (goOn = resolve))
    // Simulates a network share that does not respond for a while: paths in the folder are resolved late.
    files.realpath = (async (name: string) => (await hung, realpath(name))) as typeof realpath
    try {
      const folder = path.dirname(fixturePath('photo.jpg'))
      const flow = await startTo(server, NOTE, { fileFrom: 'path' }, { folders: folder })
      const sent = flow.send({ ...photo(), payload: fixturePath('photo.jpg') })
      await pause(50)
      await flow.redeploy('full', {})
      await flow.stop()
      assert.match(logged().join('\n'), /message-1 was not sent yet \(REDOX_ABORTED\)\. It continues/)
      goOn()
      await pause(50)
      await flow.start()
      await sent
      assert.equal(server.of('send').length, 1)
    } finally {
      files.realpath = realpath
      goOn()
    }
  })
})

describe('Node-RED on SIGTERM', () => {
  useServer()

  /** Starts a Node-RED with a redox-datamodel-note node for the test server, and injects `count` messages. */
  async function withMessages(count: number, settings: object = {}): Promise<NodeRed> {
    const nodeRed = await startNodeRed(settings)
    const onTab = { z: 'tab', x: 1, y: 1 }
    const key = { clientId: 'client-1', keyId: 'key-1', credentials: { privateKey: PRIVATE_KEY } }
    const connection = { apiBase: server.url, sendsAtOnce: '1', ...key }
    const inject = {
      type: 'inject',
      once: true,
      onceDelay: 0.1,
      props: [{ p: 'payload' }],
      payloadType: 'str',
    }
    const flows = [
      { id: 'tab', type: 'tab' },
      {
        ...defaultsOf('redox-config'),
        id: 'config',
        type: 'redox-config',
        ...connection,
        environment: 'Staging',
      },
      {
        ...onTab,
        ...defaultsOf(NOTE.type),
        ...NOTE.node,
        id: 'node',
        type: NOTE.type,
        connection: 'config',
        wires: [[]],
      },
      ...Array.from({ length: count }, (_, n) => ({
        ...onTab,
        ...inject,
        id: `inject-${n}`,
        payload: 'JVBERi0xLjcKJSVFT0YK',
        wires: [['node']],
      })),
    ]
    await fetch(`${nodeRed.url}flows`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(flows),
    })
    return nodeRed
  }

  it('waits for the answer to a request', async () => {
    const { held, answer } = heldBack()
    server.script('send', held)
    const nodeRed = await withMessages(2)
    await server.until('send', 1)
    // A deploy before may also have logged "Stopping flows".
    const stops = (): number => nodeRed.log().split('Stopping flows').length
    const before = stops()
    const ended = nodeRed.stop()
    await eventually('it stops', () => stops() > before)
    await pause(200)
    answer()
    await ended
    assert.match(nodeRed.log(), /the message \w+ was delivered \(HTTP 200, log ID [0-9a-f-]{36}\)/)
    assert.match(nodeRed.log(), /the message \w+ was not sent yet \(REDOX_ABORTED\)/)
  })

  it('waits no longer than nodeCloseTimeout, and logs the unfinished messages', async () => {
    server.script('send', silence)
    const nodeRed = await withMessages(1, { nodeCloseTimeout: 2000 })
    await server.until('send', 1)
    await nodeRed.stop()
    assert.match(nodeRed.log(), /the message \w+ ended with REDOX_OUTCOME_UNKNOWN/)
    assert.doesNotMatch(nodeRed.log(), /timed out/i)
  })
})
