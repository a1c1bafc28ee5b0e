/** Formats of private keys that a user can paste: accepted ones, errors for others, and the sentences of the dialog. */
import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto'
import { readPrivateKey } from '../../src/auth/private-key'
import { dialogValidators } from '../lib/dialog-scripts'
import { failing } from '../lib/redox'

const validators = dialogValidators((key) => key)

/** Result of the connection dialog's validator for a private key: true, or the catalogue key of a sentence. */
function inDialog(privateKey: string): true | string {
  const node = { environment: 'Development', auth: 'oauth', keyId: 'key-1', credentials: { privateKey } }
  return validators.of('redox-config', 'privateKey').call(node, '')
}

/** Runtime error and the dialog's sentence for the same fault; true if only the runtime finds the fault. */
const SENTENCES: [server: RegExp, dialog: true | string][] = [
  [/several private keys/, 'keySet'],
  [/passphrase\. /, 'encryptedKey'],
  [/ public key| public one|certificate\.|certificate request|of public keys/, 'publicKey'],
  [/ format[ ,.]|container|keystore/, 'keyFormat'],
  [/neither PEM|END line|path of a file|not valid JSON|not a JWK|a different "kty"/, 'keyShape'],
  [/it is empty/, 'keyWithoutId'],
  [/damaged|P-384|2048 bits/, true],
]

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const shortRsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
const ed25519 = generateKeyPairSync('ed25519').privateKey

const pem = (key: KeyObject, type = 'pkcs8', more: object = {}): string =>
  key.export({ type: type as 'pkcs8', format: 'pem', ...more }) as string
const jwk = (key: KeyObject, more: object = {}): string =>
  JSON.stringify({ ...key.export({ format: 'jwk' }), ...more })

const greatestDivisor = (a: bigint, b: bigint): bigint => (b === 0n ? a : greatestDivisor(b, a % b))

describe('a private key as users paste it', () => {
  const text = pem(rsa)
  const parameters = '-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n'
  const base64 = (content: string): string => Buffer.from(content).toString('base64')
  const der = (key: KeyObject, type: string, more: object = {}): string =>
    key.export({ type: type as 'pkcs8', format: 'der', ...more }).toString('base64')
  const block = (label: string): string =>
    `-----BEGIN ${label}-----\n${'MIIB'.repeat(40)}\n-----END ${label}-----`
  const rsaJwk = rsa.export({ format: 'jwk' })
  const otherJwk = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
  const NO_PRIMES = { p: undefined, q: undefined, dp: undefined, dq: undefined, qi: undefined }
  const PUBLIC_JWK = JSON.stringify(createPublicKey(rsa).export({ format: 'jwk' }))
  // First bytes of every PKCS#12 file: PFX, version 3, authSafe.
  const PKCS12 = Buffer.concat([
    Buffer.from('308209c10201033082098706092a864886f70d010701', 'hex'),
    randomBytes(99),
  ])
  const good: [string, string, KeyObject, 'RS384' | 'ES384'][] = [
    ['PEM', text, rsa, 'RS384'],
    ['PEM with \\n written out', text.trim().replace(/\n/g, '\\n'), rsa, 'RS384'],
    ['PEM with \\r\\n written out', text.replace(/\n/g, '\\r\\n'), rsa, 'RS384'],
    ['PEM in quotes, as out of a JSON file', JSON.stringify(text), rsa, 'RS384'],
    ['PEM in one line', text.replace(/\n/g, ''), rsa, 'RS384'],
    ['PEM in one line with spaces', text.replace(/\n/g, ' '), rsa, 'RS384'],
    ['PEM with CRLF', text.replace(/\n/g, '\r\n'), rsa, 'RS384'],
    ['PEM with white space around and inside', `\n\t ${text.replace(/\n/g, '\n    ')} \n`, rsa, 'RS384'],
    ['PKCS#1 PEM', pem(rsa, 'pkcs1'), rsa, 'RS384'],
    ['JWK', jwk(rsa), rsa, 'RS384'],
    ['JWK in several lines', JSON.stringify(rsa.export({ format: 'jwk' }), null, 2), rsa, 'RS384'],
    ['EC P-384 PEM', pem(p384), p384, 'ES384'],
    ['EC P-384 SEC1 PEM', pem(p384, 'sec1'), p384, 'ES384'],
    ['what openssl ecparam -genkey writes', parameters + pem(p384, 'sec1'), p384, 'ES384'],
    ['EC P-384 JWK', jwk(p384), p384, 'ES384'],
    ['PEM with \\n escaped twice', text.replace(/\n/g, '\\\\n'), rsa, 'RS384'],
    ['PEM in quotes, escaped twice', JSON.stringify(JSON.stringify(text)), rsa, 'RS384'],
    ['PEM in one line without any space', text.replace(/\s/g, ''), rsa, 'RS384'],
    ['PEM without its BEGIN and END lines', text.replace(/-----.*-----/g, ''), rsa, 'RS384'],
    ['PKCS#1 under the label of PKCS#8', pem(rsa, 'pkcs1').replaceAll('RSA ', ''), rsa, 'RS384'],
    ['PEM after what openssl pkcs12 writes', `Bag Attributes\n  friendlyName: k\n${text}`, rsa, 'RS384'],
    ['base64 of a PEM', base64(text), rsa, 'RS384'],
    ['base64 of a PEM, in lines', base64(text).replace(/.{76}/g, '$&\n'), rsa, 'RS384'],
    ['base64 of a PEM, escaped', base64(text.replace(/\n/g, '\\n')), rsa, 'RS384'],
    ['base64url of a PEM', Buffer.from(text).toString('base64url'), rsa, 'RS384'],
    ['base64 of base64 of a PEM', base64(base64(text)), rsa, 'RS384'],
    ['base64 of a PEM with a byte order mark', base64(`\uFEFF${text}`), rsa, 'RS384'],
    ['base64 of a JWK', base64(jwk(rsa)), rsa, 'RS384'],
    ['base64 of an EC PEM', base64(pem(p384)), p384, 'ES384'],
    ['base64 of PKCS#1 DER', rsa.export({ type: 'pkcs1', format: 'der' }).toString('base64'), rsa, 'RS384'],
    ['JWK as a text in JSON', JSON.stringify(jwk(rsa)), rsa, 'RS384'],
    ['JWK with escaped quotes', jwk(rsa).replaceAll('"', '\\"'), rsa, 'RS384'],
    ['JWK with n, e and d only', jwk(rsa, NO_PRIMES), rsa, 'RS384'],
    ['JWK without dp, dq and qi', jwk(rsa, { ...NO_PRIMES, p: rsaJwk.p, q: rsaJwk.q }), rsa, 'RS384'],
    ['key set with one private key', `{"keys":[${PUBLIC_JWK},${jwk(rsa)}]}`, rsa, 'RS384'],
    ['list with one JWK', `[${jwk(p384)}]`, p384, 'ES384'],
  ]
  for (const [what, pasted, key, algorithm] of good) {
    it(`is accepted: ${what}`, () => {
      const read = readPrivateKey(pasted)
      assert.equal(read.algorithm, algorithm)
      assert.ok(read.key.equals(key))
      assert.equal(inDialog(pasted), true)
    })
  }

  it('yields the kid of a JWK', () => assert.equal(readPrivateKey(jwk(rsa, { kid: 'k1' })).keyId, 'k1'))

  it('has its primes computed from either form of d', () => {
    for (const modulusLength of [2048, 3072, 4096]) {
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength })
      const read = readPrivateKey(jwk(privateKey, NO_PRIMES))
      assert.ok(read.key.equals(privateKey))
    }
    // The private exponent d by lcm(p-1, q-1), as in OpenSSL, and by (p-1)(q-1), as in older programs.
    const { p, q, e } = rsaJwk
    const number = (part = ''): bigint => BigInt(`0x${Buffer.from(part, 'base64url').toString('hex')}`)
    const phi = (number(p) - 1n) * (number(q) - 1n)
    let d = number(rsaJwk.d)
    while ((d * number(e) - 1n) % phi !== 0n) d += phi / greatestDivisor(number(p) - 1n, number(q) - 1n)
    const hex = d.toString(16)
    const larger = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url')
    const read = readPrivateKey(jwk(rsa, { ...NO_PRIMES, d: larger }))
    assert.ok(createPublicKey(read.key).equals(createPublicKey(rsa)))
  })

  it('is selected from a key set by the key ID', () => {
    const set = `{"keys":[${jwk(p384, { kid: 'a' })},${jwk(rsa, { kid: 'b' })}]}`
    assert.equal(readPrivateKey(set, 'b').algorithm, 'RS384')
    assert.equal(readPrivateKey(set, 'a').algorithm, 'ES384')
  })

  const passphrase = { cipher: 'aes-256-cbc', passphrase: 'fixture' } as const
  const bad: [string, string, RegExp][] = [
    ['nothing', ' \n', /empty/],
    ['other text', 'hunter2', /neither PEM .* nor a JWK/],
    ['a PEM without its end', text.slice(0, 900), /incomplete, because its END line is missing/],
    ['a PEM that lost a line', text.replace(/\n.{64}\n/, '\n'), /damaged or incomplete/],
    ['a public key', pem(createPublicKey(rsa), 'spki'), /public key/],
    ['a certificate', '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----', /certificate/],
    ['an encrypted PKCS#8 PEM', pem(rsa, 'pkcs8', passphrase), /passphrase/],
    ['an encrypted PKCS#1 PEM', pem(rsa, 'pkcs1', passphrase), /passphrase/],
    ['a public JWK', JSON.stringify(createPublicKey(rsa).export({ format: 'jwk' })), /public key/],
    ['a key set with two private keys', `{"keys":[${jwk(rsa)},${jwk(p384)}]}`, /several private keys/],
    ['a public key set', `{"keys":[${PUBLIC_JWK}]}`, /public keys/],
    ['an empty key set', '{"keys":[]}', /public keys/],
    ['other JSON', JSON.stringify({ private_key: text.replace(/-----.*-----/g, '') }), /not a JWK/],
    ['a symmetric JWK', '{"kty":"oct","k":"c2VjcmV0"}', /RSA keys .* P-384/],
    ['a JWK whose d belongs to another key', jwk(rsa, { ...NO_PRIMES, d: otherJwk.d }), /damaged/],
    ['a JWK with no numbers', jwk(rsa, { ...NO_PRIMES, n: '', e: '', d: '' }), /damaged/],
    ['base64 of a public key', base64(pem(createPublicKey(rsa), 'spki')), /public key/],
    ['a public key without its lines', der(createPublicKey(rsa), 'spki'), /public key/],
    ['base64 of other text', base64('x'.repeat(200)), /neither PEM .* nor a JWK/],
    ['base64 of noise', randomBytes(500).toString('base64'), /neither PEM .* nor a JWK/],
    ['an encrypted key without its lines', der(rsa, 'pkcs8', passphrase), /passphrase/],
    ['base64 of an encrypted PEM', base64(pem(rsa, 'pkcs8', passphrase)), /passphrase/],
    ['a certificate request', block('CERTIFICATE REQUEST'), /certificate request/],
    ['OpenSSH', block('OPENSSH PRIVATE KEY'), /OpenSSH.*ssh-keygen/],
    ['OpenSSH without its lines', base64(`openssh-key-v1\0${'x'.repeat(200)}`), /OpenSSH.*ssh-keygen/],
    ['base64 of OpenSSH', base64(block('OPENSSH PRIVATE KEY')), /OpenSSH.*ssh-keygen/],
    ['PuTTY', 'PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none', /PuTTY.*ssh-keygen/],
    ['a public key of SSH', `ssh-rsa ${'AAAAB3Nz'.repeat(30)} me@here`, /SSH public key/],
    ['PGP', block('PGP PRIVATE KEY BLOCK'), /PGP/],
    ['PKCS#7', block('PKCS7'), /PKCS#7.*no private key/],
    ['PKCS#12', PKCS12.toString('base64'), /PKCS#12.*openssl pkcs12/],
    [
      'a Java key store',
      Buffer.from(`feedfeed${'00'.repeat(99)}`, 'hex').toString('base64'),
      /Java.*keytool/,
    ],
    ['XML of .NET', '<RSAKeyValue><Modulus>x</Modulus></RSAKeyValue>', /\.NET.*PEM/],
    ['a path', '/run/secrets/redox.pem', /path of a file/],
    ['a damaged JWK', jwk(rsa, { e: 5 }), /damaged/],
    ['a JWK cut short', jwk(rsa).slice(0, -5), /not valid JSON/],
    ['EC P-256', pem(p256), /P-384/],
    ['EC P-256 as JWK', jwk(p256), /P-384/],
    ['Ed25519', pem(ed25519), /RSA keys .* P-384/],
    ['RSA of 1024 bits', pem(shortRsa), /at least 2048 bits/],
  ]
  for (const [what, pasted, words] of bad) {
    it(`is refused without any part of it in the error: ${what}`, async () => {
      const { message } = await failing('REDOX_CONFIGURATION', () => readPrivateKey(pasted), words)
      const secrets = pasted.match(/[A-Za-z0-9+/]{40,}/g) ?? []
      assert.ok(!secrets.some((secret) => message.includes(secret.slice(0, 20))))
      const [, sentence] = SENTENCES.find(([server]) => server.test(message))!
      assert.equal(inDialog(pasted), sentence)
    })
  }
})
