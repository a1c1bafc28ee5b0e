/** Files in which the name of a node's field occurs: only its field table and the message catalogue. */
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
/** Source files that are allowed to contain any field name: the field tables and the setters that they use. */
const TABLES = /^nodes\/(lib\/fields\/|[^/]+\/fields\.ts$)|^src\/message\/setters\.ts$/

const files = ['src', 'nodes', 'editor', 'plugins', 'scripts']
  .flatMap((folder) =>
    readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
      path.join(folder, name),
    ),
  )
  .filter((file) => /\.(ts|mjs|html)$/.test(file) && !TABLES.test(file) && !file.includes('locales'))
const sources = files.map((file) => ({ file, text: readFileSync(path.join(ROOT, file), 'utf8') }))

/** Field names that this test ignores, because a function or a FHIR element has the same name. */
const AMBIGUOUS = ['lastName', 'birthDate']

/** Names of the fields whose value is only copied to a path of the message. */
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

/**
 * Pattern for a field's name as a string literal. A name of one word, such as `code`, is allowed as an identifier, and
 * in `src` also as the name of a FHIR element.
 */
const meansField = (name: string): RegExp => new RegExp(`(['"\`])${name}(Type)?\\1|-input-${name}\\b`)

/** Fields that decide how a message is built, with the files that are allowed to contain their names. */
const DECIDING: Record<string, string[]> = {
  // documentId has its own type of typed input, which generates the value from the file
  documentId: ['editor/dialog/typed-inputs.ts', 'nodes/lib/node/datamodel-node.ts'],
  // the value Plain Text of the field noteContentType means that the file is sent as text
  noteContentType: [
    'nodes/lib/node/datamodel-node.ts',
    'nodes/lib/editor/preview.ts',
    // in these two files, noteContentType is the name of a validation check
    'src/shared/checks.ts',
    'editor/validation/rules.ts',
  ],
  // codeSystem: whether a code is of LOINC, whose check digit is verified, depends on its code system
  codeSystem: ['editor/validation/rules.ts'],
  // resourceStatus was the name of a field in an earlier version of the node
  resourceStatus: ['src/shared/migrations.ts'],
  // patientId: the script that runs the examples fills in this field
  patientId: ['scripts/lib/course-actions.mjs', 'editor/dialog/faults.ts'],
  patientIdSystem: ['editor/dialog/faults.ts'],
}

/** Field names of one word that also have other meanings, with the files that are allowed to contain them. */
const OTHER_MEANINGS: Record<string, string[]> = {
  // `code` also means an error code, and is a key of the texts with recommendations; rules.ts verifies LOINC codes
  code: [
    ...['editor/dialog/faults.ts', 'editor/outbox/search-form.ts', 'editor/validation/rules.ts'],
    'nodes/lib/monitoring/outbox-figures.ts',
  ],
  // `category` is also the palette category of a node
  category: ['scripts/check-package.mjs'],
  // `date` is also the name of a validation check
  date: ['editor/validation/rules.ts', 'editor/dialog/preview.ts', 'nodes/lib/editor/preview.ts'],
}

describe('names of fields', () => {
  for (const name of names)
    it(`${name} occurs only in its table and in the catalogue`, () => {
      const places = sources.filter(({ text }) => new RegExp(`(?<!\\.)\\b${name}\\b`).test(text))
      const allowed = DECIDING[name] ?? []
      assert.deepEqual(
        places.map(({ file }) => file).filter((file) => !allowed.includes(file)),
        [],
      )
    })

  for (const name of words)
    it(`${name} occurs only in its table and in the catalogue, among nodes, dialogs and scripts`, () => {
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
