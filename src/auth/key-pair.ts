import { generateKeyPair, type JsonWebKey } from 'node:crypto'
import { promisify } from 'node:util'

export interface KeyPair {
  /** private key, PKCS#8 PEM */
  privateKey: string
  /** public key in the form that the Redox dashboard requires; `kid` is the thumbprint of the key (RFC 7638) */
  publicJwk: JsonWebKey & { kid: string; alg: string; use: string }
}

// Length of the RSA key in bits. Same strength as AES-128 (NIST SP 800-57). Such a key is generated in less than a
// second, outside the event loop.
const MODULUS_BITS = 3072

/** Generates an RSA key pair for the private-key JWT of an OAuth API key (docs/redox-api.md#oauth-api-key: RS384). */
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
