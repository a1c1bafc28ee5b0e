/** Flows that earlier releases saved: one fixture for each, in test/fixtures/flows. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { migrated } from '../../nodes/lib/runtime/migrations'
import { RedoxError } from '../../src/errors'
import { lastReceived, startFlow, useNodeRed, type Message, type Settings } from '../lib/flow'
import { PDF } from '../lib/send-nodes'

const FOLDER = path.join(__dirname, '../../../test/fixtures/flows')
type Saved = Settings & { id: string; type: string; wires?: unknown }
const read = (file: string): Saved[] => JSON.parse(readFileSync(path.join(FOLDER, file), 'utf8')) as Saved[]
const saved = (file: string, type: string): Saved => read(file).find((node) => node.type === type)!

describe('migrations', () => {
  useNodeRed()

  for (const file of readdirSync(FOLDER)) {
    const senders = read(file).filter(({ type }) => /^redox-(?!config)/.test(type))

    it(`${file} has every type that sends`, () => assert.equal(senders.length, 6))

    for (const { id: _id, wires: _wires, connection: _connection, ...node } of senders) {
      it(`${file}: ${node.type} still sends`, async () => {
        // What the forms of that release left to the message.
        const message: Message = { payload: PDF, filename: 'report.pdf', documentId: 'd-1' }
        if (node.type === 'redox-datamodel-results') message['data'] = { Orders: [{ ID: 'o-1' }] }
        const { id: _config, ...config } = saved(file, 'redox-config')
        // A node of that release, and none of what a node of today has besides.
        const flow = await startFlow({ type: node.type, node, config, bare: true })
        assert.ok((await flow.send(message))['statusCode'] < 300)
      })
    }
  }

  it('0.1.0: the status of a resource is not lost', async () => {
    for (const [type, status] of [
      ['redox-fhir-result', 'preliminary'],
      ['redox-fhir-document', 'superseded'],
    ] as const) {
      const { id: _id, ...node } = saved('0.1.0.json', type)
      const flow = await startFlow({ type, node: { ...node, connection: 'config' }, bare: true })
      await flow.send({ payload: PDF, filename: 'report.pdf' })
      const body = (await lastReceived()).delivered as { entry: { resource: Message }[] }
      const main = body.entry.find(({ resource }) => /Report|Document/.test(resource['resourceType']))!
      assert.equal(main.resource['status'], status)
    }
  })

  it('0.1.0: a status that the editor had written over is left out', () => {
    for (const status of ['[object Object]', { text: 'sandbox 200' }, undefined]) {
      const node = migrated('redox-fhir-result', { type: 'redox-fhir-result', status, statusType: 'str' })
      assert.deepEqual(node, {
        ...{ type: 'redox-fhir-result', version: 2 },
        ...{ resourceStatus: '', resourceStatusType: 'str' },
      })
    }
  })

  it('a node of today is taken as it is', () => {
    const node = { version: 2, status: 'mine', resourceStatus: 'final' }
    assert.equal(migrated('redox-fhir-result', node), node)
  })

  it('a node of a newer release is refused, not guessed at', async () => {
    assert.throws(() => migrated('redox-upload', { version: 99 }), RedoxError)
    const flow = await startFlow({ type: 'redox-upload', node: { version: 99 } })
    const error = await flow.fail({ payload: PDF }, 'REDOX_CONFIGURATION')
    assert.match(error.message, /newer release.*Update/)
    const other = await startFlow({ type: 'redox-upload', config: { version: 99 } })
    await other.fail({ payload: PDF }, 'REDOX_CONFIGURATION')
  })
})
