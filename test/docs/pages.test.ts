/** Documentation pages: links work, and lists are complete. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { faultOf, inRepository, PAGES, proseOf, read, ROOT } from './pages'

const LINK = /!?\[[^\]]*\]\(([^()\s]+)\)/g
const { scripts, node_red: nodes } = manifest()

function manifest(): { scripts: Record<string, string>; node_red: string[] } {
  const { scripts: own, ...others } = JSON.parse(read('package.json')) as {
    scripts: Record<string, string>
    'node-red': { nodes: Record<string, string> }
  }
  return { scripts: own, node_red: Object.keys(others['node-red'].nodes) }
}

const linksOf = (page: string): string[] => [...proseOf(page).matchAll(LINK)].map(([, target]) => target!)

const deadLinks = (page: string): string[] =>
  linksOf(page).flatMap((target) => {
    const fault = faultOf(page, target)
    return fault === undefined ? [] : [`${page}: ${target}: ${fault}`]
  })

describe('pages', () => {
  it('have links to existing files and headings', () => {
    assert.ok(PAGES.length > 15)
    assert.ok(PAGES.flatMap(linksOf).length > 80)
    assert.deepEqual(PAGES.flatMap(deadLinks), [])
  })

  it('with a broken link are found', () => {
    assert.equal(faultOf('docs/files.md', 'no-such-page.md'), 'no such file')
    assert.equal(faultOf('docs/files.md', 'durable.md#no-such-heading'), 'no such heading')
    assert.equal(faultOf('docs/files.md', '#no-such-heading'), 'no such heading')
    assert.equal(faultOf('README.md', '../elsewhere'), 'no such file')
    assert.equal(faultOf('docs/files.md', '#name-and-type'), undefined)
  })

  it('are all linked from the index of the guides', () => {
    const linked = linksOf('docs/README.md').map(
      (target) => (inRepository(target)?.replace('docs/', '') ?? target).split('#')[0]!,
    )
    const guides = readdirSync(path.join(ROOT, 'docs')).filter((name) => name.endsWith('.md'))
    const forgotten = guides.filter((name) => name !== 'README.md' && !linked.includes(name))
    assert.deepEqual(forgotten, [])
  })

  it('link only to shipped pages, pictures and the repository if they are shipped', () => {
    const shipped = read('scripts/package-files.txt').split('\n')
    const guides = shipped.filter((file) => file.endsWith('.md'))
    assert.ok(guides.includes('docs/files.md'))
    const outside = guides.flatMap((page) =>
      linksOf(page)
        .filter((target) => !/^[a-z]+:|^#/.test(target) && !/\.(png|svg|gif)$/.test(target))
        .map((target) => path.normalize(path.join(path.dirname(page), target.split('#')[0]!)))
        .filter((file) => !shipped.includes(file))
        .map((file) => `${page}: ${file}`),
    )
    assert.deepEqual(outside, [])
  })

  it('contain only npm scripts and files that exist', () => {
    const named = PAGES.flatMap((page) =>
      [...read(page).matchAll(/`(npm run|node|npm) ([^`]+)`/g)].map(([, tool, rest]) => ({ tool, rest })),
    )
    const wrong = named.flatMap(({ tool, rest }) => {
      const words = rest!.split(/\s+/)
      if (tool === 'npm run') return words[0]! in scripts ? [] : [rest]
      if (tool === 'npm') return []
      const file = words.find((word) => !word.startsWith('-'))!
      return existsSync(path.join(ROOT, file)) ? [] : [rest]
    })
    assert.ok(named.length > 5)
    assert.deepEqual(wrong, [])
  })
})

/** Labels that are not from this package, but from Node-RED, GitHub and Redox; and the headings of a changelog. */
const OF_OTHERS = [
  ...[
    'Manage palette',
    'Install',
    'Import',
    'Examples',
    'View nodes',
    'Information',
    'Environment Variables',
    'Confirm deploy',
  ],
  ...[
    'Catch → http response',
    'Verify server certificate',
    'Plain Text',
    'Rich Text',
    'Report a vulnerability',
    'Changed',
  ],
]

/** Pages without a check of labels: the changelog contains old labels, and the glossary's terms are in italics, too. */
const WITHOUT_LABELS = ['CHANGELOG.md', 'docs/glossary.md']

describe('labels in the pages', () => {
  const texts = (value: unknown): string[] =>
    typeof value === 'object' && value !== null ? Object.values(value).flatMap(texts) : [String(value)]
  const json = (folder: string, pattern: RegExp): unknown[] =>
    readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => pattern.test(name))
      .map((name) => JSON.parse(read(path.join(folder, name))) as unknown)
  const ofOurs = [...json('nodes', /en-US.*\.json$/), ...json('plugins', /en-US.*\.json$/)].flatMap(texts)
  const ofExamples = json('examples', /\.json$/).flatMap((flow) =>
    (flow as { name?: string; label?: string }[]).flatMap(({ name, label }) => [name, label]),
  )
  const exampleFiles = readdirSync(path.join(ROOT, 'examples')).map((name) => name.replace('.json', ''))
  // In the pages, labels are written without their unit.
  const shown = [...ofOurs, ...ofOurs.map((label) => label.replace(/ \((s|h|min|MB|KB)\)$/, ''))]
  const known = new Set([...shown, ...ofExamples, ...exampleFiles, ...OF_OTHERS])

  it('are those of the dialogs, the tabs or the examples', () => {
    const named = PAGES.filter((page) => !WITHOUT_LABELS.includes(page)).flatMap((page) =>
      [...proseOf(page).matchAll(/(?<![\w*])_(\p{Lu}[^_\n]*)_(?!\w)/gu)].map(([, label]) => ({
        page,
        label: label!,
      })),
    )
    assert.ok(named.length > 60)
    assert.deepEqual(
      named.filter(({ label }) => !known.has(label)),
      [],
    )
  })
})

describe('README', () => {
  const readme = read('README.md')
  const firstCells = (heading: string): string[] => {
    const [, section] = new RegExp(`\\n## ${heading}\\n([^]*?)\\n## `).exec(readme)!
    const rows = [...section!.matchAll(/^\| ([^|]+?) +\|/gm)].map(([, cell]) => cell!)
    return rows.slice(2)
  }

  it('has about 900 words without code and tables', () => {
    const prose = readme.replaceAll(/```[^]*?```/g, '').replaceAll(/^\|.*$/gm, '')
    const words = prose.split(/\s+/).filter(Boolean).length
    assert.ok(words >= 850 && words <= 950, `${words} words`)
  })

  it('lists every node', () => {
    assert.deepEqual(
      firstCells('Nodes').map((cell) => cell.replaceAll('`', '')),
      nodes,
    )
  })

  it('lists every example', () => {
    const files = readdirSync(path.join(ROOT, 'examples')).filter((name) => name.endsWith('.json'))
    assert.deepEqual(
      firstCells('Examples'),
      files.map((name) => name.replace('.json', '')),
    )
  })

  it('shows an animation of at most 1 MB', () => {
    assert.ok(readFileSync(path.join(ROOT, 'docs/send.gif')).length <= 1_000_000)
  })
})
