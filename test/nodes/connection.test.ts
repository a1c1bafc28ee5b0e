import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { startSandbox, type Sandbox } from '../../src/sandbox'
import { sizedFile } from '../lib/fixtures'
import { logged, PRIVATE_KEY, startFlowTo, useNodeRed, type Flow, type Settings } from '../lib/flow'
import { reply, ScriptedServer, silence } from '../lib/scripted-server'
import {
  ALL_NODES,
  FHIR_DOCUMENT,
  FHIR_RESULT,
  fileMessage,
  NOTE,
  PHOTO,
  SEND_NODES,
  start,
  startTo,
} from '../lib/send-nodes'
import { UPLOAD, UPLOAD_BLOB } from '../lib/send-nodes'
import { skipSeconds } from '../lib/clock'

/** Starts a server that reads the first half of an upload, and the second half after a call of `goOn`. */
async function startSlowServer(): Promise<{ url: string; goOn: () => void; close: () => Promise<void> }> {
  let goOn = (): void => undefined
  const told = new Promise<void>((resolve) => void (goOn = resolve))
  const slow = createServer((request, response) => {
    void (async () => {
      let taken = 0
      for await (const piece of request) {
        taken += (piece as Buffer).length
        if (taken > 3_000_000) await told
      }
      const isToken = request.url!.includes('token')
      response.writeHead(isToken ? 200 : 201, { 'content-type': 'application/json' })
      response.end(
        JSON.stringify(isToken ? { access_token: 'token', expires_in: 300 } : { URI: 'http://x/file' }),
      )
    })()
  })
  slow.listen(0, '127.0.0.1')
  await once(slow, 'listening')
  const close = async (): Promise<void> => {
    slow.closeAllConnections()
    await new Promise((resolve) => slow.close(resolve))
  }
  return { url: `http://127.0.0.1:${(slow.address() as AddressInfo).port}`, goOn: () => goOn(), close }
}

const SOURCE = '11111111-2222-4333-8444-555555555555'

let server: ScriptedServer
const useServer = (): void => {
  beforeEach(async () => void (server = await ScriptedServer.start()))
  afterEach(() => server.close())
}
const photo = fileMessage.bind(undefined, PHOTO)

const rsa = createPrivateKey(PRIVATE_KEY)
const ec = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string
const jwk = (key: KeyObject): string => JSON.stringify({ ...key.export({ format: 'jwk' }), kid: 'key-1' })

describe('unusable connection', () => {
  useNodeRed()
  useServer()

  for (const node of ALL_NODES) {
    it(`of ${node.type} (${node.api}), missing or deleted: REDOX_CONFIGURATION`, async () => {
      for (const connection of ['', 'gone', 'emitted']) {
        const flow = await start(node, { connection })
        const { message } = await flow.fail(photo(), 'REDOX_CONFIGURATION')
        assert.match(message, /^Connection is missing/)
        assert.equal(flow.status, 'Wrong setting')
      }
    })
  }

  const otherCurve = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const publicKey = createPublicKey(rsa).export({ type: 'spki', format: 'pem' }) as string
  const WRONG: [title: string, config: Settings, secrets?: Record<string, string>][] = [
    ['an unknown environment', { environment: 'Prod' }],
    ['no environment', { environment: '' }],
    ['an environment variable that is not set', { environment: '${REDOX_TEST_UNSET}' }],
    ['an environment setting that is not set', { environment: 'REDOX_TEST_UNSET', environmentType: 'env' }],
    ['no client ID', { clientId: '' }],
    ['no key ID', { keyId: '' }],
    ['a source ID that is no UUID', { sourceId: 'my-clinic' }],
    ['http to another machine', { apiBase: 'http://redox.example.com' }],
    ['a URL with a password', { fhirBase: 'https://me:hunter2@example.com' }],
    ['an unknown region', { region: 'EU' }],
    ['a limit of nothing', { uploadMb: '0' }],
    ['a time-out that is no number', { answerTimeout: 'long' }],
    ['no private key', {}, { privateKey: '' }],
    ['a private key that is none', {}, { privateKey: 'hunter2' }],
    ['a public key', {}, { privateKey: publicKey }],
    [
      'a private key cut short',
      {},
      { privateKey: `${PRIVATE_KEY.slice(0, 500)}\n-----END PRIVATE KEY-----` },
    ],
    ['a key on another curve', {}, { privateKey: pem(otherCurve) }],
    ['no legacy secret', { auth: 'legacy' }, { apiKey: 'a' }],
  ]

  for (const [title, config, secrets = {}] of WRONG) {
    it(`with ${title}: REDOX_CONFIGURATION, and nothing is sent`, async () => {
      const flow = await startFlowTo(server.url, { type: NOTE.type, node: NOTE.node, config, secrets })
      const error = await flow.fail(photo(), 'REDOX_CONFIGURATION')
      assert.match(
        error.message,
        /the connection|names an environment variable|Redox dashboard|Paste|Copy|^Private key/,
      )
      const key = secrets['privateKey']?.slice(30, 90) || 'hunter2'
      assert.ok(!JSON.stringify(error).includes(key), 'a part of a secret')
      assert.deepEqual(server.requests, [])
    })
  }
})

describe('environment of a connection', () => {
  useNodeRed()
  useServer()
  after(() => void delete process.env['REDOX_TEST_ENVIRONMENT'])

  for (const config of [
    { environment: '${REDOX_TEST_ENVIRONMENT}' },
    { environment: 'REDOX_TEST_ENVIRONMENT', environmentType: 'env' },
  ]) {
    it(`can come from an environment variable: ${JSON.stringify(config)}`, async () => {
      process.env['REDOX_TEST_ENVIRONMENT'] = 'sandbox'
      const inSandbox = await (await start(FHIR_RESULT, {}, config)).send(photo())
      assert.equal(inSandbox['redox'].environment, 'sandbox')
      process.env['REDOX_TEST_ENVIRONMENT'] = 'Staging'
      const inStaging = await (await startTo(server, FHIR_RESULT, {}, config)).send(photo())
      assert.equal(inStaging['redox'].environment, 'Staging')
      assert.match(server.of('send')[0]!.path, /^\/fhir\/R4\/redox-fhir-sandbox\/Staging\//)
    })
  }

  it('is a part of the upload URL of the FHIR API', async () => {
    const config = { environment: 'production', binaryUploadBase: `${server.url}/other` }
    await (await startTo(server, UPLOAD, {}, config)).send(photo())
    assert.equal(server.of('upload')[0]!.path, '/other/redox/Production/Binary')
  })

  it('is the sandbox in a new connection, whatever other settings it has', async () => {
    for (const config of [
      {},
      { auth: 'legacy' },
      { sourceId: SOURCE },
      { auth: 'legacy', sourceId: SOURCE },
    ]) {
      const { redox } = await (await start(NOTE, {}, { apiBase: server.url, ...config })).send(photo())
      assert.equal(redox.environment, 'sandbox')
    }
    assert.deepEqual(server.requests, [])
  })
})

describe('sandbox warning', () => {
  useNodeRed()
  useServer()
  after(() => void delete process.env['REDOX_TEST_CLIENT'])
  const IN_SANDBOX = /has Redox credentials, but its environment is Sandbox/
  const warnings = (): number => logged().filter((line) => IN_SANDBOX.test(line)).length

  for (const [what, config, secrets] of [
    ['a client id', { clientId: 'client' }, {}],
    ['a key id', { keyId: 'key' }, {}],
    ['a private key', {}, { privateKey: PRIVATE_KEY }],
    ['a legacy key', { auth: 'legacy' }, { apiKey: 'a key', secret: 'a secret' }],
    ['a client id of the environment', { clientId: '${REDOX_TEST_CLIENT}' }, {}],
  ] as [string, Settings, Record<string, string>][])
    it(`is logged once with ${what}`, async () => {
      process.env['REDOX_TEST_CLIENT'] = 'client'
      const flow = await start(NOTE, {}, { environment: 'Sandbox', ...config }, { secrets })
      await flow.send(photo())
      await flow.send(photo())
      assert.equal(warnings(), 1)
    })

  it('is not logged without credentials, or with unset variables', async () => {
    delete process.env['REDOX_TEST_CLIENT']
    for (const config of [
      {},
      { clientId: ' ' },
      { clientId: '${REDOX_TEST_CLIENT}' },
      { auth: 'legacy', clientId: 'c' },
    ]) {
      await (await start(NOTE, {}, { environment: 'Sandbox', ...config })).send(photo())
      // `warnings` counts the log lines of this flow only.
      assert.equal(warnings(), 0, JSON.stringify(config))
    }
  })

  it('is not logged for a connection to Redox', async () => {
    await (await startTo(server, NOTE, {}, {})).send(photo())
    assert.equal(warnings(), 0)
  })
})

/** HTTP response with a log ID in Redox's format; the status of a node does not contain IDs in other formats. */
const LOGGED = reply(200, { Meta: { Logs: [{ ID: '811cddc5-0000-4000-8000-000000000000' }] } })

describe('status of a node', function () {
  // The first test needs more time: it sends messages with each of the nodes.
  this.timeout(20_000)
  useNodeRed()
  useServer()

  it('begins with "sandbox" for every result while the sandbox is used', async () => {
    for (const node of ALL_NODES) {
      const flow = await start(node)
      const { redox, statusCode } = await flow.send(photo())
      await flow.fail(fileMessage(7), 'REDOX_BAD_INPUT')
      const location = redox.locations?.[0]?.split('/').at(-3)
      const [kind, id] = redox.logIds?.[0]
        ? ['log', redox.logIds[0]]
        : location
          ? ['id', location]
          : ['sha256', redox.files[0].sha256]
      const sent = `sandbox ${statusCode} · ${redox.way} · ${kind} ${id.slice(0, 8)}`
      // The status "sending" of the second message is published only if it lasts a second.
      const [first, ...others] = flow.statuses
      const ends = others.filter((text) => text !== 'sandbox · sending')
      assert.deepEqual([first, ...ends], ['sandbox · sending', sent, 'sandbox · Input unusable'])
    }
  })

  it('begins with "PROD" for every result when messages go to real patients', async () => {
    server.script('send', LOGGED)
    const flow = await startTo(server, NOTE, {}, { environment: 'Production' })
    await flow.send(photo())
    await flow.showsStatus((text) => text === 'PROD 200 · embed · log 811cddc5')
    await flow.fail(fileMessage(7), 'REDOX_BAD_INPUT')
    assert.ok(flow.statuses.every((text) => text.startsWith('PROD ')))
  })

  it('contains the first missing field and the number of further problems', async () => {
    const flow = await startTo(server, NOTE, { patientId: '', documentType: '' })
    await flow.fail(photo(), 'REDOX_INVALID_MESSAGE')
    await flow.showsStatus((text) => text === 'Patient ID missing +1')
    const other = await startTo(server, NOTE, { patientId: '' })
    await other.fail(photo(), 'REDOX_INVALID_MESSAGE')
    await other.showsStatus((text) => text === 'Patient ID missing')
  })

  it('has short texts for a text or path in place of a file, and for a folder that is not allowed', async () => {
    const flow = await startTo(server, NOTE)
    await flow.fail(fileMessage('A text, and no file'), 'REDOX_BAD_INPUT')
    await flow.showsStatus((text) => text === 'Text, not a file')
    await flow.fail(fileMessage('/tmp/scan.pdf'), 'REDOX_BAD_INPUT')
    await flow.showsStatus((text) => text === 'Path, not a file')
    const reader = await startTo(server, NOTE, { fileFrom: 'path' })
    await reader.fail(fileMessage('/tmp/scan.pdf'), 'REDOX_BAD_INPUT')
    await reader.showsStatus((text) => text === 'Folder not allowed')
  })

  it('has no environment for test environments, and contains the number of sends', async () => {
    server.script('send', LOGGED)
    const flow = await startTo(server, NOTE)
    await Promise.all([flow.send(photo()), flow.send(photo())])
    await flow.showsStatus((text) => text.startsWith('200'))
    const [one, two, ...others] = flow.statuses
    // Between the two answers, one message is being sent: published only if this lasts a second.
    const ends = others.filter((text) => text !== 'sending')
    assert.deepEqual([one, two, ...ends], ['sending', 'sending 2', '200 · embed · log 811cddc5'])
  })

  it('contains the number of waiting messages, and changes at most once per second', async () => {
    const answers: (() => void)[] = []
    server.script('send', (response) => void answers.push(() => response.end('{}')))
    const flow = await startTo(server, NOTE, {}, { sendsAtOnce: '2' })
    const began = Date.now()
    const all = Array.from({ length: 5 }, () => flow.send(photo()))
    await flow.showsStatus((text) => text === 'sending 2 · waiting 3')
    while (answers.length < 5) {
      answers.at(-1)?.()
      await server.until('send', answers.length)
      await pause(10)
    }
    answers.forEach((answer) => answer())
    await Promise.all(all)
    await flow.showsStatus((text) => text.startsWith('200'))
    const most = 2 + Math.ceil((Date.now() - began) / 1000)
    assert.ok(flow.statuses.length <= most, flow.statuses.join(' | '))
  })

  it('contains the progress of an upload', async () => {
    const slow = await startSlowServer()
    try {
      const flow = await startFlowTo(slow.url, { ...UPLOAD_BLOB, config: {} })
      const sent = flow.outcome(fileMessage(sizedFile(29_000_000)))
      await flow.showsStatus((text) => /^uploading [1-9]\d? %$/.test(text))
      slow.goOn()
      const { answer } = await sent
      assert.equal(answer?.['statusCode'], 201)
      await flow.showsStatus((text) => text.startsWith('201 · upload · '))
    } finally {
      await slow.close()
    }
  })
})

describe('API keys', () => {
  useNodeRed()
  let redox: Sandbox
  before(async () => void (redox = await startSandbox()))
  beforeEach(() => redox.clear())
  after(() => redox.close())
  after(() => ['REDOX_TEST_KEY', 'REDOX_TEST_CLIENT'].forEach((name) => delete process.env[name]))

  const startWith = (
    config: Settings,
    secrets: Record<string, string>,
    { type, node } = NOTE,
    { url } = redox,
  ): Promise<Flow> => startFlowTo(url, { type, node, config, secrets })

  const FORMS: [title: string, key: KeyObject, privateKey: string, config?: Settings][] = [
    ['PEM', rsa, pem(rsa)],
    ['PEM with \\n written out', rsa, pem(rsa).replaceAll('\n', '\\n')],
    ['PEM in one line', rsa, pem(rsa).replaceAll('\n', ' ')],
    ['PEM in one line without spaces', rsa, pem(rsa).replaceAll('\n', '')],
    ['JWK', rsa, jwk(rsa)],
    ['JWK that brings the key ID', rsa, jwk(rsa), { keyId: '' }],
    ['EC PEM (P-384)', ec, pem(ec)],
    ['EC PEM in one line', ec, pem(ec).replaceAll('\n', '')],
    ['EC JWK', ec, jwk(ec)],
  ]

  for (const [title, key, privateKey, config = {}] of FORMS) {
    it(`OAuth: ${title}`, async () => {
      const publicKey = createPublicKey(key).export({ format: 'jwk' })
      redox.registerOAuthKey({ clientId: 'client-1', keyId: 'key-1', publicKey })
      await (await startWith(config, { privateKey })).send(photo())
      assert.equal(redox.received.length, 1)
    })
  }

  it('OAuth: all settings from environment variables', async () => {
    const { clientId, keyId, privateKey } = redox.oauthKey
    Object.assign(process.env, { REDOX_TEST_CLIENT: clientId, REDOX_TEST_KEY: privateKey })
    const flow = await startWith(
      { clientId: '${REDOX_TEST_CLIENT}', keyId },
      { privateKey: '${REDOX_TEST_KEY}' },
    )
    await flow.send(photo())
  })

  it("OAuth, refused: REDOX_AUTHENTICATION with Redox's text", async () => {
    const unknown = await (await startWith({ keyId: 'unknown' }, {})).fail(photo(), 'REDOX_AUTHENTICATION')
    assert.match(unknown.message, /Public key not found/)
    const { privateKey, ...key } = redox.oauthKey
    const flow = await startWith({ ...key, audience: 'https://other.example.com' }, { privateKey })
    const { message } = await flow.fail(photo(), 'REDOX_AUTHENTICATION')
    assert.match(message, /Unexpected aud claim value/)
  })

  it('legacy: key and secret first, then the refresh token', async () => {
    const brief = await startSandbox({ tokenLifetimeSeconds: 300 })
    try {
      const flow = await startWith({ auth: 'legacy' }, { ...brief.legacyKey }, NOTE, brief)
      await flow.send(photo())
      // The test advances the clock beyond the expiry of the token. The time of a renewal before it is not predictable.
      skipSeconds(301)
      await flow.send(photo())
      const paths = brief.requests.map(({ path }) => path)
      assert.deepEqual(paths, ['/auth/authenticate', '/endpoint', '/auth/refreshToken', '/endpoint'])
      assert.ok(brief.received.every(({ source }) => source === brief.legacyKey.apiKey))
    } finally {
      await brief.close()
    }
  })

  it("legacy, refused: REDOX_AUTHENTICATION with Redox's text", async () => {
    const flow = await startWith({ auth: 'legacy' }, { ...redox.legacyKey, secret: 'wrong' })
    const { message } = await flow.fail(photo(), 'REDOX_AUTHENTICATION')
    assert.match(message, /Invalid source secret/)
  })

  for (const node of [FHIR_RESULT, FHIR_DOCUMENT, UPLOAD]) {
    it(`legacy: refused by ${node.type} before anything is sent`, async () => {
      redox.clear()
      const flow = await startWith({ auth: 'legacy' }, { ...redox.legacyKey }, node)
      const { message, cause } = await flow.fail(photo(), 'REDOX_CONFIGURATION')
      assert.match(message, /legacy API key, which works with the Data Model API only/)
      assert.equal((cause as { field?: string }).field, 'auth')
      assert.deepEqual(redox.requests, [])
    })
  }

  it('legacy: allowed for the upload of a Data Model file', async () => {
    await (await startWith({ auth: 'legacy' }, { ...redox.legacyKey }, UPLOAD_BLOB)).send(photo())
  })

  it('free account: embedding works, an upload in Development fails with REDOX_FORBIDDEN', async () => {
    const free = await startSandbox({ account: 'free' })
    try {
      const { privateKey, ...key } = free.oauthKey
      for (const node of ALL_NODES) {
        const uploading = { ...node, node: { ...node.node, way: 'upload' } }
        const flow = await startWith(key, { privateKey }, uploading, free)
        const { message } = await flow.fail(photo(), 'REDOX_FORBIDDEN')
        assert.match(message, /Free accounts cannot upload files in Development/)
        if (SEND_NODES.includes(node)) await (await startWith(key, { privateKey }, node, free)).send(photo())
      }
    } finally {
      await free.close()
    }
  })
})

describe('many messages at once', () => {
  useNodeRed()
  useServer()

  for (const node of SEND_NODES) {
    it(`of ${node.type}, 50: one token, 8 simultaneous sends, each with its own answer`, async () => {
      server.gather = 8
      const flow = await startTo(server, node)
      const files = Array.from({ length: 50 }, (_, index) =>
        Buffer.from(`%PDF-1.7 ${'x'.repeat(index)} %%EOF`),
      )
      const answers = await Promise.all(files.map((file) => flow.send(fileMessage(file))))
      assert.deepEqual([server.of('token').length, server.of('send').length, server.busiest], [1, 50, 8])
      const sizes = answers.map(({ redox }) => redox.files[0].size)
      assert.deepEqual(
        sizes,
        files.map(({ length }) => length),
      )
    })
  }

  it('use as many slots as the connection allows', async () => {
    server.gather = 3
    const flow = await startTo(server, NOTE, {}, { sendsAtOnce: '3' })
    await Promise.all(Array.from({ length: 9 }, () => flow.send(photo())))
    assert.equal(server.busiest, 3)
  })

  it('upload nothing before they have a slot', async () => {
    server.script('send', silence)
    const flow = await startTo(server, NOTE, { way: 'upload' }, { sendsAtOnce: '2' })
    for (let message = 0; message < 5; message++) flow.node.receive(photo())
    await server.until('send', 2)
    await pause(50)
    assert.equal(server.of('upload').length, 2)
  })
})
