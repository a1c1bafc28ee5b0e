import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { RedoxError } from '../errors'

export interface SigningKey {
  key: KeyObject
  /** facts 2.3: RS384 for RSA keys, ES384 for EC keys */
  algorithm: 'RS384' | 'ES384'
  /** `kid` of a JWK that brings its own */
  keyId?: string
}

const invalid = (problem: string): RedoxError =>
  new RedoxError(
    'REDOX_CONFIGURATION',
    `The private key in the redox-config node cannot be used: ${problem}`,
    {
      field: 'privateKey',
    },
  )

/**
 * A private key as people paste it: PEM with real line breaks, with `\n` written out, or with the line breaks
 * lost in a one-line field; or a JWK.
 * @throws RedoxError REDOX_CONFIGURATION, without any part of the key
 */
export function readPrivateKey(text: string): SigningKey {
  const trimmed = text.trim()
  if (trimmed === '')
    throw invalid('it is empty. Paste the PKCS#8 PEM or the JWK that belongs to the key ID.')
  return trimmed.startsWith('{') ? fromJwk(trimmed) : fromPem(trimmed)
}

function fromJwk(text: string): SigningKey {
  let jwk: JsonWebKey & { kid?: unknown; keys?: unknown }
  try {
    jwk = JSON.parse(text) as typeof jwk
  } catch {
    throw invalid('it begins like a JWK, but is not valid JSON.')
  }
  if (jwk.keys !== undefined) throw invalid('it is a key set (JWKS). Paste the one private JWK out of it.')
  if (jwk.d === undefined) throw invalid('the JWK is a public key (it has no "d"). Paste the private one.')
  try {
    const key = createPrivateKey({ key: jwk, format: 'jwk' })
    return { key, algorithm: algorithmOf(key), ...(typeof jwk.kid === 'string' && { keyId: jwk.kid }) }
  } catch (error) {
    if (error instanceof RedoxError) throw error
    throw invalid('the JWK is damaged. Copy it again, whole.')
  }
}

function fromPem(text: string): SigningKey {
  const unescaped = text.replace(/\\r/g, '').replace(/\\n/g, '\n')
  // A private key goes first: openssl writes a block of EC PARAMETERS before it.
  const match =
    /-----BEGIN ([A-Z ]*PRIVATE KEY)-----([\s\S]*?)-----END \1-----/.exec(unescaped) ??
    /-----BEGIN ([A-Z ]+)-----([\s\S]*?)-----END \1-----/.exec(unescaped)
  if (!match) {
    throw invalid(
      'it is neither PEM ("-----BEGIN PRIVATE KEY-----" to "-----END PRIVATE KEY-----") nor a JWK.',
    )
  }
  const [, label, content] = match as unknown as [string, string, string]
  if (label.includes('PUBLIC') || label === 'CERTIFICATE') {
    throw invalid(`it is a ${label.toLowerCase()}. Paste the private key that belongs to it.`)
  }
  if (label.includes('ENCRYPTED') || content.includes('ENCRYPTED')) {
    throw invalid('it is protected by a passphrase. Export it without one (openssl pkcs8 -topk8 -nocrypt).')
  }
  const lines = content.replace(/\s+/g, '').match(/.{1,64}/g) ?? []
  try {
    const key = createPrivateKey(`-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`)
    return { key, algorithm: algorithmOf(key) }
  } catch (error) {
    if (error instanceof RedoxError) throw error
    throw invalid('the PEM is damaged or cut short. Copy it again, whole.')
  }
}

function algorithmOf(key: KeyObject): SigningKey['algorithm'] {
  if (key.asymmetricKeyType === 'rsa') {
    if ((key.asymmetricKeyDetails?.modulusLength ?? 0) < 2048)
      throw invalid('RSA keys need at least 2048 bits.')
    return 'RS384'
  }
  // ES384 signs with the curve P-384 and no other (RFC 7518 section 3.4).
  if (createPublicKey(key).export({ format: 'jwk' }).crv === 'P-384') return 'ES384'
  throw invalid('Redox takes RSA keys (RS384) and EC keys on the curve P-384 (ES384).')
}
