/** API keys, access tokens and sources (docs/redox-api.md#authentication). */
import { createPublicKey, generateKeyPair, randomBytes, randomUUID } from 'node:crypto'
import type { JsonWebKey, KeyObject } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import type { JWTPayload } from 'jose' with { 'resolution-mode': 'import' }
import { present } from './present'
import { isUuid, mediaType, parseJson, readBody, Refusal } from './http'
import type { SandboxAnswer, SandboxRequest, JsonRecord } from './http'
import type { Profile } from './profiles'

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const ERROR_URI = 'https://docs.redoxengine.com/permalink/7sEi7MTFssZ1JuHpUYLeYJ'
const TOKEN_REQUEST_LIMIT = 100_000
const MAX_KEPT_GRANTS = 10_000
/**
 * Maximum age of an assertion by its `iat`, and tolerated clock difference, in seconds
 * (docs/redox-api.md#oauth-api-key).
 */
const MAX_ASSERTION_AGE = 300
const CLOCK_SKEW = 10

/**
 * Source id in the examples that Redox published. Redox accepted this id with legacy keys of other sources
 * (docs/redox-api.md#sample-identifiers).
 */
const SAMPLE_SOURCE = '7ce6f387-c33c-417d-8682-81e83628cbd9'

export interface OAuthKey {
  clientId: string
  keyId: string
  /** Private key, as PKCS#8 PEM. */
  privateKey: string
}

export interface LegacyKey {
  /** API key, which is also the id of the only source that the key may use (docs/redox-api.md#credentials). */
  apiKey: string
  secret: string
}

/** Rights of an access token. */
export interface Grant {
  accessToken: string
  /** `user`: of a user-level key, which is for the Platform API only (docs/redox-api.md#delivery-status). */
  kind: 'oauth' | 'legacy' | 'user'
  /** UUID of the source that is used for requests that do not name a source. */
  source: string
  /** Time of expiry, in milliseconds since 1970. */
  expiresAt: number
}

interface Client {
  kind: 'oauth' | 'user'
  /** UUID of the source that the client's messages come from if they name none. */
  source: string
  keys: Map<string, KeyObject>
}

/** Generates an RSA key pair that signs assertions with RS384. */
export async function createOAuthKey(
  keyId = 'sandbox-key',
): Promise<{ key: OAuthKey; publicKey: JsonWebKey }> {
  const pair = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
  const privateKey = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  return {
    key: { clientId: randomUUID(), keyId, privateKey },
    publicKey: pair.publicKey.export({ format: 'jwk' }),
  }
}

export class Tokens {
  readonly legacyKey: LegacyKey = { apiKey: randomUUID(), secret: randomBytes(24).toString('base64url') }
  #clients = new Map<string, Client>()
  #grants = new Map<string, Grant>()
  #refreshable = new Map<string, Grant>()
  #seenJtis = new Map<string, number>()
  #signingKey = randomBytes(32)

  constructor(
    private readonly lifetimeSeconds: number,
    private readonly profile: Profile,
  ) {}

  /** Registers a public key of a client; all keys of a client are of the kind of the first one. */
  register(
    key: { clientId: string; keyId: string },
    publicKey: JsonWebKey,
    kind: Client['kind'] = 'oauth',
  ): void {
    const { clientId, keyId } = key
    const client = this.#clients.get(clientId) ?? { kind, source: randomUUID(), keys: new Map() }
    client.keys.set(keyId, createPublicKey({ key: publicKey, format: 'jwk' }))
    this.#clients.set(clientId, client)
  }

  /** Handles `POST /v2/auth/token`: client credentials with a private-key JWT (docs/redox-api.md#oauth-api-key). */
  async oauthToken({ request, origin, path }: SandboxRequest): Promise<SandboxAnswer> {
    const form = await tokenForm(request)
    const assertion = present(form.get('client_assertion'), 'the assertion')
    const { key, source, kind } = await this.#keyOf(assertion)
    const claims = await verify(assertion, key, origin + path)
    this.#useOnce(claims)
    const scope = form.get('scope') ?? claims['scope']
    this.#checkClaims(claims, kind, scope)
    const accessToken = await this.#accessToken(present(claims.iss, 'the issuer'), origin)
    this.#keep({ accessToken, kind, source, expiresAt: this.#expiry() })
    return {
      status: 200,
      body: {
        access_token: accessToken,
        token_type: 'Bearer',
        expires_in: this.lifetimeSeconds,
        ...(typeof scope === 'string' && { scope }),
      },
    }
  }

  /** Refuses an assertion that lacks what the profile requires. */
  #checkClaims({ aud }: JWTPayload, kind: Client['kind'], scope: unknown): void {
    const { tokens, keyEnvironment } = this.profile
    if (tokens.needsAudience && aud === undefined) throw unexpectedClaim('aud')
    if (kind === 'user') return
    if (tokens.needsScope && scope !== `fhir:${keyEnvironment?.toLowerCase()}`) throw unexpectedClaim('scope')
  }

  /** Handles `POST /auth/authenticate`, the login with a legacy key (docs/redox-api.md#legacy-api-key). */
  async authenticate({ request }: SandboxRequest): Promise<SandboxAnswer> {
    const { apiKey, secret } = await legacyBody(request)
    if (!this.profile.tokens.legacyKeys) throw new Refusal(401, 'Invalid request')
    if (apiKey !== this.legacyKey.apiKey) throw new Refusal(401, 'Invalid request')
    if (secret !== this.legacyKey.secret) throw new Refusal(401, 'Invalid source secret')
    const grant: Grant = { accessToken: randomUUID(), kind: 'legacy', source: apiKey, expiresAt: 0 }
    const refreshToken = randomUUID()
    remember(this.#refreshable, refreshToken, grant)
    return this.#legacyToken(grant, refreshToken)
  }

  /**
   * Handles `POST /auth/refreshToken`: returns the same access token and refresh token, with a later expiry
   * (docs/redox-api.md#legacy-api-key).
   */
  async refresh({ request }: SandboxRequest): Promise<SandboxAnswer> {
    const { apiKey, refreshToken } = await legacyBody(request)
    const grant = typeof refreshToken === 'string' ? this.#refreshable.get(refreshToken) : undefined
    if (!grant || grant.source !== apiKey) throw new Refusal(401, 'Invalid request')
    return this.#legacyToken(grant, refreshToken as string)
  }

  /** Returns the rights of the access token in the request. */
  grantOf(request: IncomingMessage): Grant {
    const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
    const grant = token === undefined ? undefined : this.#grants.get(token)
    if (!grant || grant.expiresAt <= Date.now()) throw new Refusal(401, 'Unauthorized')
    return grant
  }

  async #keyOf(assertion: string): Promise<{ key: KeyObject } & Pick<Client, 'source' | 'kind'>> {
    const { decodeJwt, decodeProtectedHeader } = await import('jose')
    const { kid, iss } = readable(() => ({
      kid: decodeProtectedHeader(assertion).kid,
      iss: decodeJwt(assertion).iss,
    }))
    if (!kid) throw new Refusal(400, 'JWT header kid property is required')
    const client = this.#clients.get(iss ?? '')
    const key = client?.keys.get(kid)
    if (!client || !key) {
      throw new Refusal(401, 'Public key not found, check client_id, kid and Redox dashboard settings')
    }
    return { key, source: client.source, kind: client.kind }
  }

  /** Refuses an assertion whose `jti` was used before. Clients may omit `jti` (docs/redox-api.md#oauth-api-key). */
  #useOnce({ iss, jti }: JWTPayload): void {
    if (jti === undefined) return
    const now = Date.now()
    for (const [seen, until] of this.#seenJtis) if (until < now) this.#seenJtis.delete(seen)
    const id = JSON.stringify([iss, jti])
    if (typeof jti !== 'string' || jti === '' || this.#seenJtis.has(id)) throw unexpectedClaim('jti')
    this.#seenJtis.set(id, now + (MAX_ASSERTION_AGE + 2 * CLOCK_SKEW) * 1000)
  }

  async #accessToken(subject: string, issuer: string): Promise<string> {
    if (this.profile.tokens.form === 'opaque') return randomUUID()
    const { SignJWT } = await import('jose')
    return new SignJWT({ sub: subject, iss: issuer, jti: randomUUID() })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setExpirationTime(new Date(this.#expiry()))
      .sign(this.#signingKey)
  }

  #legacyToken(grant: Grant, refreshToken: string): SandboxAnswer {
    grant.expiresAt = this.#expiry()
    this.#keep(grant)
    const expires = new Date(grant.expiresAt).toISOString()
    return { status: 200, body: { accessToken: grant.accessToken, expires, refreshToken } }
  }

  #expiry(): number {
    return Date.now() + this.lifetimeSeconds * 1000
  }

  #keep(grant: Grant): void {
    remember(this.#grants, grant.accessToken, grant)
  }
}

/** Refuses user-level keys, with which no message can be sent (docs/redox-api.md#delivery-status). */
export function refuseUserLevel({ kind }: Grant): void {
  if (kind === 'user')
    throw new Refusal(403, [{ text: 'A user-level API key is not supported', code: 'forbidden' }])
}

/** Refuses keys that are not user-level keys, which the Platform API needs (docs/redox-api.md#delivery-status). */
export function requireUserLevel({ kind }: Grant): void {
  if (kind !== 'user') throw new Refusal(403, 'A user-level API key is required')
}

/** Refuses legacy keys, which the FHIR API does not accept (docs/redox-api.md#credentials). */
export function refuseLegacy({ kind }: Grant): void {
  if (kind === 'legacy') throw new Refusal(401, 'Legacy API keys are not supported by the FHIR API.')
}

/**
 * Returns the source of a request: from the `Redox-Source-Id` header; without the header, from the body; otherwise the
 * source of the key (docs/redox-api.md#source-id).
 */
export function sourceOf(grant: Grant, request: IncomingMessage, inBody?: string): string {
  const inHeader = request.headers['redox-source-id']
  const named = [inHeader, inBody].filter((id) => id !== undefined)
  if (!named.every(isUuid)) throw new Refusal(400, 'Source ID must be a UUID')
  const [source, ...others] = named.map((id) => id.toLowerCase())
  if (source === undefined) return grant.source
  if (others.some((other) => other !== source)) {
    throw new Refusal(400, 'Source ID in the header and in the body differ')
  }
  if (grant.kind === 'oauth' || source === grant.source) return source
  // A legacy key may only use its own source (docs/redox-api.md#credentials). The key's own source is used instead of
  // the source id in Redox's published examples.
  if (source === SAMPLE_SOURCE) return grant.source
  throw new Refusal(401, 'This source is not authorized.')
}

/** Builds the error body of the OAuth endpoint (docs/redox-api.md#oauth-api-key). */
export const oauthError = (refusal: Refusal): JsonRecord => ({
  error: 'invalid_request',
  error_description: refusal.text,
  error_uri: ERROR_URI,
})

async function tokenForm(request: IncomingMessage): Promise<URLSearchParams> {
  if (mediaType(request) !== 'application/x-www-form-urlencoded') {
    throw new Refusal(400, 'x-www-form-urlencoded content-type required')
  }
  const form = new URLSearchParams((await readBody(request, TOKEN_REQUEST_LIMIT)).toString())
  const [grantType, assertionType] = [form.get('grant_type'), form.get('client_assertion_type')]
  if (!grantType) throw new Refusal(400, 'Missing grant_type parameter')
  if (grantType !== 'client_credentials') {
    throw new Refusal(400, "The grant_type parameter should equal 'client_credentials'")
  }
  if (!assertionType) throw new Refusal(400, 'Missing client assertion type')
  if (assertionType !== ASSERTION_TYPE) throw new Refusal(400, 'Invalid client assertion type')
  if (!form.get('client_assertion')) throw new Refusal(400, 'Missing client assertion')
  return form
}

async function verify(assertion: string, key: KeyObject, audience: string): Promise<JWTPayload> {
  const { decodeJwt, jwtVerify } = await import('jose')
  const { iss, aud } = decodeJwt(assertion)
  try {
    await jwtVerify(assertion, key, {
      algorithms: ['RS384', 'ES384'],
      subject: present(iss, 'the issuer'),
      maxTokenAge: MAX_ASSERTION_AGE,
      clockTolerance: CLOCK_SKEW,
    })
  } catch (error) {
    const claim = (error as { claim?: unknown }).claim
    // Redox gives no description for a wrong signature or algorithm.
    throw typeof claim === 'string' ? unexpectedClaim(claim) : new Refusal(401, '')
  }
  if (aud !== undefined && ![aud].flat().includes(audience)) throw unexpectedClaim('aud')
  return decodeJwt(assertion)
}

const unexpectedClaim = (claim: string): Refusal => new Refusal(401, `Unexpected ${claim} claim value`)

function readable<T>(decode: () => T): T {
  try {
    return decode()
  } catch {
    throw new Refusal(400, '')
  }
}

async function legacyBody(request: IncomingMessage): Promise<JsonRecord> {
  if (mediaType(request) !== 'application/json') throw new Refusal(400, 'Invalid request')
  return parseJson(await readBody(request, TOKEN_REQUEST_LIMIT))
}

/** Adds an entry to a map, and removes the oldest entry if there are too many. */
function remember<T>(entries: Map<string, T>, id: string, entry: T): void {
  entries.set(id, entry)
  if (entries.size > MAX_KEPT_GRANTS) {
    const [oldest] = entries.keys()
    if (oldest !== undefined) entries.delete(oldest)
  }
}
