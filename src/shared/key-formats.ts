/** Patterns of the first characters of keys and key files. Bytes are decoded as latin1, one character for each byte. */

export type ForeignFormat =
  'OpenSSH' | 'PuTTY' | 'PGP' | 'PKCS#12' | 'PKCS#7' | 'Java key store' | 'XML (.NET)'

/** Formats of private keys that Node.js cannot read. */
const FOREIGN: [pattern: RegExp, format: ForeignFormat][] = [
  [/-----BEGIN ?OPENSSH PRIVATE ?KEY-----|^openssh-key-v1\0/, 'OpenSSH'],
  [/^PuTTY-User-Key-File-/, 'PuTTY'],
  [/-----BEGIN PGP /, 'PGP'],
  // PFX (RFC 7292): an ASN.1 sequence that begins with version 3, followed by another sequence.
  [/^0(\x80|[\x81-\x84][^]{1,4})?\x02\x01\x030/, 'PKCS#12'],
  [/-----BEGIN ?(PKCS7|CMS)-----/, 'PKCS#7'],
  [/^(\xFE\xED\xFE\xED|\xCE\xCE\xCE\xCE)/, 'Java key store'],
  [/<RSAKeyValue>/, 'XML (.NET)'],
]
const SSH_PUBLIC = /^(ssh-(rsa|dss|ed25519)|ecdsa-sha2-\S+) |-{4,5} ?BEGIN SSH2 PUBLIC KEY/

/** Returns the format of a private key that Node.js cannot read; undefined for any other input. */
export const foreignFormat = (content: string): ForeignFormat | undefined =>
  FOREIGN.find(([pattern]) => pattern.test(content))?.[1]

export const isSshPublicKey = (content: string): boolean => SSH_PUBLIC.test(content)

/** PEM block with a private key, whose line breaks may be missing. Capturing groups: label, content. */
export const PEM_PRIVATE = /-----BEGIN ?([A-Z ]*PRIVATE ?KEY)-----([^]*?)-----END ?\1-----/

/** Beginning of a JWK or a JWK set, which may also be inside a JSON string. */
export const BEGINS_LIKE_JSON = /^["'\s\\]*[{[]/

// Minimum length of a key. Shorter strings cannot be keys: the smallest key that Redox accepts has 185 bytes.
const MIN_BASE64 = 100

/** Returns the base64 digits of a string, without quotes and line breaks; undefined if the string is not base64. */
export function base64Digits(text: string): string | undefined {
  const digits = text.replace(/^["']|["']$/g, '').replace(/\s+|\\+[nr]/g, '')
  return digits.length >= MIN_BASE64 && /^[A-Za-z0-9+/_-]+={0,2}$/.test(digits) ? digits : undefined
}

/** Returns true if decoded base64 is text, such as a PEM or a JWK, and not binary data (DER). */
export const isText = (latin1: string): boolean => /^[\t\r\n -~]+$/.test(latin1.replace(/^\xEF\xBB\xBF/, ''))

/** Parses JSON, or JSON inside a JSON string whose quotes are escaped. Returns undefined for any other input. */
export function lenientJson(text: string): unknown {
  return parsed(text) ?? parsed(text.replace(/\\+[nr]/g, ' ').replace(/\\+"/g, '"'))
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
