import { generateKeyPair, type JsonWebKey } from 'node:crypto'
import { promisify } from 'node:util'

export interface KeyPair {
  /** PKCS#8 PEM */
  privateKey: string
  /** what the Redox dashboard asks for: `kid` is the key's own thumbprint (RFC 7638) */
  publicJwk: JsonWebKey & { kid: string; alg: string; use: string }
}

// As strong as AES-128 (NIST SP 800-57), and made in well under a second, off the event loop.
const MODULUS_BITS = 3072

/** A new RSA key for the private-key JWT of an OAuth API key (docs/redox-api.md#oauth-api-key: RS384). */
export async function generateKeys(): Promise<KeyPair> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: MODULUS_BITS })
  const jwk = publicKey.export({ format: 'jwk' })
  const { calculateJwkThumbprint } = await import('jose')
  const kid = await calculateJwkThumbprint(jwk)
  return {
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    publicJwk: { kty: jwk.kty, kid, alg: 'RS384', use: 'sig', n: jwk.n, e: jwk.e } as KeyPair['publicJwk'],
  }
}
