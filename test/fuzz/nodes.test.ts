import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { inspect, isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { useNodeRed, type Flow, type Message } from '../lib/flow'
import { reply, ScriptedServer } from '../lib/scripted-server'
import { ALL_NODES, PDF, startTo } from '../lib/send-nodes'
import { bytes, CANARY, contentTypes, fileNames, holds, json, keys, texts } from './support'

// Node-RED's function that copies a message for a Catch node. Copies can differ in array holes and `__proto__` keys.
// eslint-disable-next-line @typescript-eslint/no-require-imports
const { util } = require('@node-red/util') as { util: { cloneMessage(message: Message): Message } }

/** Fields of the node that take their values from the property of `msg` with the same name (`file`: `payload`). */
const FROM_MESSAGE = ['file', 'filename', 'contentType', 'redoxFileType', 'data', 'destination', 'documentId']
const settings: Message = Object.fromEntries(
  FROM_MESSAGE.flatMap((name) => [
    [name, name === 'file' ? 'payload' : name],
    [`${name}Type`, 'msg'],
  ]),
)

// Only values that Node-RED can copy, because it copies the message for a Catch node.
const anyValue = fc.oneof(
  json(),
  texts,
  fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withTypedArray: true,
  }),
  fc.constant(undefined),
)
const destination = fc.oneof(
  { arbitrary: fc.constantFrom('clinic', 'af394f14-b34a-464f-8d24-895f370af4c9'), weight: 4 },
  anyValue,
)
const file = fc.oneof(fc.constant(PDF), bytes, fc.array(bytes, { maxLength: 3 }), fileNames, anyValue)
const messages = fc
  .tuple(
    fc.record(
      {
        payload: fc.oneof(
          { arbitrary: file, weight: 4 },
          fc.record({ file, filename: fileNames, contentType: anyValue }),
        ),
        filename: fc.oneof(fileNames, anyValue),
        contentType: fc.oneof({ arbitrary: contentTypes, weight: 4 }, anyValue),
        destination,
        documentId: fc.oneof(texts, anyValue),
        data: fc.oneof(
          fc.record({ Note: json(), Patient: json(), resourceType: texts }, { requiredKeys: [] }),
          anyValue,
        ),
        topic: anyValue,
        headers: anyValue,
        redox: anyValue,
        statusCode: anyValue,
        error: json(),
        req: fc.constant({ socket: 1 }),
      },
      { requiredKeys: [] },
    ),
    fc.array(
      fc.tuple(
        keys.filter((key) => !['__proto__', '_msgid', 'hasOwnProperty'].includes(key)),
        json(),
      ),
      { maxLength: 2 },
    ),
    fc.constantFrom('plain', 'plain', 'frozen'),
  )
  .map(([known, others, kind]) => ({ kind, message: { ...known, ...Object.fromEntries(others) } }))

const ANSWERS = [
  reply(200, { Meta: { Logs: [{ ID: 'log-1' }] } }),
  reply(400, { Meta: { Errors: [{ Text: `No ${CANARY}` }] } }),
  reply(500, '<html>'),
  reply(200, 'garbage'),
]

// Properties of `msg` that the node sets, and properties that Node-RED adds for a Catch node.
const OWN = new Set(['payload', 'statusCode', 'redox', 'error', '_error', '_msgid'])

/** Properties of `msg` that the node must not change. */
const rest = (message: Message): Message =>
  Object.fromEntries(Object.entries(message).filter(([name]) => !OWN.has(name)))

describe('any message to a node', () => {
  useNodeRed()
  let server: ScriptedServer
  before(async () => void (server = await ScriptedServer.start()))
  after(() => server.close())

  /** Passes the message object itself to the node, not a copy, and asserts that the message ends exactly once. */
  async function assertEndsOnce(flow: Flow, id: string, kind: string, message: Message): Promise<void> {
    const given: Message = { ...message, _msgid: id }
    const before = [given, util.cloneMessage(given)].map(rest)
    const mine = (list: Message[]): Message[] => list.filter(({ _msgid }) => _msgid === id)
    flow.node.receive(kind === 'frozen' ? Object.freeze(given) : given)
    const until = Date.now() + 10_000
    while (mine(flow.completed).length + mine(flow.caught).length === 0) {
      assert.ok(Date.now() < until, 'neither done nor failed')
      await nextTurn()
    }
    for (let turn = 0; turn < 3; turn++) await nextTurn()

    const [emitted, caught, completed] = [flow.emitted, flow.caught, flow.completed].map(mine)
    assert.equal(emitted!.length + caught!.length, 1, `${emitted!.length} emitted, ${caught!.length} caught`)
    assert.equal(completed!.length, emitted!.length, 'complete without an answer, or the reverse')
    const after = rest(emitted![0] ?? caught![0]!)
    // Node-RED copies a `__proto__` key differently each time, and Node.js regards two invalid dates as different.
    const isComparable = !/__proto__|Invalid Date/.test(inspect(message, { depth: null }))
    const isKept = before.some((one) => isDeepStrictEqual(one, after))
    assert.ok(isKept || !isComparable, 'the other properties of the message')
    const code: string | undefined = caught![0]?.['error'].code
    assert.notEqual(code, 'REDOX_INTERNAL', caught![0]?.['error'].message)
    for (const list of [flow.emitted, flow.caught, flow.completed, flow.statuses, server.requests])
      list.length = 0
  }

  for (const node of ALL_NODES) {
    it(`ends exactly once: ${node.type} (${node.api})`, async () => {
      const flow = await startTo(server, node, settings)
      let count = 0
      await holds(150, fc.tuple(messages, fc.constantFrom(...ANSWERS)), ([{ kind, message }, answer]) => {
        server.script('send', answer)
        return assertEndsOnce(flow, `fuzz-${++count}`, kind, message)
      })
    })
  }
})
