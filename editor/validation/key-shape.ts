/**
 * Checks the format of a private key in the browser, where the crypto functions of src/auth/private-key.ts are not
 * available.
 */
import { VARIABLE } from '../../src/shared/formats'
import {
  base64Digits,
  BEGINS_LIKE_JSON,
  foreignFormat,
  isSshPublicKey,
  isText,
  lenientJson,
  PEM_PRIVATE,
} from '../../src/shared/key-formats'
import type { ValidationError } from './validation-error'

/** Placeholder for a secret that is stored on the server: the editor does not get its value. */
export const STORED = '__PWRD__'

// Start of a private key in DER: PKCS#8, PKCS#1 and SEC1 start with a version number. A public key and a certificate
// start with another sequence.
const DER_PRIVATE = /^0(\x80|[\x81-\x84][^]{1,4}|[^])\x02\x01[\0\x01][\x02\x040]/
const DER_PUBLIC = /^0(\x80|[\x81-\x84][^]{1,4}|[^])0/
// Object identifiers of PKCS#5 and PKCS#12 schemes in an EncryptedPrivateKeyInfo.
const DER_ENCRYPTED = /^0[^]{0,30}\x2A\x86\x48\x86\xF7\x0D\x01(\x05|\x0C\x01)/

export interface Jwk {
  kty?: unknown
  kid?: unknown
  d?: unknown
}

export function keyShape(value: string, keyId: string): ValidationError | undefined {
  const typed = value.trim()
  if (typed === '' || value === STORED || VARIABLE.test(typed)) return undefined
  const key = unwrapped(value)
  const format = foreignFormat(key)
  if (format !== undefined) return ['keyFormat', { format }]
  if (isSshPublicKey(key)) return ['publicKey']
  if (key.includes('-----BEGIN')) return pemShape(key)
  if (BEGINS_LIKE_JSON.test(key)) return jwkShape(jwksOf(key, keyId))
  return derShape(key)
}

/**
 * Returns the private JWKs of a key, or of a key set, with `undefined` in place of an element that is no private JWK.
 */
export function privateJwksOf(key: string): (Jwk | undefined)[] {
  return jwksOf(unwrapped(key), undefined)
}

/** Returns a key with base64 encoding and surrounding JSON quotes removed. */
function unwrapped(value: string): string {
  const key = value.replace(/^(\uFEFF|\xEF\xBB\xBF)/, '').trim()
  if (key.includes('-----BEGIN') || BEGINS_LIKE_JSON.test(key)) return key
  const content = decoded(key)
  if (content === undefined) return key
  return isText(content) ? unwrapped(content) : content
}

/**
 * Returns the decoded bytes of a base64 string, as a string with one character per byte; undefined for any other input.
 */
function decoded(key: string): string | undefined {
  const digits = base64Digits(key)
  if (digits === undefined) return undefined
  try {
    return atob(digits.replace(/-/g, '+').replace(/_/g, '/').replace(/=+$/, ''))
  } catch {
    return undefined
  }
}

/** Returns the value of a JSON string literal, even if its quotes are escaped several times. */
function jsonOf(key: string): unknown {
  const value = lenientJson(key)
  return typeof value === 'string' ? jsonOf(value) : value
}

function jwksOf(key: string, keyId: string | undefined): (Jwk | undefined)[] {
  const value = jsonOf(key) as Jwk | { keys?: unknown } | unknown[] | null | undefined
  const keys = Array.isArray(value) ? value : (value as { keys?: unknown } | null | undefined)?.keys
  if (!Array.isArray(keys)) return [(value as Jwk | null | undefined) ?? undefined]
  const secret = (keys as (Jwk | null)[]).filter((one): one is Jwk => one?.d !== undefined)
  const named = secret.filter(({ kid }) => kid === keyId)
  return named.length > 0 ? named : secret
}

function pemShape(key: string): ValidationError | undefined {
  if (/ENCRYPTED/.test(key)) return ['encryptedKey']
  if (PEM_PRIVATE.test(key)) return undefined
  return /-----BEGIN ?([A-Z ]*PUBLIC ?KEY|[A-Z ]*CERTIFICATE[A-Z ]*)-----/.test(key)
    ? ['publicKey']
    : ['keyShape']
}

function jwkShape(keys: (Jwk | undefined)[]): ValidationError | undefined {
  if (keys.length > 1) return ['keySet']
  if (keys.length === 0) return ['publicKey']
  const [jwk] = keys
  if (jwk?.kty !== 'RSA' && jwk?.kty !== 'EC') return ['keyShape']
  return jwk.d === undefined ? ['publicKey'] : undefined
}

function derShape(key: string): ValidationError | undefined {
  if (DER_PRIVATE.test(key)) return undefined
  if (DER_ENCRYPTED.test(key)) return ['encryptedKey']
  return DER_PUBLIC.test(key) ? ['publicKey'] : ['keyShape']
}
