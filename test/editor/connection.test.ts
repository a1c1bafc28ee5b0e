/** Buttons *Test connection* and *Generate key pair* in the connection dialog, with servers on this machine. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { startSandbox, type Sandbox } from '../../src/sandbox'
import { reply, ScriptedServer, silence } from '../lib/scripted-server'
import { UNKNOWN_HOST } from '../lib/redox'
import { deploy, done, field, form, openConfig, openSections, setValues } from './dialogs'
import { SECRET_VARIABLE, useEditor, type Editor } from './editor'

const NOT_SENT =
  'The saved secret is not sent to a host that you changed in this form. Enter the secret again, or deploy first.'
const OTHER_KEY = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
}) as string
/** HTTP response with which Redox refuses a token request (docs/redox-api.md#oauth-api-key). */
const refusal = (status: number, description: string): ReturnType<typeof reply> =>
  reply(status, { error: 'invalid_request', error_description: description })

describe('connection in the editor', function () {
  this.timeout(240_000)
  const editor = useEditor()
  const page = (): Editor['page'] => editor().page
  let sandbox: Sandbox
  let server: ScriptedServer

  before(async () => {
    sandbox = await startSandbox()
    server = await ScriptedServer.start()
    await editor().reload({ flows: [connectionNode({})] })
  })
  after(async () => {
    await sandbox?.close()
    await server?.close()
  })
  beforeEach(() => void server.requests.splice(0))

  const oauth = (): Record<string, string> => ({
    environment: 'Development',
    auth: 'oauth',
    apiBase: sandbox.url,
    ...sandbox.oauthKey,
  })
  const legacy = (): Record<string, string> => ({
    environment: 'Staging',
    auth: 'legacy',
    apiBase: sandbox.url,
    ...sandbox.legacyKey,
  })
  const scripted = (...answers: Parameters<ScriptedServer['script']>[1][]): Record<string, string> => {
    server.script('token', ...answers)
    return { ...oauth(), apiBase: server.url }
  }
  const skewed = (status: number): Parameters<ScriptedServer['script']>[1] =>
    reply(status, { error: 'x' }, { date: new Date(Date.now() - 3_600_000).toUTCString() })

  /** Test cases: description, values of the form, expected error text, and the field that is then marked as wrong. */
  const REASONS: [
    what: string,
    values: () => Record<string, string>,
    says: string | RegExp,
    field?: string,
  ][] = [
    ['a right OAuth key', oauth, 'Connected: Redox issued a token (Development).'],
    ['a right legacy key', legacy, 'Connected: Redox issued a token (Staging).'],
    [
      'the built-in sandbox, without credentials',
      () => ({ environment: 'Sandbox' }),
      'The built-in sandbox answered. Your own key was not tested: choose a different environment to test it.',
    ],
    [
      'an unknown client',
      () => ({ ...oauth(), clientId: 'unknown' }),
      /^Redox does not know this key\. /,
      'keyId',
    ],
    [
      'an unknown key ID',
      () => ({ ...oauth(), keyId: 'other' }),
      /^Redox does not know this key\. /,
      'keyId',
    ],
    [
      'another private key',
      () => ({ ...oauth(), privateKey: OTHER_KEY }),
      /^Redox rejected the signed request and gave no reason\. /,
    ],
    [
      'another audience',
      () => ({ ...oauth(), audience: 'https://x.example' }),
      /^The token audience is wrong\./,
      'audience',
    ],
    [
      'an unknown API key',
      () => ({ ...legacy(), apiKey: sandbox.oauthKey.clientId }),
      'Redox did not accept the API key.',
      'apiKey',
    ],
    ['a wrong secret', () => ({ ...legacy(), secret: 'x' }), 'The secret is wrong.', 'secret'],
    [
      'no client ID',
      () => ({ ...oauth(), clientId: '' }),
      'Client ID is missing, or refers to an environment variable that is not set.',
      'clientId',
    ],
    ['no private key', () => ({ ...oauth(), privateKey: '' }), /^Private key is missing, or /, 'privateKey'],
    [
      'a variable that is not set',
      () => ({ ...oauth(), privateKey: '${REDOX_NOT_SET}' }),
      /^Private key is missing, or /,
      'privateKey',
    ],
    ['no key ID', () => ({ ...oauth(), keyId: '' }), /^Key ID · kid is missing, or /, 'keyId'],
    ['no legacy key', () => ({ ...legacy(), apiKey: '' }), /^API key is missing, or /, 'apiKey'],
    [
      'a damaged private key',
      () => ({ ...oauth(), privateKey: OTHER_KEY.slice(0, 300) }),
      /^Private key cannot be used: .+/,
      'privateKey',
    ],
    [
      'a request without kid',
      () => scripted(refusal(400, 'JWT header kid property is required')),
      'The key ID (kid) is missing or wrong.',
      'keyId',
    ],
    ...['iss', 'sub'].map((claim): (typeof REASONS)[number] => [
      `a wrong ${claim}`,
      () => scripted(refusal(401, `Unexpected ${claim} claim value`)),
      'Redox did not accept the client ID.',
      'clientId',
    ]),
    ...['iat', 'exp'].map((claim): (typeof REASONS)[number] => [
      `a wrong ${claim}`,
      () => scripted(refusal(401, `Unexpected ${claim} claim value`)),
      "Redox did not accept the time in the signed request. Check this machine's clock.",
    ]),
    [
      'a wrong aud',
      () => scripted(refusal(401, 'Unexpected aud claim value')),
      /^The token audience is wrong\./,
      'audience',
    ],
    [
      'another claim',
      () => scripted(refusal(401, 'Unexpected jti claim value')),
      /^Redox did not accept the signed request\. .*jti/,
    ],
    [
      'no description',
      () => scripted(refusal(401, '')),
      /^Redox rejected the signed request and gave no reason\. /,
    ],
    [
      'a reason that is new',
      () => scripted(refusal(401, 'The key has been retired')),
      /The key has been retired/,
    ],
    [
      'a page that is not Redox',
      () => scripted(reply(404, '<html>Not here</html>')),
      /^The server at 127\.0\.0\.1:\d+ is not Redox's token service/,
      'apiBase',
    ],
    [
      'too many requests',
      () => scripted(reply(429, 'Too many')),
      'Redox received too many requests. Wait a few minutes.',
    ],
    ['an outage', () => scripted(reply(503, 'Down')), 'Redox is unavailable at the moment. Try again later.'],
    [
      'a clock that is an hour off',
      () => scripted(skewed(401)),
      /^This machine's clock differs from the server's by 3\d\d\d s/,
    ],
    [
      'a closed port',
      () => ({ ...oauth(), apiBase: 'http://127.0.0.1:1' }),
      /^The host 127\.0\.0\.1:1 refused the connection.*“Hosts and limits”/,
      'apiBase',
    ],
    [
      'an unknown host',
      () => ({ ...oauth(), apiBase: `https://${UNKNOWN_HOST}` }),
      new RegExp(`^The host ${UNKNOWN_HOST} was not found.*“Hosts and limits”`),
      'apiBase',
    ],
    [
      'a host without TLS',
      () => ({ ...oauth(), apiBase: server.url.replace('http:', 'https:') }),
      /^The TLS connection failed, or the certificate is not valid\./,
      'apiBase',
    ],
    [
      'a host that is silent',
      () => ({ ...scripted(silence), answerTimeout: '1' }),
      /^The host 127\.0\.0\.1:\d+ did not answer in time/,
      'apiBase',
    ],
    ['a URL that is none', () => ({ ...oauth(), apiBase: 'ftp://x' }), /API base URL/, 'apiBase'],
  ]

  describe('test connection, with the values of the form', () => {
    for (const [what, values, says, at] of REASONS) {
      it(`reports the fault: ${what}`, async () => {
        await openConfig(page(), 'connection')
        await setValues(page(), values())
        await test(editor(), says, at)
      })
    }

    it('shows the result at the button', async () => {
      await openConfig(page(), 'connection')
      await setValues(page(), { ...legacy(), secret: 'x' })
      await test(editor(), 'The secret is wrong.', 'secret')
      await editor().screenshot('test-connection-refused')
      await setValues(page(), legacy())
      await test(editor(), 'Connected: Redox issued a token (Staging).')
      await editor().screenshot('test-connection-accepted')
    })
  })

  describe('stored secret', () => {
    it('goes to its deployed host, and to no host that was changed in the form', async () => {
      await openConfig(page(), 'connection')
      await setValues(page(), oauth())
      await done(page())
      await deploy(page())
      await editor().reload()
      await openConfig(page(), 'connection')
      assert.equal(await field(page(), 'privateKey').inputValue(), '__PWRD__')
      await test(editor(), 'Connected: Redox issued a token (Development).')
      await setValues(page(), { apiBase: server.url })
      await test(editor(), NOT_SENT, 'privateKey')
      await setValues(page(), { apiBase: sandbox.url, audience: `${server.url}/v2/auth/token` })
      await test(editor(), NOT_SENT, 'privateKey')
      assert.deepEqual(server.requests, [])
      server.script('token')
      // The user types this secret after changing the host, so the secret is allowed to go to the new host.
      await setValues(page(), { apiBase: server.url, audience: '', privateKey: sandbox.oauthKey.privateKey })
      await test(editor(), 'Connected: Redox issued a token (Development).')
      assert.equal(server.requests.length, 1)
    })

    it('stays here also when it comes from an environment variable', async () => {
      await openConfig(page(), 'connection')
      const variable = '${' + SECRET_VARIABLE + '}'
      await setValues(page(), { ...legacy(), apiBase: server.url, apiKey: 'key', secret: variable })
      await test(editor(), NOT_SENT, 'secret')
      await setValues(page(), { ...oauth(), apiBase: server.url, privateKey: variable })
      await test(editor(), NOT_SENT, 'privateKey')
      assert.deepEqual(server.requests, [])
    })
  })

  it('offers faults for the sandbox only', async () => {
    await editor().reload({ flows: [connectionNode({ environment: 'Sandbox' })] })
    await openConfig(page(), 'connection')
    const section = form(page()).locator('details', { has: page().locator('[id$="-input-faults"]') })
    assert.ok(await section.isVisible())
    await setValues(page(), { environment: 'Development' })
    await section.waitFor({ state: 'hidden' })
    await done(page())
    await editor().reload({ flows: [connectionNode({})] })
  })

  it('generates a key pair that is accepted after its public key is registered, and stores it', async () => {
    await page().context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await openConfig(page(), 'connection')
    const values = { ...oauth(), clientId: 'a-client-of-the-dashboard', privateKey: '', keyId: '' }
    await setValues(page(), values)
    await form(page()).locator('.redox-generate').click()
    const shown = form(page()).locator('.redox-key-jwk')
    await shown.waitFor()
    const publicKey = JSON.parse(await shown.inputValue()) as JsonWebKey & { kid: string }
    assert.deepEqual(Object.keys(publicKey).sort(), ['alg', 'e', 'kid', 'kty', 'n', 'use'])
    assert.match(await field(page(), 'privateKey').inputValue(), /^-----BEGIN PRIVATE KEY-----/)
    assert.equal(await field(page(), 'keyId').inputValue(), publicKey.kid)
    await editor().screenshot('key-pair')
    await form(page()).locator('.redox-key-copy').click()
    const copied = await page().evaluate(() => navigator.clipboard.readText())
    assert.deepEqual(JSON.parse(copied), publicKey)

    await test(editor(), /^Redox does not know this key\. /, 'keyId')
    sandbox.registerOAuthKey({ clientId: values.clientId, keyId: publicKey.kid, publicKey })
    await test(editor(), 'Connected: Redox issued a token (Development).')
    await done(page())
    await deploy(page())
    await editor().reload()
    await openConfig(page(), 'connection')
    assert.equal(await field(page(), 'privateKey').inputValue(), '__PWRD__')
    await test(editor(), 'Connected: Redox issued a token (Development).')
  })

  it('asks before a new key pair replaces a typed or stored key', async () => {
    const question = page().locator('.red-ui-notification', { hasText: 'has a private key' })
    const keys = (): Promise<string[]> =>
      Promise.all(['privateKey', 'keyId'].map((name) => field(page(), name).inputValue()))
    const generate = form(page()).locator('.redox-generate')
    await openConfig(page(), 'connection')
    await setValues(page(), { ...oauth(), privateKey: OTHER_KEY, keyId: 'the old one' })
    const typed = await keys()
    await generate.click()
    await question.waitFor()
    await editor().screenshot('key-pair-question')
    await question.getByRole('button', { name: 'Cancel' }).click()
    await question.waitFor({ state: 'detached' })
    assert.deepEqual(await keys(), typed)
    assert.ok(await form(page()).locator('.redox-key').isHidden())
    await done(page())
    await deploy(page())
    await editor().reload()
    await openConfig(page(), 'connection')
    assert.deepEqual(await keys(), ['__PWRD__', 'the old one'])
    await generate.click()
    await question.getByRole('button', { name: 'Replace key' }).click()
    await form(page()).locator('.redox-key-jwk').waitFor()
    const [privateKey, keyId] = await keys()
    assert.match(privateKey!, /^-----BEGIN PRIVATE KEY-----/)
    assert.notEqual(keyId, 'the old one')
  })

  it('reports that nothing reaches Redox if the sandbox is chosen with credentials', async () => {
    const told = form(page()).locator('.redox-sandbox-credentials')
    await openConfig(page(), 'connection')
    const none = { clientId: '', keyId: '', privateKey: '', auth: 'oauth' }
    await setValues(page(), { ...none, environment: 'Sandbox' })
    assert.equal(await told.innerText(), '')
    for (const values of [{ clientId: 'client' }, { keyId: 'key' }, { privateKey: OTHER_KEY }]) {
      await setValues(page(), { ...none, ...values })
      await told.getByText('nothing is sent to Redox').waitFor()
    }
    await editor().screenshot('sandbox-credentials')
    await setValues(page(), { environment: 'Development' })
    await told.getByText('nothing').waitFor({ state: 'detached' })
    await setValues(page(), { environment: 'Sandbox' })
    await told.getByText('nothing').waitFor()
    // Credentials of the authentication that is not selected are unused, so the dialog shows no warning.
    await setValues(page(), { auth: 'legacy', apiKey: '', secret: '' })
    await told.getByText('nothing').waitFor({ state: 'detached' })
    await setValues(page(), { secret: 'a secret' })
    await told.getByText('nothing').waitFor()
  })

  it('reports missing permission and a missing answer of Node-RED', async () => {
    await openConfig(page(), 'connection')
    for (const [status, says] of [
      [401, 'You do not have permission to do this.'],
      [500, 'Node-RED returned an unexpected response.'],
    ] as const) {
      await page().route('**/redox/test', (route) => route.fulfill({ status }))
      await test(editor(), says)
      await page().unroute('**/redox/test')
      // The browser logs each refused request in its console.
      for (const complaint of editor().complaints.splice(0)) assert.match(complaint, /status of (401|500)/)
    }
  })
})

const connectionNode = (values: object): object => ({
  id: 'connection',
  type: 'redox-config',
  version: 1,
  name: '',
  environment: 'Sandbox',
  environmentType: 'environment',
  auth: 'oauth',
  region: 'US',
  binaryForm: 'raw',
  testFlag: 'auto',
  ...values,
})

/**
 * Presses the button *Test connection*. Checks the result, and that the wrong field (if any) is marked, visible and
 * focused.
 */
async function test({ page }: Editor, says: string | RegExp, at?: string): Promise<void> {
  await openSections(page)
  const result = form(page).locator('.redox-test-result')
  await result.evaluate((element) => element.replaceChildren())
  await form(page).locator('.redox-test').click()
  await result
    .getByText(says, { exact: true })
    .waitFor()
    .catch(() => undefined)
  const text = await result.innerText()
  if (typeof says === 'string') assert.equal(text, says)
  else assert.match(text, says)
  const marked = await form(page)
    .locator('.redox-at-fault')
    .evaluateAll((inputs) => inputs.map(({ id }) => id.replace('node-config-input-', '')))
  assert.deepEqual(marked, at === undefined ? [] : [at])
  if (at === undefined) return
  assert.ok(await field(page, at).isVisible())
  assert.ok(await field(page, at).evaluate((input) => input === document.activeElement))
}
