import { createPrivateKey, createPublicKey, X509Certificate, type KeyObject } from 'node:crypto'
import { RedoxError } from '../errors'
import { base64Digits, BEGINS_LIKE_JSON, isText, lenientJson, PEM_PRIVATE } from '../shared/key-formats'
import { conversionAdvice } from './key-formats'
import { completeJwk, type PrivateJwk } from './rsa-jwk'

export interface SigningKey {
  key: KeyObject
  /** RS384 for RSA keys, ES384 for EC keys (docs/redox-api.md#oauth-api-key) */
  algorithm: 'RS384' | 'ES384'
  /** `kid` of the JWK, if it has one */
  keyId?: string
}

const invalid = (problem: string): RedoxError =>
  new RedoxError('REDOX_CONFIGURATION', `Private key cannot be used: ${problem}`, {
    field: 'privateKey',
  })

const ENCRYPTED =
  'it is protected by a passphrase. Export it without one (openssl pkcs8 -topk8 -nocrypt -in key.pem).'
const PUBLIC = 'it is a public key. Paste the private key that belongs to it.'
const CERTIFICATE = 'it is a certificate. Paste the private key that belongs to it.'
const NEITHER =
  'it is neither PEM ("-----BEGIN PRIVATE KEY-----" to "-----END PRIVATE KEY-----") nor a JWK. Paste it again.'

/**
 * Reads a private key in all forms that people paste:
 * - PEM (PKCS#8, PKCS#1, SEC1) with line breaks, with the characters `\n` instead (escaped once or several times),
 *   without line breaks, or without its BEGIN and END lines
 * - JWK, alone or in a set; an RSA key may lack the primes
 * - base64 of each of these
 *
 * @param keyId `kid` of the key to take from a set
 * @throws RedoxError REDOX_CONFIGURATION, without any part of the key; for a foreign format with advice on its
 *   conversion
 */
export function readPrivateKey(text: string, keyId?: string): SigningKey {
  const pasted = text.replace(/^\uFEFF/, '').trim()
  if (pasted === '') throw invalid('it is empty. Paste the PKCS#8 PEM or the JWK that belongs to the key ID.')
  const advice = conversionAdvice(pasted)
  if (advice !== undefined) throw invalid(advice)
  if (pasted.includes('-----BEGIN')) return fromPem(pasted)
  if (BEGINS_LIKE_JSON.test(pasted)) return fromJson(pasted, keyId)
  const bytes = base64(pasted)
  return bytes === undefined ? refuseText(pasted) : fromBytes(bytes, keyId)
}

function refuseText(text: string): never {
  if (/^(\/|~\/|\.{1,2}\/|[A-Za-z]:\\)?[^\s"{}]+\.(pem|key|der|p8|jwk|json|txt)$/i.test(text))
    throw invalid('it is the path of a file. Paste the content of the file.')
  throw invalid(NEITHER)
}

function base64(text: string): Buffer | undefined {
  const digits = base64Digits(text)
  return digits === undefined ? undefined : Buffer.from(digits, 'base64')
}

/** Reads the base64 of a whole PEM or JWK, or of a key in DER. */
function fromBytes(bytes: Buffer, keyId: string | undefined): SigningKey {
  return isText(bytes.toString('latin1'))
    ? readPrivateKey(bytes.toString('utf8'), keyId)
    : fromDer(bytes, NEITHER)
}

// ---- PEM ------------------------------------------------------------------------------------------------

function fromPem(text: string): SigningKey {
  const unescaped = text.replace(/\\+r/g, '').replace(/\\+n/g, '\n')
  // The PEM block of a private key is searched first, because openssl writes an EC PARAMETERS block before it.
  const match =
    PEM_PRIVATE.exec(unescaped) ?? /-----BEGIN ?([A-Z0-9 ]+)-----([\s\S]*?)-----END ?\1-----/.exec(unescaped)
  if (!match) throw invalid('the PEM is incomplete, because its END line is missing. Copy all of it again.')
  const [, label, content] = match as unknown as [string, string, string]
  if (label.includes('REQUEST')) throw invalid(`it is a certificate request. ${OTHER_HALF}`)
  if (label.includes('PUBLIC')) throw invalid(PUBLIC)
  if (label.includes('CERTIFICATE')) throw invalid(CERTIFICATE)
  if (label.includes('ENCRYPTED') || content.includes('ENCRYPTED')) throw invalid(ENCRYPTED)
  return fromDer(Buffer.from(content, 'base64'), 'the PEM is damaged or incomplete. Copy all of it again.')
}

const OTHER_HALF = 'Paste the private key that it was made with.'
const ENCODINGS = ['pkcs8', 'pkcs1', 'sec1'] as const

/**
 * Reads a private key in DER.
 * @param otherwise error text if the bytes are not a key of any kind
 */
function fromDer(der: Buffer, otherwise: string): SigningKey {
  for (const type of ENCODINGS) {
    const key = attempt(() => createPrivateKey({ key: der, format: 'der', type }))
    if (key !== undefined) return { key, algorithm: algorithmOf(key) }
  }
  const advice = conversionAdvice(der.toString('latin1'))
  if (advice !== undefined) throw invalid(advice)
  if (hasEncryptionScheme(der)) throw invalid(ENCRYPTED)
  if (attempt(() => createPublicKey({ key: der, format: 'der', type: 'spki' }))) throw invalid(PUBLIC)
  if (attempt(() => new X509Certificate(der))) throw invalid(CERTIFICATE)
  throw invalid(otherwise)
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

// EncryptedPrivateKeyInfo (RFC 5958) begins with the object identifier of a PKCS#5 or PKCS#12 encryption scheme.
const SCHEMES = ['2a864886f70d0105', '2a864886f70d010c01']
const hasEncryptionScheme = (der: Buffer): boolean =>
  SCHEMES.some((scheme) => der.subarray(0, 32).toString('hex').includes(scheme))

// ---- JWK ------------------------------------------------------------------------------------------------

interface ParsedJwk extends PrivateJwk {
  kid?: unknown
}

function fromJson(text: string, keyId: string | undefined): SigningKey {
  const value = parseJson(text)
  if (typeof value === 'string') return readPrivateKey(value, keyId)
  const keys = Array.isArray(value) ? (value as unknown[]) : (value as { keys?: unknown } | null)?.keys
  return fromJwk(Array.isArray(keys) ? keyFromSet(keys, keyId) : value)
}

/** Parses JSON, or JSON inside a JSON string with escaped quotes. */
function parseJson(text: string): unknown {
  const value = lenientJson(text)
  if (value !== undefined) return value
  throw invalid('it begins like a JWK, but is not valid JSON. Copy all of it again.')
}

const isObject = (value: unknown): value is ParsedJwk => typeof value === 'object' && value !== null

function keyFromSet(keys: unknown[], keyId: string | undefined): unknown {
  const secret = keys.filter((key) => isObject(key) && key.d !== undefined)
  if (secret.length === 0)
    throw invalid('it is a key set (JWKS) of public keys (none has a "d"). Paste the private key.')
  const named = secret.filter((key) => keyId !== undefined && (key as ParsedJwk).kid === keyId)
  const found = named.length > 0 ? named : secret
  if (found.length === 1) return found[0]
  throw invalid(
    'it is a key set (JWKS) with several private keys. Paste the one JWK that belongs to the key ID, or set the key ' +
      'ID to the "kid" of one of them.',
  )
}

function fromJwk(value: unknown): SigningKey {
  if (!isObject(value) || typeof value.kty !== 'string')
    throw invalid('it is JSON, but not a JWK (it has no "kty"). Paste only the PEM or the JWK.')
  const { kty, kid } = value
  if (kty !== 'RSA' && kty !== 'EC') throw invalid(`${KINDS} The JWK has a different "kty".`)
  if (value.d === undefined) throw invalid('the JWK is a public key (it has no "d"). Paste the private one.')
  const key = attempt(() => createPrivateKey({ key: completeJwk(value), format: 'jwk' }))
  if (key === undefined) throw invalid('the JWK is damaged. Copy all of it again.')
  return { key, algorithm: algorithmOf(key), ...(typeof kid === 'string' && { keyId: kid }) }
}

// ---- Supported algorithms -------------------------------------------------------------------------------

const KINDS = 'Redox accepts RSA keys (RS384) and EC keys on the curve P-384 (ES384).'

function algorithmOf(key: KeyObject): SigningKey['algorithm'] {
  if (key.asymmetricKeyType === 'rsa') {
    if ((key.asymmetricKeyDetails?.modulusLength ?? 0) < 2048)
      throw invalid('RSA keys need at least 2048 bits.')
    return 'RS384'
  }
  // ES384 requires the curve P-384 (RFC 7518 section 3.4).
  const isEc = key.asymmetricKeyType === 'ec'
  if (isEc && createPublicKey(key).export({ format: 'jwk' }).crv === 'P-384') return 'ES384'
  throw invalid(KINDS)
}
