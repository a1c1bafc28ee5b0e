import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'

const ROOT = path.join(__dirname, '../../..')
const FOLDER = path.join(ROOT, 'examples')
const CORE_TYPES = ['tab', 'comment', 'inject', 'debug', 'change', 'switch', 'catch']

interface FlowNode {
  id: string
  type: string
  [property: string]: unknown
}

const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json'))
const read = (name: string): FlowNode[] =>
  JSON.parse(readFileSync(path.join(FOLDER, name), 'utf8')) as FlowNode[]
const declared = Object.keys(
  (JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { 'node-red': { nodes: object } })[
    'node-red'
  ].nodes,
)

/** Base64 texts that the buttons of an example put into msg.payload. */
const payloads = (nodes: FlowNode[]): string[] =>
  nodes
    .filter(({ type }) => type === 'inject')
    .flatMap(({ props }) => props as { p: string; v?: string }[])
    .flatMap(({ p, v }) => (p === 'payload' && v !== undefined && v.length > 500 ? [v] : []))

describe('Example flows', () => {
  it('show every node type of the package', () => {
    const used = new Set(files.flatMap((name) => read(name).map(({ type }) => type)))
    assert.deepEqual(
      declared.filter((type) => !used.has(type)),
      [],
    )
  })

  it('share no ids but the connection, so that all of them can be imported', () => {
    const ids = files.flatMap((name) => read(name).map(({ id }) => id))
    const doubled = ids.filter((id, index) => ids.indexOf(id) !== index)
    assert.deepEqual([...new Set(doubled)], ['redoxsandboxconf'])
  })

  for (const name of files) {
    it(`"${name}" has a comment, needs no other package, and sends to the sandbox`, () => {
      const nodes = read(name)
      assert.ok(nodes.some(({ type }) => type === 'comment'))
      const foreign = nodes.filter(({ type }) => !CORE_TYPES.includes(type) && !declared.includes(type))
      assert.deepEqual(foreign, [])
      assert.equal(nodes.find(({ type }) => type === 'redox-config')?.environment, 'Sandbox')
    })
  }

  it('send the files that lie beside them', () => {
    const shipped = ['lab-report.pdf', 'ecg.png'].map((name) =>
      readFileSync(path.join(FOLDER, name)).toString('base64'),
    )
    const sent = new Set(files.flatMap((name) => payloads(read(name))))
    assert.deepEqual([...sent].sort(), shipped.sort())
  })

  it('give the right answers when their buttons are pressed (npm start -- --once)', async () => {
    const start = path.join(ROOT, 'scripts', 'start.mjs')
    const { stdout } = await promisify(execFile)(process.execPath, [start, '--once'], { cwd: ROOT })
    const answers = stdout.split('\n').filter((line) => line.includes(' HTTP '))
    assert.equal(answers.length, 8, stdout)
    assert.match(stdout, /nothing left this machine/)
  })
})
