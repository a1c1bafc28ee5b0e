/** Metrics and health of a real Node-RED: routes, token, own port, and what they say about connections. */
import assert from 'node:assert/strict'
import parsePrometheusTextFormat from 'parse-prometheus-text-format'
import { startWithUsers } from '../lib/admin'
import { eventually } from '../lib/eventually'
import { sizedFile } from '../lib/fixtures'
import { FILE_NAME, OUTBOX_PATIENT, OutboxClient } from '../lib/outbox'
import { INBOX_FLOW, InboxClient } from '../lib/inbox'
import { freePort, startNodeRed, type NodeRed } from '../lib/node-red'
import { reply, ScriptedServer } from '../lib/scripted-server'

const TOKEN = 'a-token-for-the-scraper'
const NAME = 'Hospital'

/** Samples of a scrape by name: labels and value, read by a parser that is not part of this package. */
type Scrape = Map<string, Record<string, unknown>[]>

const bearer = (token: string): RequestInit => ({ headers: { authorization: `Bearer ${token}` } })

async function scrape(url: string): Promise<{ text: string; scrape: Scrape }> {
  const answer = await fetch(`${url}redox/metrics`, bearer(TOKEN))
  assert.equal(answer.status, 200)
  assert.match(answer.headers.get('content-type') ?? '', /^application\/openmetrics-text; version=1\.0\.0/)
  const text = await answer.text()
  assert.ok(text.endsWith('\n# EOF\n') || text === '# EOF\n', text.slice(-100))
  const families = parsePrometheusTextFormat(text)
  return { text, scrape: new Map(families.map(({ name, metrics }) => [name, metrics])) }
}

const valueOf = (found: Scrape, name: string, labels: Record<string, string> = {}): number => {
  const samples = (found.get(name) ?? []).filter(({ labels: own }) =>
    Object.entries(labels).every(
      ([label, value]) => (own as Record<string, string> | undefined)?.[label] === value,
    ),
  )
  assert.equal(samples.length, 1, `${name} ${JSON.stringify(labels)}: ${samples.length}`)
  return Number(samples[0]?.['value'])
}

describe('metrics and health', function () {
  this.timeout(90_000)
  let nodeRed: NodeRed | undefined
  let redox: ScriptedServer
  before(async () => (redox = await ScriptedServer.start()))
  after(() => redox?.close())
  afterEach(async () => {
    await nodeRed?.stop()
    nodeRed = undefined
  })

  const health = async (url: string, init?: RequestInit): Promise<[number, Record<string, unknown>]> => {
    const answer = await fetch(`${url}redox/health`, init)
    return [answer.status, (await answer.json()) as Record<string, unknown>]
  }

  it('count messages, requests, tokens and the outbox from the start, over deploys, without patient data', async () => {
    nodeRed = await startNodeRed({ redox: { metricsToken: TOKEN } })
    const client = new OutboxClient(nodeRed.url)
    await client.deploy(redox.script('send', reply(400, {})).url, {}, INBOX_FLOW)
    const { id } = await client.accept({ documentId: 'doc-1' })
    await client.until(id, 'parked')
    await new InboxClient(nodeRed.url).send({
      ...{ bytes: Buffer.from('%PDF-1.7 %%EOF'), filename: FILE_NAME, family: OUTBOX_PATIENT.last },
    })
    const first = await scrape(nodeRed.url)
    const durable = { connection: 'outboxconfig', delivery: 'durable' }
    const ended = { ...durable, operation: 'Notes:New', way: 'embed', code: 'REDOX_REJECTED' }
    assert.equal(valueOf(first.scrape, 'redox_messages_total', ended), 1)
    // The parser leaves out the labels of histograms.
    for (const histogram of ['redox_message_duration_seconds', 'redox_message_size_bytes'])
      assert.ok(
        first.text.includes(`${histogram}_count{connection="outboxconfig",delivery="durable"} 1\n`),
        first.text,
      )
    assert.equal(first.scrape.get('redox_message_size_bytes')?.length, 1)
    const request = { connection: 'outboxconfig', kind: 'send', code: 'REDOX_REJECTED' }
    assert.equal(valueOf(first.scrape, 'redox_requests_total', request), 1)
    assert.equal(valueOf(first.scrape, 'redox_token_up', { connection: 'outboxconfig' }), 1)
    assert.equal(valueOf(first.scrape, 'redox_outbox_messages', { state: 'parked' }), 1)
    assert.equal(valueOf(first.scrape, 'redox_outbox_messages', { state: 'waiting' }), 0)
    assert.equal(valueOf(first.scrape, 'redox_outbox_store_up'), 1)
    assert.ok(valueOf(first.scrape, 'redox_outbox_store_bytes') > 0)
    const direct = { connection: 'inboxconfig', delivery: 'direct', code: 'ok' }
    assert.equal(valueOf(first.scrape, 'redox_messages_total', direct), 1)
    const success = valueOf(first.scrape, 'redox_last_success_timestamp_seconds', {
      connection: 'inboxconfig',
    })
    assert.ok(Math.abs(success - Date.now() / 1000) < 60)
    const [, healthy] = await health(nodeRed.url, bearer(TOKEN))
    assert.match(JSON.stringify(healthy), /"problem":"parked","count":1/)
    for (const secret of [...Object.values(OUTBOX_PATIENT), FILE_NAME, 'doc-1', TOKEN])
      assert.ok(!(first.text + JSON.stringify(healthy)).includes(secret), secret)

    await client.deploy(redox.script('send', reply(400, {})).url, { name: 'Other "name"' }, INBOX_FLOW)
    const second = await scrape(nodeRed.url)
    assert.equal(valueOf(second.scrape, 'redox_messages_total', ended), 1)
    const [info] = (second.scrape.get('redox_connection_info') ?? []).filter(
      ({ labels }) => (labels as Record<string, string>)['connection'] === 'outboxconfig',
    )
    assert.equal((info?.['labels'] as Record<string, string>)['name'], 'Other "name"')
  })

  it('answer 200 with lines for parked messages, an unreachable Redox and a failing token, and 503 for a connection that cannot be used', async () => {
    nodeRed = await startNodeRed({ redox: { metricsToken: TOKEN } })
    const { url } = nodeRed
    const client = new OutboxClient(url)
    assert.deepEqual(await health(url), [200, { status: 'ok' }])
    const server = redox.script('token', ...Array.from({ length: 50 }, () => reply(503, {})))
    await client.deploy(server.url)
    await client.accept({ documentId: 'doc-1' })
    await eventually('the token fails', async () => {
      const [status, { lines }] = await health(url, bearer(TOKEN))
      assert.equal(status, 200)
      return JSON.stringify(lines).includes('"problem":"token","code":"REDOX_UNAVAILABLE"')
    })
    const [, seen] = await health(url, bearer(TOKEN))
    const problems = (seen['lines'] as Record<string, unknown>[]).map(({ name, problem }) => [name, problem])
    assert.deepEqual(problems, [
      [NAME, 'unreachable'],
      [NAME, 'token'],
    ])
    assert.deepEqual(await health(url), [200, { status: 'ok' }])
    assert.equal(valueOf((await scrape(url)).scrape, 'redox_token_up'), 0)

    const broken = { id: 'direct', type: 'redox-config', name: NAME, environment: 'Nowhere' }
    await client.deployFlows([broken])
    await eventually('the health fails', async () => (await health(url))[0] === 503)
    assert.deepEqual(await health(url), [503, { status: 'failing' }])
    const [, full] = await health(url, bearer(TOKEN))
    const line = { connection: 'direct', name: NAME, problem: 'configuration', code: 'REDOX_CONFIGURATION' }
    assert.deepEqual(full, { status: 'failing', lines: [line] })
  })

  it('answer 503 when the store of a connection cannot be opened', async () => {
    nodeRed = await startNodeRed({ redox: { metricsToken: TOKEN } })
    const { url } = nodeRed
    const settings = { store: 'postgresql', storeUrl: 'postgres://127.0.0.1:1/none' }
    await new OutboxClient(url).deployFlows([
      {
        ...{ id: 'outboxconfig', type: 'redox-config', name: NAME, environment: 'Sandbox' },
        ...{ environmentType: 'environment', delivery: 'durable', ...settings },
        credentials: { storeKey: 'a store key that is hard to guess', storeUrl: settings.storeUrl },
      },
    ])
    await eventually('the health fails', async () => (await health(url))[0] === 503)
    const [, { lines }] = await health(url, bearer(TOKEN))
    assert.match(JSON.stringify(lines), /"problem":"store","code":"REDOX_STORE_UNAVAILABLE"/)
    assert.equal(valueOf((await scrape(url)).scrape, 'redox_outbox_store_up'), 0)
  })

  it('say that a store has no room for messages, in a 200', async () => {
    nodeRed = await startNodeRed({ redox: { metricsToken: TOKEN } })
    const { url } = nodeRed
    const client = new OutboxClient(url)
    const down = Array.from({ length: 200 }, () => reply(503, {}))
    await client.deploy(redox.script('send', ...down).url, { storeLimitGb: '0.001' })
    for (const documentId of ['doc-1', 'doc-2'])
      await client.press({ documentId, bytes: sizedFile(700_000 + Number(documentId.slice(-1))) })
    await eventually('the store is full', async () => (await client.connection())['isFull'] === true)
    const [status, { lines }] = await health(url, bearer(TOKEN))
    assert.equal(status, 200)
    assert.match(JSON.stringify(lines), /"problem":"full","code":"REDOX_STORE_FULL"/)
    assert.equal(valueOf((await scrape(url)).scrape, 'redox_outbox_store_up'), 0)
  })

  it('give names only for the token, or to a user with the permission', async () => {
    const guarded = await startWithUsers(
      { admin: '*', other: 'redox-outbox.read' },
      { redox: { metricsToken: TOKEN } },
    )
    nodeRed = guarded
    const { url, tokens } = guarded
    const get = async (place: string, token?: string): Promise<number> =>
      (await fetch(`${url}redox/${place}`, token === undefined ? {} : bearer(token))).status
    for (const place of ['metrics', 'health']) {
      for (const wrong of ['wrong', `${TOKEN}x`, TOKEN.slice(1), tokens.other])
        assert.equal(await get(place, wrong), 401, `${place} ${wrong}`)
      for (const right of [TOKEN, tokens.admin]) assert.equal(await get(place, right), 200)
    }
    assert.deepEqual([await get('metrics'), await get('health')], [401, 200])
    assert.deepEqual(await health(url), [200, { status: 'ok' }])
  })

  it('need the token where Node-RED has no login, even on this machine', async () => {
    nodeRed = await startNodeRed()
    const asked = await fetch(`${nodeRed.url}redox/metrics`)
    const guessed = await fetch(`${nodeRed.url}redox/metrics`, bearer('undefined'))
    assert.deepEqual([asked.status, guessed.status], [401, 401])
    assert.deepEqual(await health(nodeRed.url, bearer('wrong')), [200, { status: 'ok' }])
  })

  it('are on a port of their own with httpAdminRoot: false, over deploys, until Node-RED stops', async () => {
    const metricsPort = await freePort()
    const own = `http://127.0.0.1:${metricsPort}/`
    nodeRed = await startNodeRed({ httpAdminRoot: false, redox: { metricsToken: TOKEN, metricsPort } })
    await eventually('the port is open', () =>
      fetch(own).then(
        () => true,
        () => false,
      ),
    )
    assert.equal((await fetch(`${own}redox/metrics`)).status, 401)
    assert.deepEqual((await scrape(own)).text, '# EOF\n')
    assert.deepEqual(await health(own), [200, { status: 'ok' }])
    assert.deepEqual(await health(own, bearer(TOKEN)), [200, { status: 'ok', lines: [] }])
    assert.equal((await fetch(`${own}redox/outbox`, bearer(TOKEN))).status, 404)
    assert.equal((await fetch(`${own}redox/metrics`, { ...bearer(TOKEN), method: 'POST' })).status, 404)
    await nodeRed.stop()
    await assert.rejects(fetch(own))
  })

  it('keep the port open in a deploy, close it with the flows, and open it again', async () => {
    const metricsPort = await freePort()
    const own = `http://127.0.0.1:${metricsPort}/`
    nodeRed = await startNodeRed({
      runtimeState: { enabled: true, ui: true },
      redox: { metricsToken: TOKEN, metricsPort },
    })
    const client = new OutboxClient(nodeRed.url)
    const isOpen = (): Promise<boolean> =>
      fetch(`${own}redox/health`).then(
        ({ ok }) => ok,
        () => false,
      )
    await client.deployFlows(INBOX_FLOW)
    assert.ok(await isOpen())
    await client.post('flows/state', { state: 'stop' })
    await eventually('the port is closed', async () => !(await isOpen()))
    await client.post('flows/state', { state: 'start' })
    await eventually('the port is open again', isOpen)
  })

  it('name mistakes in the settings in the log', async () => {
    nodeRed = await startNodeRed({ redox: { metricsToken: 'short', metricsPort: '9' } })
    assert.match(nodeRed.log(), /redox: metricsToken is not text of at least 16 characters/)
    assert.match(nodeRed.log(), /redox: metricsPort is not a number/)
    assert.equal((await fetch(`${nodeRed.url}redox/metrics`, bearer('short'))).status, 401)
  })
})
