/** Fault plan of a redox-config node: applies to the node's connection only, and starts again when the node starts. */
import assert from 'node:assert/strict'
import { eventually } from '../lib/eventually'
import { sandbox, useNodeRed } from '../lib/flow'
import { FHIR_RESULT, fileMessage, NOTE, PHOTO, start } from '../lib/send-nodes'

const photo = fileMessage.bind(undefined, PHOTO)
const ONCE = { attempts: '1' }
const faults = async (): Promise<(string | undefined)[]> =>
  (await sandbox()).requests.filter(({ fault }) => fault !== undefined).map(({ fault }) => fault)

describe('faults of the sandbox', () => {
  useNodeRed()

  it('are injected on the connection that has them, and end with it', async () => {
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

  it('do not hit a connection without a plan in the same sandbox', async () => {
    const first = await start(NOTE, {}, { ...ONCE, faults: 'any 503' })
    await first.fail(photo(), 'REDOX_UNAVAILABLE')
    const { url } = await sandbox()
    await (await start(NOTE, {}, ONCE)).send(photo())
    assert.equal((await sandbox()).url, url)
    assert.deepEqual(await faults(), ['503'])
  })

  it('start again with the node', async () => {
    for (let time = 0; time < 2; time++) {
      const flow = await start(NOTE, {}, { ...ONCE, faults: 'endpoint 503 once' })
      await flow.fail(photo(), 'REDOX_UNAVAILABLE')
      await flow.send(photo())
    }
    assert.deepEqual(await faults(), ['503', '503'])
  })

  it('do not prevent delivery: uploads and references work through the listener of the connection', async () => {
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

  it('that cannot be parsed yield REDOX_CONFIGURATION', async () => {
    const flow = await start(NOTE, {}, { faults: 'endpoint 503 once\nendpoint sometimes' })
    const { message, cause } = await flow.fail(photo(), 'REDOX_CONFIGURATION')
    assert.match(message, /^Fault plan is not valid\. Line 2 of the fault plan: "sometimes"/)
    assert.equal((cause as { field?: string }).field, 'faults')
  })

  it('have their own error text when a destination has no subscription, or refuses', async () => {
    const flow = await start(
      NOTE,
      {},
      { ...ONCE, faults: 'endpoint no-subscription once; endpoint issues once' },
    )
    const { message, cause } = await flow.fail(photo(), 'REDOX_REJECTED')
    assert.match(message, /No subscription for this source, destination and data model/)
    assert.equal((cause as { status?: number }).status, 400)
    await flow.fail(photo(), 'REDOX_REJECTED')
    await flow.send(photo())
    assert.equal((await sandbox()).received.length, 1)
  })

  it('have no effect when the sandbox is not used', async () => {
    const flow = await start(NOTE, {}, { environment: 'Staging', faults: 'nonsense' })
    const { message } = await flow.fail(photo(), 'REDOX_CONFIGURATION')
    assert.doesNotMatch(message, /fault/)
  })
})

describe('delivery plan of a connection', () => {
  useNodeRed()
  const delivered = async (): Promise<string[]> =>
    (await sandbox()).received.flatMap(({ deliveries }) => deliveries.map(({ status }) => status))

  it('applies to the connection that has it', async () => {
    await (await start(NOTE, {}, { deliveries: 'delay 0\nany refuse once' })).send(photo())
    await eventually('refused', async () => (await delivered())[0] === 'failed')
    await (await start(NOTE, {}, { deliveries: 'delay 0' })).send(photo())
    await eventually('delivered', async () => (await delivered())[1] === 'succeeded')
  })

  it('that cannot be parsed yields REDOX_CONFIGURATION', async () => {
    const flow = await start(NOTE, {}, { deliveries: 'any 503\nany sometimes' })
    const { message, cause } = await flow.fail(photo(), 'REDOX_CONFIGURATION')
    assert.match(message, /^Delivery plan is not valid\. Line 2 of the delivery plan: "sometimes"/)
    assert.equal((cause as { field?: string }).field, 'deliveries')
  })
})

describe('subscribed destinations of the sandbox', () => {
  useNodeRed()
  const OTHER = '11111111-1111-4111-8111-11111111111a'

  it('are the only ones of their connection; without a list, every destination is subscribed', async () => {
    const flow = await start(NOTE, {}, { subscribed: `${OTHER}, 22222222-2222-4222-8222-222222222222` })
    const { message } = await flow.fail(photo(), 'REDOX_REJECTED')
    assert.match(message, /No subscription/)
    await (await start(NOTE, { destination: OTHER }, { subscribed: OTHER })).send(photo())
    await (await start(NOTE, {}, { subscribed: ' ' })).send(photo())
    assert.equal((await sandbox()).received.length, 2)
  })

  it('are for the Data Model API only: a FHIR message is delivered', async () => {
    await (await start(FHIR_RESULT, {}, { subscribed: OTHER })).send(photo())
  })

  it('that are not IDs yield REDOX_CONFIGURATION', async () => {
    const flow = await start(NOTE, {}, { subscribed: `${OTHER}\nredox-emr` })
    const { message, cause } = await flow.fail(photo(), 'REDOX_CONFIGURATION')
    assert.match(message, /^Subscribed destinations are not valid/)
    assert.equal((cause as { field?: string }).field, 'subscribed')
  })
})
