import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, verify, type KeyObject } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Connection } from '../../nodes/lib/connection/connection'
import { readPrivateKey } from '../../src/auth/private-key'
import { TokenCache, type AccessToken } from '../../src/auth/tokens'
import { takeMemory } from '../../src/file/file'
import type { PreparedMessage } from '../../src/message/prepared'
import { deliverDirect, uploadDirect } from '../../src/redox/direct-delivery'
import { setClock, skipSeconds } from '../lib/clock'
import { connectTo, failing, never, serve, TEST_KEY, TOKEN_PATH } from '../lib/redox'
import type { Recorded, Reply, Server } from '../lib/redox'

const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey

const formOf = ({ body }: Recorded): URLSearchParams => new URLSearchParams(body.toString())
const decode = (part: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>

/** Header and claims of the JWT assertion in a token request, whose signature is checked with node:crypto. */
function assertionOf(request: Recorded, key: KeyObject, hash = 'sha384') {
  const [header, claims, signature] = formOf(request).get('client_assertion')!.split('.')
  const publicKey = { key: createPublicKey(key), dsaEncoding: 'ieee-p1363' as const }
  const signed = Buffer.from(`${header}.${claims}`)
  assert.ok(verify(hash, signed, publicKey, Buffer.from(signature!, 'base64url')), 'bad signature')
  return { header: decode(header!), claims: decode(claims!) }
}

const file = takeMemory(Buffer.from('%PDF-1.7'), { where: 'x' }).file
const upload = ({ client }: Connection) => uploadDirect(client, file, { kind: 'blob', signal: never() })
/** Lifetime of a token in seconds, longer than any test, so that a token expires only if a test advances the clock. */
const LIFE_SECONDS = 300
/** Advances the clock until a token with the lifetime {@link LIFE_SECONDS} has expired. */
const endToken = (): void => skipSeconds(LIFE_SECONDS + 1)

describe('access tokens', () => {
  let server: Server
  let connection: Connection
  let script: (request: Recorded) => Reply | Promise<Reply>

  beforeEach(async () => {
    let count = 0
    script = ({ path }) =>
      path === TOKEN_PATH
        ? { body: { access_token: `token-${++count}`, token_type: 'Bearer', expires_in: 300 } }
        : { status: 201, body: { URI: 'https://blob.redoxengine.com/1' } }
    server = await serve((request) => script(request))
  })
  afterEach(async () => {
    await connection.client.close()
    await server.close()
  })

  const used = (path = '/upload'): (string | undefined)[] =>
    server.to(path).map(({ headers }) => headers.authorization)

  it('are asked for with the documented assertion, to the letter', async () => {
    connection = connectTo(server.url)
    const before = Math.floor(Date.now() / 1000)
    await upload(connection)
    const [request] = server.to(TOKEN_PATH)
    assert.equal(request!.headers['content-type'], 'application/x-www-form-urlencoded')
    assert.equal(request!.headers.authorization, undefined)
    const { client_assertion: _, ...form } = Object.fromEntries(formOf(request!))
    assert.deepEqual(form, {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    })
    const { header, claims } = assertionOf(request!, readPrivateKey(TEST_KEY).key)
    assert.deepEqual(header, { alg: 'RS384', kid: 'key-1', typ: 'JWT' })
    const { iat, exp, jti, ...rest } = claims as { iat: number; exp: number; jti: string }
    assert.deepEqual(rest, { iss: 'client-1', sub: 'client-1', aud: server.url + TOKEN_PATH })
    assert.ok(iat >= before && iat <= Date.now() / 1000)
    assert.equal(exp, iat + 300)
    assert.match(jti, /^[0-9a-f-]{36}$/)
    assert.deepEqual(used(), ['Bearer token-1'])
  })

  it('are requested with the scope in the form and in the assertion, and with the configured audience', async () => {
    const scope = 'fhir:development'
    connection = connectTo(server.url, { scope, audience: 'https://api.ca.redoxengine.com/v2/auth/token' })
    await upload(connection)
    const [request] = server.to(TOKEN_PATH)
    const { claims } = assertionOf(request!, readPrivateKey(TEST_KEY).key)
    assert.deepEqual([formOf(request!).get('scope'), claims.scope], [scope, scope])
    assert.equal(claims.aud, 'https://api.ca.redoxengine.com/v2/auth/token')
  })

  it('are asked for with ES384 by an EC key, whose kid may come out of the JWK', async () => {
    connection = connectTo(
      server.url,
      { keyId: '' },
      { privateKey: JSON.stringify({ ...p384.export({ format: 'jwk' }), kid: 'from-jwk' }) },
    )
    await upload(connection)
    const { header } = assertionOf(server.to(TOKEN_PATH)[0]!, p384)
    assert.deepEqual(header, { alg: 'ES384', kid: 'from-jwk', typ: 'JWT' })
  })

  it('are requested with a new jti each time', async () => {
    connection = connectTo(server.url)
    script = () => ({ status: 401, body: { error: 'invalid_request', error_description: 'no' } })
    for (let n = 0; n < 20; n++) await failing('REDOX_AUTHENTICATION', () => upload(connection))
    const key = readPrivateKey(TEST_KEY).key
    const ids = server.to(TOKEN_PATH).map((request) => assertionOf(request, key).claims.jti)
    assert.equal(new Set(ids).size, 20)
  })

  it('are requested with a new jti after a lost answer, because a server accepts each jti once', async () => {
    connection = connectTo(server.url, { attempts: 3 })
    let lost = 2
    const normal = script
    script = (request) => (request.path === TOKEN_PATH && lost-- > 0 ? { status: 503 } : normal(request))
    await upload(connection)
    const key = readPrivateKey(TEST_KEY).key
    const claims = server.to(TOKEN_PATH).map((request) => assertionOf(request, key).claims)
    assert.equal(new Set(claims.map(({ jti }) => jti)).size, 3)
  })

  it('are fetched once for 100 simultaneous uploads', async () => {
    connection = connectTo(server.url, { sendsAtOnce: 100 })
    await Promise.all(Array.from({ length: 100 }, () => upload(connection)))
    assert.equal(server.to(TOKEN_PATH).length, 1)
    assert.equal(server.to('/upload').length, 100)
  })

  it('are renewed once, however many uploads were refused with the old token', async () => {
    connection = connectTo(server.url, { sendsAtOnce: 20 })
    const normal = script
    const refused = { status: 401, body: 'Unauthorized' }
    script = (request) => (request.headers.authorization === 'Bearer token-1' ? refused : normal(request))
    const all = await Promise.all(Array.from({ length: 20 }, () => upload(connection)))
    assert.ok(all.every(({ attempts }) => attempts === 2))
    assert.equal(server.to(TOKEN_PATH).length, 2)
  })

  const oauthError = (error_description: string) => ({ error: 'invalid_request', error_description })
  const broken: [string, Reply, RegExp][] = [
    ['without a token', { body: { token_type: 'Bearer' } }, /without a usable "access_token"/],
    ['of HTML', { body: '<html>login</html>' }, /without a usable "access_token"/],
    [
      'of an OAuth error',
      { status: 401, body: oauthError('Unexpected aud') },
      /^Login refused by Redox \(HTTP 401, .*\)\. Redox says: Unexpected aud\. Check/,
    ],
    ['of 400', { status: 400, body: oauthError('') }, /Redox says: invalid_request/],
  ]
  for (const [what, reply, words] of broken) {
    it(`are replaced by an error that names the cause when the answer is ${what}`, async () => {
      connection = connectTo(server.url)
      script = () => reply
      await failing('REDOX_AUTHENTICATION', () => upload(connection), words)
      assert.equal(server.requests.length, 1)
    })
  }

  for (const [what, config, secrets] of [
    ['client ID', { clientId: ' ' }, { privateKey: TEST_KEY }],
    ['key ID', { keyId: '' }, { privateKey: TEST_KEY }],
    ['private key', {}, {}],
    ['API key', { auth: 'legacy' }, { secret: 's' }],
    ['secret', { auth: 'legacy' }, { apiKey: 'a' }],
  ] as const) {
    it(`need a ${what}, which the error names when it is missing`, async () => {
      connection = connectTo(server.url, config, secrets)
      await failing('REDOX_CONFIGURATION', () => upload(connection), new RegExp(`^${what} is missing`, 'i'))
      assert.equal(server.requests.length, 0)
    })
  }

  describe('access tokens when the clock of this machine is set', () => {
    afterEach(() => setClock(0))
    const fetched = (): number => server.to(TOKEN_PATH).length

    for (const hours of [-5, 5])
      it(`by ${hours} hours keep their lifetime`, async () => {
        connection = connectTo(server.url)
        await upload(connection)
        setClock(hours)
        await upload(connection)
        assert.equal(fetched(), 1)
      })

    it('back are renewed at the same moment as without the change', async () => {
      const normal = script
      script = (request) =>
        request.path === TOKEN_PATH
          ? { body: { access_token: 'renewed', token_type: 'Bearer', expires_in: LIFE_SECONDS } }
          : normal(request)
      connection = connectTo(server.url)
      await upload(connection)
      setClock(-5)
      endToken()
      await upload(connection)
      assert.equal(fetched(), 2)
    })
  })

  describe('access tokens of a legacy key', () => {
    const AUTHENTICATE = '/auth/authenticate'
    const REFRESH = '/auth/refreshToken'
    const answer = (accessToken: string, seconds: number) => ({
      accessToken,
      expires: new Date(Date.now() + seconds * 1000).toISOString(),
      refreshToken: 'refresh-1',
    })
    let lifetime: number
    beforeEach(() => {
      lifetime = LIFE_SECONDS
      const other = script
      script = (request) => {
        if (request.path === AUTHENTICATE) return { body: answer('first', lifetime) }
        if (request.path === REFRESH) return { body: answer('second', 3600) }
        return other(request)
      }
      connection = connectTo(server.url, { auth: 'legacy' }, { apiKey: 'api-key', secret: 'canary-secret' })
    })
    const bodies = (path: string) => server.to(path).map(({ body }) => JSON.parse(body.toString()) as unknown)

    it('are authenticated once and then refreshed without the secret', async () => {
      await upload(connection)
      endToken()
      await upload(connection)
      await upload(connection)
      assert.deepEqual(bodies(AUTHENTICATE), [{ apiKey: 'api-key', secret: 'canary-secret' }])
      assert.deepEqual(bodies(REFRESH), [{ apiKey: 'api-key', refreshToken: 'refresh-1' }])
      assert.deepEqual(used(), ['Bearer first', 'Bearer second', 'Bearer second'])
    })

    // When durable delivery sends a message, it does not check again whether the connection still has an OAuth key.
    it('are for the Data Model API only: the client refuses the FHIR API before any request', async () => {
      const { client } = connection
      const message: PreparedMessage = {
        api: 'fhir',
        operation: 'Observation/$observation-create',
        slug: 'clinic',
        body: { resourceType: 'Bundle', entry: [] },
        attachments: [],
      }
      const calls = [
        () => deliverDirect(client, message, { signal: never() }),
        () => client.assertDeliverable(message),
        () => uploadDirect(client, file, { kind: 'binary', signal: never() }),
      ]
      for (const call of calls) {
        const { cause } = await failing('REDOX_CONFIGURATION', call, /Data Model API only/)
        assert.equal(cause.field, 'auth')
      }
      assert.equal(server.requests.length, 0)
    })

    it('are authenticated again when the refresh is refused', async () => {
      const normal = script
      script = (request) =>
        request.path === REFRESH ? { status: 401, body: 'Invalid request' } : normal(request)
      await upload(connection)
      endToken()
      await upload(connection)
      assert.deepEqual([bodies(AUTHENTICATE).length, bodies(REFRESH).length], [2, 1])
    })

    it('that a server refuses before they expire are authenticated again', async () => {
      lifetime = 3600
      const normal = script
      let refusals = 1
      script = (request) =>
        request.path === '/upload' && refusals-- > 0 ? { status: 401, body: 'Unauthorized' } : normal(request)
      const { attempts } = await upload(connection)
      assert.deepEqual([attempts, bodies(AUTHENTICATE).length, bodies(REFRESH).length], [2, 2, 0])
    })

    for (const hours of [-5, 5])
      for (const seconds of [300, 0])
        it(`live ${seconds} s by the clock of a server that differs by ${hours} hours from this machine`, async () => {
          const now = Math.floor(Date.now() / 1000) * 1000 + hours * 3_600_000
          const expires = new Date(now + seconds * 1000).toISOString()
          const headers = { date: new Date(now).toUTCString() }
          const normal = script
          script = (request) =>
            [AUTHENTICATE, REFRESH].includes(request.path)
              ? { headers, body: { ...answer('first', 0), expires } }
              : normal(request)
          for (let turn = 0; turn < 3; turn++) await upload(connection)
          const fetches = bodies(AUTHENTICATE).length + bodies(REFRESH).length
          assert.equal(fetches > 1, seconds === 0, `${fetches}`)
        })

    it("that are refused yield an error with Redox's text and no secret", async () => {
      script = () => ({ status: 401, body: 'Invalid source secret' })
      const error = await failing('REDOX_AUTHENTICATION', () => upload(connection), /Invalid source secret/)
      assert.doesNotMatch(JSON.stringify([error.message, error.cause, error.stack]), /canary|api-key/)
    })

    it('without a usable expiry time are refused', async () => {
      script = () => ({ body: { accessToken: 'x', expires: 'tomorrow' } })
      await failing('REDOX_AUTHENTICATION', () => upload(connection), /"expires"/)
    })
  })
})

describe('token cache', () => {
  const secondsLeft = (left: number, lifetime: number): AccessToken => {
    const expiresAt = performance.now() + left * 1000
    return { token: `${left} of ${lifetime}`, expiresAt, obtainedAt: expiresAt - lifetime * 1000 }
  }
  const cases: [left: number, lifetime: number, renewed: boolean][] = [
    [300, 300, false],
    [61, 300, false],
    [59, 300, true],
    [0, 300, true],
    [-10, 300, true],
    [3, 10, false],
    [1.9, 10, true],
    [61, 86_400, false],
  ]
  for (const [left, lifetime, renewed] of cases) {
    it(`${renewed ? 'renews' : 'keeps'} a token with ${left} of ${lifetime} s left`, async () => {
      let fetches = 0
      const cache = new TokenCache(async () =>
        fetches++ ? secondsLeft(300, 300) : secondsLeft(left, lifetime),
      )
      await cache.get()
      await cache.get()
      assert.equal(fetches, renewed ? 2 : 1)
    })
  }

  it('uses the old token while its renewal is slow or fails, and waits once the old token has expired', async () => {
    let fetches = 0
    let renewal: () => Promise<AccessToken> = () => new Promise(() => undefined)
    const cacheWith = (left: number): TokenCache => {
      fetches = 0
      return new TokenCache(async () => (fetches++ ? renewal() : secondsLeft(left, 300)))
    }
    const slow = cacheWith(30)
    for (let turn = 0; turn < 3; turn++) assert.equal(await slow.get(), '30 of 300')
    assert.equal(fetches, 2, 'one renewal at a time')
    renewal = () => Promise.reject(new Error('down'))
    const unrenewed = cacheWith(30)
    const { random } = Math
    try {
      // With a random value of 0, there is no pause between two failed renewals of the token.
      Math.random = () => 0
      for (let turn = 0; turn < 3; turn++) {
        assert.equal(await unrenewed.get(), '30 of 300')
        await nextTurn()
      }
    } finally {
      Math.random = random
    }
    assert.ok(fetches > 2, 'tried again')
    const late = cacheWith(10)
    await late.get()
    await assert.rejects(late.get(), /down/)
  })

  it('asks a failing endpoint for a renewal only after a pause, however often the old token is used', async () => {
    const { random } = Math
    let fetches = 0
    const cache = new TokenCache(async () => {
      if (fetches++ > 0) throw new Error('down')
      return secondsLeft(30, 300)
    })
    try {
      Math.random = () => 1
      await cache.get()
      for (let turn = 0; turn < 50; turn++) {
        assert.equal(await cache.get(), '30 of 300')
        await nextTurn()
      }
      assert.equal(fetches, 2)
    } finally {
      Math.random = random
    }
  })

  it('shares a failure among all waiting callers, and tries again for the next one', async () => {
    let fetches = 0
    const cache = new TokenCache(async () => {
      if (fetches++ === 0) throw new Error('down')
      return secondsLeft(300, 300)
    })
    await Promise.all(Array.from({ length: 100 }, () => assert.rejects(cache.get(), /down/)))
    await cache.get()
    assert.equal(fetches, 2)
  })

  it('forgets a refused token, but not one that another caller has renewed meanwhile', async () => {
    let fetches = 0
    const cache = new TokenCache(async () => ({ ...secondsLeft(300, 300), token: `token-${++fetches}` }))
    const first = await cache.get()
    cache.invalidate(first)
    assert.equal(await cache.get(), 'token-2')
    cache.invalidate(first)
    assert.equal(await cache.get(), 'token-2')
  })
})

describe('settings that name an unset environment variable', () => {
  const UNSET: [string, Parameters<typeof connectTo>[1], Parameters<typeof connectTo>[2]][] = [
    ['a client ID', { clientId: '${REDOX_UNSET}' }, { privateKey: TEST_KEY }],
    ['a secret', { auth: 'legacy' }, { apiKey: 'key', secret: '${REDOX_UNSET}' }],
  ]
  for (const [what, config, secrets] of UNSET) {
    it(`are named in the error, and nothing is sent: ${what}`, async () => {
      await failing(
        'REDOX_CONFIGURATION',
        async () => connectTo('http://127.0.0.1:1', config, secrets),
        /REDOX_UNSET/,
      )
    })
  }
})
