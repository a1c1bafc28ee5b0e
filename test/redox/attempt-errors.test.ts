import assert from 'node:assert/strict'
import { attemptError, messageOfRetried } from '../../src/redox/attempt-errors'

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
