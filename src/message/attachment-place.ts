import { present } from '../shared/present'
import { badInput } from '../errors'
import { getAt, isObject, parsePath, type JsonObject, type Path } from './json'

/**
 * Place of the files in a FHIR message: an Attachment in a Bundle entry (any resource may have Attachments:
 * docs/redox-api.md#attachments). Examples, as strings:
 *
 * - `presentedForm[]`: in the main resource of the message
 * - `DocumentReference.content[].attachment`: in the resource of that type: the main resource, or the only one of the
 *   type
 * - `Media[1].content`: in the second resource of that type
 * - `entry[3].resource.photo[]`: in that entry of the sent Bundle, counted from 0
 *
 * `[]` marks a list to which one element is added for each file.
 */
export interface AttachmentPlace {
  entry:
    | { kind: 'main' }
    /** `nth`: position among the resources of this type, counted from 0 */
    | { kind: 'type'; type: string; nth?: number }
    | { kind: 'index'; index: number }
  /** path of the list in the resource, and path of the Attachment inside a list element */
  list?: { before: Path; after: Path }
  /** path of the single Attachment, if there is no list */
  element?: Path
}

const shape = (text: string): Error =>
  badInput(
    `Attachment path is not valid: "${text}". Use, for example, presentedForm[] or DocumentReference.content[].attachment.`,
  )

/**
 * Parses the string form of an attachment place.
 * @throws RedoxError REDOX_BAD_INPUT
 */
export function parsePlace(text: string): AttachmentPlace {
  const byIndex = /^entry\[(\d+)\]\.resource\.(.+)$/.exec(text)
  const byType = /^([A-Z][A-Za-z]*)(?:\[(\d+)\])?\.(.+)$/.exec(text)
  if (byIndex) {
    const [, index, rest = ''] = byIndex
    return { entry: { kind: 'index', index: Number(index) }, ...element(rest, text) }
  }
  if (byType) {
    const [, type = '', nth, rest = ''] = byType
    return {
      entry: {
        kind: 'type',
        type,
        ...(nth !== undefined && { nth: Number(nth) }),
      },
      ...element(rest, text),
    }
  }
  return { entry: { kind: 'main' }, ...element(text, text) }
}

function element(path: string, whole: string): Pick<AttachmentPlace, 'list' | 'element'> {
  const [before, after, ...more] = path.split('[]')
  if (before === undefined || before === '' || more.length > 0) throw shape(whole)
  if (after === undefined) return { element: parsePath(before) }
  if (after !== '' && !after.startsWith('.')) throw shape(whole)
  return { list: { before: parsePath(before), after: after === '' ? [] : parsePath(after.slice(1)) } }
}

const isFilled = (attachment: unknown): boolean =>
  isObject(attachment) && (attachment.data !== undefined || attachment.url !== undefined)

/**
 * Paths inside a resource for `count` files: first list elements without data or url, then new elements. Elements with
 * data or url are never replaced.
 * @throws RedoxError REDOX_BAD_INPUT
 */
export function attachmentPaths(resource: JsonObject, place: AttachmentPlace, count: number): Path[] {
  if (place.element) {
    if (count > 1) {
      throw badInput(
        `Attachment takes one file, but the message has ${count}. Enter a list in the Attachment path field, e.g. presentedForm[].`,
      )
    }
    if (isFilled(getAt(resource, place.element)))
      throw badInput(
        'Attachment is already filled: it has data or a url. Remove them, or enter a different place in the Attachment path field.',
      )
    return [place.element]
  }
  const { before, after } = present(place.list, 'the list of attachments')
  const elements = getAt(resource, before)
  const length = Array.isArray(elements) ? elements.length : 0
  const free = Array.from({ length }, (_, index): Path => [...before, index, ...after]).filter(
    (path) => !isFilled(getAt(resource, path)),
  )
  const added = Array.from({ length: count }, (_, index): Path => [...before, length + index, ...after])
  return [...free, ...added].slice(0, count)
}
