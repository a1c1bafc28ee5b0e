/**
 * Every node's saved properties with their defaults, and the HTML that is published, as they were before the tables of
 * fields. `UPDATE_FROZEN=1` writes them anew, for a change that is meant.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { runInNewContext } from 'node:vm'

const DIST = path.join(__dirname, '../../nodes')
const FROZEN = path.join(__dirname, '../../../test/nodes/frozen')
const types = readdirSync(DIST).filter((name) => name.startsWith('redox-'))
const read = (...parts: string[]): string => readFileSync(path.join(DIST, ...parts), 'utf8')

type Property = Record<string, unknown>
interface Definition {
  defaults: Record<string, Property>
  credentials?: Record<string, Property>
}

/** What the editor learns of a type; functions, such as validators, are left out. */
function definitionOf(type: string): Definition {
  let found: Definition | undefined
  const anything: object = new Proxy(() => anything, { get: () => anything })
  const RED = { nodes: { registerType: (_type: string, definition: Definition) => (found = definition) } }
  for (const [, code] of read(type, `${type}.html`).matchAll(
    /<script type="text\/javascript">([^]*?)<\/script>/g,
  ))
    runInNewContext(code!, { RED, RedoxEditor: anything, RedoxValidators: anything })
  assert.ok(found, `${type} registers itself`)
  return found
}

const plain = (properties: Record<string, Property> = {}): Record<string, Property> =>
  Object.fromEntries(
    Object.entries(properties).map(([name, property]) => [
      name,
      Object.fromEntries(Object.entries(property).filter(([, value]) => typeof value !== 'function')),
    ]),
  )

/** One property or element in a line, whatever the formatting of the source is. */
const normalised = (html: string): string =>
  html
    .replace(/\s+/g, ' ')
    .replace(/,? ?([)\]}])/g, '$1')
    .replace(/([([{]) /g, '$1')
    .replace(/> </g, '>\n<')
    .replace(/, (?=\w+: [{[f])/g, ',\n')
    .trim()
    .concat('\n')

/** The template and the definition. */
const ownPart = (html: string): string =>
  html.replace(/<style>[^]*?<\/style>|<script src="[^"]*"><\/script>|<link [^>]*>/g, '')

function assertFrozen(name: string, text: string): void {
  const file = path.join(FROZEN, name)
  if (process.env['UPDATE_FROZEN'] === '1') {
    mkdirSync(FROZEN, { recursive: true })
    writeFileSync(file, text)
  }
  assert.ok(existsSync(file), `${name} is not frozen yet`)
  const [before, after] = [readFileSync(file, 'utf8').split('\n'), text.split('\n')]
  const gone = before.filter((line) => !after.includes(line)).map((line) => `- ${line}`)
  const come = after.filter((line) => !before.includes(line)).map((line) => `+ ${line}`)
  assert.deepEqual([...gone, ...come], [], `${name} differs:\n${[...gone, ...come].join('\n')}`)
  assert.deepEqual(after, before, `the lines of ${name} stand in another order`)
}

describe('frozen', () => {
  for (const type of types) {
    it(`the saved properties of ${type}, with their defaults`, () => {
      const { defaults, credentials } = definitionOf(type)
      const saved = { defaults: plain(defaults), credentials: plain(credentials) }
      const file = path.join(FROZEN, `${type}.json`)
      if (process.env['UPDATE_FROZEN'] === '1') writeFileSync(file, `${JSON.stringify(saved, null, 2)}\n`)
      // In any order: the dialog decides it.
      assert.deepEqual(JSON.parse(JSON.stringify(saved)), JSON.parse(readFileSync(file, 'utf8')))
    })

    it(`the published dialog of ${type}`, () =>
      assertFrozen(`${type}.txt`, normalised(ownPart(read(type, `${type}.html`)))))
  }
})
