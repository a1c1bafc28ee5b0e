/** Identity of a message's patient, by which messages are sent in order. */
import assert from 'node:assert/strict'
import type { JsonObject } from '../../src/message/json'
import { patientIdentityOf } from '../../src/redox/patient-identity'

const note = (...Identifiers: JsonObject[]) =>
  patientIdentityOf({ api: 'datamodel', operation: 'Notes:New', body: { Patient: { Identifiers } } })
const MR = { ID: '17', IDType: 'MR' }
const NIST = { ID: '4', IDType: 'NIST' }

const REPORT = 'DiagnosticReport/$diagnosticreport-create'
const report = (subject: JsonObject, more: JsonObject = {}): JsonObject => ({
  resource: { resourceType: 'DiagnosticReport', subject, ...more },
})
const patient = (value: string, more: JsonObject = {}): JsonObject => ({
  fullUrl: `urn:uuid:${value}`,
  resource: { resourceType: 'Patient', identifier: [{ system: 'urn:mr', value }], ...more },
})
const bundle = (...entry: JsonObject[]) =>
  patientIdentityOf({ api: 'fhir', operation: REPORT, body: { resourceType: 'Bundle', entry } })

describe('identity of the patient of a message', () => {
  it('Data Model: is made of all identifiers, in any order', () => {
    assert.equal(note(MR, NIST), note({ ...NIST, extra: 1 }, MR, MR))
    const others = [note(MR), note(NIST), note({ ...MR, IDType: 'NIST' }), note({ ...MR, ID: '18' })]
    assert.equal(new Set([note(MR, NIST), ...others]).size, 5)
  })

  it('is undefined without an identifier', () => {
    for (const body of [{}, { Patient: {} }, { Patient: { Identifiers: [{ ID: '' }] } }])
      assert.equal(patientIdentityOf({ api: 'datamodel', operation: 'Notes:New', body }), undefined)
    assert.equal(bundle(), undefined)
    assert.equal(bundle(report({}), patient('1')), undefined)
  })

  it('FHIR: is that of the subject, wherever its entry is', () => {
    const [one, other] = [patient('1'), patient('2')]
    const about1 = report({ reference: 'urn:uuid:1' })
    assert.equal(bundle(other, one, about1), bundle(about1, one, other))
    assert.notEqual(bundle(other, one, about1), bundle(other, one, report({ reference: 'urn:uuid:2' })))
  })

  it('FHIR: is the same for an entry, a contained Patient, an identifier and a search', () => {
    const expected = bundle(report({ reference: 'urn:uuid:1' }), patient('1'))
    const { resource } = patient('1') as { resource: JsonObject }
    const contained = report({ reference: '#p' }, { contained: [{ ...resource, id: 'p' }] })
    const identified = report({ identifier: { system: 'urn:mr', value: '1' } })
    const searched = report({ reference: 'Patient?identifier=urn:mr|1' })
    for (const entry of [contained, identified, searched]) assert.equal(bundle(entry), expected)
  })

  it('FHIR: is the reference of a Patient at the destination, and no URN, which is new in each Bundle', () => {
    const there = bundle(report({ reference: 'Patient/77' }))
    assert.equal(there, JSON.stringify([JSON.stringify(['Patient', '77'])]))
    const anonymous = { fullUrl: 'urn:uuid:1', resource: { resourceType: 'Patient' } }
    assert.equal(bundle(report({ reference: 'urn:uuid:1' }), anonymous), undefined)
  })

  it('FHIR: is undefined if resources of the operation are about different patients', () => {
    const two = [report({ reference: 'Patient/1' }), report({ reference: 'Patient/2' })]
    assert.equal(bundle(...two), undefined)
    assert.ok(bundle(two[0]!, two[0]!))
  })
})
