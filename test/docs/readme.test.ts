/** Error codes and settings in the README and the guides: the same as in the code. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { settings } from '../../nodes/lib/fields/settings'

const ROOT = path.join(__dirname, '../../..')
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8')
const { redox } = JSON.parse(read('nodes/redox-config/locales/en-US/redox-config.json')) as {
  redox: Record<'label' | 'example', Record<string, string>>
}

describe('README and guides', () => {
  it('name the package in every npx command, because no package is called redox-sandbox or redox-check', () => {
    const texts = [
      'README.md',
      'CHANGELOG.md',
      'SECURITY.md',
      'CONTRIBUTING.md',
      'src/sandbox/cli.ts',
      'src/check/cli.ts',
    ]
    const docs = readdirSync(path.join(ROOT, 'docs')).flatMap((name) =>
      name.endsWith('.md') ? [`docs/${name}`] : [],
    )
    const wrong = [...texts, ...docs].filter((file) =>
      /npx (--yes |-y )?redox-(sandbox|check)/.test(read(file)),
    )
    assert.deepEqual(wrong, [])
    assert.match(read('docs/sandbox.md'), /^npx -p @ehr-flows\/node-red-redox redox-sandbox /m)
  })

  it('have the settings of durable delivery with the labels and defaults of the dialog', () => {
    const [, table] = /\n\| setting [^\n]*\n[^\n]*\n([^]*?)\n\n/.exec(read('docs/durable.md'))!
    const rows = table!.split('\n').map((row) => row.split('|').map((cell) => cell.trim()))
    const inSection = settings.fields.filter(
      (field) => 'section' in field && field.section.name === 'durable',
    )
    const names = inSection.map(({ name }) => name)
    assert.deepEqual(
      rows.map(([, setting]) => setting),
      names.map((name) => redox.label[name]),
    )
    for (const [, setting, value] of rows) {
      const name = names.find((one) => redox.label[one] === setting)!
      if (/Hours|Minutes/.test(name)) assert.equal(value, redox.example[name], setting)
    }
  })
})
