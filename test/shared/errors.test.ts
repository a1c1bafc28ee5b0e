/** Errors as users see them: in the debug sidebar, status, HTTP responses and docs/errors.md. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { inspect } from 'node:util'
import { ERROR_CODES, type RedoxErrorCode } from '../../src/error-codes'
import { badInput, notSent, RedoxError, type RedoxErrorDetail } from '../../src/errors'
import { invalidMessage, lastName } from '../../src/message/problems'
import { OUTCOMES } from '../../src/transport/outcomes'
import { fieldAt, pathOf } from '../../nodes/lib/fields/lookup'
import type { Table } from '../../nodes/lib/fields/types'
import { labelOf } from '../../nodes/lib/runtime/labels'
import { fields as mediaFields } from '../../nodes/redox-datamodel-media/fields'
import { fields as noteFields } from '../../nodes/redox-datamodel-note/fields'
import { fields as resultsFields } from '../../nodes/redox-datamodel-results/fields'
import { fields as fhirDocumentFields } from '../../nodes/redox-fhir-document/fields'
import { fields as fhirResultFields } from '../../nodes/redox-fhir-result/fields'
import { fields as uploadFields } from '../../nodes/redox-upload/fields'

const ROOT = path.join(__dirname, '../../..')
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8')
type Status = Record<'error' | 'field', Record<string, string>> & Record<'missing' | 'wrong', string>
const catalogue = (language: string): { label: Record<string, string>; status: Status } =>
  (JSON.parse(read(`nodes/redox-config/locales/${language}/redox-config.json`)) as { redox: never }).redox
const CODES = Object.keys(ERROR_CODES) as RedoxErrorCode[]
const FIRST = 30
const TABLES = [mediaFields, noteFields, resultsFields, fhirDocumentFields, fhirResultFields, uploadFields]
/** Names of the fields with values for a message: all except the node's name and connection. */
const NAMES = new Set(
  TABLES.flatMap(({ fields }) => fields.map(({ name }) => name)).filter(
    (name) => name !== 'name' && name !== 'connection',
  ),
)

describe('error codes', () => {
  it('are in docs/errors.md and in the code in the same order', () => {
    const rows = [...read('docs/errors.md').matchAll(/^\| `(REDOX_\w+)` +\|(.*)\|$/gm)].map(
      ([, code, cells]) => [
        code,
        ...cells!.split('|').map((cell) => cell.trim().replace(/^\*\*(.*)\*\*$/, '$1')),
      ],
    )
    const expected = Object.entries(ERROR_CODES).map(([code, { meaning, statusCode, arrived, action }]) => [
      code,
      ...[meaning, String(statusCode), arrived, action],
    ])
    assert.deepEqual(rows, expected)
  })

  it('have a phrase of at most 20 characters in every language, in English the phrase of the table', () => {
    for (const language of ['en-US', 'de']) {
      const { error } = catalogue(language).status
      assert.deepEqual(Object.keys(error), CODES)
      for (const [code, phrase] of Object.entries(error))
        assert.ok(phrase.length <= 20 && !phrase.includes('_'), `${code}: ${phrase}`)
    }
    const phrases = CODES.map((code) => [code, ERROR_CODES[code].phrase])
    assert.deepEqual(catalogue('en-US').status.error, Object.fromEntries(phrases))
  })

  it('never advise a caller to repeat a message that may have arrived', () => {
    for (const code of CODES) {
      const { statusCode, arrived } = ERROR_CODES[code]
      if (arrived !== 'no') assert.equal(statusCode, 500, code)
      if (statusCode === 503) assert.equal(arrived, 'no', code)
    }
  })
})

describe('names of fields', () => {
  it("in error texts have no unit and are not Redox's names", () => {
    assert.deepEqual(['patientId', 'dob', 'settleSeconds', 'noSuchField', 'constructor'].map(labelOf), [
      'Patient ID',
      'Birth date',
      'Unchanged for',
      'noSuchField',
      'constructor',
    ])
  })

  it('in the advice of the message builders are labels of the dialogs', () => {
    const advice = [...read('src/message/datamodel.ts').matchAll(/.*\bthe ([A-Z][\w ]*?) field\b/g)]
    const labels = [...NAMES].map(labelOf)
    assert.ok(advice.length > 4)
    assert.deepEqual(
      advice.map(([, label]) => label).filter((label) => !labels.includes(label!)),
      [],
    )
  })

  it('in a status are short in every language', () => {
    for (const language of ['en-US', 'de']) {
      const { field, missing, wrong } = catalogue(language).status
      for (const [name, text] of Object.entries(field)) {
        assert.ok(NAMES.has(name), name)
        for (const phrase of [missing, wrong])
          assert.ok(phrase.replace('__field__', text).length <= 20, `${name}: ${text}`)
      }
    }
  })

  it('are found by the paths of problems', () => {
    const expected: [table: Table, path: string, field: string | undefined][] = [
      [resultsFields, 'Patient.Identifiers[0].ID', 'patientId'],
      [resultsFields, 'Orders[2].Results[1].Code', 'resultCode'],
      [fhirResultFields, 'entry[1].resource.code.coding[0].code (DiagnosticReport)', 'code'],
      [fhirResultFields, 'entry[2].resource.birthDate (Patient)', 'birthDate'],
      [fhirDocumentFields, 'DocumentReference.type', 'code'],
      [noteFields, 'Patient.Contacts[0].FirstName', undefined],
      [noteFields, 'constructor', undefined],
    ]
    for (const [table, place, field] of expected) assert.equal(fieldAt(table, place), field, place)
  })

  it("are those of one field for each element below the field's path", () => {
    for (const table of TABLES) {
      const places = table.fields.flatMap((field) => [
        ...(field.kind === 'typed' ? [pathOf(field) ?? []].flat() : []),
        ...(field.problemsAt ?? []),
      ])
      assert.equal(new Set(places).size, places.length, table.type)
    }
  })

  it('of paths without a field are the last name of the path', () => {
    assert.equal(lastName('Patient.Contacts[0].FirstName'), 'FirstName')
    assert.equal(lastName('entry[3].resource.focus[0] (MessageHeader)'), 'focus')
  })
})

describe('error texts', () => {
  const missing = (place: string): { path: string; problem: string; fix: string } => ({
    path: place,
    problem: 'is missing',
    fix: 'Fill it in.',
  })

  it('of a message begin with the field, then path and fix, and end with what was not sent', () => {
    const { message } = invalidMessage('the Notes message (New)', [missing('Patient.Identifiers')])
    assert.equal(
      message,
      'Identifiers is missing (Patient.Identifiers). Fill it in. ' +
        'Nothing was sent: the Notes message (New) is not valid.',
    )
  })

  it('of a message contain five problems and the number of the others', () => {
    const paths = ['A', 'B', 'C', 'D', 'E', 'F', 'G']
    const { message, cause } = invalidMessage('x', paths.map(missing))
    assert.match(
      message,
      /^A is missing \(A\)\. .* \| E is missing .* \(and 2 more\) Nothing.*it has 7 problems\.$/,
    )
    assert.equal(cause.problems!.length, 7)
  })

  it('contain a missing field in the part that the debug sidebar shows', () => {
    for (const label of [...NAMES].map(labelOf))
      assert.match(`${label} is missing`.slice(0, FIRST), / is missin/)
  })

  it('of requests contain the cause in the part that the debug sidebar shows', () => {
    for (const { message, code } of OUTCOMES) {
      assert.match(message, /^[A-Z]/)
      if (code === 'REDOX_OUTCOME_UNKNOWN') assert.match(message, /^Outcome unknown: /)
      else assert.ok(message.length <= FIRST, message)
    }
  })

  it('of bad input and of settings end with one sentence that nothing was sent', () => {
    assert.equal(badInput('File is missing.').message, 'File is missing. Nothing was sent.')
    const setting = new RedoxError('REDOX_CONFIGURATION', 'Key ID is missing.', { field: 'keyId' })
    const told = notSent(setting)
    assert.equal(told.message, 'Key ID is missing. Nothing was sent.')
    assert.deepEqual([told.code, told.cause, told.stack], [setting.code, setting.cause, setting.stack])
  })
})

describe('the cause of an error', () => {
  const detail: RedoxErrorDetail = {
    operation: 'Notes:New',
    status: 400,
    reasons: ['Not known'],
    logIds: ['log-1'],
    identifiers: { DocumentID: 'SECRET-ID' },
    sha256: ['SECRET-HASH'],
    answer: { patient: 'SECRET-NAME' },
    problems: [{ path: 'Note.DocumentID', problem: 'is missing', fix: 'Fill it in.' }],
    parts: [{ part: 'entry[0]', delivered: true }, { part: 'entry[1]' }],
  }
  const error = new RedoxError('REDOX_REJECTED', 'Rejected by Redox.', detail)

  it('has a text form without the answer and without identifiers, also in a dump of the error', () => {
    const text = String(error.cause)
    assert.equal(
      text,
      'operation: Notes:New · HTTP status: 400 · problems: Note.DocumentID is missing · Redox says: Not known · ' +
        'parts: entry[0] arrived | entry[1] unknown · log: log-1',
    )
    assert.ok(inspect(error).includes(text))
    for (const shown of [text, `${error.cause}`, inspect(error), inspect(error.cause)])
      assert.ok(!shown.includes('SECRET'), shown)
    assert.equal(String(new RedoxError('REDOX_ABORTED', 'x').cause), 'no details')
    assert.equal(String(error.with({ attempts: 2 }).cause), `${text} · attempts: 2`)
  })

  it('is plain data', () => {
    const expected = { retry: 'never', ...detail }
    assert.deepEqual(error.cause, expected)
    assert.deepEqual(JSON.parse(JSON.stringify(error.cause)), expected)
    assert.deepEqual(structuredClone(error.cause), expected)
    assert.deepEqual(Object.keys(error.cause), Object.keys(expected))
  })
})
