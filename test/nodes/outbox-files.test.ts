/** Documents of queued messages in the admin API of the outbox: bytes, types, audit log and errors. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { eventually } from '../lib/eventually'
import { fixture, sha256 } from '../lib/fixtures'
import { startNodeRed, type NodeRed } from '../lib/node-red'
import { OutboxClient, type Json } from '../lib/outbox'
import { attached, flowWithNodes, inData, isOpen, senderOf, type Send } from '../lib/outbox-documents'
import { Postgres, postgresBinaries } from '../lib/postgres'
import { ScriptedServer } from '../lib/scripted-server'
import { NO_POSTGRES, skip } from '../lib/skip'
import { AT, errorOf, REFUSED, useOutbox, type Users } from './outbox-support'

const OCTETS = 'application/octet-stream'
const PLAIN = 'text/plain; charset=utf-8'
const PDF = Buffer.concat([Buffer.from('%PDF-1.7\n'), randomBytes(700_000), Buffer.from('\n%%EOF')])
const PNG = fixture('chart.png')
const HTML = Buffer.from('<!DOCTYPE html><script>window.__pwned = "html"</script>')
const SVG = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="window.__pwned = 1"/>')
// The end of the first chunk of the store (255 KiB) divides a character.
const LONG_TEXT = Buffer.from(`x${'ä'.repeat(200_000)}`)

describe('documents in the outbox', function () {
  this.timeout(60_000)
  const outbox = useOutbox()
  let redox: ScriptedServer
  let users: Users
  let send: Send

  before(async () => {
    ;({ redox, users } = outbox)
    await users.admin.deployFlows(flowWithNodes(redox.url))
    await isOpen(users.admin)
    send = senderOf(users.admin, outbox.documentId)
  })
  beforeEach(() => void redox.script('send', REFUSED))

  const place = (id: string, index: number | string = 0, query = '?reason=why'): string =>
    `${AT}/messages/${id}/files/${index}${query}`

  type Row = [what: string, node: string, message: Json, bytes: Buffer, type: string, kind?: string]
  const ROWS: Row[] = [
    ['a PDF', 'embed', attached(PDF, 'a.pdf', ''), PDF, 'application/pdf'],
    ['a PDF to be uploaded', 'upload', attached(PDF, 'a.pdf', ''), PDF, 'application/pdf'],
    ['an image', 'embed', attached(PNG, 'a.png', ''), PNG, 'image/png'],
    ['long text', 'embed', attached(LONG_TEXT, 'a.txt', 'text/plain'), LONG_TEXT, PLAIN],
    ['HTML', 'embed', attached(HTML, 'a.html', 'text/html'), HTML, OCTETS],
    ['SVG', 'embed', attached(SVG, 'a.svg', 'image/svg+xml'), SVG, OCTETS],
    [
      'a PDF in the data of the flow',
      'data',
      inData(PDF, 'a.pdf', 'PDF'),
      PDF,
      'application/pdf',
      'in-message',
    ],
    ['HTML that is declared as PDF', 'data', inData(HTML, 'a.pdf', 'PDF'), HTML, OCTETS, 'in-message'],
    ['SVG that is declared as PNG', 'data', inData(SVG, 'a.png', 'PNG'), SVG, OCTETS, 'in-message'],
    [
      'the text of a note',
      'text',
      { payload: 'Patient well: ä' },
      Buffer.from('Patient well: ä'),
      PLAIN,
      'in-message',
    ],
  ]
  for (const [what, node, message, bytes, type, kind = 'stored'] of ROWS)
    it(`serves ${what} as ${type}, after a line in the audit log`, async () => {
      const id = await send(node, message)
      const { files } = await users.reader.get(`messages/${id}`)
      assert.deepEqual(
        (files as Json[]).map((file) => file['kind'] as string),
        [kind],
      )
      const answer = await users.contentReader.ask(place(id, 0, '?reason=call+of+the+ward'))
      assert.equal(answer.status, 200, await (answer.ok ? '' : answer.text()))
      assert.equal(sha256(Buffer.from(await answer.arrayBuffer())), sha256(bytes))
      const { at: _at, ...line } = await outbox.lastLine()
      assert.deepEqual(line, {
        who: 'contentReader',
        action: 'look',
        subject: id,
        reason: 'call of the ward',
      })
      const header = (name: string): string => answer.headers.get(name) ?? ''
      assert.equal(header('content-type'), type)
      assert.match(header('content-disposition'), type === OCTETS ? /^attachment; / : /^inline; /)
      const policy = header('content-security-policy')
      assert.match(policy, /^default-src 'none';/)
      assert.equal(policy.endsWith('; sandbox'), type !== 'application/pdf')
      assert.deepEqual(
        ['x-content-type-options', 'cache-control', 'cross-origin-resource-policy', 'referrer-policy'].map(
          header,
        ),
        ['nosniff', 'no-store', 'same-origin', 'no-referrer'],
      )
    })

  it('is given to no user without the permission, and leaves no line in the audit log then', async () => {
    const id = await send('embed', attached(PDF, 'a.pdf', ''))
    const before = await outbox.audit()
    for (const user of [users.reader, users.decider, users.all, new OutboxClient(outbox.nodeRed.url)]) {
      const answer = await user.ask(place(id))
      assert.equal(answer.status, 401)
      assert.doesNotMatch(await answer.text(), /PDF/)
    }
    assert.deepEqual(await outbox.audit(), before)
  })

  it('needs a reason, and the number of a file that exists', async () => {
    const id = await send('embed', attached(PDF, 'a.pdf', ''))
    const before = await outbox.audit()
    for (const query of ['', '?reason=', '?reason=a%0Ab', `?reason=${'x'.repeat(201)}`])
      assert.deepEqual(await errorOf(await users.admin.ask(place(id, 0, query))), [400, 'bad_request'], query)
    for (const index of ['-1', 'x', '1e1', '10000', '__proto__'])
      assert.deepEqual(await errorOf(await users.admin.ask(place(id, index))), [400, 'bad_request'], index)
    assert.deepEqual(await errorOf(await users.admin.ask(place(id, 1))), [404, 'not_found'])
    assert.deepEqual(await outbox.audit(), before)
  })

  it('is refused with a code if the message has only the URL of its file', async () => {
    const payload = { url: `${redox.url}/files/1`, contentType: 'application/pdf', name: 'a.pdf' }
    const id = await send('embed', { payload, filename: 'a.pdf' })
    const { files } = await users.reader.get(`messages/${id}`)
    assert.deepEqual(files, [{ kind: 'reference', contentType: 'application/pdf' }])
    assert.deepEqual(await errorOf(await users.admin.ask(place(id))), [404, 'not_stored'])
  })

  it('can be read again after a client has left in the middle', async () => {
    const id = await send('embed', attached(PDF, 'a.pdf', ''))
    const leaving = new AbortController()
    const answer = await users.admin.ask(place(id), { signal: leaving.signal })
    await answer.body!.getReader().read()
    leaving.abort()
    const again = await users.admin.ask(place(id))
    assert.equal(sha256(Buffer.from(await again.arrayBuffer())), sha256(PDF))
  })
})

describe('documents in the outbox, with PostgreSQL', function () {
  this.timeout(60_000)
  let postgres: Postgres | undefined
  let redox: ScriptedServer
  let nodeRed: NodeRed
  let client: OutboxClient

  before(async function () {
    if (postgresBinaries() === undefined && process.env['CI'] !== 'true') skip(this, NO_POSTGRES)
    postgres = await Postgres.start()
    redox = await ScriptedServer.start()
    redox.script('send', REFUSED)
    nodeRed = await startNodeRed()
    client = new OutboxClient(nodeRed.url)
  })
  after(async () => {
    await nodeRed?.stop()
    await redox?.close()
    await postgres?.stop()
  })

  async function deploy(storeKey: string): Promise<void> {
    const flow = flowWithNodes(redox.url, { store: 'postgresql' }) as Json[]
    const config = flow.find(({ id }) => id === 'outboxconfig')!
    Object.assign(config['credentials'], { storeUrl: postgres!.url(), storeKey })
    await client.deployFlows(flow)
  }

  async function inDatabase(...statements: string[]): Promise<void> {
    const connection = new Client({ connectionString: postgres!.url() })
    await connection.connect()
    for (const statement of statements) await connection.query(statement)
    await connection.end()
  }

  it('are served, unless the audit log cannot be written or the document is missing', async () => {
    await deploy('a store key that is hard to guess')
    await isOpen(client)
    const id = await senderOf(client, () => 'doc-1')('embed', attached(PDF, 'a.pdf', ''))
    await client.until(id, 'parked')
    const ask = (): Promise<Response> => client.ask(`${AT}/messages/${id}/files/0?reason=why`)
    const served = await ask()
    assert.equal(sha256(Buffer.from(await served.arrayBuffer())), sha256(PDF))

    await inDatabase('ALTER TABLE redox.audit RENAME TO away')
    const refused = await ask()
    const text = await refused.text()
    assert.ok(refused.status >= 500, `${refused.status}`)
    assert.match(text, /"code":"REDOX_STORE_/)
    assert.doesNotMatch(text, /PDF/)
    await inDatabase('ALTER TABLE redox.away RENAME TO audit')
    const { total } = await client.get('audit')
    assert.equal(total, 1)

    await inDatabase('DELETE FROM redox.chunk')
    assert.deepEqual(await errorOf(await ask()), [404, 'file_missing'])
    assert.equal((await client.get('audit'))['total'], 1)

    await deploy('quite another key of the store')
    await eventually('the store cannot be read', async () => {
      const { code, counts } = await client.connection()
      return code === 'REDOX_STORE_UNREADABLE' && counts === undefined
    })
    assert.deepEqual(await errorOf(await ask()), [503, 'REDOX_STORE_UNREADABLE'])
  })
})
