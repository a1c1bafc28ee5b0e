/** Fields for the file of a message: its source, name and type. */
import type { Condition, Field, Target } from './types'

/** Values of Redox's `FileType` (Data Model documentation) for the file types that senders use. */
const FILE_TYPES = ['PDF', 'JPG', 'PNG', 'TIFF', 'GIF', 'TEXT', 'RTF', 'XML', 'DOCX', 'DCM'] as const

const MIME_TYPES = [
  'application/pdf',
  'image/jpeg',
  'image/png',
  'image/tiff',
  'text/plain',
  'application/rtf',
] as const

export const FILE_SOURCES = ['message', 'path', 'none'] as const

export const WAYS = ['auto', 'embed', 'upload'] as const

/** APIs whose messages can refer to an uploaded file. */
export const UPLOAD_APIS = ['fhir', 'datamodel'] as const

export const WITH_FILE = { fileFrom: ['message', 'path'] } as const

/**
 * Returns the fields for the source of a file.
 * @param when condition under which a message contains a file
 * @param problemsAt paths in the message whose problems are shown at the field *File*
 */
export const fileRows = <const W extends Condition>(when: W, problemsAt: readonly string[] = []) =>
  [
    {
      name: 'fileFrom',
      kind: 'choice',
      icon: 'folder-open',
      options: FILE_SOURCES,
      when,
      checks: ['allowedFolder'],
    },
    fileRow({ ...when, ...WITH_FILE }, problemsAt),
  ] as const satisfies readonly Field[]

export const fileRow = <const W extends Condition>(when: W, problemsAt: readonly string[] = []) =>
  ({
    name: 'file',
    kind: 'typed',
    icon: 'file-o',
    types: ['msg', 'flow', 'global', 'jsonata', 'str', 'env'],
    value: 'payload',
    valueType: 'msg',
    when,
    checks: ['needed'],
    problemsAt,
  }) as const satisfies Field

/**
 * Returns the field for the name of a file.
 * @param target path in the message that the field fills if the message has no file
 */
export const filename = <const W extends Condition>(when: W, target: Target = {}) =>
  ({
    name: 'filename',
    kind: 'typed',
    icon: 'font',
    value: 'filename',
    valueType: 'msg',
    when,
    sample: 'sample.pdf',
    detected: true,
    ...target,
  }) as const satisfies Field

export const contentType = <const W extends Condition>(when: W) =>
  ({
    name: 'contentType',
    kind: 'typed',
    icon: 'file-code-o',
    when,
    suggest: MIME_TYPES,
    sample: null,
    detected: true,
  }) as const satisfies Field

export const redoxFileType = <const W extends Condition>(
  when: W,
  target: Target = {},
  problemsAt: readonly string[] = [],
) =>
  ({
    name: 'redoxFileType',
    kind: 'typed',
    icon: 'file-code-o',
    when,
    suggest: FILE_TYPES,
    sample: null,
    detected: true,
    problemsAt,
    ...target,
  }) as const satisfies Field

/** Returns the field that decides between embedding and uploading a file. */
export const way = <const W extends Condition>(when: W) =>
  ({
    name: 'way',
    kind: 'choice',
    icon: 'road',
    options: WAYS,
    when: { ...when, ...WITH_FILE },
  }) as const satisfies Field
