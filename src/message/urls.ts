import type { Problem } from '../errors'
import { getAt, isObject, type Json, type JsonObject } from './json'

/** Maximum length of a URL in characters. File references of Redox have fewer than 100. */
export const LONGEST_URL = 2000

/**
 * Returns true if all URL parsers interpret a URL in the same way. In `https://one.example\@other.example/` they
 * disagree about the host. `data:` and `blob:` URLs have no host, but an origin: `null`, or that of an inner URL.
 */
export function isPlainUrl(text: string): boolean {
  if (text.length > LONGEST_URL || !URL.canParse(text)) return false
  const { href, origin, protocol, host, username, password } = new URL(text)
  return href === text && origin === `${protocol}//${host}` && username === '' && password === ''
}

/** Returns true if all URL parsers find one of the given origins in a URL. */
export const isPlainUrlOf = (text: string, origins: string[]): boolean =>
  isPlainUrl(text) && origins.includes(new URL(text).origin)

// URL parsers remove these characters, or end the URL at them.
const BLANK = /[\s\p{Cc}]/gu
const HEAD = 100

/** Beginning of a string as a URL parser may read it, without white space and control characters. */
const headOf = (text: string): string => text.slice(0, HEAD).replace(BLANK, '')

const isWebUrl = (text: string): boolean => /^https?:/i.test(headOf(text))

// ---- FHIR -----------------------------------------------------------------------------------------------

// The `url` of an extension is its name, not the address of a file.
const EXTENSIONS = new Set(['extension', 'modifierExtension'])

/**
 * Reports Attachments in Bundle entries whose `url` may be interpreted differently by different programs. FHIR allows a
 * file on any server, a relative reference (`Binary/1`) and a URN.
 */
export function attachmentProblems(entries: JsonObject[]): Problem[] {
  const problems: Problem[] = []
  entries.forEach(({ resource }, index) => walk(resource, `entry[${index}].resource`, true, problems))
  return problems
}

/**
 * Searches a value, and all values inside it, for Attachments.
 * @param isNamed true if `url` of this value is its canonical name, as in a resource or an extension
 */
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
  // A URL without a protocol (`//host/…`) inherits the protocol of its document, but still names another server.
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
 * Reports URLs in the file fields of a Data Model message that are not on the given origins, because Redox may fetch
 * the file from such a URL or forward the URL.
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
  // Text may mention any page. A string that consists only of a URL on a Redox host is a file reference, or could be
  // mistaken for one.
  if (isText && (isPlainUrl(content) || !isReference(content, origins))) return []
  return [
    {
      path,
      problem: "is a URL, but no file reference on this connection's Redox hosts",
      fix: 'Provide the reference that a redox-upload node with the same redox-config emitted, exactly as it is.',
    },
  ]
}

/** Returns true if a string consists only of a URL that contains the name of one of the hosts. */
function isReference(text: string, origins: string[]): boolean {
  const whole = text.slice(0, LONGEST_URL).trim().toLowerCase()
  const hosts = origins.flatMap((origin) => origin.split('://')[1] ?? [])
  return !/\s/.test(whole) && hosts.some((host) => whole.includes(host))
}
