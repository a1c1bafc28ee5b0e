import assert from 'node:assert/strict'
import { attemptError, messageOfParked, messageOfRetried } from '../../src/redox/attempt-errors'

const SENT = { kind: 'send', operation: 'Notes:New' } as const

describe('text of a failure that is retried automatically', () => {
  for (const status of [429, 503])
    it(`has no advice to send the message again (HTTP ${status})`, () => {
      const error = attemptError({ status }, SENT, { status, reasons: ['busy'] })
      assert.match(error.message, /[Ss]end again/)
      const text = messageOfRetried(error)
      assert.doesNotMatch(text, /[Ss]end again| {2}| $/)
      assert.match(text, /Notes:New.*busy/)
    })

  it('keeps the advice of other codes', () => {
    const error = attemptError({ status: 401 }, SENT, { status: 401 })
    assert.match(error.message, /Check the credentials/)
    assert.equal(messageOfRetried(error), error.message)
  })
})

describe('text of a failure that the outbox shows at a parked message', () => {
  it('says that the message may have arrived, and leaves the way to look it up to the outbox', () => {
    const error = attemptError({ status: 504 }, SENT, { status: 504 })
    assert.equal(error.code, 'REDOX_OUTCOME_UNKNOWN')
    assert.match(error.message, /Redox dashboard.*error\.cause/)
    assert.match(messageOfParked(error), /The message may have arrived\.$/)
  })
})
