import type { Problem } from '../errors'
import { getAt, isObject, type Json, type JsonObject } from './json'

/** Redox's references have less than a hundred characters. */
export const LONGEST_URL = 2000

/**
 * Whether every reader of a URL takes it for the same: in `https://one.example\@other.example/`, some read the one
 * host and some the other. `data:` and `blob:` have no host, but an origin: `null`, or that of another URL inside.
 */
export function isPlainUrl(text: string): boolean {
  if (text.length > LONGEST_URL || !URL.canParse(text)) return false
  const { href, origin, protocol, host, username, password } = new URL(text)
  return href === text && origin === `${protocol}//${host}` && username === '' && password === ''
}

/** A URL that points to one of these origins, and to no other for any reader. */
export const isPlainUrlOf = (text: string, origins: string[]): boolean =>
  isPlainUrl(text) && origins.includes(new URL(text).origin)

// Readers of URLs leave these out, or stop there.
const BLANK = /[\s\p{Cc}]/gu
const HEAD = 100

/** The beginning of a text as a reader of URLs may see it. */
const headOf = (text: string): string => text.slice(0, HEAD).replace(BLANK, '')

const isWebUrl = (text: string): boolean => /^https?:/i.test(headOf(text))

// ---- FHIR -----------------------------------------------------------------------------------------------

// Their `url` is a name, and leads to no file.
const EXTENSIONS = new Set(['extension', 'modifierExtension'])

/**
 * The Attachments of some entries whose `url` different programs may read differently. FHIR allows a file on any
 * server, a relative reference (`Binary/1`), and a URN.
 */
export function attachmentProblems(entries: JsonObject[]): Problem[] {
  const problems: Problem[] = []
  entries.forEach(({ resource }, index) => walk(resource, `entry[${index}].resource`, true, problems))
  return problems
}

/** @param isNamed its `url` is its name: that of a resource or an extension */
function walk(value: Json | undefined, path: string, isNamed: boolean, problems: Problem[]): void {
  if (Array.isArray(value)) value.forEach((one, at) => walk(one, `${path}[${at}]`, isNamed, problems))
  else if (isObject(value)) {
    const { url } = value
    if (!isNamed && typeof url === 'string' && !isReadAlike(url)) problems.push(unclear(`${path}.url`))
    for (const name in value) {
      const one = value[name]
      if (typeof one !== 'object') continue
      const isResource = isObject(one) && 'resourceType' in one
      walk(one, `${path}.${name}`, isResource || name === 'contained' || EXTENSIONS.has(name), problems)
    }
  }
}

function isReadAlike(url: string): boolean {
  // Without a protocol, it takes that of the page it stands in: another server all the same.
  if (isWebUrl(url) || /^[\\/]{2}/.test(headOf(url))) return isPlainUrl(url)
  return !/[\\\s\p{Cc}]/u.test(url)
}

const unclear = (path: string): Problem => ({
  path,
  problem: 'is a URL that programs read differently',
  fix: 'Provide exactly what new URL(url).href returns, without a user name and password.',
})

// ---- Data Model -----------------------------------------------------------------------------------------

/**
 * The files of a Data Model message that its data refers to and that are not at these origins: Redox fetches what such
 * a reference names, or hands it on.
 */
export function contentProblems(body: JsonObject, origins: string[]): Problem[] {
  const orders = listOf(body.Orders)
  return [
    ...problemsOfFile(getAt(body, ['Note', 'FileContents']), 'Note.FileContents', origins, isTextNote(body)),
    ...problemsOfFile(getAt(body, ['Media', 'FileContents']), 'Media.FileContents', origins, false),
    ...orders.flatMap((order, at) =>
      listOf(getAt(order, ['Results'])).flatMap((result, index) => {
        const path = `Orders[${at}].Results[${index}]`
        const isText = getAt(result, ['ValueType']) !== 'Encapsulated Data'
        return problemsOfFile(getAt(result, ['Value']), `${path}.Value`, origins, isText)
      }),
    ),
  ]
}

const listOf = (value: Json | undefined): Json[] => (Array.isArray(value) ? value : [])

const isTextNote = (body: JsonObject): boolean =>
  ['Plain Text', 'Rich Text'].some((type) => type === getAt(body, ['Note', 'ContentType']))

function problemsOfFile(
  content: Json | undefined,
  path: string,
  origins: string[],
  isText: boolean,
): Problem[] {
  if (typeof content !== 'string' || !isWebUrl(content) || isPlainUrlOf(content, origins)) return []
  // A text may name any page. What names Redox's own host is a reference to a file there, or wants to be taken for one.
  if (isText && (isPlainUrl(content) || !isReference(content, origins))) return []
  return [
    {
      path,
      problem: "is a URL, but no file reference on this connection's Redox hosts",
      fix: 'Provide the reference that a redox-upload node with the same redox-config emitted, exactly as it is.',
    },
  ]
}

/** A text that is nothing but a URL with the name of such a host in it. */
function isReference(text: string, origins: string[]): boolean {
  const whole = text.slice(0, LONGEST_URL).trim().toLowerCase()
  const hosts = origins.flatMap((origin) => origin.split('://')[1] ?? [])
  return !/\s/.test(whole) && hosts.some((host) => whole.includes(host))
}
