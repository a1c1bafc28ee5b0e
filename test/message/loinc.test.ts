import assert from 'node:assert/strict'
import { isLoinc } from '../../src/shared/loinc'
import { draftDataModel } from '../../src/message/datamodel'
import { draftFhir } from '../../src/message/fhir'
import { dialogValidators } from '../lib/dialog-scripts'

// Codes as published at loinc.org: laboratory report, pathology report, procedure note, body height, consent, hemoglobin.
const PUBLISHED = ['11502-2', '11526-1', '28570-0', '8302-2', '59284-0', '718-7', '34108-1', '100000-9']
const WRONG = ['11502-3', '11520-2', '115022', '11502-', 'LP29684-5', '11502-22', ' 11502-2', '12345678-0']

describe('LOINC codes', () => {
  it('have a check digit', () => {
    assert.deepEqual(PUBLISHED.filter(isLoinc), PUBLISHED)
    assert.deepEqual(WRONG.filter(isLoinc), [])
  })

  it('have exactly one right check digit', () => {
    for (const number of ['1', '34', '718', '11502', '1000000'])
      assert.equal([...'0123456789'].filter((digit) => isLoinc(`${number}-${digit}`)).length, 1)
  })

  const warningsOf = (operation: 'DiagnosticReport' | 'DocumentReference', code: string, system?: string) =>
    draftFhir(
      {
        operation:
          operation === 'DiagnosticReport'
            ? 'DiagnosticReport/$diagnosticreport-create'
            : 'DocumentReference/$documentreference-create',
        slug: 'x',
        data: [
          {
            resourceType: operation,
            [operation === 'DiagnosticReport' ? 'code' : 'type']: {
              coding: [{ code, ...(system !== undefined && { system }) }],
            },
          },
        ],
        fields: [],
        files: [],
        place: '',
        now: new Date(),
      },
      { test: true, fhirBase: 'https://redox.example', environment: 'Development' },
    ).warnings.filter((warning) => warning.includes('LOINC'))

  it('give a warning without the code if they are wrong', () => {
    for (const operation of ['DiagnosticReport', 'DocumentReference'] as const) {
      assert.deepEqual(warningsOf(operation, '11502-2'), [])
      assert.deepEqual(warningsOf(operation, 'local', 'urn:local'), [])
      assert.deepEqual(warningsOf(operation, '11502-3', 'urn:local'), [])
      for (const [code, system] of [
        ['11502-3'],
        ['11502-3', 'http://loinc.org'],
        ['x', 'http://loinc.org'],
      ]) {
        const [warning = ''] = warningsOf(operation, code!, system)
        assert.match(warning, new RegExp(`^${operation}\\.(code|type) is not a LOINC code`))
        assert.ok(!warning.includes(code!))
      }
    }
  })

  it('give a warning in a Results message whose codeset is LOINC', () => {
    const warnings = (Code: string, Codeset?: string) =>
      draftDataModel(
        {
          ...{ model: 'Results', eventType: 'New', destinations: [], fields: [], files: [], now: new Date() },
          data: { Orders: [{ ID: '1', Results: [{ Code, ...(Codeset !== undefined && { Codeset }) }] }] },
        },
        { test: true },
      ).warnings
    assert.deepEqual(warnings('11502-2', 'LOINC'), [])
    assert.deepEqual(warnings('11502-3', 'Local'), [])
    assert.deepEqual(warnings('11502-3'), [])
    assert.match(warnings('11502-3', 'loinc').join(), /is not a LOINC code/)
  })

  it('are checked in the dialogs', () => {
    const validators = dialogValidators((key) => key)
    const CASES: [type: string, name: string, values: Record<string, string>, said: true | string][] = [
      ['redox-fhir-result', 'code', { code: '11502-2' }, true],
      ['redox-fhir-result', 'code', { code: '11502-3' }, 'loinc'],
      ['redox-fhir-result', 'code', { code: 'CBC' }, true],
      ['redox-fhir-result', 'code', { code: 'CBC', codeSystem: 'http://loinc.org' }, 'loinc'],
      ['redox-fhir-result', 'code', { code: '11502-3', codeSystem: 'urn:local' }, true],
      ['redox-fhir-result', 'code', { code: '11502-3', codeSystem: 'system', codeSystemType: 'msg' }, true],
      ['redox-fhir-document', 'code', { code: '34133-8' }, 'loinc'],
      ['redox-datamodel-results', 'resultCode', { resultCode: '11502-3' }, true],
      ['redox-datamodel-results', 'resultCode', { resultCode: '11502-3', resultCodeset: 'LOINC' }, 'loinc'],
      ['redox-datamodel-results', 'resultCode', { resultCode: '11502-2', resultCodeset: 'LOINC' }, true],
    ]
    for (const [type, name, values, said] of CASES) {
      const node = { [`${name}Type`]: 'str', ...values }
      assert.equal(validators.of(type, name).call(node, values[name]!), said, JSON.stringify(values))
    }
  })
})
