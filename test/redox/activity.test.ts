import assert from 'node:assert/strict'
import { DATA_MODEL_SCHEMAS } from '../../src/message/datamodel-schemas'
import { FHIR_OPERATIONS } from '../../src/message/fhir-operations'
import { Activity, messageFacts, watchTokens, type TokenChange } from '../../src/redox/activity'
import { Histogram } from '../../src/redox/histogram'
import { OPERATION_LABELS } from '../../src/redox/operation-labels'

describe('activity', () => {
  it('counts every operation of the package under its own name', () => {
    const models = Object.entries(DATA_MODEL_SCHEMAS).flatMap(([model, events]) =>
      Object.keys(events).map((event) => `${model}:${event}`),
    )
    assert.deepEqual(
      [...OPERATION_LABELS].sort(),
      ['upload', ...Object.keys(FHIR_OPERATIONS), ...models].sort(),
    )
  })

  it('limits the labels to closed lists, whatever the message contains', () => {
    const activity = new Activity('c')
    for (let number = 0; number < 1000; number++)
      activity.messageEnded({
        ...{ delivery: 'direct', operation: `Notes:New${number}`, code: `SURNAME_${number}` },
        ...{ seconds: 1, bytes: 5 },
      })
    const [one, ...others] = activity.messages.all()
    const labels = { delivery: 'direct', operation: 'other', way: 'none', code: 'REDOX_INTERNAL' }
    assert.deepEqual([one, others], [{ labels, count: 1000 }, []])
    assert.equal(activity.lastSuccess, undefined)
  })

  it('names the mode of the files of a message, and adds their sizes', () => {
    const [embed, upload] = [
      { way: 'embed', size: 3 },
      { way: 'upload', size: 4 },
    ] as const
    assert.deepEqual(messageFacts('upload', [embed, embed], false), {
      ...{ operation: 'upload', way: 'embed', bytes: 6 },
    })
    assert.equal(messageFacts('upload', [embed, upload], false).way, 'mixed')
    assert.equal(messageFacts('upload', [], false).way, 'none')
    assert.equal(messageFacts('upload', [embed], true).way, 'text')
  })

  it('tells each change of the token state once, with the time since which it holds', () => {
    const activity = new Activity('c')
    const changes: TokenChange[] = []
    const stop = watchTokens((change) => changes.push(change))
    activity.tokenObtained()
    activity.tokenObtained()
    activity.tokenFailed('REDOX_NETWORK')
    const { token } = activity
    activity.tokenFailed('REDOX_NETWORK')
    activity.tokenFailed('REDOX_ABORTED')
    assert.deepEqual(activity.token, token)
    activity.tokenFailed('REDOX_AUTHENTICATION')
    activity.tokenObtained()
    stop()
    activity.tokenFailed('REDOX_NETWORK')
    assert.deepEqual(
      changes.map((change) => [change.connection, change.state, 'code' in change ? change.code : '']),
      [
        ['c', 'ok', ''],
        ['c', 'failing', 'REDOX_NETWORK'],
        ['c', 'failing', 'REDOX_AUTHENTICATION'],
        ['c', 'ok', ''],
      ],
    )
    const [, failing, other] = changes
    assert.ok(failing && other && 'since' in failing && 'since' in other)
    assert.equal(failing.since, other.since)
    assert.equal(activity.tokenFailures, 4)
  })

  it('puts each value into the bucket of the lowest limit that is not below it', () => {
    const histogram = new Histogram([1, 10])
    ;[0, 1, 1.5, 10, 11].forEach((value) => histogram.observe(value))
    assert.deepEqual([histogram.cumulative(), histogram.sum], [[2, 4, 5], 23.5])
  })
})
