/** Order of the fields in the dialogs of the send nodes: fields that several nodes have are in the same order. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

const NODES = path.join(__dirname, '../../nodes')
const OTHERS = ['redox-config', 'redox-log', 'redox-outbox']
const SENDERS = readdirSync(NODES).filter((set) => set.startsWith('redox-') && !OTHERS.includes(set))

/**
 * Common order of the fields. A row contains the names of the same field in the two APIs. First come the fields that
 * every message needs, then details about the file, the patient, the document or result, and the field Data.
 */
const ORDER = [
  ['name'],
  ['connection'],
  ['operation', 'eventType', 'api'],
  ['fileFrom'],
  ['file'],
  ['destination'],
  ['patientId'],
  ['typeOfPatientId', 'patientIdSystem'],
  ['documentType', 'orderId'],
  ['documentId', 'applicationOrderId'],
  ['originalDocumentId', 'resultCode', 'code'],
  ['providerId'],
  // Fields of the section File details
  ['filename'],
  ['contentType'],
  ['redoxFileType'],
  ['way'],
  ['place', 'noteContentType'],
  // Fields of the section Patient details
  ['firstName', 'given'],
  ['lastName', 'family'],
  ['dob', 'birthDate'],
  ['sex', 'gender'],
  ['visitNumber'],
  // Fields of the sections for the document, the order and result, or the resource
  ['resultCodeset', 'codeSystem'],
  ['resultDescription', 'codeDisplay'],
  ['resultStatus', 'resourceStatus'],
  ['orderStatus', 'category'],
  ['resultsStatus', 'identifier'],
  ['identifierSystem'],
  ['date', 'effective'],
  ['documentDescription', 'description'],
  ['availability'],
  ['typeOfProviderId'],
  // The Data field
  ['data'],
]
const SECTIONS = ['file', 'patient', ['document', 'order', 'resource'], 'data'].map((one) => [one].flat())

const placeIn = (order: string[][], name: string): number => order.findIndex((line) => line.includes(name))

const dialogOf = (set: string): string => {
  const html = readFileSync(path.join(NODES, set, `${set}.html`), 'utf8')
  return /<script type="text\/html"[^>]*>([^]*?)<\/script>/.exec(html)![1]!
}
const found = (html: string, pattern: RegExp): string[] =>
  [...html.matchAll(pattern)].map(([, name]) => name!)

/** All pairs of send node types. */
const PAIRS = SENDERS.flatMap((one, index) => SENDERS.slice(index + 1).map((other) => [one, other] as const))
const LABEL = /<label for="node-input-(\w+)"/g
const SUMMARY = /<summary data-i18n="[^"]*\.section\.(\w+)"/g

describe('the order of the fields', () => {
  for (const [one, other] of PAIRS)
    it(`in ${one} is that of ${other}, for their common fields`, () => {
      for (const pattern of [LABEL, SUMMARY]) {
        const [names, others] = [found(dialogOf(one), pattern), found(dialogOf(other), pattern)]
        const common = names.filter((name) => others.includes(name))
        assert.ok(common.length > 0)
        assert.deepEqual(
          common,
          others.filter((name) => names.includes(name)),
        )
      }
    })

  for (const set of SENDERS) {
    it(`in ${set} is the common order`, () => {
      const dialog = dialogOf(set)
      const fields = found(dialog, LABEL)
      assert.ok(fields.length > 6, fields.join())
      // The pairwise tests compare the fields that the common order does not contain.
      const ordered = fields.filter((name) => placeIn(ORDER, name) >= 0)
      assert.deepEqual(
        ordered,
        [...ordered].sort((one, other) => placeIn(ORDER, one) - placeIn(ORDER, other)),
      )
      const sections = found(dialog, SUMMARY)
      assert.deepEqual(sections.pop(), 'preview')
      assert.deepEqual(
        sections,
        [...sections].sort((one, other) => placeIn(SECTIONS, one) - placeIn(SECTIONS, other)),
      )
    })
  }
})
