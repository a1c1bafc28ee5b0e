/** Errors of a send: Redox's error text without patient data, and advice, ids and files. */
import assert from 'node:assert/strict'
import { prepareDataModel } from '../../src/message/datamodel'
import { deliverDirect } from '../../src/redox/direct-delivery'
import { connectTo, failing, never } from '../lib/redox'
import {
  CANARIES,
  DESTINATIONS,
  ERROR,
  FILE,
  filename,
  ID,
  LastName,
  LOG_ID,
  MESSAGE,
  OUTCOME,
  PATIENT,
  refusal,
  status,
  useOutcomes,
} from './support'

describe('error text of a send', () => {
  const outcomes = useOutcomes()
  const { send, sendToOne, sendFhir, upload } = outcomes

  it('has a shortened reason without tokens, base64 and parts of a long text', async () => {
    const Text = `${'A1b2'.repeat(20)} refused: ${'long '.repeat(500)}`
    outcomes.script = () => status(400, { Meta: { Errors: [{ Text }] } })
    const { message, cause } = await failing('REDOX_REJECTED', () => sendToOne(), /\[…\] refused: long/)
    assert.ok(message.length < 600 && !message.includes('A1b2'))
    assert.equal(cause.reasons![0]!.length, 300)

    outcomes.script = () =>
      status(400, { Meta: { Errors: [{ Text: 'Bad text: seen today for a routine check' }] } })
    const long = {
      ...outcomes.note(),
      body: { ...outcomes.note().body, Comment: `Was seen today for a routine check. ${'x '.repeat(200)}` },
    }
    const quoted = await failing(
      'REDOX_REJECTED',
      () => deliverDirect(outcomes.connection.client, long, { signal: never() }),
      /./,
    )
    assert.ok(!quoted.message.includes('routine'))
  })

  it('keeps a path in the message readable, however long it is', async () => {
    const place = 'Bundle.entry.resource.presentedForm.contentType'
    outcomes.script = () => status(400, { ...OUTCOME, issue: [{ ...refusal, expression: [place] }] })
    await failing(
      'REDOX_REJECTED',
      () => sendFhir(),
      /No \(Bundle\.entry\.resource\.presentedForm\.contentType; deep\)/,
    )
    const token = `${'a'.repeat(31)}.${'b'.repeat(31)}`
    outcomes.script = () => status(400, { ...OUTCOME, issue: [{ ...refusal, diagnostics: token }] })
    await failing('REDOX_REJECTED', () => sendFhir(), /No \(\[…\]\)/)
  })

  it("keeps links into Redox's own dashboard readable, and no other part of a link", async () => {
    const base = 'https://dashboard.redoxengine.com'
    const uuid = '0f0e0d0c-1111-4222-8333-444455556666'
    const link = `${base}/#/organizations/1234/logs/${uuid}?tab=process`
    const content = 'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9w'
    const cases: [said: string, shown: string][] = [
      [`See ${link}.`, `See ${link}.`],
      [`See ${base}/logs/${content}`, 'See https:[…]'],
      [`See ${base}.evil.example/organizations/${uuid}`, 'See https:[…]'],
    ]
    for (const [Text, shown] of cases) {
      outcomes.script = () => status(400, { Meta: { Errors: [{ Text }] } })
      const { cause } = await failing('REDOX_REJECTED', () => sendToOne())
      assert.deepEqual(cause.reasons, [shown])
    }
  })

  it("repeats no patient data of an answer's structure", async () => {
    outcomes.script = () => status(200, { [LastName!]: 1, [ID]: 2, ok: 3 })
    const { message } = await failing('REDOX_OUTCOME_UNKNOWN', sendToOne, /ok, \S+\)/)
    for (const canary of CANARIES) assert.ok(!message.includes(canary), message)
  })

  it("contains the answer's Message.ID when there are no log ids", async () => {
    const answer = { Meta: { Message: { ID: 42424242 } } }
    outcomes.script = () => status(200, answer)
    assert.equal((await sendToOne()).facts.messageId, '42424242')
    outcomes.script = () => status(400, { Meta: { ...answer.Meta, Errors: [ERROR] } })
    const { cause } = await failing('REDOX_REJECTED', () => sendToOne(), /\(message 42424242\)/)
    assert.equal(cause.messageId, '42424242')
    outcomes.script = () => status(200, { Meta: { ...answer.Meta, Logs: [{ ID: LOG_ID }] } })
    assert.equal((await sendToOne()).facts.messageId, undefined)
  })

  it("contains for 429 the time to wait, when Redox's value can be parsed", async () => {
    const waits: [header: string, seconds: number | undefined][] = [
      ['17', 17],
      [new Date(Date.now() + 60_000).toUTCString(), 60],
      ['soon', undefined],
      // A Retry-After of years, or of an infinite number, is limited to one hour.
      ['999999999', 3600],
      ['9'.repeat(400), 3600],
      [new Date(Date.now() + 1e12).toUTCString(), 3600],
    ]
    for (const [header, seconds = NaN] of waits) {
      outcomes.script = () => ({ status: 429, headers: { 'retry-after': header } })
      // Each header is tested with a new client, because Retry-After delays all messages of a connection.
      await outcomes.connection.client.close()
      outcomes.connection = connectTo(outcomes.server.url)
      const { retryAfterSeconds: wait = NaN } = (await failing('REDOX_RATE_LIMITED', () => send())).cause
      assert.ok(Object.is(wait, seconds) || Math.abs(wait - seconds) < 10, `${header}: ${wait}`)
    }
  })

  it('has advice about free accounts for 403 of an upload, and about slug, environment and operation for 404', async () => {
    outcomes.script = () => status(403)
    await failing('REDOX_FORBIDDEN', () => upload(), /Free accounts cannot upload files in Development/)
    outcomes.script = () => status(404)
    await failing('REDOX_REJECTED', () => send(), /destination slug, the environment and the operation/)
  })

  it('lists the files that were uploaded before a failed send, also when a later upload fails', async () => {
    const url = 'https://blob.redoxengine.com/1'
    const files = [FILE, FILE].map((file) => ({ file, way: 'upload' as const }))
    const Orders = [{ ID: '1', Results: [{ Code: 'x' }] }]
    const input = { ...MESSAGE, model: 'Results' as const, data: { Patient: PATIENT, Orders }, files }
    const message = () => prepareDataModel(input, outcomes.connection.sender)
    const deliver = () => deliverDirect(outcomes.connection.client, message(), { signal: never() })
    outcomes.script = (path) => (path === '/upload' ? status(201, { URI: url }) : status(400))
    assert.deepEqual((await failing('REDOX_REJECTED', deliver)).cause.uploaded, [url, url])
    let uploads = 0
    outcomes.script = () => (uploads++ ? status(500) : status(201, { URI: url }))
    assert.deepEqual((await failing('REDOX_UNAVAILABLE', deliver)).cause.uploaded, [url])
  })

  it("masks values of the message in Redox's text", async () => {
    const said = CANARIES.map((value) => `Bad value '${value}' (${value.toUpperCase()})`)
    outcomes.script = () =>
      status(400, { Meta: { Errors: said.map((Text) => ({ Text })), Logs: [{ ID: 'log-9' }] } })
    const { message, cause } = await failing('REDOX_REJECTED', () => send(), /Redox says: Bad value '\[…\]'/)
    const texts = JSON.stringify([message, cause.reasons]).toLowerCase()
    for (const value of CANARIES) assert.ok(!texts.includes(value.toLowerCase()), value)
    assert.deepEqual(cause.logIds, ['log-9'])

    outcomes.script = () => status(400, { errorDetail: `cannot store ${filename}` })
    await failing('REDOX_REJECTED', () => upload(), /cannot store \[…\]/)
  })

  it('keeps words readable that contain no patient data', async () => {
    const Text = `${ERROR.Text}, Notes to ${DESTINATIONS[0]}: Base64 Encoded is final`
    outcomes.script = () => status(400, { Meta: { Errors: [{ Text }] } })
    assert.deepEqual((await failing('REDOX_REJECTED', () => send())).cause.reasons, [Text])
  })
})
