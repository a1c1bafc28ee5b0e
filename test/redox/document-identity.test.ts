/** Identity of a message's document, by which equal messages are found. */
import assert from 'node:assert/strict'
import type { JsonObject } from '../../src/message/json'
import { documentIdentityOf } from '../../src/redox/document-identity'

const FILE = { sha256: 'aa' }
const of = (body: JsonObject, files: { sha256?: string; url?: string }[] = [FILE], operation = 'Notes:New') =>
  documentIdentityOf({ operation, body }, files)
const note = (DocumentID: string, more: JsonObject = {}): JsonObject => ({
  Meta: { EventDateTime: String(Math.random()) },
  Note: { DocumentID, ...more },
})
const order = (ID: string, more: JsonObject = {}): JsonObject => ({
  Orders: [{ ID, Status: 'Resulted', Results: [{ Status: 'Final' }], ...more }],
})
const report = (value: string, status = 'final'): JsonObject => ({
  resource: { resourceType: 'DiagnosticReport', identifier: [{ value }], status },
})
const bundle = (id: string, ...entry: JsonObject[]): JsonObject => ({ resourceType: 'Bundle', id, entry })
const header: JsonObject = { resource: { resourceType: 'MessageHeader' } }

describe('identity of the document of a message', () => {
  it('is the same for the same identifiers, operation and files', () => {
    assert.ok(of(note('1')))
    assert.equal(of(note('1')), of(note('1')))
    assert.equal(of(order('1')), of(order('1')))
    const [one, other] = [bundle('a', header, report('1')), bundle('b', report('1'), header)]
    assert.equal(of(one), of(other), 'the ID of the Bundle and the place of an entry do not count')
  })

  it('differs by document, order or FHIR identifier, file, operation and status', () => {
    const identities = [
      ...[of(note('1')), of(note('2')), of(note('1'), [{ sha256: 'bb' }]), of(note('1'), [FILE, FILE])],
      ...[of(note('1'), [FILE], 'Notes:Replace'), of(note('1'), [{ url: 'https://x' }])],
      ...[of(order('1')), of(order('1', { Status: 'Cancelled' })), of(order('2'))],
      of(order('1', { Results: [{ Status: 'Preliminary' }] })),
      ...[
        of(bundle('a', report('1'))),
        of(bundle('a', report('2'))),
        of(bundle('a', report('1', 'amended'))),
      ],
    ]
    assert.equal(new Set(identities).size, identities.length)
  })

  it('compares the text of a note', () => {
    const text = (FileContents: string) => of(note('1', { FileContents }), [])
    assert.ok(text('one'))
    assert.equal(text('one'), text('one'))
    assert.notEqual(text('one'), text('two'))
  })

  it('is undefined without an identifier, and without a file', () => {
    for (const identity of [
      of({}),
      of(bundle('a', header)),
      of(note('1'), []),
      of(note('1', { FileContents: '' }), []),
    ])
      assert.equal(identity, undefined)
  })
})
