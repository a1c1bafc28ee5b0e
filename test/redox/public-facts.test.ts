import assert from 'node:assert/strict'
import { isRandomLocation, publicFacts, publicHeaders } from '../../src/redox/public-facts'
import { readAnswer } from '../../src/redox/read-answer'

const UUID = 'd9f5d293-7110-461e-a875-3beb089e79f3'
const factsOf = (body: unknown, headers: Record<string, string> = {}) =>
  publicFacts(readAnswer({ body, headers, text: JSON.stringify(body) }))

describe('public facts of a success', () => {
  const ids: [what: string, id: unknown, told: string[]][] = [
    ['a UUID', UUID, [UUID]],
    ['a UUID in capitals', UUID.toUpperCase(), [UUID.toUpperCase()]],
    ['a number, as older answers have', 5823455, ['5823455']],
    ['24 hexadecimal digits', '5f1a2b3c4d5e6f7a8b9c0d1e', ['5f1a2b3c4d5e6f7a8b9c0d1e']],
    ['an SSN', '987-65-4329', []],
    ['an SSN without hyphens', '987654329', []],
    ['a phone number', '15558675309', []],
    ['a medical record number', 'Wq55-8812-Kx', []],
    ['a hexadecimal word', 'deadbeef', []],
    ['a name behind a UUID', `${UUID} Zebedina`, []],
    ['a negative number', -1, []],
    ['a fraction', 1931.719, []],
  ]
  for (const [what, ID, told] of ids) {
    it(`contain ${told.length > 0 ? 'the log id' : 'no log id'} for ${what}`, () =>
      assert.deepEqual(factsOf({ Meta: { Logs: [{ ID }] } }).logIds, told))
    it(`contain ${told.length > 0 ? 'the message id' : 'no message id'} for ${what}`, () =>
      assert.equal(factsOf({ Meta: { Message: { ID } } }).messageId, told[0]))
  }

  it('contain the message id if no log id has the form of an id', () => {
    const Meta = { Logs: [{ ID: '987654329' }], Message: { ID: 42 } }
    assert.deepEqual(factsOf({ Meta }), { logIds: [], messageId: '42', locations: [] })
  })

  it('contain the trace id if it has the form of an id', () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    for (const [id, told] of [[UUID, UUID], [traceparent, traceparent], ['Zebedina'], ['987654329']])
      assert.equal(factsOf({}, { 'redox-trace-id': id! }).traceId, told)
  })

  it('contain the locations unchanged', () => {
    const location = 'https://fhir.example/DiagnosticReport/1/_history/1'
    assert.deepEqual(factsOf({ entry: [{ response: { status: '201', location } }] }).locations, [location])
  })

  it('contain a fixed list of headers', () => {
    const kept = {
      'content-type': 'application/json',
      etag: 'W/"1"',
      location: '/a',
      'x-ratelimit-remaining': '7',
    }
    const others = { 'x-echo': 'Zebedina', 'set-cookie': 'token', server: 'nginx', 'x-powered-by': 'Express' }
    assert.deepEqual(publicHeaders({ ...others, ...kept }), kept)
  })
})

describe('location of a resource', () => {
  for (const [location, isRandom] of [
    [
      'https://api.redoxengine.com/fhir/R4/redox/Development/Binary/0ad2e563-2c19-44a9-a9e3-25d2a5c55aa5',
      true,
    ],
    ['DocumentReference/0ad2e563-2c19-44a9-a9e3-25d2a5c55aa5/_history/1', true],
    ['Patient/ZX81-7745', false],
    ['Patient/0000991458/_history/0ad2e563-2c19-44a9-a9e3-25d2a5c55aa5', false],
    ['', false],
  ] as const)
    it(`has an id that is ${isRandom ? '' : 'not '}random: ${location}`, () =>
      assert.equal(isRandomLocation(location), isRandom))
})
