/** Values that are read from a response of Redox: error texts, ids, Bundle entries, time to wait, and nested JSON. */
import assert from 'node:assert/strict'
import { retryAfterSeconds } from '../../src/redox/answer-errors'
import { readAnswer } from '../../src/redox/read-answer'
import { httpAnswer } from '../../src/transport/http'
import { fhirFixture } from '../lib/fixtures'
import { CREATED, ERROR, GATEWAY, LOCATION, OUTCOME, refusal, REFUSED, XML_OUTCOME } from './support'

const read = (body: unknown, headers: Record<string, string> = {}) => {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return readAnswer({ body, headers, text })
}

describe('texts of an answer', () => {
  const shapes: [string, unknown, string[]][] = [
    ['Meta.Errors', { Meta: { Errors: [ERROR, { Text: 'two' }] } }, [ERROR.Text, 'two']],
    ['errorDetail', { errorDetail: 'no file' }, ['no file']],
    ['an OAuth error', { error: 'invalid_request', error_description: 'No kid' }, ['No kid']],
    ['an OAuth error alone', { error: 'invalid_request', error_description: '' }, ['invalid_request']],
    ['plain text', ' Invalid request\n', ['Invalid request']],
    ['HTML', GATEWAY, ['502 Bad Gateway']],
    ['nothing', '', []],
    ['a JSON list', [1], ['[1]']],
    ['an OperationOutcome', OUTCOME, ['No (deep)']],
    [
      "Issues as Redox's page spells them",
      { Issues: [{ Text: 'Destination refused' }] },
      ['Destination refused'],
    ],
    ['issues with details', { issues: [{ severity: 'error', details: { text: 'refused' } }] }, ['refused']],
    ['one issue without a list', { issue: { severity: 'fatal', diagnostics: 'deep' } }, ['deep']],
    ['issues that are texts', { Issues: ['no', 'never'] }, ['no', 'never']],
    ['Issues with capitals inside', { Issues: [{ Severity: 'Error', Details: { Text: 'No' } }] }, ['No']],
    [
      'Issues that only inform',
      { Issues: [{ Severity: 'Warning', Text: 'hm' }, { severity: 'information' }] },
      [],
    ],
    ['an issue without a severity', { issue: [{ diagnostics: 'deep' }] }, ['deep']],
    ['ErrorMessages', { ErrorMessages: ['old', { Text: 'older' }] }, ['old', 'older']],
    ['errorDetail that is a list', { errorDetail: ['one', { text: 'two' }] }, ['one', 'two']],
    ['empty places for errors', { Meta: { Errors: [] }, Issues: [], issue: null, errorDetail: '' }, []],
    ['one with diagnostics', { issue: [{ ...refusal, details: {} }] }, ['deep']],
    ['one with a code alone', { issue: [{ severity: 'fatal', code: 'processing' }] }, ['processing']],
    ['one that only informs', { issue: [{ ...refusal, severity: 'warning' }] }, []],
    ['an outcome of one entry', { entry: [CREATED, REFUSED] }, ['bad']],
    ['an OperationOutcome among the entries', { entry: [CREATED, { resource: OUTCOME }] }, ['No (deep)']],
    ['one among them that only informs', { entry: [{ resource: { ...OUTCOME, issue: [] } }] }, []],
    [
      "HL7's example",
      fhirFixture('OperationOutcome-validationfail'),
      ['Error parsing resource XML (Unknown Content "label" (Patient.identifier)'],
    ],
    [
      'one that says where',
      { issue: [{ ...refusal, diagnostics: 'No', expression: ['Patient.name[0]', 'Patient.gender'] }] },
      ['No (Patient.name[0], Patient.gender)'],
    ],
    [
      'one with a location of old',
      { issue: [{ ...refusal, location: ['/f:Patient'] }] },
      ['No (/f:Patient; deep)'],
    ],
    ['an OperationOutcome in XML', XML_OUTCOME, ['Not "so" <here> (Bundle.entry[1]; line 7)', 'bad']],
    [
      'one in XML with single quotes and line breaks',
      XML_OUTCOME.replaceAll(/ value="([^"]*)"/g, (_, value: string) => `\n  value = '${value}'`),
      ['Not "so" <here> (Bundle.entry[1]; line 7)', 'bad'],
    ],
    [
      'one in XML with a prefix',
      XML_OUTCOME.replaceAll(/<(\/?)/g, '<$1f:'),
      ['Not "so" <here> (Bundle.entry[1]; line 7)', 'bad'],
    ],
    [
      'problem+json',
      { type: 'about:blank', title: 'Bad Request', detail: 'No source', status: 400 },
      ['No source'],
    ],
    [
      'one whose words stand in a coding',
      { issue: [{ severity: 'error', details: { coding: [{ code: 'x', display: 'Not known' }] } }] },
      ['Not known'],
    ],
    ['Meta.errors in small letters', { Meta: { errors: [{ text: 'No' }] } }, ['No']],
    ['problem+json without a detail', { title: 'Bad Request', status: 400 }, ['Bad Request']],
  ]
  for (const [what, body, reasons] of shapes)
    it(`are found in ${what}`, () => assert.deepEqual(read(body).reasons, reasons))

  const wordless: [string, unknown][] = [
    ['Meta.Errors without Text', { Meta: { Errors: [{ ID: 531829, Module: 'Send' }] } }],
    ['Meta.Errors that are texts', { Meta: { Errors: ['no'] } }],
    ['an issue without words', { issue: [{ severity: 'error' }] }],
  ]
  for (const [what, body] of wordless)
    it(`are generated for ${what}, so that no error is overlooked`, () =>
      assert.equal(read(body).reasons.length, 1))

  it('come with ids, locations, entries and trace id', () => {
    assert.deepEqual(read({ Meta: { Logs: [{ ID: 'a' }, { ID: 7 }, {}] } }).logIds, ['a', 7])
    const facts = read({ entry: [CREATED, REFUSED, {}, { response: {} }] }, { 'redox-trace-id': 't' })
    assert.deepEqual([facts.locations, facts.traceId], [[LOCATION], 't'])
    assert.deepEqual(
      facts.entries.map(({ part, status, delivered }) => [part, status, delivered]),
      [
        ['entry[0]', 201, true],
        ['entry[1]', 422, false],
        // A Bundle entry without a status counts as successful.
        ['entry[3]', undefined, true],
      ],
    )
  })
})

describe('Retry-After', () => {
  const DATE = 'Wed, 21 Oct 2015 07:28:00 GMT'
  const rows: [given: string, date: string | undefined, seconds: number | undefined][] = [
    ['7', undefined, 7],
    [' 7 ', undefined, 7],
    ['0', undefined, 0],
    ['3601', undefined, 3600],
    ['315360000', undefined, 3600],
    ['9'.repeat(400), undefined, 3600],
    ['-5', undefined, undefined],
    ['1.5', undefined, undefined],
    ['NaN', undefined, undefined],
    ['soon', undefined, undefined],
    ['', undefined, undefined],
    ['Wed, 21 Oct 2015 07:28:30 GMT', DATE, 30],
    ['Wed, 21 Oct 2015 07:27:00 GMT', DATE, 0],
    ['Fri, 21 Oct 2050 07:28:00 GMT', DATE, 3600],
    ['Fri, 21 Oct 2050 07:28:00 GMT', 'not a date', 3600],
    [DATE, undefined, 0],
  ]
  for (const [given, date, seconds] of rows)
    it(`of ${given.slice(0, 40)} in an answer of ${date}: ${seconds}`, () => {
      const headers = { 'retry-after': given, ...(date !== undefined && { date }) }
      assert.equal(retryAfterSeconds(headers), seconds)
    })
})

describe('JSON of an answer', () => {
  const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`
  const body = (text: string): unknown => httpAnswer(200, {}, text).body

  it('remains a text when it is nested deeper than any answer of Redox', () => {
    for (const text of [nested(100_000), '{"a":'.repeat(501) + '1' + '}'.repeat(501)])
      assert.equal(body(text), text)
  })

  it('is parsed whatever its strings contain', () => {
    const values = ['['.repeat(1000), '"', '\\', '\\"[', '{'.repeat(600) + '\\', 'x'.repeat(5_000_000)]
    assert.deepEqual(body(JSON.stringify(values)), values)
    assert.deepEqual(body(nested(500)), JSON.parse(nested(500)))
  })
})
