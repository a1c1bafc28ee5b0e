/** Connections with Node-RED's own tls-config and http proxy nodes. */
import assert from 'node:assert/strict'
import { logged, startFlowTo, useNodeRed, type Flow, type Settings } from '../lib/flow'
import { fixturePath, sizedFile } from '../lib/fixtures'
import { basic, CA, certified, CLIENT, ConnectProxy } from '../lib/proxy'
import { startNodeRed, type NodeRed } from '../lib/node-red'
import { serve, TEST_KEY, withToken, type Server } from '../lib/redox'
import { fileMessage, NOTE } from '../lib/send-nodes'

const TLS = {
  id: 'own-tls',
  type: 'tls-config',
  cert: '',
  key: '',
  ca: '',
  servername: '',
  verifyservercert: true,
}
const LOGIN = { username: 'me', password: 'hunter2' }
const UNVERIFIED = /server certificate is not verified/
const VARIABLES = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'no_proxy', 'NO_PROXY']

describe("TLS and proxy by Node-RED's own config nodes", () => {
  useNodeRed()
  let server: Server
  let proxy: ConnectProxy

  beforeEach(async () => {
    proxy = await ConnectProxy.start()
    server = await serve(
      withToken(() => ({ body: { Meta: {} } })),
      {
        ...certified('server'),
        ...{ requestCert: true, rejectUnauthorized: false, ca: CA },
      },
    )
  })
  afterEach(async () => {
    VARIABLES.forEach((name) => delete process.env[name])
    await server.close()
    await proxy.close()
  })

  const proxyNode = (values: Settings = {}): Settings & { id: string; type: string } => ({
    ...{ id: 'own-proxy', type: 'http proxy', url: proxy.url, noproxy: [] },
    ...values,
  })
  const start = (
    config: Settings,
    others: (Settings & { id: string; type: string })[],
    otherSecrets: Record<string, Record<string, string>> = {},
    url = server.url,
  ): Promise<Flow> => {
    const fhirBase = `${url}/fhir/R4`
    return startFlowTo(url, { ...NOTE, config: { fhirBase, ...config }, others, otherSecrets })
  }
  const send = (flow: Flow) => flow.send(fileMessage(sizedFile(1000)))

  it('are used: own CA, client certificate and a proxy with a login', async () => {
    proxy.login = 'me:hunter2'
    const flow = await start(
      { tls: 'own-tls', proxy: 'own-proxy' },
      [TLS, proxyNode()],
      {
        'own-tls': { cadata: CA, certdata: CLIENT.cert, keydata: CLIENT.key },
        'own-proxy': LOGIN,
      },
      server.url.replace('localhost', 'redox.test'),
    )
    await send(flow)
    assert.deepEqual(
      server.requests.map(({ path, servername, client }) => [path, servername, client]),
      ['/v2/auth/token', '/endpoint'].map((path) => [path, 'redox.test', 'client.test']),
    )
    assert.ok(proxy.tunnels.every(({ authorization }) => authorization === basic('me:hunter2')))
    assert.ok(!logged().some((line) => UNVERIFIED.test(line) || line.includes('hunter2')))
  })

  it('may have their certificates in files, and hosts that need no proxy', async () => {
    const flow = await start({ tls: 'own-tls', proxy: 'own-proxy' }, [
      { ...TLS, ca: fixturePath('tls/ca.pem') },
      proxyNode({ noproxy: ['example.org', 'localhost'] }),
    ])
    await send(flow)
    assert.deepEqual(proxy.tunnels, [])
  })

  it('belong to one connection: a connection with another CA, or with none, refuses the server', async () => {
    const flow = await start({ tls: '' }, [])
    const { cause } = await flow.fail(fileMessage(sizedFile(1000)), 'REDOX_TLS')
    assert.equal(cause.fault, 'SELF_SIGNED_CERT_IN_CHAIN')
    assert.deepEqual(server.requests, [])
  })

  it('with "Verify server certificate" off are used, with one warning in the log', async () => {
    const flow = await start({ tls: 'own-tls' }, [{ ...TLS, verifyservercert: false }])
    await send(flow)
    await send(flow)
    assert.equal(logged().filter((line) => UNVERIFIED.test(line)).length, 1)
  })

  it('report a refused proxy login without the password', async () => {
    proxy.login = 'me:right'
    const flow = await start({ proxy: 'own-proxy' }, [proxyNode()], { 'own-proxy': LOGIN })
    const error = await flow.fail(fileMessage(sizedFile(1000)), 'REDOX_CONFIGURATION')
    assert.equal(error.cause.fault, 'PROXY_407')
    assert.doesNotMatch(JSON.stringify([error, logged()]), /hunter2|aHVudGVyMg/)
  })

  const MISSING: [string, Settings, (Settings & { id: string; type: string })[], RegExp][] = [
    ['gone', { tls: 'gone' }, [], /^TLS is missing: .*does not exist/],
    ['gone', { proxy: 'gone' }, [], /^Proxy is missing: .*does not exist/],
    ['disabled', { tls: 'own-tls' }, [{ ...TLS, d: true }], /tls-config node.*disabled/],
    ['of another type', { proxy: 'own-tls' }, [TLS], /^Proxy is missing: .*does not exist/],
    ['without its file', { tls: 'own-tls' }, [{ ...TLS, ca: 'no/such/file.pem' }], /cannot be read/],
    [
      'without a URL',
      { proxy: 'own-proxy' },
      [{ id: 'own-proxy', type: 'http proxy', url: '' }],
      /http:\/\//,
    ],
  ]
  for (const [what, config, others, text] of MISSING) {
    it(`that are ${what} cause an error, and no other way is used: ${Object.keys(config)[0]}`, async () => {
      process.env['https_proxy'] = proxy.url
      const flow = await start(config, others)
      const { message, cause } = await flow.fail(fileMessage(sizedFile(1000)), 'REDOX_CONFIGURATION')
      assert.match(message, text)
      assert.equal(cause.field, Object.keys(config)[0])
      assert.deepEqual([server.requests, proxy.tunnels], [[], []])
    })
  }

  const ENVIRONMENTS: [variables: Record<string, string>, isProxied: boolean][] = [
    [{ https_proxy: 'PROXY' }, true],
    [{ HTTPS_PROXY: 'PROXY' }, true],
    [{ all_proxy: 'PROXY', NO_PROXY: 'other.example' }, true],
    [{ HTTPS_PROXY: 'PROXY', no_proxy: 'localhost' }, false],
  ]
  for (const [variables, isProxied] of ENVIRONMENTS) {
    it(`leave the proxy to the environment: ${JSON.stringify(variables)}`, async () => {
      for (const [name, value] of Object.entries(variables))
        process.env[name] = value.replace('PROXY', proxy.url)
      await send(await start({ tls: 'own-tls' }, [TLS], { 'own-tls': { cadata: CA } }))
      assert.equal(proxy.tunnels.length > 0, isProxied)
    })
  }

  it('take precedence over the environment', async () => {
    process.env['https_proxy'] = 'http://127.0.0.1:1'
    await send(
      await start({ tls: 'own-tls', proxy: 'own-proxy' }, [TLS, proxyNode()], { 'own-tls': { cadata: CA } }),
    )
    assert.ok(proxy.tunnels.length > 0)
  })

  it('have no effect on the sandbox', async () => {
    process.env['https_proxy'] = 'nothing://'
    await send(await start({ environment: 'Sandbox', tls: 'gone', proxy: 'gone' }, []))
  })

  it('are read again when they are deployed, although the connection has not changed', async () => {
    const flow = await start({ tls: 'own-tls' }, [{ ...TLS, ca: fixturePath('tls/ca.pem') }])
    await send(flow)
    await flow.redeploy('nodes', { 'own-tls': { ca: fixturePath('tls/self-signed.pem') } })
    const { cause } = await flow.fail(fileMessage(sizedFile(1000)), 'REDOX_TLS')
    assert.equal(cause.fault, 'SELF_SIGNED_CERT_IN_CHAIN')
  })
})

describe('connection test with TLS and proxy', function () {
  this.timeout(60_000)
  let server: Server
  let proxy: ConnectProxy
  let secureProxy: ConnectProxy
  let nodeRed: NodeRed

  before(async () => {
    server = await serve(
      withToken(() => ({})),
      certified('server'),
    )
    proxy = await ConnectProxy.start()
    secureProxy = await ConnectProxy.start(certified('server'))
    // Network settings from environment variables: extra certificate authorities, and a proxy reached over TLS.
    nodeRed = await startNodeRed(
      {},
      {
        NODE_EXTRA_CA_CERTS: fixturePath('tls/ca.pem'),
        HTTPS_PROXY: `https://me:hunter2@localhost:${secureProxy.port}`,
      },
    )
    await ask('flows', [
      { ...TLS, ca: fixturePath('tls/self-signed.pem') },
      { ...proxyTo(), credentials: LOGIN },
      { id: 'deployed', type: 'redox-config', name: '', ...form(), tls: 'own-tls', proxy: 'own-proxy' },
    ])
  })
  after(async () => {
    await nodeRed?.stop()
    await Promise.all([server, proxy, secureProxy].map((one) => one?.close()))
  })
  beforeEach(() => {
    server.requests.splice(0)
    for (const one of [proxy, secureProxy]) one.tunnels.splice(0)
    proxy.login = 'me:hunter2'
  })

  const proxyTo = (): object => ({ id: 'own-proxy', type: 'http proxy', url: proxy.url, noproxy: [] })
  const form = (): object => ({
    ...{ environment: 'Development', environmentType: 'environment', auth: 'oauth' },
    ...{ clientId: 'a', keyId: 'b', apiBase: server.url.replace('localhost', 'redox.test') },
  })
  const ask = (path: string, body: unknown): Promise<Response> =>
    fetch(nodeRed.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  const test = async (config: object): Promise<Record<string, unknown>> => {
    const body = { id: 'new', config: { ...form(), ...config }, secrets: { privateKey: TEST_KEY } }
    return (await (await ask('redox/test', body)).json()) as Record<string, unknown>
  }

  it('uses the environment without such nodes: a proxy over TLS, and NODE_EXTRA_CA_CERTS', async () => {
    assert.deepEqual(await test({}), { ok: true, environment: 'Development' })
    assert.deepEqual(
      secureProxy.tunnels.map(({ authorization }) => authorization),
      [basic('me:hunter2')],
    )
    assert.equal(server.requests.length, 1)
  })

  it('uses the chosen nodes as they are deployed', async () => {
    assert.deepEqual(await test({ proxy: 'own-proxy' }), { ok: true, environment: 'Development' })
    assert.deepEqual([proxy.tunnels.length, secureProxy.tunnels.length], [1, 0])
    const { ok, reason, field } = await test({ proxy: 'own-proxy', tls: 'own-tls' })
    assert.deepEqual({ ok, reason, field }, { ok: false, reason: 'tlsAuthority', field: 'tls' })
  })

  it('reports a proxy that refuses the login or cannot be reached', async () => {
    proxy.login = 'me:right'
    const refused = await test({ proxy: 'own-proxy' })
    assert.deepEqual([refused['reason'], refused['field']], ['proxyLogin', 'proxy'])
    proxy.login = undefined
    for (const [behaviour, reason] of [
      [403, 'proxyRefused'],
      [502, 'proxy'],
    ] as const) {
      proxy.behaviour = behaviour
      assert.equal((await test({ proxy: 'own-proxy' }))['reason'], reason)
    }
    proxy.behaviour = 'open'
    assert.doesNotMatch(JSON.stringify(refused), /hunter2/)
  })

  it('reports that a chosen node is not deployed yet, and so does the preview', async () => {
    for (const field of ['tls', 'proxy']) {
      const result = await test({ [field]: 'not-deployed' })
      assert.deepEqual([result['ok'], result['reason'], result['field']], [false, 'other', field])
      assert.match(String(result['message']), /is not deployed/)
      const connection = { ...form(), [field]: 'not-deployed' }
      const { id, type, config } = { id: 'new', type: 'redox-upload', config: { api: 'fhir' } }
      const preview = await ask('redox/preview', { id, type, config, connectionId: 'new', connection })
      assert.match(await preview.text(), /is not deployed/)
    }
    assert.deepEqual([server.requests, proxy.tunnels, secureProxy.tunnels], [[], [], []])
  })

  it('needs neither for the sandbox', async () => {
    assert.equal((await test({ environment: 'Sandbox', tls: 'x', proxy: 'y' }))['ok'], true)
  })
})
