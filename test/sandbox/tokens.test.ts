import assert from 'node:assert/strict'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { startSandbox } from '../../src/sandbox'
import type { AssertionParts, Json } from './support'
import * as support from './support'
import { askToken, assertion, bearer, form, legacyToken, postJson, sandbox, seconds, token } from './support'
import { setClock } from '../lib/clock'

const KEY_NOT_FOUND = 'Public key not found, check client_id, kid and Redox dashboard settings'

async function refused(answer: Response, status: number, description: string): Promise<void> {
  assert.equal(answer.status, status)
  const body = (await answer.json()) as Json
  assert.equal(body['error'], 'invalid_request')
  assert.equal(body['error_description'], description)
  assert.match(body['error_uri'], /^https:\/\/docs\.redoxengine\.com\//)
}

const usable = async (accessToken: string): Promise<boolean> =>
  (await postJson('/endpoint', {}, bearer(accessToken))).status === 400

describe('sandbox: OAuth token', () => {
  support.useSandbox()

  it('answers a valid assertion', async () => {
    const answer = await askToken(form(await assertion()))
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('cache-control'), 'private, no-cache, no-store, must-revalidate')
    const body = (await answer.json()) as Json
    assert.deepEqual(Object.keys(body), ['access_token', 'token_type', 'expires_in'])
    assert.equal(body['token_type'], 'Bearer')
    assert.equal(body['expires_in'], 300)
    assert.equal(body['access_token'].split('.').length, 3)
    assert.ok(await usable(body['access_token']))
  })

  it('returns the requested scope, from the form or from the claims', async () => {
    const inForm = await askToken({ ...form(await assertion()), scope: 'fhir:development' })
    assert.equal(((await inForm.json()) as Json)['scope'], 'fhir:development')
    const inClaims = await askToken(form(await assertion({ claims: { scope: 'fhir:staging' } })))
    assert.equal(((await inClaims.json()) as Json)['scope'], 'fhir:staging')
  })

  const accepted: Record<string, () => AssertionParts> = {
    'no aud': () => ({ claims: { aud: undefined } }),
    'no exp': () => ({ claims: { exp: undefined } }),
    'no jti': () => ({ claims: { jti: undefined } }),
    'no typ': () => ({ header: { typ: undefined } }),
    'an iat almost 5 minutes old': () => ({ claims: { iat: seconds() - 290 } }),
    'an iat a few seconds ahead': () => ({ claims: { iat: seconds() + 5 } }),
  }
  for (const [what, parts] of Object.entries(accepted)) {
    it(`accepts ${what}`, async () =>
      assert.equal((await askToken(form(await assertion(parts())))).status, 200))
  }

  it('accepts only the token URL at which the request arrived', async () => {
    const local = sandbox().url.replace('127.0.0.1', 'localhost')
    const forLocal = (): Promise<string> => assertion({ claims: { aud: `${local}/v2/auth/token` } })
    assert.equal((await askToken(form(await forLocal()), local)).status, 200)
    await refused(await askToken(form(await forLocal())), 401, 'Unexpected aud claim value')
  })

  const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const wrongAssertions: [string, () => AssertionParts, number, string][] = [
    ['kid missing', () => ({ header: { kid: undefined } }), 400, 'JWT header kid property is required'],
    ['kid unknown', () => ({ header: { kid: 'other' } }), 401, KEY_NOT_FOUND],
    ['iss unknown', () => ({ claims: { iss: 'other', sub: 'other' } }), 401, KEY_NOT_FOUND],
    ['iss missing', () => ({ claims: { iss: undefined } }), 401, KEY_NOT_FOUND],
    ['sub other than iss', () => ({ claims: { sub: 'other' } }), 401, 'Unexpected sub claim value'],
    ['sub missing', () => ({ claims: { sub: undefined } }), 401, 'Unexpected sub claim value'],
    [
      'aud wrong',
      () => ({ claims: { aud: 'https://example.org/token' } }),
      401,
      'Unexpected aud claim value',
    ],
    ['iat too old', () => ({ claims: { iat: seconds() - 320 } }), 401, 'Unexpected iat claim value'],
    ['iat ahead', () => ({ claims: { iat: seconds() + 60 } }), 401, 'Unexpected iat claim value'],
    ['iat missing', () => ({ claims: { iat: undefined } }), 401, 'Unexpected iat claim value'],
    ['exp past', () => ({ claims: { exp: seconds() - 20 } }), 401, 'Unexpected exp claim value'],
    ['jti empty', () => ({ claims: { jti: '' } }), 401, 'Unexpected jti claim value'],
    ['alg other than RS384', () => ({ header: { alg: 'RS256' } }), 401, ''],
    ['signed by another key', () => ({ key: other }), 401, ''],
  ]
  for (const [what, parts, status, description] of wrongAssertions) {
    it(`refuses: ${what}`, async () =>
      refused(await askToken(form(await assertion(parts()))), status, description))
  }

  it('accepts a jti once per client', async () => {
    const same = await assertion()
    assert.equal((await askToken(form(same))).status, 200)
    await refused(await askToken(form(same)), 401, 'Unexpected jti claim value')
    const jti = randomUUID()
    assert.equal((await askToken(form(await assertion({ claims: { jti } })))).status, 200)
    await refused(
      await askToken(form(await assertion({ claims: { jti } }))),
      401,
      'Unexpected jti claim value',
    )
  })

  const wrongForms: [string, Record<string, string>, string][] = [
    ['no grant_type', { grant_type: '' }, 'Missing grant_type parameter'],
    [
      'other grant_type',
      { grant_type: 'password' },
      "The grant_type parameter should equal 'client_credentials'",
    ],
    ['no assertion type', { client_assertion_type: '' }, 'Missing client assertion type'],
    ['other assertion type', { client_assertion_type: 'jwt' }, 'Invalid client assertion type'],
    ['no assertion', { client_assertion: '' }, 'Missing client assertion'],
    ['an assertion that is no JWT', { client_assertion: 'x.y' }, ''],
  ]
  for (const [what, fields, description] of wrongForms) {
    it(`refuses: ${what}`, async () =>
      refused(await askToken({ ...form(await assertion()), ...fields }), 400, description))
  }

  it('refuses a JSON body', async () => {
    const answer = await postJson('/v2/auth/token', form(await assertion()))
    await refused(answer, 400, 'x-www-form-urlencoded content-type required')
  })

  it('accepts registered RSA and EC keys', async () => {
    const keys = {
      RS384: generateKeyPairSync('rsa', { modulusLength: 2048 }),
      ES384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    }
    for (const [alg, { publicKey, privateKey }] of Object.entries(keys)) {
      sandbox().registerOAuthKey({
        clientId: 'mine',
        keyId: alg,
        publicKey: publicKey.export({ format: 'jwk' }),
      })
      const parts = { header: { alg, kid: alg }, claims: { iss: 'mine', sub: 'mine' }, key: privateKey }
      assert.equal((await askToken(form(await assertion(parts)))).status, 200, alg)
    }
  })
})

describe('sandbox: legacy token', () => {
  support.useSandbox()

  it('authenticates and refreshes', async () => {
    const first = await legacyToken()
    assert.deepEqual(Object.keys(first).sort(), ['accessToken', 'expires', 'refreshToken'])
    assert.match(first['expires'], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.ok(await usable(first['accessToken']))
    await new Promise((resolve) => setTimeout(resolve, 20))
    const { apiKey } = sandbox().legacyKey
    const answer = await postJson('/auth/refreshToken', { apiKey, refreshToken: first['refreshToken'] })
    assert.equal(answer.status, 200)
    const second = (await answer.json()) as Json
    assert.equal(second['accessToken'], first['accessToken'])
    assert.ok(second['expires'] > first['expires'])
    const foreign = await postJson('/auth/refreshToken', { apiKey: 'x', refreshToken: first['refreshToken'] })
    assert.equal(foreign.status, 401)
  })

  const wrong: [string, () => [string, Json], string][] = [
    ['an unknown key', () => ['authenticate', { apiKey: 'x', secret: 'y' }], 'Invalid request'],
    [
      'a wrong secret',
      () => ['authenticate', { ...sandbox().legacyKey, secret: 'y' }],
      'Invalid source secret',
    ],
    [
      'an unknown refresh token',
      () => ['refreshToken', { ...sandbox().legacyKey, refreshToken: 'x' }],
      'Invalid request',
    ],
    ['nothing', () => ['refreshToken', {}], 'Invalid request'],
  ]
  for (const [what, make, text] of wrong) {
    it(`refuses ${what} in plain text`, async () => {
      const [path, body] = make()
      const answer = await postJson(`/auth/${path}`, body)
      assert.equal(answer.status, 401)
      assert.match(answer.headers.get('content-type')!, /^text\/html/)
      assert.equal(await answer.text(), text)
    })
  }

  it('refuses a body that is not JSON', async () => {
    assert.equal((await postJson('/auth/authenticate', '{')).status, 400)
    const asText = { 'content-type': 'text/plain' }
    assert.equal((await postJson('/auth/authenticate', sandbox().legacyKey, asText)).status, 400)
  })
})

describe('sandbox: access token', () => {
  support.useSandbox({ tokenLifetimeSeconds: 300 })
  afterEach(() => setClock(0))

  it('is required, must be known and be a Bearer token', async () => {
    const accessToken = await token()
    const wrong = [undefined, 'Bearer', 'Bearer x', `Basic ${accessToken}`, accessToken]
    for (const authorization of wrong) {
      const answer = await postJson('/endpoint', '{', authorization === undefined ? {} : { authorization })
      assert.equal(answer.status, 401)
      assert.equal(await answer.text(), 'Unauthorized')
    }
  })

  it('ends with its lifetime; a legacy token is renewed with its refresh token', async () => {
    const [oauth, legacy] = [await token(), await legacyToken()]
    assert.ok((await usable(oauth)) && (await usable(legacy['accessToken'])))
    setClock(1)
    for (const expired of [oauth, legacy['accessToken']]) {
      assert.equal((await postJson('/endpoint', {}, bearer(expired))).status, 401)
    }
    const { apiKey } = sandbox().legacyKey
    await postJson('/auth/refreshToken', { apiKey, refreshToken: legacy['refreshToken'] })
    assert.ok(await usable(legacy['accessToken']))
  })

  it('is not valid at another sandbox', async () => {
    const other = await startSandbox()
    const headers = { ...bearer(await token()), 'content-type': 'application/json' }
    const answer = await fetch(`${other.url}/endpoint`, { method: 'POST', headers, body: '{}' })
    await other.close()
    assert.equal(answer.status, 401)
  })
})
