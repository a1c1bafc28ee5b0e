/** Waits in the tests: tests wait for conditions, and the few waits for a fixed time have a comment with the reason. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import ts from 'typescript'

const TESTS = path.join(__dirname, '../../../test')
/** Longest wait in milliseconds that is allowed without a reason. */
const SHORT_MS = 200
const MOST = 5
/** Number of lines above a wait in which a comment counts as its reason. */
const NEAR = 4

interface Wait {
  place: string
  /** duration of the wait; undefined if the source code does not show it */
  milliseconds: number | undefined
  hasReason: boolean
}

describe('fixed waits of the tests', () => {
  const waits = sourcesIn(TESTS).flatMap((file) =>
    waitsIn(path.relative(TESTS, file), readFileSync(file, 'utf8')),
  )
  const long = waits.filter(({ milliseconds }) => milliseconds === undefined || milliseconds > SHORT_MS)

  it(`above ${SHORT_MS} ms are at most ${MOST}`, () => {
    assert.ok(long.length <= MOST, long.map(({ place }) => place).join('\n'))
  })

  it(`above ${SHORT_MS} ms have a comment with the reason`, () => {
    assert.deepEqual(
      long.filter(({ hasReason }) => !hasReason).map(({ place }) => place),
      [],
    )
  })

  it('are found in each syntax', () => {
    const text = `
      import { setTimeout as pause } from 'node:timers/promises'
      const HALF_MS = 500
      await pause(2 * HALF_MS)
      await pause(100)
      // A reason.
      await new Promise((resolve) => setTimeout(resolve, 300))
      await page.waitForTimeout(1_500)
      await pause(unknown)
      const limit = setTimeout(() => stop(), 60_000)
    `
    const found = waitsIn('x.ts', text).map(({ milliseconds, hasReason }) => [milliseconds, hasReason])
    assert.deepEqual(found, [
      [1000, false],
      [100, false],
      [300, true],
      [1500, true],
      [undefined, true],
    ])
  })
})

function sourcesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.startsWith('fixtures'))
    .map((file) => path.join(folder, file))
}

function waitsIn(name: string, text: string): Wait[] {
  const source = ts.createSourceFile(name, text, ts.ScriptTarget.ES2022, true)
  const lines = text.split('\n')
  const nodes = allOf(source)
  const constants = constantsIn(nodes)
  const sleeps = sleepsImportedIn(nodes)
  return nodes.filter(ts.isCallExpression).flatMap((call) => {
    const time = timeOf(call, sleeps)
    if (time === undefined) return []
    const { line } = source.getLineAndCharacterOfPosition(call.getStart())
    const above = lines.slice(Math.max(0, line - NEAR), line + 1)
    return {
      place: `${name}:${line + 1}: ${lines[line]!.trim()}`,
      milliseconds: valueOf(time, constants),
      hasReason: above.some((one) => one.includes('//')),
    }
  })
}

function allOf(node: ts.Node): ts.Node[] {
  const all = [node]
  ts.forEachChild(node, (child) => void all.push(...allOf(child)))
  return all
}

/** Names under which a file imports `setTimeout` from `node:timers/promises`. */
function sleepsImportedIn(nodes: ts.Node[]): Set<string> {
  const imported = nodes.filter(ts.isImportDeclaration).filter(({ moduleSpecifier }) => {
    return ts.isStringLiteral(moduleSpecifier) && moduleSpecifier.text.endsWith('timers/promises')
  })
  const names = imported.flatMap((one) => allOf(one).filter(ts.isImportSpecifier))
  return new Set(
    names
      .filter(({ name, propertyName = name }) => propertyName.text === 'setTimeout')
      .map(({ name }) => name.text),
  )
}

/** Expression for the duration of a wait; undefined if the call is not a wait, or a timeout that can be cleared. */
function timeOf(
  { expression, arguments: given, parent }: ts.CallExpression,
  sleeps: Set<string>,
): ts.Expression | undefined {
  if (ts.isPropertyAccessExpression(expression))
    return expression.name.text === 'waitForTimeout' ? given[0] : undefined
  if (!ts.isIdentifier(expression)) return undefined
  if (sleeps.has(expression.text)) return given[0]
  const isKept = ts.isVariableDeclaration(parent) || ts.isBinaryExpression(parent)
  return expression.text === 'setTimeout' && !isKept ? given[1] : undefined
}

function constantsIn(nodes: ts.Node[]): Map<string, ts.Expression> {
  const declared = nodes.filter(ts.isVariableDeclaration)
  return new Map(
    declared.flatMap(({ name, initializer }) =>
      ts.isIdentifier(name) && initializer ? [[name.text, initializer] as const] : [],
    ),
  )
}

function valueOf(node: ts.Expression, constants: Map<string, ts.Expression>): number | undefined {
  if (ts.isNumericLiteral(node)) return Number(node.text)
  if (ts.isIdentifier(node)) {
    const constant = constants.get(node.text)
    return constant && valueOf(constant, constants)
  }
  // `Math.random()` counts as its upper bound.
  if (node.getText() === 'Math.random()') return 1
  if (!ts.isBinaryExpression(node)) return undefined
  const [left, right] = [valueOf(node.left, constants), valueOf(node.right, constants)]
  if (left === undefined || right === undefined) return undefined
  const operator = node.operatorToken.kind
  if (operator === ts.SyntaxKind.AsteriskToken) return left * right
  return operator === ts.SyntaxKind.PlusToken ? left + right : undefined
}
