import type { JsonWebKey } from 'node:crypto'

export type PrivateJwk = JsonWebKey

/**
 * Adds the optional members of a private RSA JWK (RFC 7518 section 6.3.2: p, q, dp, dq and qi), which Node.js requires.
 * Other JWKs, and those with inconsistent numbers, are returned unchanged.
 */
export function completeJwk(jwk: PrivateJwk): PrivateJwk {
  const { kty, n, e, d } = jwk
  const isWhole = [jwk.p, jwk.q, jwk.dp, jwk.dq, jwk.qi].every((part) => part !== undefined)
  if (kty !== 'RSA' || isWhole || n === undefined || e === undefined || d === undefined) return jwk
  const exponent = toNumber(d)
  const primes = primesOf(toNumber(n), toNumber(e), exponent)
  if (primes === undefined) return jwk
  const [p, q] = primes
  const parts = { p, q, dp: exponent % (p - 1n), dq: exponent % (q - 1n), qi: inverse(q, p) }
  const texts = Object.entries(parts).map(([name, value]) => [name, toText(value)])
  return { ...jwk, ...(Object.fromEntries(texts) as PrivateJwk) }
}

const toNumber = (text: string): bigint => BigInt(`0x0${Buffer.from(text, 'base64').toString('hex')}`)

function toText(value: bigint): string {
  const hex = value.toString(16)
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url')
}

// Limit for g, the greatest common divisor of p-1 and q-1, both of which are even. At most one key in some thousands
// has a greater g. g = 1 covers a private exponent d that was computed from (p-1)(q-1).
const MAX_DIVISOR = 4096n

/**
 * Computes the primes of n from the private exponent. e*d-1 is a multiple of lcm(p-1, q-1) = (p-1)(q-1)/g, and
 * (p-1)(q-1) is nearly n, so one division for each g finds the multiple, in microseconds. The usual algorithm (NIST SP
 * 800-56B, appendix C) exponentiates numbers of thousands of bits, which would block the event loop.
 */
function primesOf(n: bigint, e: bigint, d: bigint): [bigint, bigint] | undefined {
  if (n <= 0n) return undefined
  const multiple = e * d - 1n
  for (let g = 1n; g <= MAX_DIVISOR; g += g === 1n ? 1n : 2n) {
    const about = (g * multiple) / n
    for (const count of [about, about + 1n]) {
      if (count <= 0n || (g * multiple) % count !== 0n) continue
      const primes = withSum(n, n + 1n - (g * multiple) / count)
      if (primes !== undefined) return primes
    }
  }
  return undefined
}

/** Computes two numbers from their product and their sum. */
function withSum(product: bigint, sum: bigint): [bigint, bigint] | undefined {
  const square = sum * sum - 4n * product
  if (square < 0n) return undefined
  const difference = root(square)
  const larger = (sum + difference) / 2n
  const smaller = sum - larger
  return smaller > 1n && larger * smaller === product ? [larger, smaller] : undefined
}

/** Integer part of the square root, by Newton's method from above. */
function root(value: bigint): bigint {
  let guess = 1n << BigInt(Math.ceil(value.toString(2).length / 2) + 1)
  for (;;) {
    const better = (guess + value / guess) / 2n
    if (better >= guess) return guess
    guess = better
  }
}

/** Modular inverse, by the extended Euclidean algorithm. */
function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b] = [value % modulus, modulus]
  let [x, y] = [1n, 0n]
  while (b !== 0n) {
    const quotient = a / b
    ;[a, b] = [b, a - quotient * b]
    ;[x, y] = [y, x - quotient * y]
  }
  return ((x % modulus) + modulus) % modulus
}
