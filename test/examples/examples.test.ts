import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import path from 'node:path'
import { promisify } from 'node:util'
import { answersOf, shownAnswers } from '../docs/pages'

const ROOT = path.join(__dirname, '../../..')
const FOLDER = path.join(ROOT, 'examples')
// Node types that are part of both Node-RED 4.1 and 5.
const CORE_TYPES = [
  ...['tab', 'group', 'comment', 'inject', 'debug', 'catch', 'complete', 'status', 'link in', 'link out'],
  ...['change', 'switch', 'function', 'template', 'delay', 'trigger', 'file', 'watch'],
  ...['http in', 'http response', 'http request'],
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

/** Base64 strings that the Inject nodes of an example put into messages. */
const payloads = (nodes: FlowNode[]): string[] =>
  nodes
    .filter(({ type }) => type === 'inject')
    .flatMap(({ props }) => props as { v?: string }[])
    .flatMap(({ v }) => (v !== undefined && v.length > 500 ? [v] : []))

// ---- Layout on the canvas ---------------------------------------------------------------------------------------

const GRID = 20
const WIDEST_GROUP = 900
/** Height of a node in pixels. A group needs more, because of its label. */
const HEIGHT = 30

interface Placed extends FlowNode {
  x: number
  y: number
}

interface Box {
  id: string
  left: number
  right: number
  top: number
  bottom: number
}

/** Approximate width of a node in the editor: grows with the label, in steps of the grid. */
const widthOf = ({ name, type }: FlowNode): number =>
  Math.max(100, Math.ceil((50 + 7 * String(name || type).length) / GRID) * GRID)

/** Area of a node in the workspace. The width is approximate, because the editor's width depends on the fonts. */
const boxOf = (node: Placed): Box => ({
  id: node.id,
  left: node.x - widthOf(node) / 2,
  right: node.x + widthOf(node) / 2 + (node.type === 'debug' ? GRID : 0),
  top: node.y - HEIGHT / 2,
  bottom: node.y + HEIGHT / 2,
})

const groupBox = ({ id, x, y, w, h }: FlowNode): Box => {
  const [left, top] = [Number(x), Number(y)]
  return { id, left, right: left + Number(w), top, bottom: top + Number(h) }
}

const overlap = (one: Box, other: Box): boolean =>
  one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom

const overlaps = (boxes: Box[]): string[] =>
  boxes.flatMap((one, index) =>
    boxes.slice(index + 1).flatMap((other) => (overlap(one, other) ? [`${one.id} and ${other.id}`] : [])),
  )

const isPlaced = (node: FlowNode): node is Placed => typeof node['x'] === 'number' && node.type !== 'group'

const wiresOf = ({ wires }: FlowNode): string[] => ((wires ?? []) as string[][]).flat()

/** All nodes that a message from this node can reach. */
function reachable(from: FlowNode, nodes: FlowNode[], seen = new Set<FlowNode>()): Set<FlowNode> {
  for (const id of wiresOf(from)) {
    const next = nodes.find((node) => node.id === id)!
    if (seen.has(next)) continue
    seen.add(next)
    reachable(next, nodes, seen)
  }
  return seen
}

// ---- Texts ------------------------------------------------------------------------------------------------------

const SECTIONS = ['What it shows', 'What to press', 'What you see', 'For your own use', 'What it needs']
/** Longest comment in characters. A longer comment would overlap the node beside it. */
const LONGEST_COMMENT = 45
const NODE_NAMES: Record<string, string> = {
  'redox-datamodel-note': 'Redox note',
  'redox-datamodel-results': 'Redox results',
  'redox-datamodel-media': 'Redox media',
  'redox-upload': 'Redox upload',
  'redox-fhir-result': 'FHIR result',
  'redox-fhir-document': 'FHIR document',
}
const SHARED = 'redoxsandboxconf'
/** Patient in the example PDF. */
const PATIENT: Record<string, string> = {
  PATIENT_ID: '0000000001',
  FIRST_NAME: 'Jane',
  LAST_NAME: 'Doe',
  BIRTH_DATE: '1990-01-01',
  GENDER: 'female',
}
/** Fields that a user of an example has to change for messages of their own. */
const OWN_FIELDS = [
  ...['destination', 'patientId', 'firstName', 'lastName', 'dob', 'visitNumber', 'providerId'],
  ...['family', 'given', 'birthDate', 'gender', 'patientIdSystem'],
]

interface Variable {
  name: string
  value: string
}
const variablesOf = (nodes: FlowNode[]): Variable[] =>
  nodes.find(({ type }) => type === 'tab')!['env'] as Variable[]

const numberOf = (name: string): number => Number(/^(\d\d) - /.exec(name)![1])
const start = async (script: string, argument: string): Promise<string> => {
  const file = path.join(ROOT, 'scripts', script)
  const ran = promisify(execFile)(process.execPath, ['--unhandled-rejections=strict', file, argument], {
    cwd: ROOT,
  })
  const { stdout } = await ran.catch((error: unknown) => error as { stdout: string })
  return stdout
}

describe('example flows', () => {
  it('contain every node type of the package', () => {
    const used = new Set(files.flatMap((name) => read(name).map(({ type }) => type)))
    assert.deepEqual(
      declared.filter((type) => !used.has(type)),
      [],
    )
  })

  it('are numbered without gaps, in order in the import menu', () => {
    assert.deepEqual(
      [...files].sort().map(numberOf),
      files.map((_name, index) => index + 1),
    )
  })

  it('share no ids except that of the connection, so that all of them can be imported', () => {
    const ids = files.flatMap((name) => read(name).map(({ id }) => id))
    const doubled = ids.filter((id, index) => ids.indexOf(id) !== index)
    assert.deepEqual([...new Set(doubled)], ['redoxsandboxconf'])
  })

  for (const name of files) {
    describe(`"${name}"`, () => {
      const nodes = read(name)
      const comments = nodes.filter(({ type }) => type === 'comment').map((node) => String(node['name']))
      const info = String(nodes.find(({ type }) => type === 'tab')!['info'])
      const senders = nodes.filter(({ type }) => NODE_NAMES[type] !== undefined)

      it('needs no other package, and has the shared connection or one with its own name', () => {
        const foreign = nodes.filter(({ type }) => !CORE_TYPES.includes(type) && !declared.includes(type))
        assert.deepEqual(foreign, [])
        const [connection, ...others] = nodes.filter(({ type }) => type === 'redox-config')
        assert.equal(others.length, 0)
        const users = nodes.filter((node) => node['connection'] !== undefined)
        assert.deepEqual([...new Set(users.map((node) => node['connection']))], [connection?.id])
        const own = `Example ${name.slice(0, 2)}: `
        const isNamed = connection?.id === SHARED || String(connection?.['name']).startsWith(own)
        assert.ok(isNamed, String(connection?.['name']))
      })

      it('explains purpose and steps on the canvas', () => {
        assert.deepEqual(
          comments.map((text) => Number(/^(\d+)\. [A-Z]/.exec(text)?.[1])),
          comments.map((_text, index) => index + 1),
        )
        assert.ok(comments.length >= 3)
        // The last comment is below all other nodes, so its length is not limited.
        assert.match(comments.at(-1)!, /^\d+\. For your own use: .* Environment Variables \(list icon\)$/)
        assert.deepEqual(
          comments.slice(0, -1).filter((text) => text.length > LONGEST_COMMENT),
          [],
        )
      })

      it('has complete instructions in the description of its tab', () => {
        const headings = [...info.matchAll(/^### (.+)$/gm)].map(([, heading]) => heading)
        assert.deepEqual(headings, SECTIONS)
        assert.match(info, /Sandbox inbox/)
        assert.match(info, /\*show the error\* says/)
        for (const [, button] of info.matchAll(/button of \*(.+?)\*/g))
          assert.ok(
            nodes.some((node) => node.type === 'inject' && node['name'] === button),
            button,
          )
      })

      it('has its changeable values in one place, and the patient of the PDF', () => {
        const variables = new Map(variablesOf(nodes).map((variable) => [variable.name, variable.value]))
        const elsewhere = senders.flatMap((node) =>
          OWN_FIELDS.flatMap((field) => {
            const [value, type] = [node[field], node[`${field}Type`]]
            if (value === undefined || value === '' || type === 'msg') return []
            return type === 'env' && variables.has(String(value)) ? [] : [`${node.id}: ${field}`]
          }),
        )
        assert.deepEqual(elsewhere, [])
        const ofPatient = [...variables].filter(([variable]) => variable in PATIENT)
        assert.deepEqual(
          ofPatient,
          ofPatient.map(([variable]) => [variable, PATIENT[variable]]),
        )
        const own = info.slice(info.indexOf('### For your own use'), info.indexOf('### What it needs'))
        // Example 9 sets these variables from environment variables of the process.
        const derived = name.startsWith('09') ? ['REDOX_CLIENT_ID', 'REDOX_KEY_ID', 'REDOX_PRIVATE_KEY'] : []
        assert.deepEqual(
          [...variables.keys()].filter((one) => !own.includes(`\`${one}\``) && !derived.includes(one)),
          [],
        )
      })

      it('shows every error in one node', () => {
        const shows = nodes.filter((node) => node['name'] === 'show the error')
        assert.deepEqual(
          shows.map((node) => [node.type, node['complete'], node['active']]),
          [['debug', 'error.message', true]],
        )
        const catches = nodes.filter(({ type }) => type === 'catch')
        for (const one of catches) assert.ok(reachable(one, nodes).has(shows[0]!), one.id)
        // One Catch node must be for the errors that no other Catch node handles.
        assert.ok(catches.some(({ scope }) => scope === null))
      })

      it('has the same names for the same kinds of nodes', () => {
        for (const { id, type, name: given } of senders)
          assert.equal(String(given).split(': ')[0], NODE_NAMES[type], id)
      })

      it('is laid out on the grid, from left to right, without overlaps', () => {
        const drawn = nodes.filter(isPlaced)
        const groups = nodes.filter(({ type }) => type === 'group')
        assert.deepEqual(overlaps(drawn.map(boxOf)), [])
        assert.deepEqual(overlaps(groups.map(groupBox)), [])
        for (const node of drawn) {
          assert.equal(node.y % GRID, 0, node.id)
          assert.equal(node.x % (GRID / 2), 0, node.id)
          for (const id of wiresOf(node))
            assert.ok(drawn.find((one) => one.id === id)!.x > node.x, `${node.id} to ${id}`)
        }
        const loose = drawn.filter((node) => node['g'] === undefined).map(boxOf)
        for (const group of groups) {
          const members = drawn.filter((node) => node['g'] === group.id)
          assert.deepEqual(new Set(members.map(({ id }) => id)), new Set(group['nodes'] as string[]))
          assert.deepEqual(overlaps([groupBox(group), ...loose]), [])
          // A wider group would be partly hidden by the sidebar.
          assert.ok(Number(group['w']) <= WIDEST_GROUP, group.id)
          const { left, right } = groupBox(group)
          const cut = members.map(boxOf).filter((one) => one.left < left || one.right > right)
          assert.deepEqual(cut, [], group.id)
        }
      })
    })
  }

  it('send the files of the examples folder', () => {
    const shipped = ['lab-report.pdf', 'ecg.png'].map((name) =>
      readFileSync(path.join(FOLDER, name)).toString('base64'),
    )
    const sent = new Set(files.flatMap((name) => payloads(read(name))))
    assert.deepEqual([...sent].sort(), shipped.sort())
  })

  it('on a port in use: npm start reports it in one sentence, without a stack', async function () {
    this.timeout(60_000)
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    const started = promisify(execFile)(process.execPath, [path.join(ROOT, 'scripts/start.mjs')], {
      cwd: ROOT,
      env: { ...process.env, PORT: String(port) },
    })
    const { code, stderr } = await started.then(
      (output) => ({ code: 0, stderr: output.stderr }),
      (error: unknown) => error as { code: number; stderr: string },
    )
    other.close()
    assert.deepEqual([code, stderr], [1, `Port ${port} is taken. Choose another one: PORT=1881 npm start\n`])
  })

  it('produce the right answers when their buttons are pressed (npm start -- --once)', async function () {
    this.timeout(180_000)
    const stdout = await start('start.mjs', '--once')
    assert.match(stdout, /nothing left this machine/)
    assert.deepEqual(shownAnswers(), [answersOf(stdout)], 'README.md shows other answers')
  })

  describe('deployed one by one in a real Node-RED (scripts/boot.mjs)', () => {
    let report: string[] = []

    before('run the course', async function () {
      this.timeout(180_000)
      report = (await start('boot.mjs', '.')).split('\n')
    })

    for (const name of files) {
      it(`send exactly the expected messages to the sandbox: "${name}"`, () => {
        const title = `example "${path.basename(name, '.json')}"`
        const from = report.findIndex((line) => /^(ok|NOT) /.test(line) && line.includes(title))
        const problems = report.slice(from).findIndex((line, index) => index > 0 && !line.startsWith('    '))
        assert.ok(report[from]?.startsWith('ok '), report.slice(from, from + problems).join('\n'))
      })
    }

    it('leave no warning in the log and no other error', () => {
      assert.deepEqual(
        report.filter((line) => line.startsWith('NOT')),
        [],
      )
      assert.ok(report.some((line) => line.startsWith('ok  warnings')))
    })
  })
})
