/** Citations in code comments: each refers to an existing heading of a page in the repository, or to a public URL. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { faultOf, read, ROOT } from './pages'

const FOLDERS = [
  ...['src', 'nodes', 'plugins', 'editor', 'resources', 'examples'],
  ...['scripts', 'bench', 'soak', 'test'],
].filter((folder) => existsSync(path.join(ROOT, folder)))

/** Folders in which a citation of a document outside the repository is still allowed. */
const TO_DO: string[] = []

/** Patterns for citations of documents outside the repository, such as sections of notes and plans. */
const ELSEWHERE = [
  /\bfacts (?:section )?\d/i,
  /\bapi-facts\b/i,
  /(?<!docs\/)\bdesign\/\w+/i,
  /\(seed \d/i,
  /\bseed \d allows\b/i,
  /\bhandbook\b/i,
  /\bPAINS\b/,
  /\bissues? #?\d/i,
  /`\[[C1I!]\]`/,
]

/** Pattern for a citation; `docs/redox-api.md#binary, #sizes` cites two headings of one page. */
const CITATION = /docs\/[\w/-]+\.md(?:#[\w-]+(?:, #[\w-]+)*)?/g

interface Source {
  file: string
  /** content of the file, in which each paragraph of a comment is joined to one line */
  text: string
}

const sources: Source[] = FOLDERS.flatMap((folder) =>
  readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|js|mjs|json|html)$/.test(name) && !name.includes('node_modules'))
    .map((name) => path.join(folder, name))
    .filter((file) => !file.startsWith('test/docs/citations'))
    .map((file) => ({ file, text: read(file).replaceAll(/\n\s*(?:\*|\/\/) /g, ' ') })),
)

/** Targets of a citation: `docs/a.md#b, #c` → `docs/a.md#b`, `docs/a.md#c` */
function targetsOf(citation: string): string[] {
  const [page, ...anchors] = citation.split(/(?:, )?#/) as [string, ...string[]]
  return anchors.length === 0 ? [page] : anchors.map((anchor) => `${page}#${anchor}`)
}

const citedIn = (text: string): string[] =>
  [...text.matchAll(CITATION)].flatMap(([citation]) => targetsOf(citation))

const deadIn = ({ file, text }: Source): string[] =>
  citedIn(text).flatMap((target) => {
    const fault = faultOf('README.md', target)
    return fault === undefined ? [] : [`${file}: ${target}: ${fault}`]
  })

const elsewhereIn = ({ file, text }: Source): string[] =>
  ELSEWHERE.flatMap((pattern) => {
    const found = pattern.exec(text)
    return found ? [`${file}: …${text.slice(Math.max(0, found.index - 40), found.index + 40)}…`] : []
  })

describe('citations in code', () => {
  it('refer to existing pages and headings', () => {
    assert.ok(sources.flatMap(({ text }) => citedIn(text)).length > 60)
    assert.deepEqual(sources.flatMap(deadIn), [])
  })

  it('refer to no document outside the repository', () => {
    const done = sources.filter(({ file }) => !TO_DO.some((folder) => file.startsWith(folder)))
    assert.ok(done.length > 50)
    assert.deepEqual(done.flatMap(elsewhereIn), [])
  })

  it('with broken targets are found', () => {
    const dead = deadIn({
      file: 'a.ts',
      text: '// As documented (docs/redox-api.md#binary, #no-heading; docs/none.md).',
    })
    assert.deepEqual(dead, [
      'a.ts: docs/redox-api.md#no-heading: no such heading',
      'a.ts: docs/none.md: no such file',
    ])
    const old = ['(facts 3.5)', 'facts section 5', 'design/SAFETY', '(seed 1, …)', 'handbook A2', 'issue 18']
    for (const text of old) assert.equal(elsewhereIn({ file: 'a.ts', text }).length, 1, text)
    assert.deepEqual(
      elsewhereIn({ file: 'a.ts', text: 'docs/design/outcomes.md, and the plan `seed 42`' }),
      [],
    )
  })
})

describe('docs/redox-api.md', () => {
  const page = read('docs/redox-api.md')

  it('has an address for each of its sources', () => {
    const addresses = new Map(
      [...page.matchAll(/^\[([\w-]+)\]: (https:\S+)$/gm)].map(([, name, url]) => [name, url]),
    )
    const named = new Set([...page.matchAll(/\[([\w-]+)\]\[\]/g)].map(([, name]) => name))
    assert.ok(named.size > 40)
    assert.deepEqual([...named].sort(), [...addresses.keys()].sort())
  })
})
