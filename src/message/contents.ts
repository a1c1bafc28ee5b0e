import { getAt, isObject, type Json, type JsonObject, type Path } from './json'

/** Content of a file inside a message: base64, text, or a URL. */
export interface ContentOfFile {
  path: Path
  content: string
  /** true for the text of a note, which is not base64 */
  isText: boolean
  /** true for the URL of a file */
  isUrl: boolean
  /** content type that the message itself names */
  contentType?: string
}

/** Returns the contents of all files in the body of a message. */
export const fileContentsIn = (api: 'datamodel' | 'fhir', body: JsonObject): ContentOfFile[] =>
  api === 'fhir' ? inBundle(body) : inDataModel(body)

// ---- Data Model -----------------------------------------------------------------------------------------

const WEB_URL = /^\s*https?:/i

function inDataModel(body: JsonObject): ContentOfFile[] {
  const isTextNote = ['Plain Text', 'Rich Text'].some((type) => type === getAt(body, ['Note', 'ContentType']))
  const paths: [path: Path, isText: boolean][] = [
    [['Note', 'FileContents'], isTextNote],
    [['Media', 'FileContents'], false],
  ]
  listOf(body.Orders).forEach((order, at) =>
    listOf(getAt(order, ['Results'])).forEach((result, index) => {
      // Other results are values that were measured, not files.
      if (getAt(result, ['ValueType']) === 'Encapsulated Data')
        paths.push([['Orders', at, 'Results', index, 'Value'], false])
    }),
  )
  return paths.flatMap(([path, isText]) => {
    const content = getAt(body, path)
    if (typeof content !== 'string' || content === '') return []
    return [{ path, content, isText, isUrl: !isText && WEB_URL.test(content) }]
  })
}

const listOf = (value: Json | undefined): Json[] => (Array.isArray(value) ? value : [])

// ---- FHIR -----------------------------------------------------------------------------------------------

// The `url` of a resource or an extension is its name, not the address of a file.
const NAMED = new Set(['resource', 'contained', 'extension', 'modifierExtension'])

/** Returns the contents of Attachments and Binary resources, and of other elements that hold base64 as they do. */
function inBundle(bundle: JsonObject): ContentOfFile[] {
  const found: ContentOfFile[] = []
  collect(bundle.entry, ['entry'], false, found)
  return found
}

/** @param isNamed true if `url` of this value is its name */
function collect(value: Json | undefined, path: Path, isNamed: boolean, found: ContentOfFile[]): void {
  if (Array.isArray(value)) value.forEach((one, at) => collect(one, [...path, at], isNamed, found))
  else if (isObject(value)) {
    found.push(...contentsOf(value, path, isNamed))
    for (const name in value)
      if (typeof value[name] === 'object') collect(value[name], [...path, name], NAMED.has(name), found)
  }
}

function contentsOf(element: JsonObject, path: Path, isNamed: boolean): ContentOfFile[] {
  const { data, url, contentType } = element
  // SampledData has numbers in `data` (hl7.org/fhir/R4/datatypes.html#SampledData).
  const isSampled = 'dimensions' in element
  const type = typeof contentType === 'string' && contentType !== '' ? { contentType } : {}
  const common = { isText: false, ...type }
  return [
    ...(typeof data === 'string' && data !== '' && !isSampled
      ? [{ path: [...path, 'data'], content: data, isUrl: false, ...common }]
      : []),
    ...(typeof url === 'string' && url !== '' && !isNamed
      ? [{ path: [...path, 'url'], content: url, isUrl: true, ...common }]
      : []),
  ]
}
