/** Help pages: the sections of Node-RED's style guide, and every field of the dialog. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

const DIST = path.join(__dirname, '../../nodes')
const read = (...parts: string[]): string => readFileSync(path.join(DIST, ...parts), 'utf8')
const types = readdirSync(DIST).filter((name) => name.startsWith('redox-'))
const { redox } = JSON.parse(read('redox-config', 'locales', 'en-US', 'redox-config.json')) as {
  redox: { label: Record<string, string> }
}

const plain = (html: string): string =>
  html
    .replace(/<[^>]*>/g, ' ')
    .replace(/&lt;/g, '<')
    .replace(/&amp;/g, '&')
    .replace(/\s+/g, ' ')
    .trim()

describe('help', () => {
  for (const type of types) {
    const html = read(type, 'locales', 'en-US', `${type}.html`)
    const isConfig = type === 'redox-config'

    it(`of ${type} begins with a tooltip and has the usual sections`, () => {
      assert.ok(!html.includes('<!--'), 'a directive was not expanded')
      const [, first] = /data-help-name="[\w-]+">\s*<p>([^]*?)<\/p>/.exec(html)!
      const length = plain(first!).length
      assert.ok(length > 40 && length < 200, `tooltip of ${length} characters`)
      const sections = [...html.matchAll(/<h3>(.*?)<\/h3>/g)].map(([, title]) => title)
      const usual = ['Inputs', 'Outputs', 'Details', 'References']
      assert.deepEqual(sections, isConfig ? usual.slice(2) : usual)
    })

    it(`of ${type} explains every field of its dialog, once`, () => {
      const dialog = read(type, `${type}.html`)
      const names = [...dialog.matchAll(/<label for="node-(?:config-)?input-(\w+)"/g)].map(
        ([, name]) => name!,
      )
      assert.ok(names.length > 5)
      for (const name of names.filter((one) => one !== 'name')) {
        const terms = [...html.matchAll(/<dt>([^<]*) <span class="property-type">[^]*?<dd>([^]*?)<\/dd>/g)]
        const found = terms.filter(([, term]) => plain(term!) === redox.label[name])
        assert.equal(found.length, 1, `${redox.label[name]} (${name})`)
        assert.ok(plain(found[0]![2]!).length > 5, name)
      }
    })

    if (isConfig) continue
    it(`of ${type} says where to see it in Redox, and how it fails`, () => {
      const text = plain(html)
      assert.match(text, /Redox dashboard/)
      assert.match(text, /Process tab/)
      assert.match(text, /msg\.redox/)
      assert.match(text, /msg\.error\.code/)
    })
  }
})
