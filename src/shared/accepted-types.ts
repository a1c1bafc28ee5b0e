/** The setting *Accept only* of a connection: content types of the files that may leave. */

/**
 * Content types that the bytes of a file can prove. Formats that share their signature with others (Office files and
 * other ZIP or OLE containers, XML, HTML, audio, video) are not in the list, because their bytes also fit other types.
 */
export const PROVABLE_TYPES = [
  'application/pdf',
  'image/jpeg',
  'image/png',
  'image/tiff',
  'image/gif',
  'image/webp',
  'image/heic',
  'image/avif',
  'application/dicom',
  'application/rtf',
  'text/plain',
] as const

/** Returns the content types in a setting: separated by commas, semicolons, white space or line breaks. */
export const acceptedTypesIn = (setting: string): string[] => [
  ...new Set(
    setting
      .toLowerCase()
      .split(/[\s,;]+/)
      .filter((type) => type !== ''),
  ),
]

/** Returns the first content type that the bytes of a file cannot prove; undefined if there is none. */
export const unprovableType = (types: readonly string[]): string | undefined =>
  types.find((type) => !(PROVABLE_TYPES as readonly string[]).includes(type))
