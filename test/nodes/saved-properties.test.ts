/**
 * Names and defaults of the node properties that flows contain. Saved flows depend on them, so neither may change.
 * test/nodes/saved contains them by node type; a run with `UPDATE_SAVED=1` adds the new properties of a release.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { definitionOf } from '../lib/flow'

const DIST = path.join(__dirname, '../../nodes')
const SAVED = path.join(__dirname, '../../../test/nodes/saved')
const types = readdirSync(DIST).filter((name) => name.startsWith('redox-'))

type Property = Record<string, unknown>
type Properties = Record<'defaults' | 'credentials', Record<string, Property>>

/** Properties and credentials of a node type in the editor, without functions such as validators. */
function propertiesOf(type: string): Properties {
  const { defaults, credentials = {} } = definitionOf(type)
  // A conversion to JSON removes the functions.
  return JSON.parse(JSON.stringify({ defaults, credentials })) as Properties
}

describe('saved properties', () => {
  for (const type of types) {
    it(`of ${type} keep their names and defaults`, () => {
      const file = path.join(SAVED, `${type}.json`)
      const now = propertiesOf(type)
      if (process.env['UPDATE_SAVED'] === '1') writeFileSync(file, `${JSON.stringify(now, null, 2)}\n`)
      const before = JSON.parse(readFileSync(file, 'utf8')) as Properties
      for (const kind of ['defaults', 'credentials'] as const) {
        const kept = Object.keys(before[kind]).map((name) => [name, now[kind][name]])
        assert.deepEqual(Object.fromEntries(kept), before[kind])
      }
    })
  }
})
