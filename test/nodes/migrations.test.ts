/** Flows that earlier releases saved, one fixture in test/fixtures/flows for each release. */
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

describe('migrated flows', () => {
  useNodeRed()

  for (const file of readdirSync(FOLDER)) {
    const senders = read(file).filter(({ type }) => /^redox-(?!config)/.test(type))

    it(`${file} contains every type that sends`, () => assert.equal(senders.length, 6))

    for (const { id: _id, wires: _wires, connection: _connection, ...node } of senders) {
      it(`${file}: ${node.type} sends`, async () => {
        // Properties of `msg` from which a new node of release 0.1.0 took its values.
        const message: Message = { payload: PDF, filename: 'report.pdf', documentId: 'd-1' }
        if (node.type === 'redox-datamodel-results') message['data'] = { Orders: [{ ID: 'o-1' }] }
        const { id: _config, ...config } = saved(file, 'redox-config')
        // The node has only the properties that this release saved, without defaults of later releases.
        const flow = await startFlow({ type: node.type, node, config, bare: true })
        assert.ok((await flow.send(message))['statusCode'] < 300)
      })
    }
  }

  it('of 0.1.0 keep the status of a resource', async () => {
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

  it('of 0.1.0 lose a status that the editor had overwritten', () => {
    for (const status of ['[object Object]', { text: 'sandbox 200' }, undefined]) {
      const node = migrated('redox-fhir-result', { type: 'redox-fhir-result', status, statusType: 'str' })
      assert.deepEqual(node, {
        ...{ type: 'redox-fhir-result', version: 2 },
        ...{ resourceStatus: '', resourceStatusType: 'str' },
      })
    }
  })

  it('of the current release are unchanged', () => {
    const node = { version: 2, status: 'mine', resourceStatus: 'final' }
    assert.equal(migrated('redox-fhir-result', node), node)
  })

  it('of a newer release are refused', async () => {
    assert.throws(() => migrated('redox-upload', { version: 99 }), RedoxError)
    const flow = await startFlow({ type: 'redox-upload', node: { version: 99 } })
    const error = await flow.fail({ payload: PDF }, 'REDOX_CONFIGURATION')
    assert.match(error.message, /newer release.*Update/)
    const other = await startFlow({ type: 'redox-upload', config: { version: 99 } })
    await other.fail({ payload: PDF }, 'REDOX_CONFIGURATION')
  })
})
