/** The pages that people read, and what stands in them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

export const ROOT = path.join(__dirname, '../../..')

export const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8')

const pagesIn = (folder: string): string[] =>
  readdirSync(path.join(ROOT, folder)).flatMap((name) => (name.endsWith('.md') ? [`${folder}/${name}`] : []))

/** Paths from the root; decisions (docs/adr) are for those who work on the package. */
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

/** What is fenced, as a reader copies it: without the indentation of the list that it stands in. */
export const BLOCKS: Block[] = PAGES.flatMap((page) =>
  [...read(page).matchAll(FENCED)].map(([, indent, language, text]) => ({
    ...{ page, language: language! },
    text: text!.replaceAll(new RegExp(`^${indent!}`, 'gm'), ''),
  })),
)

/** The commands of a block; one may go over several lines. */
export const commandsOf = ({ text }: Block): string[] =>
  text
    .replaceAll(/\\\n */g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')

/** Without code, in which brackets and stars are no Markdown. */
export const proseOf = (page: string): string =>
  read(page)
    .replaceAll(FENCED, '')
    .replaceAll(/(`+)[^`]+?\1/g, '')

/** As GitHub makes them. */
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

/** Pages of the repository that are not shipped, as the shipped ones link to them. */
const REPOSITORY = /^https:\/\/github\.com\/ehr-flows\/node-red-redox\/(?:blob|tree)\/main\/(.+)$/

/** The path from the root, with anchor, that an address in this repository on GitHub means; undefined: any other. */
export const inRepository = (address: string): string | undefined => REPOSITORY.exec(address)?.[1]

/** Why a link of a page leads nowhere; undefined if it leads somewhere, or out of the repository. */
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

/** What differs from run to run. */
export const shapeOf = (text: string): string =>
  text
    .replaceAll(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g, '<uuid>')
    .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:<port>')
    .replaceAll(/ +/g, ' ')
    .trimEnd()

/** The lines of `npm start` that say what came of each button; they come in any order. */
export const answersOf = (text: string): string[] =>
  shapeOf(text)
    .split('\n')
    .filter((line) => line.includes(' HTTP ') || line.startsWith('The answers come'))
    .sort()

/** What a page shows of the output of `npm start`. */
export const shownAnswers = (): string[][] =>
  BLOCKS.filter(({ text }) => text.includes('The answers come from the built-in sandbox')).map(({ text }) =>
    answersOf(text),
  )
