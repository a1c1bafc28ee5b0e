/** Message catalogues: complete in both languages, and without unused strings. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

const ROOT = path.join(__dirname, '../../..')
const LANGUAGES = ['en-US', 'de']
const NAMESPACE = /^@ehr-flows\/node-red-redox\/([\w-]+):(.+)$/

const read = (...parts: string[]): string => readFileSync(path.join(ROOT, ...parts), 'utf8')
const listed = (folder: string): string[] =>
  readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
    path.join(folder, name),
  )

/** Names of all nodes and plugins with a message catalogue, and their folders. */
const sets = ['nodes', 'plugins'].flatMap((folder) =>
  readdirSync(path.join(ROOT, folder))
    .filter((set) => existsSync(path.join(ROOT, folder, set, 'locales')))
    .map((set) => ({ set, folder: path.join(folder, set) })),
)

type Catalogue = Record<string, string>

function flat(value: unknown, at = ''): Catalogue {
  if (typeof value === 'string') return { [at]: value }
  return Object.assign(
    {},
    ...Object.entries(value as object).map(([key, one]) => flat(one, at ? `${at}.${key}` : key)),
  ) as Catalogue
}

const catalogue = (folder: string, set: string, language: string): Catalogue =>
  flat(JSON.parse(read(folder, 'locales', language, `${set}.json`)))

/** Catalogue keys of a node or plugin. Singular and plural of a key count as one key: i18next selects by `count`. */
const keysOf = (set: string): string[] => {
  const keys = Object.keys(catalogue(sets.find((one) => one.set === set)!.folder, set, 'en-US'))
  return [...new Set(keys.map((key) => key.replace(/_(one|other)$/, '')))]
}

// ---- Uses of the texts ---------------------------------------------------------------------------------

/** Built HTML files that the editor loads. */
const html = sets.map(({ set, folder }) => ({ set, source: read('dist', folder, `${set}.html`) }))
const code = [
  ...html.map(({ source }) => source.replace(/<script type="text\/html"[^]*?<\/script>/g, '')),
  ...[...listed('editor'), ...listed('nodes'), ...listed('plugins'), ...listed('src')]
    .filter((file) => /\.(ts|js)$/.test(file))
    .map((file) => read(file)),
]
  .join('\n')
  .replace(/^\s*(\/\/|\*|\/\*).*$/gm, '')

/** Keys in HTML attributes such as `data-i18n="[placeholder]key"`, with the node or plugin to which they belong. */
const inTemplates = html.flatMap(({ set, source }) =>
  [...source.matchAll(/data-i18n="([^"]+)"/g)].flatMap(([, list]) =>
    list!.split(';').map((one) => {
      const key = one.replace(/^\[[^\]]*\]/, '')
      const [, otherSet, rest] = NAMESPACE.exec(key) ?? []
      return { set: otherSet ?? set, key: rest ?? key }
    }),
  ),
)

/** Keys, without a common prefix, in calls such as `text('test.ok')`, `this._('redox-upload.label')`. */
const inCalls = [
  ...code.matchAll(/(?:\btext|\b_|#(?:word|translated))\(\s*(['`])((?:\$\{[^}]*\}|(?!\1).)*)\1/g),
].map(([, , key]) => key!.replace(/^.*?\$\{(?:(?:STATUS_)?TEXTS|CATALOGUE)\}\.?/, ''))
const patterns = inCalls
  .filter((key) => !/^\$\{[^}]*\}$/.test(key))
  .map(
    (key) =>
      new RegExp(`(^|\\.)${key.replace(/[.*+?^()|[\]\\]/g, '\\$&').replace(/\$\{[^}]*\}/g, '[^.]+')}$`),
  )
const isWord = (segment: string): boolean => new RegExp(`(['"\`=,]|\\b)${segment}\\b`).test(code)

describe('message catalogues', () => {
  for (const { set, folder } of sets) {
    it(`of ${set} have the same keys in every language`, () => {
      const [english, ...others] = LANGUAGES.map((language) => catalogue(folder, set, language))
      for (const other of others) {
        assert.deepEqual(Object.keys(other).sort(), Object.keys(english!).sort())
        for (const [key, text] of Object.entries(other)) {
          if (/_(one|other)$/.test(key)) {
            const base = key.replace(/_\w+?$/, '')
            for (const form of ['one', 'other']) assert.ok(`${base}_${form}` in other, `${base}_${form}`)
          }
          assert.ok(text.trim() !== '', key)
          assert.deepEqual(parameters(text), parameters(english![key]!), key)
        }
      }
    })
  }

  it('have every text of a template', () => {
    const missing = inTemplates.filter(({ set, key }) => !keysOf(set).includes(key))
    assert.ok(inTemplates.length > 300, 'templates were read')
    assert.deepEqual(missing, [])
  })

  it('have every text of the code', () => {
    const all = sets.flatMap(({ set }) => keysOf(set))
    const missing = patterns.filter((pattern) => !all.some((key) => pattern.test(key)))
    assert.ok(patterns.length > 50, 'calls were read')
    assert.deepEqual(missing.map(String), [])
  })

  for (const { set } of sets) {
    it(`of ${set} have no unused text`, () => {
      const asked = new Set(inTemplates.filter((one) => one.set === set).map(({ key }) => key))
      const unused = keysOf(set).filter((key) => {
        if (asked.has(key)) return false
        // If the code builds a key from a variable, the last part of the key must occur in the code as a string.
        return !patterns.some((pattern) => pattern.test(key)) || !isWord(key.split('.').at(-1)!)
      })
      assert.deepEqual(unused, [])
    })
  }
})

const parameters = (text: string): string[] => (text.match(/__\w+?__/g) ?? []).sort()
