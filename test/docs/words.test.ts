/** Wording of the code: each type name has one meaning, and comments are in plain technical English. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import path from 'node:path'
import ts from 'typescript'
import { read, ROOT } from './pages'

const CODE = ['src', 'nodes', 'plugins', 'editor']
const ALL = [...CODE, 'scripts', 'bench', 'soak', 'test']

function filesIn(folders: string[], ending: RegExp): string[] {
  return folders.flatMap((folder) =>
    readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => ending.test(name) && !name.startsWith('fixtures'))
      .map((name) => path.posix.join(folder, name.split(path.sep).join('/'))),
  )
}

const isType = (statement: ts.Statement): statement is ts.DeclarationStatement & { name: ts.Identifier } =>
  ts.isInterfaceDeclaration(statement) ||
  ts.isTypeAliasDeclaration(statement) ||
  (ts.isClassDeclaration(statement) && statement.name !== undefined)

/** Files that declare a type at the top level, by the name of the type. */
function declaredTypes(files: string[]): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const file of files) {
    const source = ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest)
    for (const { name } of source.statements.filter(isType))
      found.set(name.text, [...(found.get(name.text) ?? []), file])
  }
  return found
}

/** Docstrings that begin with a question word instead of a noun or verb. */
const QUESTION = /\/\*\*\s*(?:\*\s*)?(?:What|Who|Whether)\b/g
const NO_SUBJECT = new RegExp(
  `\\b(?:${['who.ever', 'some.body', 'no.body', 'any.body'].join('|').replaceAll('.', '')})\\b`,
  'gi',
)

const lineOf = (text: string, index: number): number => text.slice(0, index).split('\n').length

function placesOf(pattern: RegExp): string[] {
  return filesIn(ALL, /\.(?:ts|mjs|cjs|html|sql)$/).flatMap((file) => {
    const text = read(file)
    return [...text.matchAll(pattern)].map(({ index, 0: found }) => `${file}:${lineOf(text, index)} ${found}`)
  })
}

describe('words of the code', () => {
  it('the name of a type has one meaning: it is declared once', () => {
    const several = [...declaredTypes(filesIn(CODE, /\.ts$/))]
      .filter(([, files]) => files.length > 1)
      .map(([name, files]) => `${name}: ${files.join(' ')}`)
    assert.deepEqual(several, [])
  })

  it('no docstring begins with What, Who or Whether', () => {
    assert.deepEqual(placesOf(QUESTION), [])
  })

  it('a sentence has a subject that a reader can point to', () => {
    assert.deepEqual(placesOf(NO_SUBJECT), [])
  })
})
