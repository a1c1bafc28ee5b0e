/** TLS and proxies, tested with servers, certificates and a proxy on this machine. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import type { ServerOptions } from 'node:https'
import type { Connection, ConnectionConfig } from '../../nodes/lib/connection/connection'
import type { Network } from '../../nodes/lib/connection/network'
import type { RedoxErrorCode } from '../../src/errors'
import { takeMemory } from '../../src/file/file'
import { draftDataModel } from '../../src/message/datamodel'
import { validMessage } from '../../src/message/prepared'
import { tlsFault } from '../../src/transport/network-advice'
import { isProxied, proxyAt, proxyOfEnvironment } from '../../src/transport/proxy'
import { deliverDirect, uploadDirect } from '../../src/redox/direct-delivery'
import { sizedFile } from '../lib/fixtures'
import { basic, CA, certified, CLIENT, ConnectProxy, ENCRYPTED_KEY, type Behaviour } from '../lib/proxy'
import { connectTo, failing, never, serve, TEST_KEY, withToken, type Server } from '../lib/redox'
import { eventually } from '../lib/eventually'

const file = takeMemory(sizedFile(2_000_000), { where: 'x', filename: 'a.pdf' }).file
const message = validMessage(
  draftDataModel(
    {
      model: 'Notes',
      eventType: 'New',
      destinations: ['af394f14-b34a-464f-8d24-895f370af4c9'],
      data: { Patient: { Identifiers: [{ ID: '1', IDType: 'MR' }] } },
      fields: [
        { path: 'Note.DocumentType', value: 'Consent Form' },
        { path: 'Note.DocumentID', value: 'd-1' },
        { path: 'Note.Provider.ID', value: 'p-1' },
      ],
      files: [{ file, way: 'embed' }],
      now: new Date(),
    },
    { test: true },
  ),
)

let server: Server
let connection: Connection

const serveWith = async (tls: ServerOptions): Promise<void> => {
  server = await serve(
    withToken(({ path }) =>
      path === '/upload' ? { status: 201, body: { URI: `${server.url}/1` } } : { body: { Meta: {} } },
    ),
    tls,
  )
}
const connect = (network: Network, config: ConnectionConfig = {}, url = server.url): void =>
  void (connection = connectTo(url, config, { privateKey: TEST_KEY }, network))
const deliver = () => deliverDirect(connection.client, message, { signal: never() })
const upload = () => uploadDirect(connection.client, file, { kind: 'blob', signal: never() })

/** Sends a message. Asserts that this fails with this code after `attempts` attempts, and that no request arrived. */
async function refused(
  code: RedoxErrorCode,
  fault: string | RegExp,
  text: RegExp,
  attempts: number,
): Promise<void> {
  const error = await failing(code, deliver, text)
  assert.match(error.cause.fault!, fault instanceof RegExp ? fault : new RegExp(`^${fault}$`))
  assert.equal(error.cause.attempts, attempts)
  assert.deepEqual(server.requests, [])
}

afterEach(async () => {
  await connection?.client.close()
  await server?.close()
})

describe('TLS', () => {
  it('trusts an own CA, requests the host by name, and sends everything encrypted', async () => {
    await serveWith(certified('server'))
    connect({ tls: { ca: CA } })
    await upload()
    await deliver()
    assert.deepEqual(
      server.requests.map(({ path, servername }) => [path, servername]),
      ['/v2/auth/token', '/upload', '/endpoint'].map((path) => [path, 'localhost']),
    )
  })

  const REFUSED: [string, Parameters<typeof certified>[0], Network, fault: string, text: RegExp][] = [
    ['an unknown CA', 'server', {}, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', /does not trust.*CA/],
    ['a certificate signed by itself', 'self-signed', {}, 'DEPTH_ZERO_SELF_SIGNED_CERT', /tls-config node/],
    ['another host name', 'elsewhere', ca(), 'ERR_TLS_CERT_ALTNAME_INVALID', /for a different host/],
    ['a certificate of the past', 'expired', ca(), 'CERT_HAS_EXPIRED', /expired.*clock/],
    [
      'a server name that the certificate has not',
      'server',
      { tls: { ca: CA, servername: 'elsewhere.test' } },
      'ERR_TLS_CERT_ALTNAME_INVALID',
      /server name/,
    ],
  ]
  for (const [what, certificate, network, fault, text] of REFUSED) {
    it(`refuses ${what}: REDOX_TLS after all attempts, and nothing is sent`, async () => {
      await serveWith(certified(certificate))
      connect(network, { attempts: 2 })
      await refused('REDOX_TLS', fault, text, 2)
    })
  }

  it('uses the configured server name, which the certificate must contain', async () => {
    await serveWith(certified('elsewhere'))
    connect({ tls: { ca: CA, servername: 'elsewhere.test' } })
    await deliver()
    assert.equal(server.requests[0]!.servername, 'elsewhere.test')
  })

  it('accepts any certificate on request', async () => {
    await serveWith(certified('expired'))
    connect({ tls: { rejectUnauthorized: false } })
    await deliver()
  })

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const strict = { requestCert: true, ca: CA, minVersion: version, maxVersion: version }

    it(`sends the client certificate, ${version}`, async () => {
      await serveWith({ ...certified('server'), ...strict })
      connect({ tls: { ca: CA, ...CLIENT, key: ENCRYPTED_KEY, passphrase: 'fixture-passphrase' } })
      await deliver()
      assert.deepEqual(
        server.requests.map(({ client }) => client),
        ['client.test', 'client.test'],
      )
    })

    it(`reports that the server requires a client certificate, ${version}`, async () => {
      await serveWith({ ...certified('server'), ...strict })
      connect({ tls: { ca: CA } }, { attempts: 2 })
      // In TLS 1.3, the server refuses the client certificate after the client has sent data, so the client does not
      // retry.
      const attempts = version === 'TLSv1.3' ? 1 : 2
      await refused('REDOX_TLS', /^ERR_SSL_.*ALERT/, /requires a client certificate/, attempts)
    })
  }

  it('treats only an alert after the first bytes as proof that nothing was read', () => {
    assert.equal(tlsFault('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', true), 'client')
    for (const code of ['CERT_HAS_EXPIRED', 'ERR_SSL_WRONG_VERSION_NUMBER', 'ECONNRESET', 'EPROTO'])
      assert.equal(tlsFault(code, true), undefined)
    // Before the client has sent data, these errors can be temporary.
    for (const code of ['ECONNRESET', 'EPROTO', 'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR'])
      assert.equal(tlsFault(code, false), undefined)
  })

  it('refuses unusable certificates and keys: REDOX_CONFIGURATION, without their content', async () => {
    await serveWith(certified('server'))
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const otherKey = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
    const wrong: Network['tls'][] = [
      { ca: '-----BEGIN CERTIFICATE-----\nSECRET\n-----END CERTIFICATE-----' },
      { ...CLIENT, key: 'SECRET' },
      { ...CLIENT, key: ENCRYPTED_KEY, passphrase: 'SECRET' },
      { ...CLIENT, key: otherKey },
    ]
    for (const tls of wrong) {
      const error = await failing('REDOX_CONFIGURATION', () => connect({ tls: tls! }), /tls-config node/)
      assert.equal(error.cause.field, 'tls')
      assert.doesNotMatch(JSON.stringify([error.message, error.cause]), /SECRET|BEGIN/)
    }
  })
})

function ca(): Network {
  return { tls: { ca: CA } }
}

describe('proxy', function () {
  this.timeout(20_000)
  let proxy: ConnectProxy
  // URL of a host that only the proxy can reach.
  const behind = (): string => server.url.replace('localhost', 'redox.test')
  const through = (login?: { username: string; password: string }, noProxy = ''): Network => ({
    ...ca(),
    proxy: proxyAt(proxy.url, noProxy, login),
  })

  beforeEach(async () => {
    proxy = await ConnectProxy.start()
    await serveWith(certified('server'))
  })
  afterEach(() => proxy.close())

  it('passes on token, upload and message, and reads none of them', async () => {
    connect(through(), {}, behind())
    await upload()
    await deliver()
    assert.deepEqual(
      server.requests.map(({ path, servername }) => [path, servername]),
      ['/v2/auth/token', '/upload', '/endpoint'].map((path) => [path, 'redox.test']),
    )
    const { host } = new URL(behind())
    assert.ok(proxy.tunnels.length > 0)
    for (const tunnel of proxy.tunnels) assert.deepEqual(tunnel, { target: host, authorization: undefined })
    assert.ok(proxy.read.length > file.size)
    assert.doesNotMatch(proxy.read, /Bearer|client_assertion|endpoint|Consent Form/)
    assert.ok(
      server.requests.every(({ headers }) => !Object.keys(headers).some((name) => /^proxy/.test(name))),
    )
  })

  it('does not change the refusal of a server with a wrong certificate', async () => {
    for (const [network, fault] of [
      [{ proxy: proxyAt(proxy.url, '') }, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
      [{ ...through(), tls: { ca: CA, servername: 'other.test' } }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ] as const) {
      connect(network, { attempts: 2 }, behind())
      await refused('REDOX_TLS', fault, /certificate/, 2)
      await connection.client.close()
    }
  })

  it('gets its login, which the server does not get', async () => {
    proxy.login = 'me:pass:wörd'
    connect(through({ username: 'me', password: 'pass:wörd' }), {}, behind())
    await deliver()
    assert.equal(proxy.tunnels[0]!.authorization, basic('me:pass:wörd'))
    const inUrl = proxy.url.replace('//', '//me:pass%3Aw%C3%B6rd@')
    assert.deepEqual(proxyAt(inUrl, ''), proxyAt(proxy.url, '', { username: 'me', password: 'pass:wörd' }))
  })

  it('with a refused login: REDOX_CONFIGURATION at once, without the password in the error', async () => {
    proxy.login = 'me:right'
    for (const login of [undefined, { username: 'me', password: 'hunter2' }]) {
      connect(through(login), { attempts: 6 }, behind())
      await refused('REDOX_CONFIGURATION', 'PROXY_407', /user name and a password.*http proxy node/, 1)
      const error = await failing('REDOX_CONFIGURATION', deliver)
      assert.doesNotMatch(JSON.stringify([error.message, error.cause, error.stack]), /hunter2|aHVudGVyMg/)
      await connection.client.close()
    }
    assert.equal(proxy.tunnels.length, 4)
  })

  it('that forbids the host: REDOX_CONFIGURATION at once', async () => {
    proxy.behaviour = 403
    connect(through(), { attempts: 6 }, behind())
    await refused('REDOX_CONFIGURATION', 'PROXY_403', /does not open a tunnel/, 1)
    assert.equal(proxy.tunnels.length, 1)
  })

  const PASSING: [string, Behaviour, fault: RegExp][] = [
    ['does not reach the host (502)', 502, /^PROXY_502$/],
    ['hangs up', 'reset', /^PROXY_ECONNRESET$/],
    ['says nothing', 'silent', /^PROXY_TIMEOUT$/],
  ]
  for (const [what, behaviour, fault] of PASSING) {
    it(`with the fault "${what}": all attempts, and nothing is sent`, async () => {
      proxy.behaviour = behaviour
      connect(through(), { attempts: 2, connectTimeout: behaviour === 'silent' ? 0.3 : 10 }, behind())
      const error = await failing('REDOX_NETWORK', deliver, /^Proxy not reachable.*https_proxy/)
      assert.match(error.cause.fault!, fault)
      assert.deepEqual([error.cause.attempts, proxy.tunnels.length], [2, 2])
      assert.deepEqual(server.requests, [])
    })

    it(`with the fault "${what}" once: delivered once`, async () => {
      proxy.behaviour = behaviour
      connect(through(), { attempts: 3, connectTimeout: behaviour === 'silent' ? 1 : 10 }, behind())
      const delivered = deliver()
      await eventually('no tunnel', () => proxy.tunnels.length > 0)
      proxy.behaviour = 'open'
      await delivered
      assert.equal(server.to('/endpoint').length, 1)
    })
  }

  it('that is not running: all attempts, and nothing is sent', async () => {
    connect({ ...ca(), proxy: proxyAt('http://127.0.0.1:1', '') }, { attempts: 2 }, behind())
    const error = await failing('REDOX_NETWORK', deliver, /^Proxy not reachable/)
    assert.deepEqual([error.cause.fault, error.cause.attempts], ['PROXY_ECONNREFUSED', 2])
    assert.deepEqual(server.requests, [])
  })

  it('over TLS with a wrong certificate: an error at once, and nothing is sent', async () => {
    const secure = await ConnectProxy.start(certified('server'))
    connect({ ...ca(), proxy: proxyAt(`https://localhost:${secure.port}`, '') }, { attempts: 6 }, behind())
    await refused('REDOX_CONFIGURATION', /^PROXY_UNABLE_TO_VERIFY/, /its certificate is not valid/, 1)
    assert.deepEqual(secure.tunnels, [])
    await secure.close()
  })

  it('that fails during a message: the outcome is unknown, and the message is not repeated', async () => {
    connect(through(), { attempts: 6 }, behind())
    await connection.client.authenticate()
    proxy.cutAfter = 500_000
    const error = await failing('REDOX_OUTCOME_UNKNOWN', deliver, /Look it up/)
    assert.equal(error.cause.attempts, 1)
    assert.deepEqual(server.to('/endpoint'), [])
  })

  it('that fails during an upload: the upload is repeated', async () => {
    connect(through(), { attempts: 3 }, behind())
    await connection.client.authenticate()
    proxy.cutAfter = 500_000
    proxy.mostCuts = 1
    assert.equal((await upload()).attempts, 2)
    assert.equal(proxy.cuts, 1)
  })

  it('is not used for the hosts of no_proxy, and for plain http to this machine', async () => {
    connect(through(undefined, 'localhost'))
    await deliver()
    assert.deepEqual(proxy.tunnels, [])
    await connection.client.close()
    const plain = await serve(withToken(() => ({ body: { Meta: {} } })))
    connect(through(), {}, plain.url)
    await deliver()
    assert.deepEqual(proxy.tunnels, [])
    await plain.close()
  })
})

describe('no_proxy', () => {
  const cases: [noProxy: string, host: string, isProxied: boolean][] = [
    ['', 'api.redoxengine.com', true],
    ['*', 'api.redoxengine.com', false],
    ['api.redoxengine.com', 'api.redoxengine.com', false],
    ['API.RedoxEngine.com', 'api.redoxengine.com', false],
    ['redoxengine.com', 'api.redoxengine.com', true],
    ['.redoxengine.com', 'api.redoxengine.com', false],
    ['*.redoxengine.com', 'api.redoxengine.com', false],
    ['*engine.com', 'api.redoxengine.com', false],
    ['.redoxengine.com', 'redoxengine.com', true],
    ['a.example, .redoxengine.com b.example', 'api.redoxengine.com', false],
    ['api.redoxengine.com:443', 'api.redoxengine.com', false],
    ['api.redoxengine.com:8443', 'api.redoxengine.com', true],
    ['api.redoxengine.com:8443', 'api.redoxengine.com:8443', false],
    ['127.0.0.1', '127.0.0.1', false],
    ['[::1]', '[::1]', false],
    ['[::1]:443', '[::1]', false],
  ]
  for (const [noProxy, host, expected] of cases) {
    it(`"${noProxy}" and ${host}: ${expected ? 'through the proxy' : 'straight'}`, () => {
      const { protocol, hostname, port } = new URL(`https://${host}`)
      // undici passes the host name of an IPv6 address without brackets.
      const target = { protocol, hostname: hostname.replace(/[[\]]/g, ''), port }
      assert.equal(isProxied(target, proxyAt('http://p', noProxy)), expected)
    })
  }
})

describe('proxy of the environment', () => {
  const P = 'http://p.example:3128'
  const cases: [NodeJS.ProcessEnv, ReturnType<typeof proxyOfEnvironment>][] = [
    [{}, undefined],
    [{ https_proxy: '' }, undefined],
    [{ https_proxy: P }, { origin: P, noProxy: '' }],
    [{ HTTPS_PROXY: P }, { origin: P, noProxy: '' }],
    [{ all_proxy: P }, { origin: P, noProxy: '' }],
    [
      { ALL_PROXY: P, NO_PROXY: 'a,b' },
      { origin: P, noProxy: 'a,b' },
    ],
    [
      { all_proxy: 'http://other', HTTPS_PROXY: P, no_proxy: 'c', NO_PROXY: 'd' },
      { origin: P, noProxy: 'c' },
    ],
    // The client uses http only for this machine. For all others it uses https, so the variable http_proxy has no effect.
    [{ http_proxy: P, HTTP_PROXY: P }, undefined],
    [
      { npm_config_https_proxy: P, https_proxy: 'http://other' },
      { origin: P, noProxy: '' },
    ],
    [{ https_proxy: 'p.example:3128' }, { origin: P, noProxy: '' }],
    [
      { https_proxy: 'http://me:p%25w@p.example:3128' },
      { origin: P, authorization: basic('me:p%w'), noProxy: '' },
    ],
    [{ https_proxy: 'https://p.example' }, { origin: 'https://p.example', noProxy: '' }],
  ]
  for (const [env, expected] of cases)
    it(JSON.stringify(env), () => assert.deepEqual(proxyOfEnvironment(env), expected))

  for (const url of ['socks5://me:hunter2@p.example', 'http://me:hunter2@:3128', 'http://[hunter2'])
    it(`is refused without repeating an invalid address: ${url}`, async () => {
      const error = await failing('REDOX_CONFIGURATION', () => proxyOfEnvironment({ https_proxy: url }))
      assert.doesNotMatch(error.message, /hunter2/)
      assert.equal(error.cause.field, 'proxy')
    })
})
