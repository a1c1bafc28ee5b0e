/** Admin API of the sandbox inbox: permissions, content types of served files, and events for open editors. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import type express from 'express'
import type { NodeAPI } from 'node-red'
import { stopSandbox } from '../../nodes/lib/connection/sandbox-host'
import { shownType, type DeclaredFile } from '../../nodes/lib/runtime/shown-file'
import register from '../../plugins/redox-inbox/redox-inbox'
import { fixture, sha256 } from '../lib/fixtures'
import { assertNoPatient, startFlow, useNodeRed, type Flow } from '../lib/flow'
import { InboxClient, type InboxMessage, type Parcel } from '../lib/inbox'
import { startWithUsers, type GuardedNodeRed } from '../lib/admin'
import { fileMessage, NOTE, start } from '../lib/send-nodes'
import { eventually } from '../lib/eventually'
import { isDeepStrictEqual } from 'node:util'

const PLUGIN = path.join(__dirname, '../../../plugins/redox-inbox')
const USERS = { admin: '*', outsider: 'flows.read', reader: 'redox-inbox.read', clearer: 'redox-inbox.write' }
const UNKNOWN = '00000000-0000-4000-8000-000000000000'
const OCTETS = 'application/octet-stream'

const HTML = Buffer.from('<!DOCTYPE html><script>window.__pwned = "html"</script>')
const SVG = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="window.__pwned = 1"/>')
const TEXT = Buffer.from('Grüße: <script>window.__pwned = "text"</script>\n')
const PDF = fixture('gingival-mass.pdf')
const PNG = fixture('chart.png')

describe('sandbox inbox', function () {
  this.timeout(60_000)

  describe('admin API', () => {
    let nodeRed: GuardedNodeRed<keyof typeof USERS>
    const users = {} as Record<keyof typeof USERS, InboxClient>
    let stranger: InboxClient

    before(async () => {
      nodeRed = await startWithUsers(USERS)
      stranger = new InboxClient(nodeRed.url)
      for (const name of Object.keys(USERS) as (keyof typeof USERS)[])
        users[name] = new InboxClient(nodeRed.url, nodeRed.tokens[name])
    })
    after(() => nodeRed?.stop())

    const clear = (user: InboxClient): Promise<Response> => user.ask('redox/inbox', { method: 'DELETE' })
    const fileOf = ({ id }: InboxMessage, index: number | string = 0): string =>
      `redox/inbox/${id}/files/${index}`

    it('reports that no sandbox runs, and starts none', async () => {
      await users.admin.deploy()
      for (let time = 0; time < 2; time++)
        assert.deepEqual(await users.reader.list(), { running: false, messages: [], faults: [] })
      assert.equal((await clear(users.clearer)).status, 204)
      assert.equal((await users.reader.list()).running, false)
    })

    it('lists received messages, newest first, without any bytes', async () => {
      await users.admin.send({ bytes: PDF, filename: 'first.pdf' })
      await users.admin.send({ bytes: PNG, filename: 'second.png' })
      const answer = await users.reader.ask('redox/inbox')
      assert.equal(answer.headers.get('cache-control'), 'no-store')
      const { running, messages } = (await answer.json()) as { running: boolean; messages: InboxMessage[] }
      assert.equal(running, true)
      assert.deepEqual(
        messages.map(({ files }) => files.map(({ name }) => name)),
        [['second.png'], ['first.pdf']],
      )
      const [{ files, ...line }] = messages as [InboxMessage]
      assert.deepEqual(Object.keys(line).sort(), [
        ...[
          'api',
          'at',
          'deliveries',
          'destinations',
          'document',
          'environment',
          'id',
          'operation',
          'patient',
        ],
      ])
      assert.match(line.patient, /Quuxworth.*1931-07-19.*ZX81-7745/)
      assert.match(line.document, /second\.png/)
      const { size, sha256: hash, shown, way } = files[0]!
      assert.deepEqual(
        { size, hash, shown, way },
        {
          ...{ size: PNG.length, hash: sha256(PNG), shown: 'image/png', way: 'embedded' },
        },
      )
      assert.ok(!('bytes' in files[0]!))
    })

    it('lists injected faults, newest first, without any data of the message', async () => {
      assert.equal((await clear(users.clearer)).status, 204)
      await users.admin.deploy('fhir 503 once; fhir reset-after-accept once')
      await users.admin.press({ bytes: PDF, filename: 'lost.pdf' })
      await eventually('no fault', async () => (await users.reader.list()).faults.length > 0)
      const { fault } = await users.admin.send({ bytes: PDF, filename: 'kept.pdf' })
      assert.equal(fault, 'reset-after-accept')
      const { faults, messages } = await users.reader.list()
      assert.equal(messages.length, 1)
      assert.deepEqual(
        faults.map(({ at, ...rest }) => [!Number.isNaN(Date.parse(at)), rest]),
        [
          [true, { api: 'fhir', fault: 'reset-after-accept', accepted: true }],
          [true, { api: 'fhir', fault: '503', accepted: false }],
        ],
      )
      assert.equal((await clear(users.clearer)).status, 204)
      assert.deepEqual((await users.reader.list()).faults, [])
      await users.admin.deploy()
    })

    it("returns one message with the request and Redox's delivered message", async () => {
      const { id } = await users.admin.send({ bytes: PDF, filename: 'one.pdf' })
      const answer = await users.reader.ask(`redox/inbox/${id}`)
      assert.equal(answer.headers.get('cache-control'), 'no-store')
      const message = (await answer.json()) as InboxMessage & { request: any; delivered: any }
      assert.equal(message.id, id)
      assert.equal(message.request.method, 'POST')
      assert.equal(message.request.headers.authorization, undefined)
      assert.equal(message.request.body.resourceType, 'Bundle')
      assert.equal(message.delivered.resourceType, 'Bundle')
      const text = JSON.stringify(message)
      assert.ok(text.includes(`<base64, ${PDF.length} bytes>`))
      assert.ok(!text.includes(PDF.subarray(0, 60).toString('base64')) && text.length < 20_000)
    })

    it('refuses a user without the permission, and distinguishes reading from clearing', async () => {
      const message = await users.admin.send({ bytes: PDF, filename: 'secret.pdf' })
      const places = ['redox/inbox', `redox/inbox/${message.id}`, fileOf(message)]
      for (const place of places) {
        for (const user of [stranger, users.outsider, users.clearer]) {
          const answer = await user.ask(place)
          assert.equal(answer.status, 401, place)
          assert.doesNotMatch(await answer.text(), /Quuxworth|%PDF/)
        }
        assert.equal((await users.reader.ask(place)).status, 200, place)
      }
      for (const user of [stranger, users.outsider, users.reader])
        assert.equal((await clear(user)).status, 401)
      assert.equal((await users.reader.list()).messages[0]!.id, message.id)
      assert.equal((await clear(users.clearer)).status, 204)
      assert.deepEqual(await users.reader.list(), { running: true, messages: [], faults: [] })
      assert.equal((await users.reader.ask(fileOf(message))).status, 404)
    })

    it('answers 500 with a code and without the error text', async () => {
      const answer = await failing(new Error('Quuxworth'))
      assert.deepEqual(answer, { status: 500, body: { code: 'unexpected' } })
    })

    it('answers 404 for unknown messages and files', async () => {
      const message = await users.admin.send({ bytes: PDF, filename: 'here.pdf' })
      const places = [
        ...[UNKNOWN, message.id.toUpperCase(), '__proto__', 'constructor', '*', "'", '%00', 'a'.repeat(5000)],
        ...['..%2f..%2fsettings', '%2e%2e%2fflows', `${message.id}%2ffiles%2f0`, `${message.id}%20`],
      ].map((id) => `redox/inbox/${id}`)
      const indexes = [
        '1',
        '-1',
        '0.0',
        '00000',
        '1e1',
        '9'.repeat(30),
        'length',
        '__proto__',
        '..%2f0',
        '%2f0',
      ]
      for (const place of [...places, ...indexes.map((index) => fileOf(message, index))]) {
        const answer = await users.reader.ask(place)
        assert.equal(answer.status, 404, place)
        assert.deepEqual(await answer.json(), { code: 'not_found' }, place)
        assert.equal(answer.headers.get('cache-control'), 'no-store')
      }
      assert.equal((await users.reader.ask('redox/inbox/%E0%A4%A')).status, 400)
    })

    const served: [string, Parcel, string][] = [
      ['a PDF', { bytes: PDF, filename: 'a.pdf' }, 'application/pdf'],
      ['a PNG', { bytes: PNG, filename: 'a.png' }, 'image/png'],
      ['a JPEG', { bytes: fixture('photo.jpg'), filename: 'a.jpg' }, 'image/jpeg'],
      ['text', { bytes: TEXT, filename: 'a.txt', contentType: 'text/plain' }, 'text/plain; charset=utf-8'],
      [
        'text of another encoding',
        {
          bytes: Buffer.from('Gr\xfc\xdfe', 'latin1'),
          filename: 'b.txt',
          contentType: 'text/plain; charset=iso-8859-1',
        },
        OCTETS,
      ],
      ['HTML', { bytes: HTML, filename: 'a.html', contentType: 'text/html' }, OCTETS],
      ['SVG', { bytes: SVG, filename: 'a.svg', contentType: 'image/svg+xml' }, OCTETS],
      [
        'XML',
        {
          bytes: Buffer.from('<?xml version="1.0"?><a/>'),
          filename: 'a.xml',
          contentType: 'application/xml',
        },
        OCTETS,
      ],
      ['TIFF, which no browser shows', { bytes: fixture('scan.tiff'), filename: 'a.tiff' }, OCTETS],
      [
        'HTML that is declared as PDF',
        { bytes: HTML, filename: 'a.pdf', contentType: 'application/pdf', inData: true },
        OCTETS,
      ],
      [
        'SVG that is declared as PNG',
        { bytes: SVG, filename: 'a.png', contentType: 'image/png', inData: true },
        OCTETS,
      ],
      [
        'what is not known',
        { bytes: Buffer.from([0, 1, 2, 255]), filename: 'a.xyz', contentType: 'x-odd/thing' },
        OCTETS,
      ],
    ]
    for (const [what, parcel, type] of served) {
      it(`serves ${what} as ${type}`, async () => {
        const message = await users.admin.send(parcel)
        const answer = await users.reader.ask(fileOf(message))
        assert.equal(answer.headers.get('content-type'), type)
        assert.equal(message.files[0]!.shown, type === OCTETS ? null : type.split(';')[0])
        assert.equal(sha256(Buffer.from(await answer.arrayBuffer())), sha256(parcel.bytes))
        assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
        assert.equal(answer.headers.get('cache-control'), 'no-store')
        assert.equal(answer.headers.get('cross-origin-resource-policy'), 'same-origin')
        const policy = answer.headers.get('content-security-policy')!
        assert.match(policy, /^default-src 'none';/)
        assert.doesNotMatch(policy, /script-src|unsafe-eval/)
        assert.equal(/; sandbox$/.test(policy), type !== 'application/pdf')
        assert.match(
          answer.headers.get('content-disposition')!,
          type === OCTETS ? /^attachment; / : /^inline; /,
        )
      })
    }

    it('returns hostile file names as harmless parameters', async () => {
      const filename = 'Röntgen "x"; filename=evil.html\u202E.pdf'
      const message = await users.admin.send({ bytes: PDF, filename })
      const header = (await users.reader.ask(fileOf(message))).headers.get('content-disposition')!
      assert.match(header, /^inline; filename="[\w. -]+"; filename\*=UTF-8''[\w.%!~-]+$/)
      assert.match(header, /R%C3%B6ntgen%20%22x%22%3B%20filename%3Devil.html.pdf$/)
    })
  })

  describe('allowed preview of a file', () => {
    const cases: [string, DeclaredFile & { bytes: Buffer }, string | undefined][] = [
      ['its FileType', { bytes: PDF, fileType: 'PDF' }, 'application/pdf'],
      ['its FileType, in other letters', { bytes: PNG, fileType: 'Png' }, 'image/png'],
      ['its name', { bytes: PDF, name: 'a.b.PDF' }, 'application/pdf'],
      [
        'its name, where an upload says nothing',
        { bytes: PNG, name: 'a.png', contentType: OCTETS },
        'image/png',
      ],
      ['its bytes, where nothing is declared', { bytes: PDF }, 'application/pdf'],
      ['text, as that of a note', { bytes: TEXT }, 'text/plain'],
      ['another spelling', { bytes: fixture('photo.jpg'), contentType: 'Image/JPG; q=1' }, 'image/jpeg'],
      ['a bitmap', { bytes: Buffer.from('BM..'), fileType: 'BMP' }, 'image/bmp'],
      ['a GIF', { bytes: Buffer.from('GIF89a..'), fileType: 'GIF' }, 'image/gif'],
      ['a WebP', { bytes: Buffer.from('RIFF1234WEBP'), fileType: 'WEBP' }, 'image/webp'],
      ['nothing, if declared as HTML', { bytes: PDF, contentType: 'text/html' }, undefined],
      ['nothing, if its name is one of HTML', { bytes: TEXT, name: 'a.html' }, undefined],
      ['nothing, if declared as an object', { bytes: TEXT, contentType: '__proto__' }, undefined],
      ['nothing, if the bytes say otherwise', { bytes: PNG, fileType: 'PDF' }, undefined],
      ['nothing, if it is no text', { bytes: Buffer.from([0, 1, 2]) }, undefined],
    ]
    for (const [what, file, type] of cases)
      it(`is ${what}`, () => assert.equal(shownType(file, file.bytes), type))
  })

  it('is the same in every language', () => {
    const keysOf = (texts: object, prefix = ''): string[] =>
      Object.entries(texts).flatMap(([key, text]: [string, object | string]) =>
        typeof text === 'string'
          ? [`${prefix}${key} ${text.match(/__\w+__/g) ?? ''}`]
          : keysOf(text, `${prefix}${key}.`),
      )
    const [english, german] = ['en-US', 'de'].map((language) => keysOf(catalogue(language)))
    assert.deepEqual(german, english)
  })

  describe('events for open editors', () => {
    useNodeRed()
    let heard: { topic: string; data: { count: number; news: number } }[]
    let stop: () => void

    beforeEach(() => {
      heard = []
      stop = listen(heard)
    })
    afterEach(() => stop())

    const newsIn = (events: typeof heard): number => events.reduce((sum, { data }) => sum + data.news, 0)
    /**
     * Waits until the last event has this count, and all events together this number of new messages. The delivery of a
     * message to its destination is an event without news, which may come before the test looks.
     */
    const isHeard = (wanted: { count: number; news: number }, by = heard): Promise<void> =>
      eventually(`heard: ${JSON.stringify(wanted)}`, () =>
        isDeepStrictEqual({ count: by.at(-1)?.data.count, news: newsIn(by) }, wanted),
      )
    const sendMany = (flow: Flow, times: number): Promise<unknown> =>
      Promise.all(Array.from({ length: times }, () => flow.outcome(fileMessage())))

    it('contain counts and no data of the message', async () => {
      await (await start(NOTE)).send(fileMessage())
      await isHeard({ count: 1, news: 1 })
      assert.equal(heard.at(-1)!.topic, 'redox/inbox')
      for (const { data } of heard) assert.deepEqual(Object.keys(data), ['count', 'news'])
      assertNoPatient(JSON.stringify(heard), 'what every editor hears')
    })

    it('are a few per second, however many messages arrive', async () => {
      const flow = await start(NOTE)
      const began = Date.now()
      await sendMany(flow, 150)
      await eventually('all is heard', () => newsIn(heard) >= 150)
      const most = (Date.now() - began) / 300 + 2
      assert.ok(heard.length <= most, `${heard.length} times, at most ${most}`)
      assert.deepEqual([heard.at(-1)!.data.count, newsIn(heard)], [100, 150])
    })

    it('are sent once, also after Node-RED was started again in this process', async () => {
      const again: typeof heard = []
      const stopAgain = listen(again)
      await (await start(NOTE)).send(fileMessage())
      await isHeard({ count: 1, news: 1 }, again)
      stopAgain()
      assert.ok(heard.every(({ data }) => data.news === 0))
    })

    it('are sent for an injected fault, without counting as news', async () => {
      const flow = await start(NOTE, {}, { attempts: '1', faults: 'endpoint 503' })
      await flow.fail(fileMessage(), 'REDOX_UNAVAILABLE')
      await isHeard({ count: 0, news: 0 })
    })

    it('end when the plugin is removed', async () => {
      stop()
      const later: typeof heard = []
      const stopLater = listen(later)
      await (await start(NOTE)).send(fileMessage())
      await isHeard({ count: 1, news: 1 }, later)
      stopLater()
      assert.ok(heard.every(({ data }) => data.news === 0))
    })

    it('continue with the next sandbox, and report the end of a sandbox', async () => {
      await (await start(NOTE)).send(fileMessage())
      // This flow does not use the sandbox.
      await startFlow({ type: NOTE.type, config: { environment: 'Staging' } })
      await stopSandbox()
      await isHeard({ count: 0, news: 1 })
      await (await start(NOTE)).send(fileMessage())
      await isHeard({ count: 1, news: 2 })
    })
  })
})

const catalogue = (language: string): object =>
  JSON.parse(readFileSync(path.join(PLUGIN, 'locales', language, 'redox-inbox.json'), 'utf8')) as object

/** Response of the inbox's list route when access to Node-RED's settings throws this error. */
async function failing(error: Error): Promise<object> {
  const handlers: express.RequestHandler[] = []
  const settings = {
    get redox(): object {
      throw error
    },
  }
  register({
    httpAdmin: {
      get: (_path: string, _before: unknown, [handler]: [express.RequestHandler]) => handlers.push(handler),
      delete: () => undefined,
    },
    auth: { needsPermission: () => undefined },
    comms: { publish: () => undefined },
    plugins: { registerPlugin: (_id: string, { onremove }: { onremove: () => void }) => onremove() },
    settings,
  } as unknown as NodeAPI)
  return new Promise((resolve, reject) => {
    const response = {
      status: (status: number) => ({ json: (body: object) => resolve({ status, body }) }),
    }
    void handlers[0]!({} as express.Request, response as express.Response, reject)
  })
}

/**
 * Registers the inbox plugin with a mock of the Node-RED runtime, which records the published events. Returns a
 * function that removes the plugin.
 */
function listen(heard: object[]): () => void {
  let remove = (): void => undefined
  const ignore = (): void => undefined
  register({
    httpAdmin: { get: ignore, delete: ignore },
    auth: { needsPermission: () => ignore },
    comms: { publish: (topic: string, data: unknown) => heard.push({ topic, data }) },
    plugins: { registerPlugin: (_id: string, { onremove }: { onremove: () => void }) => (remove = onremove) },
  } as unknown as NodeAPI)
  return () => remove()
}
