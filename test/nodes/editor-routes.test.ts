/** Requests of the dialogs to the runtime: permissions, responses, and hosts to which no secrets are sent. */
import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { startSandbox, type Sandbox } from '../../src/sandbox'
import { startWithUsers, type GuardedNodeRed } from '../lib/admin'
import { PRIVATE_KEY } from '../lib/flow'
import { serve, type Server } from '../lib/redox'
import { ALL_NODES, type SendNode } from '../lib/send-nodes'

const USERS = { admin: '*', reader: 'read', outsider: 'redox-inbox.read' }
const CONFIG_ID = 'routesconfig'
const VARIABLE = 'REDOX_TEST_ROUTES_KEY'

interface TestAnswer {
  ok: boolean
  reason?: string
  field?: string
  environment?: string
  message?: string
  clockSkewSeconds?: number
  platform?: { ok: boolean; searched?: boolean; field?: string; message?: string }
}
interface PreviewAnswer {
  requests: { method: string; url: string; headers: Record<string, string>; body: string }[]
  problems: { path: string }[]
  warnings: string[]
  error?: { code: string; message: string }
}

describe('routes of the dialogs', function () {
  this.timeout(60_000)
  let nodeRed: GuardedNodeRed<keyof typeof USERS>
  let sandbox: Sandbox

  before(async () => {
    process.env[VARIABLE] = PRIVATE_KEY
    nodeRed = await startWithUsers(USERS)
    sandbox = await startSandbox()
  })
  after(async () => {
    delete process.env[VARIABLE]
    await nodeRed?.stop()
    await sandbox?.close()
  })

  const ask = (place: string, body: unknown, user?: keyof typeof USERS): Promise<Response> =>
    fetch(nodeRed.url + place, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(user && { authorization: `Bearer ${nodeRed.tokens[user]}` }),
      },
      body: JSON.stringify(body),
    })
  const asAdmin = async <T>(place: string, body: unknown): Promise<T> => {
    const answer = await ask(place, body, 'admin')
    assert.equal(answer.status, 200, await answer.clone().text())
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    return (await answer.json()) as T
  }

  const hosts = (url: string): Record<string, string> => ({
    environment: 'Development',
    environmentType: 'environment',
    auth: 'oauth',
    apiBase: url,
  })
  const key = (): Record<string, string> => ({
    clientId: sandbox.oauthKey.clientId,
    keyId: sandbox.oauthKey.keyId,
  })
  const test = (config: object, secrets: object, id = 'new'): Promise<TestAnswer> =>
    asAdmin('redox/test', { id, config, secrets })
  const preview = (node: SendNode, settings: object = {}, connection: object = SANDBOX) =>
    asAdmin<PreviewAnswer>('redox/preview', {
      id: 'new',
      type: node.type,
      config: { ...DROPPED, ...node.node, ...settings },
      connectionId: CONFIG_ID,
      connection,
    })

  /** Deploys a redox-config node, whose private key Node-RED then stores as a credential. */
  const deploy = async (config: object, credentials: object): Promise<void> => {
    const flow = [{ id: CONFIG_ID, type: 'redox-config', name: '', ...config, credentials }]
    assert.equal((await ask('flows', flow, 'admin')).status, 204)
  }

  for (const [place, body] of [
    ['redox/test', { id: 'new', config: {}, secrets: {} }],
    ['redox/key-pair', {}],
    ['redox/preview', { id: 'new', type: 'redox-upload', config: {}, connectionId: '', connection: {} }],
  ] as const) {
    it(`${place} refuses a user without write permission`, async () => {
      for (const user of [undefined, 'outsider', 'reader'] as const) {
        const answer = await ask(place, body, user)
        assert.equal(answer.status, 401, String(user))
        assert.doesNotMatch(await answer.text(), /key|code|requests/i)
      }
    })

    it(`${place} accepts only requests in the form of the dialogs`, async () => {
      for (const hostile of [{ ...body, more: 1 }, [], { __proto__: null, id: 7 }, { id: { $gt: '' } }]) {
        const answer = await ask(place, hostile, 'admin')
        assert.equal(answer.status, 400, JSON.stringify(hostile))
        assert.deepEqual(await answer.json(), { code: 'bad_request' })
      }
    })
  }

  describe('key pair', () => {
    it('is an RSA key, with its public part as a JWK without private members', async () => {
      const { privateKey, publicJwk } = await asAdmin<{ privateKey: string; publicJwk: JsonWebKey }>(
        'redox/key-pair',
        {},
      )
      const own = createPublicKey(createPrivateKey(privateKey)).export({ format: 'jwk' })
      assert.deepEqual(Object.keys(publicJwk).sort(), ['alg', 'e', 'kid', 'kty', 'n', 'use'])
      assert.deepEqual([publicJwk.n, publicJwk.e, publicJwk.alg], [own.n, own.e, 'RS384'])
      assert.ok(createPrivateKey(privateKey).asymmetricKeyDetails!.modulusLength! >= 2048)
    })

    it('is new each time, and is accepted once it is registered', async () => {
      const pairs = await Promise.all(
        [1, 2].map(() => asAdmin<{ privateKey: string; publicJwk: { kid: string } }>('redox/key-pair', {})),
      )
      assert.notEqual(pairs[0]!.publicJwk.kid, pairs[1]!.publicJwk.kid)
      const [{ privateKey, publicJwk }] = pairs as [(typeof pairs)[0]]
      const config = { ...hosts(sandbox.url), clientId: 'generated', keyId: publicJwk.kid }
      assert.equal((await test(config, { privateKey })).reason, 'unknownKey')
      sandbox.registerOAuthKey({ clientId: 'generated', keyId: publicJwk.kid, publicKey: publicJwk })
      assert.deepEqual(await test(config, { privateKey }), { ok: true, environment: 'Development' })
    })
  })

  describe('connection test', () => {
    let thief: Server
    beforeEach(
      async () => void (thief = await serve(() => ({ body: { access_token: 'x', expires_in: 300 } }))),
    )
    afterEach(() => thief.close())

    it('needs no key for the built-in sandbox', async () => {
      assert.deepEqual(await test(SANDBOX, {}), { ok: true, environment: 'Sandbox' })
    })

    it('reports missing settings', async () => {
      const config = hosts(sandbox.url)
      const missing = async (more: object, secrets: object) =>
        (await test({ ...config, ...more }, secrets)).field
      assert.equal(await missing({}, {}), 'clientId')
      assert.equal(await missing({ clientId: 'a', keyId: 'b' }, {}), 'privateKey')
      assert.equal(await missing({ clientId: 'a' }, { privateKey: PRIVATE_KEY }), 'keyId')
      assert.equal(await missing({ auth: 'legacy' }, { secret: 'x' }), 'apiKey')
      assert.equal(await missing({ clientId: '${REDOX_NOT_SET}' }, { privateKey: PRIVATE_KEY }), 'clientId')
      assert.equal(await missing({ environment: 'Nowhere' }, {}), 'environment')
    })

    it('reports a host without https:// with the right form', async () => {
      for (const apiBase of ['api.redoxengine.com', 'api.redoxengine.com:443', 'http://api.redoxengine.com'])
        assert.deepEqual(
          await test({ ...hosts(sandbox.url), apiBase }, {}).then(({ reason, field }) => [reason, field]),
          ['url', 'apiBase'],
        )
      assert.equal(
        (await test({ ...hosts(sandbox.url), apiBase: '${REDOX_NOT_SET}' }, {})).reason,
        'incomplete',
      )
    })

    it('uses the stored key for the deployed host, whatever other settings were changed', async () => {
      await deploy(hosts(sandbox.url), { privateKey: sandbox.oauthKey.privateKey })
      const config = { ...hosts(sandbox.url), ...key(), environment: 'Staging' }
      assert.deepEqual(await test(config, {}, CONFIG_ID), { ok: true, environment: 'Staging' })
    })

    it('never sends a stored key to a host, or for an audience, that was changed in the form', async () => {
      await deploy(hosts(sandbox.url), { privateKey: sandbox.oauthKey.privateKey, secret: 's', apiKey: 'a' })
      const elsewhere = { ok: false, reason: 'secretElsewhere' }
      for (const [config, field] of [
        [{ ...hosts(thief.url), ...key() }, 'privateKey'],
        [{ ...hosts(sandbox.url), ...key(), audience: 'https://api.example.com' }, 'privateKey'],
        [{ ...hosts(thief.url), auth: 'legacy' }, 'secret'],
      ] as const)
        assert.deepEqual(await test(config, {}, CONFIG_ID), { ...elsewhere, field })
      assert.deepEqual(thief.requests, [])
      // A key that the user has just typed is sent to the host that the user has entered.
      const typed = await test({ ...hosts(thief.url), ...key() }, { privateKey: PRIVATE_KEY }, CONFIG_ID)
      assert.equal(typed.ok, true)
    })

    const userKey = (): Record<string, string> => ({
      platformClientId: sandbox.platform.key.clientId,
      platformKeyId: sandbox.platform.key.keyId,
      organizationId: sandbox.platform.organizationId,
      environmentId: sandbox.platform.environmentIds.Development,
    })
    const bothSecrets = () => ({
      privateKey: sandbox.oauthKey.privateKey,
      platformPrivateKey: sandbox.platform.key.privateKey,
    })

    it('tries the user-level key: a token, a log and a search', async () => {
      const config = { ...hosts(sandbox.url), ...key(), ...userKey() }
      const both = { ok: true, environment: 'Development' }
      assert.deepEqual(await test(config, bothSecrets()), { ...both, platform: { ok: true, searched: true } })
      assert.deepEqual(await test({ ...config, environmentId: '' }, bothSecrets()), {
        ...both,
        platform: { ok: true, searched: false },
      })
    })

    it('says what is wrong with the user-level key, beside the result of the other key', async () => {
      const config = { ...hosts(sandbox.url), ...key(), ...userKey() }
      const { privateKey, platformPrivateKey } = bothSecrets()
      const wrong: [more: object, secrets: object, message: RegExp, field?: string][] = [
        [{ organizationId: '' }, {}, /^Platform API: Organization ID is missing/, 'organizationId'],
        [{ organizationId: 'other' }, {}, /^Platform API: Forbidden by Redox \(HTTP 403/],
        [{ environmentId: 'other' }, {}, /^Platform API: Forbidden by Redox \(HTTP 403/],
        [{}, { platformPrivateKey: '' }, /^Platform API: Private key is missing/, 'platformPrivateKey'],
        // The key of an environment is not a user-level key.
        [
          { platformClientId: key().clientId, platformKeyId: key().keyId },
          { platformPrivateKey: privateKey },
          /^Platform API: /,
        ],
      ]
      for (const [more, secrets, message, field] of wrong) {
        const { ok, platform } = await test(
          { ...config, ...more },
          { privateKey, platformPrivateKey, ...secrets },
        )
        assert.deepEqual([ok, platform?.ok, platform?.field], [true, false, field])
        assert.match(String(platform?.message), message)
      }
    })

    it('never sends a stored user-level key to a host that was changed in the form', async () => {
      await deploy({ ...hosts(sandbox.url), ...userKey() }, bothSecrets())
      const form = { ...hosts(thief.url), ...key(), ...userKey() }
      const answer = await test(form, { privateKey: PRIVATE_KEY }, CONFIG_ID)
      assert.equal(answer.reason, 'secretElsewhere')
      assert.deepEqual(thief.requests, [])
    })

    it('sends a secret from the environment only to the deployed host and to Redox', async () => {
      const secrets = { privateKey: `\${${VARIABLE}}` }
      await deploy(hosts(sandbox.url), {})
      assert.equal(
        (await test({ ...hosts(thief.url), ...key() }, secrets, CONFIG_ID)).reason,
        'secretElsewhere',
      )
      assert.deepEqual(thief.requests, [])
      // The sandbox refuses this key, which it does not know. So the secret was sent to the sandbox, as it should be.
      const asked = await test({ ...hosts(sandbox.url), ...key() }, secrets, CONFIG_ID)
      assert.notEqual(asked.reason, 'secretElsewhere')
    })

    it('returns no part of a key in any answer', async () => {
      const lines = PRIVATE_KEY.split('\n').slice(1, -2)
      for (const secrets of [{ privateKey: PRIVATE_KEY }, { privateKey: PRIVATE_KEY.slice(0, 300) }]) {
        const text = JSON.stringify(await test({ ...hosts(sandbox.url), ...key() }, secrets))
        assert.ok(!lines.some((line) => text.includes(line)), text)
      }
    })
  })

  describe('preview', () => {
    it('shows the requests of each completed node without problems', async () => {
      for (const node of ALL_NODES) {
        const { requests, problems, error } = await preview(node)
        assert.deepEqual([problems, error], [[], undefined], node.type)
        const [request] = requests
        assert.equal(requests.length, 1)
        assert.equal(request!.method, 'POST')
        assert.match(request!.url, new RegExp(node.operation === 'upload' ? 'Binary|upload' : ENDS[node.api]))
        assert.equal(request!.headers['authorization'], 'Bearer …')
        assert.ok(Number(request!.headers['content-length']) > 100)
        assert.match(request!.body, /<(base64, )?\d+ bytes>/)
      }
    })

    it('shows the upload before the message that refers to it', async () => {
      const { requests } = await preview(ALL_NODES[2]!, { way: 'upload' })
      assert.deepEqual(
        requests.map(({ url }) => url.split('/').at(-1)),
        ['Binary', '$diagnosticreport-create'],
      )
      assert.match(requests[1]!.body, /"url":"<reference/)
    })

    it('lists missing values, with the message as far as it can be built', async () => {
      const note = { type: 'redox-datamodel-note', node: {} } as SendNode
      const { requests, problems } = await preview(note, { patientId: 'msg.patient' })
      assert.equal(requests.length, 1)
      const paths = problems.map(({ path }) => path)
      for (const path of ['Meta.Destinations', 'Note.DocumentID', 'Note.DocumentType', 'Note.Provider'])
        assert.ok(paths.includes(path), paths.join())
    })

    it('reports why no message can be built', async () => {
      const { requests, error } = await preview(ALL_NODES[2]!, { destination: 'no slug' })
      assert.deepEqual([requests, error!.code], [[], 'REDOX_BAD_INPUT'])
      const connection = { ...hosts('ftp://example.com') }
      assert.equal((await preview(ALL_NODES[0]!, {}, connection)).error!.code, 'REDOX_CONFIGURATION')
      assert.equal(
        (await preview({ type: 'inject', node: {} } as SendNode)).error!.code,
        'REDOX_CONFIGURATION',
      )
    })

    it('uses a sample for values from a message, and sends no request', async () => {
      const server = await serve(() => ({ status: 500 }))
      try {
        const dynamic = { destination: 'destination', destinationType: 'msg', data: 'data', patientId: '' }
        for (const node of ALL_NODES.slice(2)) {
          const { problems, requests, error } = await preview(node, dynamic, hosts(server.url))
          assert.deepEqual([problems, error], [[], undefined], node.type)
          assert.match(requests[0]!.body, /0000000001/)
        }
        assert.deepEqual(server.requests, [])
      } finally {
        await server.close()
      }
    })
  })
})

const SANDBOX = { environment: 'Sandbox', environmentType: 'environment' }
const ENDS = { fhir: '/(DiagnosticReport|DocumentReference)/', datamodel: '/endpoint$' }
/** Default values of a new node. */
const DROPPED = {
  ...{ fileFrom: 'message', file: 'payload', fileType: 'msg', filename: 'filename', filenameType: 'msg' },
  ...{ way: 'auto', dataType: 'msg', typeOfPatientId: 'MR' },
}
