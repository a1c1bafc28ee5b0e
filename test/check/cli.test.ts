/** Command `redox-check`: settings, consent, what it sends to whom, and its report. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { startSandbox, type Sandbox } from '../../src/sandbox'
import { freePort } from '../lib/node-red'
import { serve, type Recorded, type Server } from '../lib/redox'
import { skip } from '../lib/skip'
import { adviceOf, check, CLI, DESTINATION, hostsOf, legacyOf, oauthOf, rowsOf } from './support'

const CATALOGUE = path.join(__dirname, '../../../nodes/redox-config/locales/en-US/redox-config.json')
const SOURCE = '3d5e8a10-77aa-4b1c-9d3e-5f0c6b7a8e21'

describe('redox-check', function () {
  this.timeout(120_000)
  let sandbox: Sandbox
  beforeEach(async () => void (sandbox = await startSandbox({ profile: 'documented' })))
  afterEach(() => sandbox.close())

  const keys = (): Record<string, string> => ({ ...hostsOf(sandbox), ...oauthOf(sandbox) })
  const legacy = (): Record<string, string> => ({
    ...hostsOf(sandbox),
    ...legacyOf(sandbox),
    REDOX_CHECK_SOURCE: sandbox.legacyKey.apiKey,
  })
  const apis = (): string[] => [...new Set(sandbox.requests.map(({ api }) => api))]

  it('refuses secrets and other unknown arguments, without repeating them', async () => {
    const secret = 'Zq7secretcanary'
    for (const args of [
      ['--secret', secret],
      [`--private-key=${secret}`],
      [secret],
      ['--skip', secret],
      ['--api-key', secret, '--yes'],
    ]) {
      const { code, said } = await check(keys(), args)
      assert.equal(code, 2, said)
      assert.match(said, /Secrets are never arguments|Unknown step in --skip/)
      assert.match(said, /\nUsage: redox-check /)
      assert.ok(!said.includes(secret))
    }
    assert.deepEqual(sandbox.requests, [])
    assert.match((await check({}, ['--help'])).said, /^Usage: redox-check /)
  })

  it('refuses Production and unusable settings before any request', async () => {
    const wrong: [env: Record<string, string>, says: RegExp, code: number][] = [
      [{ REDOX_CHECK_ENVIRONMENT: 'Production' }, /does not run in Production/, 2],
      [{ REDOX_CHECK_ENVIRONMENT: 'production' }, /does not run in Production/, 2],
      [{ REDOX_CHECK_ENVIRONMENT: '' }, /Set REDOX_CHECK_ENVIRONMENT to Development or Staging/, 2],
      [{ REDOX_CHECK_CLIENT_ID: '' }, /No key: set REDOX_CHECK_CLIENT_ID/, 2],
      [{ REDOX_CHECK_PRIVATE_KEY: '' }, /set REDOX_CHECK_PRIVATE_KEY_FILE/, 2],
      [
        { REDOX_CHECK_PRIVATE_KEY: '', REDOX_CHECK_PRIVATE_KEY_FILE: 'nowhere.pem' },
        /The file with the private key cannot be read \(ENOENT\)/,
        2,
      ],
      [{ REDOX_CHECK_DESTINATION: 'st-elsewhere' }, /REDOX_CHECK_DESTINATION is not a UUID/, 2],
      [{ REDOX_CHECK_FHIR_DESTINATION: DESTINATION }, /is not the slug of a destination/, 2],
      [{ REDOX_CHECK_FHIR_DESTINATION: 'redox' }, /is not the slug of a destination/, 2],
      [{ REDOX_CHECK_REGION: 'EU' }, /Set REDOX_CHECK_REGION to US or CA/, 2],
      [{ REDOX_CHECK_API_BASE: 'http://redox.example' }, /REDOX_CONFIGURATION: API base must begin with/, 1],
      [{ REDOX_CHECK_PRIVATE_KEY: 'no key' }, /REDOX_CONFIGURATION: /, 1],
    ]
    for (const [env, says, expected] of wrong) {
      const { code, said, report } = await check({ ...keys(), ...env })
      assert.match(said, says)
      assert.deepEqual([code, report], [expected, ''], said)
    }
    assert.deepEqual(sandbox.requests, [])
  })

  it('reads the private key from a file', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'redox-check-key-'))
    const file = path.join(folder, 'key.pem')
    await writeFile(file, sandbox.oauthKey.privateKey)
    const env = { ...keys(), REDOX_CHECK_PRIVATE_KEY: '', REDOX_CHECK_PRIVATE_KEY_FILE: file }
    const { code, said } = await check(env, [
      '--skip',
      'report,observation,document,bundle,notes,results,media',
    ])
    await rm(folder, { recursive: true })
    assert.equal(code, 0, said)
  })

  it('leaves out the steps that --skip names', async () => {
    const result = await check(keys(), ['--skip', 'binary, observation,notes,results'])
    const rows = rowsOf(result)
    for (const api of ['FHIR API', 'Data Model API']) assert.ok(rows.includes(`${api}: not run, skipped`))
    const operations = sandbox.received.map(({ operation }) => operation.split('/')[0])
    assert.deepEqual([...new Set(operations)], ['DiagnosticReport', 'DocumentReference', 'Media:New'])
    assert.doesNotMatch(result.said, /Step (binary|observation|notes|results|limits)/)
    // With the step for Binary skipped, an accepted message proves the environment.
    assert.match(result.report, /Environment: Development, proven by a DiagnosticReport/)
  })

  it('announces each step before its first request', async () => {
    const { said } = await check(keys())
    for (const step of [
      'binary',
      'report',
      'observation',
      'document',
      'bundle',
      'blob',
      'notes',
      'results',
      'media',
    ])
      assert.match(said, new RegExp(`\nStep ${step}: (sends|uploads) .*stays? .*\n {2}(works|refused)`))
    assert.match(
      said,
      new RegExp(
        `Environment Development\\. FHIR destination redox-fhir-sandbox\\. Data Model destination ${DESTINATION}`,
      ),
    )
  })

  it('sends a made-up patient and Meta.Test, and says how many documents it leaves', async () => {
    await check(keys())
    const bodies = sandbox.received.map(({ request }) => JSON.stringify(request.body))
    assert.equal(bodies.length, 2 + 4 + 2 + 1 + 4 + 2 + 2)
    for (const [index, { api }] of sandbox.received.entries()) {
      if (api === 'datamodel') assert.match(bodies[index]!, /"Test":true/)
      assert.match(bodies[index]!, /Bixby|"subject":\{"reference":"Patient\/[0-9a-f-]{36}"/)
    }
  })

  it('stops after a wrong key', async () => {
    const { code, said, report } = await check({ ...keys(), REDOX_CHECK_KEY_ID: 'other-key' })
    assert.equal(code, 1)
    assert.match(said, /No key got a token/)
    assert.match(report, /with aud, without scope \| refused \| HTTP 401: Public key not found/)
    assert.deepEqual(apis(), ['token'])
  })

  it('says which host cannot be reached', async () => {
    const url = `http://127.0.0.1:${await freePort()}`
    const { code, said, report } = await check({ ...keys(), REDOX_CHECK_API_BASE: url })
    assert.equal(code, 1, said)
    assert.match(report, /\| unclear \| ECONNREFUSED \|/)
    assert.deepEqual(sandbox.requests, [])
  })

  it('advises a free account in Development to embed', async () => {
    const free = await startSandbox({ profile: 'documented', account: 'free' })
    const result = await check({ ...hostsOf(free), ...oauthOf(free) }).finally(() => free.close())
    const rows = rowsOf(result)
    assert.ok(
      rows.some((row) => row.startsWith('Blob upload: refused, HTTP 403')),
      result.said,
    )
    assert.ok(rows.includes('Media, file referenced: not run, the blob upload was not accepted'))
    assert.deepEqual(
      adviceOf(result),
      ['fhir-result', 'fhir-document', 'datamodel-note', 'datamodel-results', 'datamodel-media'].map(
        (node) => `redox-${node}: Transfer = embed as base64`,
      ),
    )
  })

  it('takes failures of Redox for what they are: neither a success nor a refusal, and no proof', async () => {
    const failing = await startSandbox({
      profile: 'documented',
      faults: 'Binary 429 1x; Binary 503; fhir reset-after-accept',
    })
    const result = await check({ ...hostsOf(failing), ...oauthOf(failing) }).finally(() => failing.close())
    assert.equal(result.code, 0)
    const rows = rowsOf(result)
    assert.ok(
      rows.some((row) => row.startsWith('Binary, FHIR host, the bytes of the file: unclear, HTTP 429')),
    )
    assert.ok(rows.some((row) => row.startsWith('Binary, FHIR host, multipart form: unclear, HTTP 503')))
    assert.ok(
      rows.some((row) => row.startsWith('DiagnosticReport, file embedded: unclear, ECONNRESET')),
      result.report,
    )
    assert.ok(rows.some((row) => row.startsWith('Data Model API: not run, no FHIR request was accepted')))
    assert.deepEqual(adviceOf(result), [])
  })

  it('does not advise to embed when uploads failed and were not refused', async () => {
    const failing = await startSandbox({ profile: 'documented', faults: 'upload 503' })
    const args = ['--skip', 'observation,document,bundle,results,media']
    const result = await check({ ...hostsOf(failing), ...oauthOf(failing) }, args).finally(() =>
      failing.close(),
    )
    const rows = rowsOf(result)
    assert.ok(
      rows.some((row) => row.startsWith('Blob upload: unclear, HTTP 503')),
      result.said,
    )
    assert.ok(rows.some((row) => row.startsWith('Notes, file embedded: works')))
    assert.deepEqual(adviceOf(result), [])
  })

  it('waits after a 429 as long as Redox asks, and says so', async () => {
    const busy = await startSandbox({ profile: 'documented', faults: 'fhir 429-retry-after=2 1x' })
    const args = ['--skip', 'binary,observation,document,bundle,blob,notes,results,media']
    const began = performance.now()
    const result = await check({ ...hostsOf(busy), ...oauthOf(busy) }, args).finally(() => busy.close())
    const rows = rowsOf(result)
    assert.ok(rows.some((row) => row.startsWith('DiagnosticReport, file embedded: unclear, HTTP 429')))
    assert.ok(
      rows.some((row) => row.startsWith('DiagnosticReport, file referenced: works')),
      result.said,
    )
    assert.match(result.said, /Redox asked for a pause/)
    assert.ok(performance.now() - began >= 2000)
  })

  it('names a clock that is wrong', async () => {
    const late = await serve(() => ({
      ...{ status: 401, body: { error: 'invalid_request', error_description: '' } },
      headers: { 'content-type': 'application/json', date: new Date(Date.now() - 3_600_000).toUTCString() },
    }))
    const { code, report } = await check({ ...keys(), REDOX_CHECK_API_BASE: late.url }).finally(() =>
      late.close(),
    )
    assert.equal(code, 1)
    assert.match(report, /HTTP 401, clock of this machine ahead by 36\d\d s/)
  })

  it('sends nothing with a legacy key whose environment, source and destination are not confirmed', async () => {
    const right = {
      REDOX_CHECK_CONFIRM_ENVIRONMENT: 'Development',
      REDOX_CHECK_CONFIRM_SOURCE: sandbox.legacyKey.apiKey,
      REDOX_CHECK_CONFIRM_DESTINATION: DESTINATION,
    }
    const incomplete: Record<string, string>[] = [
      {},
      { ...right, REDOX_CHECK_CONFIRM_ENVIRONMENT: 'Staging' },
      { ...right, REDOX_CHECK_CONFIRM_SOURCE: '' },
      { ...right, REDOX_CHECK_CONFIRM_DESTINATION: SOURCE },
      { ...right, REDOX_CHECK_SOURCE: '', REDOX_CHECK_CONFIRM_SOURCE: '' },
    ]
    for (const confirmed of incomplete) {
      const result = await check({ ...legacy(), ...confirmed }, ['--limits'])
      assert.ok(rowsOf(result).some((row) => row.startsWith('Data Model API: not run, environment, source')))
      assert.equal(result.code, 0)
    }
    assert.deepEqual(apis(), ['token'])
    const { said, report } = await check({ ...legacy(), ...right })
    assert.deepEqual(apis(), ['token', 'blob', 'endpoint'])
    assert.match(report, /\| Media, file referenced \| works \|/, said)
    assert.match(report, /\| FHIR API \| not run \| it needs an OAuth key \|/)
  })

  it('has its variables in the help text and in the guide', async () => {
    const names = (text: string): string[] =>
      [...new Set([...text.matchAll(/REDOX_CHECK_[A-Z_]+[A-Z]\b/g)].map(String))].sort()
    const help = names((await check({}, ['--help'])).said)
    const guide = names(await readFile(path.join(__dirname, '../../../docs/check.md'), 'utf8'))
    assert.equal(help.length, 18)
    assert.deepEqual(guide, help)
  })

  it('advises only settings with the labels of the dialogs', async () => {
    const { redox } = JSON.parse(await readFile(CATALOGUE, 'utf8')) as {
      redox: { label: Record<string, string>; option: Record<string, Record<string, string>> }
    }
    const known = Object.values(redox.label)
    const sources = await Promise.all(
      ['check-run', 'token-step', 'fhir-steps', 'datamodel-steps', 'limits-step'].map((name) =>
        readFile(path.join(__dirname, `../../../src/check/${name}.ts`), 'utf8'),
      ),
    )
    const calls = [...sources.join('\n').matchAll(/\badvise\(\s*(?:'[^']*'|`[^`]*`|node),\s*'([^']*)'/g)]
    assert.ok(calls.length >= 9, `${calls.length}`)
    for (const [, label] of calls) assert.ok(known.includes(label!), label)
    const options = Object.values(redox.option).flatMap((values) => Object.values(values))
    for (const value of ['embed as base64', 'FHIR JSON Binary', 'multipart form', 'the bytes of the file'])
      assert.ok(options.includes(value), value)
  })

  describe('with a server that repeats all it receives', () => {
    const LOG_IDS = ['52fdfc07-2182-454f-963f-5f0f9a621d72', 987_654_321]
    const SLUG = 'zelda-clinic'
    /** Identifiers that the command cannot know. */
    const FOREIGN = `log ${LOG_IDS.join(' ')} jo@zelda.example https://zelda.example/x born 1962-05-17 key Qm9yaXMgS2`
    let server: Server
    afterEach(() => server.close())

    const repeated = ({ path: asked, headers, body }: Recorded): string =>
      `${asked} ${JSON.stringify(headers)} ${body.toString('latin1')} ${decodeURIComponent(asked)}`

    for (const status of [200, 400, 500])
      it(`writes none of it into the report (${status})`, async () => {
        server = await serve((request) => {
          if (request.path.includes('/auth/') && status !== 500)
            return { body: { access_token: 'Zq7-token-canary', expires_in: 300, scope: repeated(request) } }
          const text = `${FOREIGN} ${repeated(request)}`
          const Logs = LOG_IDS.map((ID) => ({ ID }))
          const body = {
            Meta: { Logs, Message: { ID: 444_555_666 }, ...(status !== 200 && { Errors: [{ Text: text }] }) },
            ...(status !== 200 && { issue: [{ severity: 'error', details: { text }, diagnostics: text }] }),
            error_description: text,
            [SLUG]: text,
          }
          const headers = {
            'x-ratelimit-limit': text.replace(/[^!-~]/g, ''),
            [`x-${SLUG}`]: 'one',
            location: `/${SLUG}`,
          }
          return { status, headers: { 'content-type': 'application/json', ...headers }, body }
        })
        const { said, report } = await check({
          ...oauthOf(sandbox),
          ...hostsOf({
            endpoints: { ...sandbox.endpoints, apiBase: server.url, blobUploadUrl: `${server.url}/upload` },
          }),
          REDOX_CHECK_KEY_ID: 'kq7x',
          REDOX_CHECK_SOURCE: SOURCE,
          REDOX_CHECK_FHIR_DESTINATION: SLUG,
        })
        assert.ok(report.length > 1000, said)
        assert.ok(server.requests.length >= 3)
        const markers = [
          ...LOG_IDS.map(String),
          SLUG,
          'zelda',
          'kq7x',
          'Zq7-token',
          '444555666',
          'JVBERi',
          ...['127.0.0.1', '1962', 'Qm9yaXMgS2'],
        ]
        for (const marker of markers) assert.ok(!report.includes(marker), `${marker}\n${report}`)
      })
  })

  describe('on a terminal', () => {
    before(function () {
      const { status } = spawnSync('script', ['-qec', 'true', '/dev/null'])
      if (process.platform !== 'linux' || status !== 0) skip(this, 'needs the command script of util-linux')
    })

    /** Runs the command on a pseudo terminal, and answers its questions. */
    async function answer(
      env: Record<string, string>,
      answers: [question: string, text: string][],
    ): Promise<string> {
      const folder = await mkdtemp(path.join(tmpdir(), 'redox-check-'))
      const child = spawn('script', ['-qec', `"${process.execPath}" "${CLI}"`, '/dev/null'], {
        cwd: folder,
        env: { PATH: process.env['PATH'], TERM: 'dumb', ...env },
      })
      let said = ''
      let seen = 0
      const left = [...answers]
      child.stdout.on('data', (chunk) => {
        said += String(chunk)
        const [question, text] = left[0] ?? []
        const at = question === undefined ? -1 : said.indexOf(question, seen)
        if (question === undefined || at < 0 || !said.slice(at).includes(': ')) return
        seen = at + question.length
        left.shift()
        child.stdin.write(`${text}\r`)
      })
      await once(child, 'close')
      await rm(folder, { recursive: true })
      assert.deepEqual(left, [], said)
      return said
    }

    it('asks for what is missing, without showing secrets, and sends only what is confirmed', async () => {
      const { apiKey, secret } = sandbox.legacyKey
      const settings: [string, string][] = [
        ['Environment (', 'Development'],
        ['Client ID', ''],
        ['Legacy API key', apiKey],
        ['Legacy secret', secret],
        ['Source ID', apiKey],
        ['FHIR destination', ''],
        ['Data Model destination', DESTINATION],
      ]
      const { REDOX_CHECK_API_BASE, REDOX_CHECK_BLOB_UPLOAD_URL } = hostsOf(sandbox)
      const env = { REDOX_CHECK_API_BASE, REDOX_CHECK_BLOB_UPLOAD_URL } as Record<string, string>
      const confirmed: [string, string][] = [
        ['Type the environment', 'Development'],
        ['Type the source ID', apiKey],
      ]
      const refused = await answer(env, [...settings, ...confirmed, ['Type the ID of', SOURCE]])
      assert.ok(!refused.includes(secret))
      assert.deepEqual(apis(), ['token'])
      const asked = [...settings, ...confirmed, ['Type the ID of', DESTINATION]] as [string, string][]
      const steps = ['y', 'n', '', 'no'].map((text): [string, string] => ['Run it?', text])
      const said = await answer(env, [...asked, ...steps])
      assert.ok(!said.includes(secret))
      assert.match(said, /Step notes: .*/)
      assert.deepEqual([...new Set(sandbox.received.map(({ operation }) => operation))], ['Results:New'])
    })
  })
})
