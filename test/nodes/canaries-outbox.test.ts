/** Search for marker values of patient data and secrets in everything that a redox-outbox node emits or shows. */
import assert from 'node:assert/strict'
import { Canaries, DOCUMENT, PERSON, SAID, SECRETS } from '../lib/canaries'
import { hear, server, useDurable } from '../lib/durable'
import { eventually } from '../lib/eventually'
import { PRIVATE_KEY, type Message, type Settings } from '../lib/flow'
import { command, outbox, startWithOutboxNode, told, troubles, untilTold } from '../lib/outbox-node'
import { reply, silence } from '../lib/scripted-server'

const canaries = new Canaries([PRIVATE_KEY])
const fromMessage = (...names: string[]): Settings =>
  Object.fromEntries(
    names.flatMap((name) => [
      [name, name],
      [`${name}Type`, 'msg'],
    ]),
  )

const FIELDS = fromMessage('patientId', 'firstName', 'lastName', 'dob', 'documentDescription', 'documentId')
const MESSAGE = {
  ...{ payload: Buffer.from(DOCUMENT), filename: PERSON.fileName, contentType: 'text/plain' },
  ...{ patientId: PERSON.id, firstName: PERSON.first, lastName: PERSON.last, dob: PERSON.dob },
  documentDescription: PERSON.description,
}
/** Answers that repeat the data of the message. With the first ones, the message is parked; with the last, it waits. */
const PARKING = [
  reply(400, { Meta: { Errors: SAID.send.slice(0, 15).map((Text) => ({ Text, ID: Text })) } }),
  reply(500, { message: SAID.send.join(), errorDetail: DOCUMENT }),
  silence,
]
const DOWN = reply(502, `<h1>${SAID.send.join()}</h1>`)

describe('markers in the messages of redox-outbox', function () {
  this.timeout(60_000)
  useDurable()

  it('are not reported for any trouble, result, error or status', async () => {
    const statuses = hear('node-status')
    const config = { storeOrder: 'none', storeLateMinutes: String(0.1 / 60), answerTimeout: '0.3' }
    const flow = await startWithOutboxNode({ emitAudit: true, mayDiscard: true }, config)
    await flow.redeploy('full', { node: FIELDS })
    const send = (number: number): Promise<unknown> =>
      flow.outcome({ ...MESSAGE, documentId: `${PERSON.visit}-${number}` })
    for (const [index, echo] of PARKING.entries()) {
      server.script('send', echo)
      await send(index)
      await eventually(`${index} is parked`, async () => (await outbox().store.counts()).parked > index)
    }
    server.script('send', DOWN)
    await send(PARKING.length)
    await untilTold(flow, 'parked begun', 'late begun')
    server.script('token', reply(400, { error: SAID.token.join(), error_description: SECRETS.token }))
    const results: Message[] = []
    for (const filter of [
      ...[{ state: 'parked', search: PERSON.visit }, { search: `${PERSON.visit}-0` }, { state: 'parked' }],
      ...[{ code: PERSON.last }, { patient: PERSON.last }],
    ])
      for (const action of ['resend', 'discard', PERSON.first])
        results.push(await command(flow, { action, filter, reason: 'a test' }))
    results.push(await command(flow, { action: 'pause', destination: PERSON.last, reason: 'a test' }))
    assert.ok(results.some(({ decided }) => decided === 1))
    assert.ok(results.some(({ code }) => code === 'REDOX_BAD_INPUT'))
    await eventually('the audit log', () => told(flow).some(({ event }) => event === 'audit'))
    assert.ok(troubles(flow).length >= 2)
    canaries.assertNone(told(flow), 'messages')
    canaries.assertNone(results, 'results and errors')
    canaries.assertNone(statuses, 'statuses')
    assert.ok(canaries.searched > 3000, String(canaries.searched))
  })
})
