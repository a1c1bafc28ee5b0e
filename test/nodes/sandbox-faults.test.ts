/** The fault plan of a redox-config node: it hits this connection alone, and begins anew with the node. */
import assert from 'node:assert/strict'
import { sandbox, useNodeRed } from '../lib/flow'
import { fileMessage, NOTE, PHOTO, start } from '../lib/send-nodes'

const photo = fileMessage.bind(undefined, PHOTO)
const ONCE = { attempts: '1' }
const faults = async (): Promise<(string | undefined)[]> =>
  (await sandbox()).requests.filter(({ fault }) => fault !== undefined).map(({ fault }) => fault)

describe('faults of the sandbox', () => {
  useNodeRed()

  it('are played on the connection that has them, and end with it', async () => {
    const flow = await start(
      NOTE,
      {},
      { ...ONCE, faults: 'endpoint 503 once\nendpoint reset-after-accept once' },
    )
    await flow.fail(photo(), 'REDOX_UNAVAILABLE')
    assert.equal((await sandbox()).received.length, 0)
    await flow.fail(photo(), 'REDOX_OUTCOME_UNKNOWN')
    assert.equal((await sandbox()).received.length, 1)
    await flow.send(photo())
    assert.deepEqual(await faults(), ['503', 'reset-after-accept'])
    assert.equal((await sandbox()).received.length, 2)
  })

  it('do not hit a connection without a plan, in the same sandbox', async () => {
    const first = await start(NOTE, {}, { ...ONCE, faults: 'any 503' })
    await first.fail(photo(), 'REDOX_UNAVAILABLE')
    const { url } = await sandbox()
    await (await start(NOTE, {}, ONCE)).send(photo())
    assert.equal((await sandbox()).url, url)
    assert.deepEqual(await faults(), ['503'])
  })

  it('begin anew with the node', async () => {
    for (let time = 0; time < 2; time++) {
      const flow = await start(NOTE, {}, { ...ONCE, faults: 'endpoint 503 once' })
      await flow.fail(photo(), 'REDOX_UNAVAILABLE')
      await flow.send(photo())
    }
    assert.deepEqual(await faults(), ['503', '503'])
  })

  it('are survived: uploads and references through the door', async () => {
    const plan = 'token 503 once; blob reset-mid-body once; endpoint 429-retry-after=0 once'
    const flow = await start(NOTE, { way: 'upload' }, { faults: plan })
    await flow.send(photo())
    assert.deepEqual(await faults(), ['503', 'reset-mid-body', '429-retry-after=0'])
    const { received } = await sandbox()
    assert.deepEqual(
      received.map(({ files }) => files.map(({ way }) => way)),
      [['referenced']],
    )
  })

  it('that cannot be read are a fault of the configuration', async () => {
    const flow = await start(NOTE, {}, { faults: 'endpoint 503 once\nendpoint sometimes' })
    const { message, cause } = await flow.fail(photo(), 'REDOX_CONFIGURATION')
    assert.match(message, /sandbox faults of the redox-config node.*Line 2 of the fault plan: "sometimes"/)
    assert.equal((cause as { field?: string }).field, 'faults')
  })

  it('mean nothing where the sandbox is not used', async () => {
    const flow = await start(NOTE, {}, { environment: 'Staging', faults: 'nonsense' })
    const { message } = await flow.fail(photo(), 'REDOX_CONFIGURATION')
    assert.doesNotMatch(message, /fault/)
  })
})
