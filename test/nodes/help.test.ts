/** Help pages: they have the sections of Node-RED's style guide and explain every field of the dialog. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

const DIST = path.join(__dirname, '../../nodes')
const read = (...parts: string[]): string => readFileSync(path.join(DIST, ...parts), 'utf8')
const types = readdirSync(DIST).filter((name) => name.startsWith('redox-'))
/** All strings of the message catalogues in a language, and labels also without Redox's name after ` · `. */
function namesIn(language: string): Set<string> {
  const texts = ['nodes', 'plugins'].flatMap((folder) =>
    readdirSync(path.join(DIST, '..', folder))
      .filter((set) => set.startsWith('redox-'))
      .flatMap((set) =>
        valuesOf(JSON.parse(read('..', folder, set, 'locales', language, `${set}.json`)) as object),
      ),
  )
  return new Set(texts.flatMap((text) => [text, text.split(' · ')[0]!]))
}

const valuesOf = (value: unknown): string[] =>
  typeof value === 'string' ? [value] : Object.values(value as object).flatMap(valuesOf)

const labelsIn = (language: string): Record<string, string> => {
  const { redox } = JSON.parse(read('redox-config', 'locales', language, 'redox-config.json')) as {
    redox: { label: Record<string, string> }
  }
  return redox.label
}

/** By language: section titles of the help, and patterns of terms for the Redox dashboard. */
const LANGUAGES = {
  'en-US': {
    sections: ['Inputs', 'Outputs', 'Details', 'References'],
    dashboard: [/Redox dashboard/, /Process tab/],
  },
  de: {
    sections: ['Eingangsdaten', 'Ausgangsdaten', 'Details', 'Referenzen'],
    dashboard: [/Redox-Dashboard/, /Tab Process/],
  },
}

const plain = (html: string): string =>
  html
    .replace(/<[^>]*>/g, ' ')
    .replace(/&lt;/g, '<')
    .replace(/&amp;/g, '&')
    .replace(/\s+/g, ' ')
    .trim()

for (const [language, { sections: usual, dashboard }] of Object.entries(LANGUAGES))
  describe(`help in ${language}`, () => {
    const labels = labelsIn(language)
    const names = namesIn(language)
    for (const type of types) {
      const html = read(type, 'locales', language, `${type}.html`)
      const isConfig = type === 'redox-config'

      it(`of ${type} begins with a tooltip and has the usual sections`, () => {
        assert.ok(!html.includes('<!--'), 'a directive was not expanded')
        const [, first] = /data-help-name="[\w-]+">\s*<p>([^]*?)<\/p>/.exec(html)!
        const length = plain(first!).length
        assert.ok(length > 40 && length < 200, `tooltip of ${length} characters`)
        const sections = [...html.matchAll(/<h3>(.*?)<\/h3>/g)].map(([, title]) => title)
        assert.deepEqual(sections, isConfig ? usual.slice(2) : usual)
      })

      it(`of ${type} explains every field of its dialog once`, () => {
        const dialog = read(type, `${type}.html`)
        const properties = [...dialog.matchAll(/<label for="node-(?:config-)?input-(\w+)"/g)].map(
          ([, name]) => name!,
        )
        assert.ok(properties.length > 3)
        for (const name of properties.filter((one) => one !== 'name')) {
          const terms = [...html.matchAll(/<dt>([^<]*) <span class="property-type">[^]*?<dd>([^]*?)<\/dd>/g)]
          const found = terms.filter(([, term]) => plain(term!) === labels[name])
          assert.equal(found.length, 1, `${labels[name]} (${name})`)
          assert.ok(plain(found[0]![2]!).length > 5, name)
        }
      })

      it(`of ${type} names fields, buttons, tabs and nodes as the editor does`, () => {
        const bold = [...html.matchAll(/<b\s*>([^<]*)<\/b\s*>/g)].map(([, name]) => plain(name!))
        assert.ok(bold.length > 3)
        assert.deepEqual(
          bold.filter((name) => name !== 'Process' && !names.has(name)),
          [],
        )
      })

      if (isConfig) continue
      it(`of ${type} has sections about the Redox dashboard and about errors`, () => {
        const text = plain(html)
        for (const pattern of [...dashboard, /msg\.redox/, /msg\.error\.code/]) assert.match(text, pattern)
      })
    }
  })
