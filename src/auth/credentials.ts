import { randomUUID } from 'node:crypto'
import { RedoxError } from '../errors'
import { textBody, type RequestBody } from '../transport/body'
import { serverTime, type HttpAnswer } from '../transport/http'
import { readPrivateKey } from './private-key'
import { EXPIRED_AT_REFUSAL, type AccessToken, type FetchToken } from './tokens'

/** Credentials of an OAuth API key: private-key JWT (docs/redox-api.md#oauth-api-key). */
export interface OAuthCredentials {
  kind: 'oauth'
  clientId: string
  /** `kid` of the registered public key; optional if the private key is a JWK with a `kid` */
  keyId?: string
  /** private key as PEM or JWK, in the forms that readPrivateKey accepts */
  privateKey: string
  scope?: string
  tokenUrl: string
  /**
   * `aud` of the assertion; the token URL, unless a region requires a different value (docs/redox-api.md#oauth-api-key).
   * Empty: no `aud`, which only `redox-check` tries.
   */
  audience: string
}

/** Credentials of a legacy API key (docs/redox-api.md#legacy-api-key). */
export interface LegacyCredentials {
  kind: 'legacy'
  apiKey: string
  secret: string
  authenticateUrl: string
  refreshUrl: string
}

export type Credentials = OAuthCredentials | LegacyCredentials

/** Makes one token request. Rejects with a RedoxError unless the response is a 2xx. */
export type PostForToken = (url: string, body: RequestBody) => Promise<HttpAnswer>

/**
 * Returns the function that fetches access tokens with the given credentials. The errors of this function name the
 * secrets that are missing, but never contain a secret.
 */
export function tokenFetcher(credentials: Credentials, post: PostForToken): FetchToken {
  return credentials.kind === 'oauth' ? oauthFetcher(credentials, post) : legacyFetcher(credentials, post)
}

function required(value: string | undefined, field: string, label: string): string {
  if (value !== undefined && value.trim() !== '') return value.trim()
  throw new RedoxError(
    'REDOX_CONFIGURATION',
    `${label} is missing. Enter it in the connection, or set the environment variable that it names.`,
    { field },
  )
}

// Lifetime of an RFC 7523 assertion in every known client: 300 s (docs/redox-api.md#oauth-api-key, `exp`).
const ASSERTION_LIFETIME_SECONDS = 300

function oauthFetcher(credentials: OAuthCredentials, post: PostForToken): FetchToken {
  const body = async (): Promise<RequestBody> => {
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await signAssertion(credentials),
      ...(credentials.scope && { scope: credentials.scope }),
    })
    return textBody('application/x-www-form-urlencoded', form.toString())
  }
  return async () => {
    const obtainedAt = performance.now()
    // Each request has a new assertion: a server accepts an assertion only once, even if the server's response got
    // lost.
    const answer = await post(credentials.tokenUrl, await body())
    const { access_token: token, expires_in: seconds } = fields(answer)
    if (!isToken(token)) throw unusable(answer, 'access_token')
    const given = typeof seconds === 'string' ? Number(seconds) : seconds
    const lifetime = typeof given === 'number' && Number.isFinite(given) ? given : 300
    return { token, obtainedAt, expiresAt: obtainedAt + lifetime * 1000 }
  }
}

/**
 * Loads the package jose, which signs assertions. It is an ES module, which Node.js 22.9 cannot `require()`, and no flow
 * needs it before the first request.
 */
export const loadJose = () => import('jose')

async function signAssertion(credentials: OAuthCredentials): Promise<string> {
  const clientId = required(credentials.clientId, 'clientId', 'Client ID')
  const signing = readPrivateKey(
    required(credentials.privateKey, 'privateKey', 'Private key'),
    credentials.keyId,
  )
  const keyId = required(credentials.keyId || signing.keyId, 'keyId', 'Key ID')
  const { SignJWT } = await loadJose()
  const now = Math.floor(Date.now() / 1000)
  const assertion = new SignJWT(credentials.scope ? { scope: credentials.scope } : {})
    .setProtectedHeader({ alg: signing.algorithm, kid: keyId, typ: 'JWT' })
    .setIssuer(clientId)
    .setSubject(clientId)
    .setIssuedAt(now)
    .setExpirationTime(now + ASSERTION_LIFETIME_SECONDS)
    .setJti(randomUUID())
  if (credentials.audience !== '') assertion.setAudience(credentials.audience)
  return assertion.sign(signing.key)
}

function legacyFetcher(credentials: LegacyCredentials, post: PostForToken): FetchToken {
  const authenticate = async (): Promise<HttpAnswer> =>
    post(
      credentials.authenticateUrl,
      json({
        apiKey: required(credentials.apiKey, 'apiKey', 'API key'),
        secret: required(credentials.secret, 'secret', 'Secret'),
      }),
    )
  const refresh = (refreshToken: string): Promise<HttpAnswer> =>
    post(credentials.refreshUrl, json({ apiKey: credentials.apiKey, refreshToken }))

  return async (previous) => {
    const obtainedAt = performance.now()
    // The lifetime of refresh tokens is not known (docs/redox-api.md#legacy-api-key): if the server refuses a refresh
    // token, authenticate again. If a server refused the access token before its expiry, authenticate at once: a
    // refresh could return the same access token.
    const refreshToken = previous?.expiresAt === EXPIRED_AT_REFUSAL ? undefined : previous?.refreshToken
    const answer =
      refreshToken !== undefined
        ? await refresh(refreshToken).catch((error: unknown) => {
            if (error instanceof RedoxError && error.code === 'REDOX_AUTHENTICATION') return authenticate()
            throw error
          })
        : await authenticate()
    return legacyToken(answer, obtainedAt)
  }
}

function legacyToken(answer: HttpAnswer, obtainedAt: number): AccessToken {
  const { accessToken, expires, refreshToken } = fields(answer)
  if (!isToken(accessToken)) throw unusable(answer, 'accessToken')
  // Lifetime of the token by the server's clock, because the local clock may be hours off.
  const lifetime = typeof expires === 'string' ? Date.parse(expires) - serverTime(answer) : NaN
  if (Number.isNaN(lifetime)) throw unusable(answer, 'expires')
  return {
    token: accessToken,
    obtainedAt,
    expiresAt: obtainedAt + lifetime,
    ...(typeof refreshToken === 'string' && { refreshToken }),
  }
}

const json = (value: unknown): RequestBody => textBody('application/json', JSON.stringify(value))

// The token goes into an HTTP header: characters other than visible ASCII would cause an error that looks like a
// network failure.
const isToken = (value: unknown): value is string => typeof value === 'string' && /^[!-~]+$/.test(value)

const fields = ({ body }: HttpAnswer): Record<string, unknown> =>
  typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}

const unusable = (answer: HttpAnswer, field: string): RedoxError =>
  new RedoxError(
    'REDOX_AUTHENTICATION',
    `Access token is missing: the token endpoint answered ${answer.status} without a usable "${field}". Check the API ` +
      'base in the connection. Nothing was sent.',
    { operation: 'token', status: answer.status },
  )
