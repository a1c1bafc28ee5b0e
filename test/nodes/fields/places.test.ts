/** A field is described in its table, and worded in the catalogue: nowhere else. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { pathOf, typedFields } from '../../../nodes/lib/fields/lookup'
import { fields as media } from '../../../nodes/redox-datamodel-media/fields'
import { fields as note } from '../../../nodes/redox-datamodel-note/fields'
import { fields as results } from '../../../nodes/redox-datamodel-results/fields'
import { fields as fhirDocument } from '../../../nodes/redox-fhir-document/fields'
import { fields as fhirResult } from '../../../nodes/redox-fhir-result/fields'

const ROOT = path.join(__dirname, '../../../..')
/** The tables, and the setters that they name. */
const TABLES = /^nodes\/(lib\/fields\/|[^/]+\/fields\.ts$)|^src\/message\/setters\.ts$/

const files = ['src', 'nodes', 'editor', 'plugins', 'scripts']
  .flatMap((folder) =>
    readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
      path.join(folder, name),
    ),
  )
  .filter((file) => /\.(ts|mjs|html)$/.test(file) && !TABLES.test(file) && !file.includes('locales'))
const sources = files.map((file) => ({ file, text: readFileSync(path.join(ROOT, file), 'utf8') }))

/** Names that mean something else in the code, too: a function, and an element of FHIR. */
const AMBIGUOUS = ['lastName', 'birthDate']

/** What only fills a place of the message. */
const all = new Set(
  [media, note, results, fhirDocument, fhirResult]
    .flatMap(typedFields)
    .filter((field) => pathOf(field) !== undefined && !field.withoutFile)
    .map(({ name }) => name)
    .filter((name) => !AMBIGUOUS.includes(name)),
)
const isOneWord = (name: string): boolean => !/[A-Z]/.test(name)
const names = [...all].filter((name) => !isOneWord(name))
const words = [...all].filter(isOneWord)

/** Of one word, such as `code`, a name may mean anything: only a text is one, and in `src` also that of FHIR's elements. */
const meansField = (name: string): RegExp => new RegExp(`(['"\`])${name}(Type)?\\1|-input-${name}\\b`)

/** Fields that decide how a message is built, and what asks for them. */
const DECIDING: Record<string, string[]> = {
  // made from the file: its own type of input, and its ID
  documentId: ['editor/dialog/typed-inputs.ts', 'nodes/lib/node/datamodel-node.ts'],
  // a text note takes a text for its file
  noteContentType: [
    'nodes/lib/node/datamodel-node.ts',
    'nodes/lib/editor/preview.ts',
    // a check of the same name
    'src/shared/checks.ts',
    'editor/validation/rules.ts',
  ],
  // its name in an earlier version
  resourceStatus: ['src/shared/migrations.ts'],
  // the examples are filled in by it
  patientId: ['scripts/lib/course-actions.mjs', 'editor/dialog/faults.ts'],
  patientIdSystem: ['editor/dialog/faults.ts'],
}

/** What the same text means elsewhere, and what asks for such a field. */
const OTHER_MEANINGS: Record<string, string[]> = {
  // the advice about a document without a code; the code of an error
  code: ['editor/dialog/faults.ts', 'editor/outbox/search-form.ts'],
  // of a node in the palette
  category: ['scripts/check-package.mjs'],
  // a check of the same name
  date: ['editor/validation/rules.ts', 'editor/dialog/preview.ts', 'nodes/lib/editor/preview.ts'],
}

describe('fields', () => {
  for (const name of names)
    it(`${name} is known to its table and the catalogue alone`, () => {
      const places = sources.filter(({ text }) => new RegExp(`(?<!\\.)\\b${name}\\b`).test(text))
      const allowed = DECIDING[name] ?? []
      assert.deepEqual(
        places.map(({ file }) => file).filter((file) => !allowed.includes(file)),
        [],
      )
    })

  for (const name of words)
    it(`${name} is known to its table and the catalogue alone, among nodes, dialogs and scripts`, () => {
      const places = sources.filter(
        ({ file, text }) => !file.startsWith('src/') && meansField(name).test(text),
      )
      const allowed = OTHER_MEANINGS[name] ?? []
      assert.deepEqual(
        places.map(({ file }) => file).filter((file) => !allowed.includes(file)),
        [],
      )
    })
})
