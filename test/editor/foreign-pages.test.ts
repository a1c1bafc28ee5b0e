/**
 * Requests that web pages of other origins send to a Node-RED without `adminAuth`, from a real browser; and the editor
 * when Node-RED is reached through a reverse proxy.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, Frame, Locator, Page } from 'playwright-core'
import { INBOX_FLOW, InboxClient } from '../lib/inbox'
import { freePort, startNodeRed, type NodeRed } from '../lib/node-red'
import { OTHER_DESTINATION, OUTBOX_PATIENT, OutboxClient } from '../lib/outbox'
import { startReverseProxy, type ReverseProxy } from '../lib/reverse-proxy'
import { reply, ScriptedServer } from '../lib/scripted-server'
import { launchChromium, needChromium, untilLoaded } from './editor'
import { showTab } from './tabs'

// Host names that do not look local: over http, a browser sends fewer headers to them than to 127.0.0.1 or localhost.
const NAMES = ['nodered.example', 'evil.example', 'proxied.example']
const RULES = `--host-resolver-rules=${NAMES.map((name) => `MAP ${name} 127.0.0.1`).join()}`

/** Part of an HTTP response that a page can read: status and body, or 'nothing' if the browser blocks the response. */
type Seen = { status: number; text: string } | 'nothing'

interface Asked {
  method?: string
  headers?: Record<string, string>
  body?: string
  mode?: RequestMode
}

const JSON_TYPE = { 'content-type': 'application/json' }
const post = (body: object): Asked => ({ method: 'POST', headers: JSON_TYPE, body: JSON.stringify(body) })

/** Sends a request from a script of the page. */
const askIn = (page: Page | Frame, place: string, init: Asked): Promise<Seen> =>
  page.evaluate(
    async ([url, options]) => {
      try {
        const answer = await fetch(url, options)
        return { status: answer.status, text: await answer.text() }
      } catch {
        return 'nothing'
      }
    },
    [place, init] as const,
  )

describe('pages of other origins', function () {
  this.timeout(240_000)
  let nodeRed: NodeRed
  let redox: ScriptedServer
  let client: OutboxClient
  let inbox: InboxClient
  let browser: Browser
  let foreign: Server
  let parked: string

  before(async function () {
    needChromium(this)
    redox = await ScriptedServer.start()
    nodeRed = await startNodeRed()
    client = new OutboxClient(nodeRed.url)
    inbox = new InboxClient(nodeRed.url)
    await client.deploy(redox.script('send', reply(400, {})).url, {}, INBOX_FLOW)
    parked = (await client.accept({ documentId: 'doc-1' })).id
    await client.until(parked, 'parked')
    await inbox.send({ bytes: Buffer.from('%PDF-1.7 %%EOF'), filename: 'a.pdf', family: OUTBOX_PATIENT.last })
    foreign = createServer((_request, answer) =>
      answer.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>foreign</title>'),
    ).listen(0, '127.0.0.1')
    await once(foreign, 'listening')
    browser = await launchChromium([RULES])
  })
  after(async () => {
    await browser?.close()
    foreign?.close()
    await nodeRed?.stop()
    await redox?.close()
  })

  const port = (): string => new URL(nodeRed.url).port
  const foreignPort = (): number => (foreign.address() as AddressInfo).port

  const open = async (url: string): Promise<Page> => {
    const page = await browser.newPage()
    page.setDefaultTimeout(60_000)
    await page.goto(url)
    return page
  }

  /** Requests of a page to all routes of inbox and outbox, of every kind that a browser lets pages send. */
  const attempts = (base: string): [place: string, init: Asked][] => {
    const outbox = `${base}redox/outbox/outboxconfig`
    const message = `${outbox}/messages/${parked}`
    const discard = { action: 'discard', reason: 'because I can' }
    const places = [`${base}redox/outbox`, `${base}redox/inbox`, `${outbox}/messages`, message]
    const reads = [...places, `${message}/content?reason=x`, `${outbox}/audit`]
    const forwarded = { 'x-forwarded-host': `evil.example:${foreignPort()}` }
    return [
      ...reads.flatMap((place): [string, Asked][] => [
        [place, {}],
        [place, { headers: forwarded }],
        [place, { method: 'HEAD' }],
        [place, { mode: 'no-cors' }],
      ]),
      [message, post(discard)],
      [message, { ...post(discard), headers: { ...JSON_TYPE, ...forwarded } }],
      [message, { ...post(discard), headers: {} }],
      [message, { ...post(discard), headers: {}, mode: 'no-cors' }],
      [`${outbox}/destinations`, post({ destination: 'x', action: 'pause', reason: 'x' })],
      [`${base}redox/test`, post({ id: 'new', config: {}, secrets: {} })],
      [`${base}redox/key-pair`, post({})],
      [`${base}redox/inbox`, { method: 'DELETE' }],
    ]
  }

  /** Sends all {@link attempts} from a foreign page. Checks that the page can read no data and change nothing. */
  const attack = async (page: Page | Frame, base: string): Promise<void> => {
    for (const [place, init] of attempts(base)) {
      const what = `${init.method ?? 'GET'} ${place}`
      const seen = await askIn(page, place, init)
      if (seen === 'nothing') continue
      // Status 0: the browser hides the response from the page. Status 403: Node-RED has refused the request.
      assert.ok([0, 403].includes(seen.status), `${what}: ${seen.status}`)
      assert.doesNotMatch(seen.text, new RegExp(`${OUTBOX_PATIENT.last}|outboxconfig|${parked}`), what)
    }
    assert.equal((await client.get(`messages/${parked}`))['state'], 'parked')
    assert.deepEqual((await client.get('audit'))['lines'], [])
    assert.equal((await inbox.list()).messages.length, 1)
  }

  for (const from of ['127.0.0.1', 'localhost', 'evil.example'])
    for (const to of ['127.0.0.1', 'localhost', 'nodered.example'])
      it(`on ${from} read and change nothing at ${to}`, async () => {
        const page = await open(`http://${from}:${foreignPort()}/`)
        await attack(page, `http://${to}:${port()}/`)
        await page.close()
      })

  for (const to of ['127.0.0.1', 'nodered.example'])
    it(`in a sandboxed frame, whose origin is null, read and change nothing at ${to}`, async () => {
      const page = await open(`http://evil.example:${foreignPort()}/`)
      await page.setContent('<iframe sandbox="allow-scripts" srcdoc="<p>x</p>"></iframe>')
      await attack(page.frames().at(-1)!, `http://${to}:${port()}/`)
      await page.close()
    })

  it('cannot embed or open an answer of this machine', async () => {
    const page = await open(`http://evil.example:${foreignPort()}/`)
    const content = `${nodeRed.url}redox/outbox/outboxconfig/messages/${parked}/content?reason=x`
    await page.setContent(
      `<iframe src="${content}"></iframe><img src="${content}"><a href="${content}">x</a>`,
    )
    await page.waitForLoadState('networkidle')
    assert.doesNotMatch(await page.frames().at(-1)!.content(), new RegExp(OUTBOX_PATIENT.last))
    await page.getByRole('link').click()
    await page.getByText('REDOX_FOREIGN_ORIGIN').waitFor()
    assert.deepEqual((await client.get('audit'))['lines'], [])
    await page.close()
  })

  describe("the editor's own page", () => {
    let proxy: ReverseProxy | undefined
    let page: Page
    afterEach(async () => {
      await page?.close()
      await proxy?.close()
      proxy = undefined
    })

    const openOutbox = async (address: string): Promise<void> => {
      page = await open(address)
      await untilLoaded(page)
      await showTab(page, 'outbox')
    }
    const parkAnother = async (documentId: string): Promise<string> => {
      const { id } = await client.accept({ documentId, destination: OTHER_DESTINATION })
      await client.until(id, 'parked')
      return id
    }
    const press = async (id: string, action: string): Promise<Locator> => {
      const message = tab().locator('.redox-tab-message', { hasText: id.slice(0, 8) })
      await message.locator('.redox-tab-line').click()
      const details = message.locator('.redox-tab-details')
      await details.getByRole('button', { name: action }).click()
      return details
    }
    const act = async (id: string, action: string): Promise<void> => {
      const details = await press(id, action)
      await details.getByLabel('Reason').fill('a test')
      await details.locator('form').getByRole('button', { name: action }).click()
    }
    const tab = (): Locator => page.locator('.redox-outbox')
    const told = (words: string): Promise<void> =>
      tab().getByRole('alert').filter({ hasText: words }).waitFor()

    it('can decide over plain http with the name of its machine, and gets the reason for withheld content', async () => {
      const id = await parkAnother('doc-named')
      await openOutbox(`http://nodered.example:${port()}/`)
      await press(parked, 'Show content')
      await told('contentWithoutAdminAuth: true')
      assert.ok(!(await tab().innerText()).includes(OUTBOX_PATIENT.last))
      await act(id, 'Discard')
      await client.until(id, 'discarded')
      await showTab(page, 'inbox')
      await page.locator('.redox-inbox').getByText('does not require a login').waitFor()
    })

    it('gets the setting to change behind a proxy that changes the Host header of plain http', async () => {
      const id = await parkAnother('doc-proxied')
      proxy = await startReverseProxy(nodeRed.url)
      await openOutbox(`http://proxied.example:${proxy.port}/`)
      await act(id, 'Discard')
      await told('redox: { allowedOrigins:')
      assert.equal((await client.get(`messages/${id}`))['state'], 'parked')
      await page.evaluate(() => RED.editor.editConfig('', 'redox-config', 'outboxconfig'))
      await page.locator('.redox-test').click()
      await page.locator('.redox-test-result', { hasText: 'redox: { allowedOrigins:' }).waitFor()
    })

    it('works behind that proxy when settings.js contains its address', async () => {
      const uiPort = await freePort()
      proxy = await startReverseProxy(`http://127.0.0.1:${uiPort}/`)
      const address = `http://proxied.example:${proxy.port}`
      const named = await startNodeRed({ uiPort, redox: { allowedOrigins: [address] } })
      try {
        page = await open(`${address}/`)
        await untilLoaded(page)
        const made = await askIn(page, 'redox/key-pair', post({}))
        assert.equal(made !== 'nothing' && made.status, 200)
        const evil = `http://evil.example:${foreignPort()}`
        await page.goto(`${evil}/`)
        const seen = await askIn(page, `${address}/redox/key-pair`, post({}))
        // Node-RED 4.1 lets every page read its answers, Node-RED 5 does not.
        assert.ok(seen === 'nothing' || seen.status === 403)
        const headers = { ...JSON_TYPE, origin: evil }
        const refused = await fetch(`http://127.0.0.1:${uiPort}/redox/key-pair`, { ...post({}), headers })
        assert.equal(refused.status, 403)
      } finally {
        await named.stop()
      }
    })
  })
})
