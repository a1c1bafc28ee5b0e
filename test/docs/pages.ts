/** Documentation pages and their contents. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

export const ROOT = path.join(__dirname, '../../..')

export const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8')

const pagesIn = (folder: string): string[] =>
  readdirSync(path.join(ROOT, folder)).flatMap((name) => (name.endsWith('.md') ? [`${folder}/${name}`] : []))

/** Paths of all pages, relative to the repository's root, except the decisions in docs/adr. */
export const PAGES = [
  ...['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md'],
  ...pagesIn('docs'),
  ...pagesIn('docs/design'),
]

export interface Block {
  page: string
  language: string
  text: string
}

const FENCED = /^( *)```(\w*)\n([^]*?)\n\1```$/gm

/** Fenced code blocks as a reader copies them, without the indentation of a surrounding list. */
export const BLOCKS: Block[] = PAGES.flatMap((page) =>
  [...read(page).matchAll(FENCED)].map(([, indent, language, text]) => ({
    ...{ page, language: language! },
    text: text!.replaceAll(new RegExp(`^${indent!}`, 'gm'), ''),
  })),
)

/** Commands of a code block; lines that end with a backslash are joined. */
export const commandsOf = ({ text }: Block): string[] =>
  text
    .replaceAll(/\\\n */g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')

/** Content of a page without code, because brackets and asterisks in code are not Markdown. */
export const proseOf = (page: string): string =>
  read(page)
    .replaceAll(FENCED, '')
    .replaceAll(/(`+)[^`]+?\1/g, '')

/** Anchors of the headings, by GitHub's rules. */
export function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>()
  for (const [, heading] of read(page)
    .replaceAll(FENCED, '')
    .matchAll(/^#+ (.+)$/gm)) {
    const plain = heading!.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const anchor = plain.replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-')
    let unique = anchor
    for (let count = 1; anchors.has(unique); count++) unique = `${anchor}-${count}`
    anchors.add(unique)
  }
  return anchors
}

/** Pattern for links to pages of the repository that are not in the npm package. */
const REPOSITORY = /^https:\/\/github\.com\/ehr-flows\/node-red-redox\/(?:blob|tree)\/main\/(.+)$/

/** Path (relative to the root) and anchor from a GitHub URL of this repository; undefined for any other URL. */
export const inRepository = (address: string): string | undefined => REPOSITORY.exec(address)?.[1]

/** Reason why a link of a page is broken; undefined if the link works or leads out of the repository. */
export function faultOf(page: string, target: string): string | undefined {
  const own = inRepository(target)
  if (own === undefined && /^[a-z]+:/.test(target)) return undefined
  const [place, anchor] = (own ?? target).split('#') as [string, string | undefined]
  const base = own === undefined ? path.dirname(page) : '.'
  const file = place === '' ? page : path.normalize(path.join(base, place))
  if (file.startsWith('..') || !existsSync(path.join(ROOT, file))) return 'no such file'
  if (anchor === undefined) return undefined
  return anchorsOf(file).has(anchor) ? undefined : 'no such heading'
}

/** Output of a command, in which placeholders replace the values that differ between runs. */
export const shapeOf = (text: string): string =>
  text
    .replaceAll(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g, '<uuid>')
    .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:<port>')
    .replaceAll(/ +/g, ' ')
    .trimEnd()

/** Lines with results in the output of `npm start`, sorted because their order differs between runs. */
export const answersOf = (text: string): string[] =>
  shapeOf(text)
    .split('\n')
    .filter((line) => line.includes(' HTTP ') || line.startsWith('The answers come'))
    .sort()

/** Lines with results in each output of `npm start` that the pages show. */
export const shownAnswers = (): string[][] =>
  BLOCKS.filter(({ text }) => text.includes('The answers come from the built-in sandbox')).map(({ text }) =>
    answersOf(text),
  )
