import { tokenFetcher, type Credentials, type OAuthCredentials } from '../auth/credentials'
import type { AccessToken } from '../auth/tokens'
import { attemptRequest } from '../redox/request-attempt'
import { tokenRequest } from '../redox/requests'
import { Http, type HttpAnswer } from '../transport/http'
import { isObject } from '../message/json'
import type { CheckRun } from './check-run'
import { clientSettings } from './settings'
import { failedTrial, type Trial } from './trial'

/**
 * Requests a token with each key, and with the OAuth key also without `aud` and with a scope. Sets the keys of the run
 * to those that work.
 */
export async function runTokenStep(run: CheckRun): Promise<void> {
  const { oauth, legacy } = run.settings
  if (oauth !== undefined) await tryOAuth(run, oauth)
  if (legacy === undefined) return
  const trial = await tryToken(run, legacy)
  run.add('token', 'Legacy key', trial)
  if (trial.result === 'works') run.legacy = legacy
}

async function tryOAuth(run: CheckRun, oauth: OAuthCredentials): Promise<void> {
  const scope = `fhir:${run.settings.environment.toLowerCase()}`
  const variants: [what: string, credentials: OAuthCredentials][] = [
    ['OAuth key, with aud, without scope', oauth],
    ['OAuth key, with aud, with the scope of the environment', { ...oauth, scope }],
    ['OAuth key, without aud, without scope', { ...oauth, audience: '' }],
  ]
  for (const [what, credentials] of variants) {
    const trial = await tryToken(run, credentials)
    run.add('token', what, trial)
    if (trial.result === 'works') run.oauth ??= credentials
  }
  if (run.oauth?.scope !== undefined) run.advise('redox-config', 'Scope', scope)
}

async function tryToken(run: CheckRun, credentials: Credentials): Promise<Trial> {
  const settings = clientSettings(run.settings, credentials)
  const http = new Http(settings.http, 1)
  let answer: HttpAnswer | undefined
  const fetchToken = tokenFetcher(credentials, async (url, body) => {
    const { signal } = new AbortController()
    const context = {
      http,
      settings,
      token: undefined,
      tokenSecrets: () => [],
      signal,
      onProgress: () => undefined,
    }
    const result = await attemptRequest(tokenRequest(url, body), context)
    if ('error' in result) throw result.error
    return (answer = result.answer)
  })
  try {
    const token = await fetchToken(undefined)
    return { result: 'works', detail: describe(token, answer), locations: [] }
  } catch (error) {
    return failedTrial(error)
  } finally {
    await http.close()
  }
}

/** Describes a token without repeating it. */
function describe({ token, obtainedAt, expiresAt, refreshToken }: AccessToken, answer?: HttpAnswer): string {
  const { body, status } = answer ?? {}
  const isJwt = token.split('.').length === 3
  const isScoped = isObject(body) && typeof body.scope === 'string' && body.scope !== ''
  return [
    `HTTP ${status}`,
    isJwt ? 'a JWT' : 'an opaque token',
    // Redox rounds, and the answer needs some time.
    `valid for ${Math.round((expiresAt - obtainedAt) / 10_000) * 10} s`,
    ...(refreshToken === undefined ? [] : ['with a refresh token']),
    ...(isScoped ? ['with a scope'] : []),
  ].join(', ')
}
