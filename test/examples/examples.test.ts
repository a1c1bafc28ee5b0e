import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import path from 'node:path'
import { promisify } from 'node:util'

const ROOT = path.join(__dirname, '../../..')
const FOLDER = path.join(ROOT, 'examples')
// Each is in Node-RED 4.1 and 5.
const CORE_TYPES = [
  ...['tab', 'comment', 'inject', 'debug', 'catch', 'complete', 'status'],
  ...['change', 'switch', 'function', 'template', 'delay', 'trigger', 'file', 'watch'],
  ...['http in', 'http response'],
]

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

/** Base64 texts that the buttons of an example put into messages. */
const payloads = (nodes: FlowNode[]): string[] =>
  nodes
    .filter(({ type }) => type === 'inject')
    .flatMap(({ props }) => props as { v?: string }[])
    .flatMap(({ v }) => (v !== undefined && v.length > 500 ? [v] : []))

interface Placed extends FlowNode {
  x: number
  y: number
}

/** As the editor draws it, about: by the length of the label. */
const widthOf = ({ name, type }: FlowNode): number => Math.max(100, 50 + 7 * String(name || type).length)

const overlap = (one: Placed, other: Placed): boolean =>
  Math.abs(one.x - other.x) < (widthOf(one) + widthOf(other)) / 2 && Math.abs(one.y - other.y) < 40

const numberOf = (name: string): number => Number(/^(\d\d) - /.exec(name)![1])
const start = async (script: string, argument: string): Promise<string> => {
  const file = path.join(ROOT, 'scripts', script)
  const ran = promisify(execFile)(process.execPath, ['--unhandled-rejections=strict', file, argument], {
    cwd: ROOT,
  })
  const { stdout } = await ran.catch((error: unknown) => error as { stdout: string })
  return stdout
}

describe('Example flows', () => {
  it('show every node type of the package', () => {
    const used = new Set(files.flatMap((name) => read(name).map(({ type }) => type)))
    assert.deepEqual(
      declared.filter((type) => !used.has(type)),
      [],
    )
  })

  it('are a course without gaps, in order in the import menu', () => {
    assert.deepEqual(
      [...files].sort().map(numberOf),
      files.map((_name, index) => index + 1),
    )
  })

  it('share no ids but the connection, so that all of them can be imported', () => {
    const ids = files.flatMap((name) => read(name).map(({ id }) => id))
    const doubled = ids.filter((id, index) => ids.indexOf(id) !== index)
    assert.deepEqual([...new Set(doubled)], ['redoxsandboxconf'])
  })

  for (const name of files) {
    it(`"${name}" says what to do, needs no other package, has its connection, and is drawn tidily`, () => {
      const nodes = read(name)
      const [comment, ...more] = nodes.filter(({ type }) => type === 'comment')
      assert.equal(more.length, 0)
      for (const part of ['**Look at**', '**For your own use**', 'Sandbox inbox'])
        assert.ok(String(comment?.info).includes(part), `the comment lacks ${part}`)
      const foreign = nodes.filter(({ type }) => !CORE_TYPES.includes(type) && !declared.includes(type))
      assert.deepEqual(foreign, [])
      const [connection, ...others] = nodes.filter(({ type }) => type === 'redox-config')
      assert.equal(others.length, 0)
      const users = nodes.filter((node) => node.connection !== undefined)
      assert.deepEqual([...new Set(users.map((node) => node.connection))], [connection?.id])
      const drawn = nodes.filter((node): node is Placed => typeof node.x === 'number')
      const pairs = drawn.flatMap((one, index) =>
        drawn.slice(index + 1).map((other) => [one, other] as const),
      )
      assert.deepEqual(
        pairs.flatMap(([one, other]) => (overlap(one, other) ? [`${one.id} and ${other.id}`] : [])),
        [],
      )
    })
  }

  it('send the files that lie beside them', () => {
    const shipped = ['lab-report.pdf', 'ecg.png'].map((name) =>
      readFileSync(path.join(FOLDER, name)).toString('base64'),
    )
    const sent = new Set(files.flatMap((name) => payloads(read(name))))
    assert.deepEqual([...sent].sort(), shipped.sort())
  })

  it('on a taken port: npm start says so in one sentence, without a stack', async function () {
    this.timeout(60_000)
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    const started = promisify(execFile)(process.execPath, [path.join(ROOT, 'scripts/start.mjs')], {
      cwd: ROOT,
      env: { ...process.env, PORT: String(port) },
    })
    const { code, stderr } = await started.then(
      ({ stderr }) => ({ code: 0, stderr }),
      (error: unknown) => error as { code: number; stderr: string },
    )
    other.close()
    assert.deepEqual([code, stderr], [1, `Port ${port} is taken. Choose another one: PORT=1881 npm start\n`])
  })

  it('give the right answers when their buttons are pressed (npm start -- --once)', async function () {
    this.timeout(180_000)
    const stdout = await start('start.mjs', '--once')
    const answers = stdout.split('\n').filter((line) => line.includes(' HTTP '))
    assert.equal(answers.length, 9, stdout)
    assert.match(stdout, /nothing left this machine/)
  })

  describe('deployed one by one in a real Node-RED (scripts/boot.mjs)', () => {
    let report: string[] = []

    before('run the course', async function () {
      this.timeout(180_000)
      report = (await start('boot.mjs', '.')).split('\n')
    })

    for (const name of files) {
      it(`"${name}" leads to exactly these messages in the sandbox, and to no others`, () => {
        const title = `example "${path.basename(name, '.json')}"`
        const from = report.findIndex((line) => /^(ok|NOT) /.test(line) && line.includes(title))
        const problems = report.slice(from).findIndex((line, index) => index > 0 && !line.startsWith('    '))
        assert.ok(report[from]?.startsWith('ok '), report.slice(from, from + problems).join('\n'))
      })
    }

    it('leave no warning in the log, and nothing else was wrong', () => {
      assert.deepEqual(
        report.filter((line) => line.startsWith('NOT')),
        [],
      )
      assert.ok(report.some((line) => line.startsWith('ok  warnings')))
    })
  })
})
