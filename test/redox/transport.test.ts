import assert from 'node:assert/strict'
import { Busboy } from '@fastify/busboy'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import files from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { takeMemory, takePath, type FileSource } from '../../src/file/file'
import { withValueAt } from '../../src/message/json'
import { Semaphore } from '../../src/redox/semaphore'
import { hostsFor, referenceOrigins } from '../../src/redox/settings'
import type { UploadKind } from '../../src/redox/uploads'
import { fhirBinaryBody, jsonBody, multipartBody, rawBody } from '../../src/transport/body'
import type { RequestBody } from '../../src/transport/body'
import { deliverDirect, uploadDirect } from '../../src/redox/direct-delivery'
import { fixturePath, sha256, sizedFile } from '../lib/fixtures'
import { bytesOf, connectTo, failing, never, serve, withToken, type Reply, type Server } from '../lib/redox'

const source = (content: Buffer, filename = 'report.pdf'): FileSource =>
  takeMemory(content, { where: 'x', filename }).file

const wide = (concurrency: number) => ({ concurrency, waitingBytes: 1_000_000 })

describe('semaphore', () => {
  const turn = () => new Promise((resolve) => setImmediate(resolve))

  it('lets its number of tasks run at once, and the others in the order of arrival', async () => {
    const gate = new Semaphore(wide(3))
    const [order, leave]: [number[], (() => void)[]] = [[], []]
    let [inside, most] = [0, 0]
    const all = Array.from({ length: 20 }, (_, n) =>
      gate.run(async () => {
        order.push(n)
        most = Math.max(most, ++inside)
        await new Promise<void>((resolve) => leave.push(resolve))
        inside--
        return n
      }, never()),
    )
    await turn()
    assert.equal(order.length, 3)
    // The task that started last ends first, which shows that waiting tasks start in their own order nevertheless.
    for (let n = 0; n < 20; n++) {
      leave.pop()!()
      await turn()
    }
    assert.deepEqual(await Promise.all(all), order)
    assert.deepEqual([order, most], [Array.from({ length: 20 }, (_, n) => n), 3])
  })

  it('refuses a task whose signal is aborted already', async () => {
    const gate = new Semaphore(wide(1))
    void gate.run(() => new Promise(() => undefined), never())
    const stopped = AbortSignal.abort(new Error('gave up'))
    const entry = { bytes: () => 0, onWait: () => assert.fail('it waits') }
    await assert.rejects(
      gate.run(async () => undefined, stopped, entry),
      /gave up/,
    )
  })

  it('releases the slot after a failure, and gives none to an aborted task', async () => {
    const gate = new Semaphore(wide(1))
    let leave: () => void = () => undefined
    const first = gate.run(() => new Promise<void>((resolve) => (leave = resolve)), never())
    const stop = new AbortController()
    let ran = false
    const second = gate.run(async () => (ran = true), stop.signal)
    const third = gate.run(() => Promise.reject(new Error('failed')), never())
    const fourth = gate.run(async () => 'passed', never())
    stop.abort(new Error('gave up'))
    await assert.rejects(second, /gave up/)
    leave()
    await first
    await assert.rejects(third, /failed/)
    assert.equal(await fourth, 'passed')
    assert.equal(ran, false)
    const late = AbortSignal.abort(new Error('before'))
    await assert.rejects(
      gate.run(async () => 'never', late),
      /before/,
    )
    assert.equal(await gate.run(async () => 'still open', never()), 'still open')
  })
})

describe('semaphore with limits', () => {
  const full = { code: 'REDOX_QUEUE_FULL' }

  it('lets any number wait, and a task that has to wait for another one takes no slot', async () => {
    const gate = new Semaphore(wide(1))
    let end: () => void = () => undefined
    const after = new Promise<void>((resolve) => (end = resolve))
    const order: string[] = []
    const pass = (name: string, entry = {}) =>
      gate.run(async () => void order.push(name), never(), { bytes: () => 0, ...entry })
    let waits = false
    const behind = pass('behind', { after, onWait: () => (waits = true) })
    assert.ok(waits)
    await Promise.all(Array.from({ length: 5000 }, () => pass('other')))
    assert.ok(!order.includes('behind'))
    end()
    await behind
    assert.deepEqual([order.length, order.at(-1)], [5001, 'behind'])
  })

  it('gives no slot to a task that was aborted while it waited for another one', async () => {
    const gate = new Semaphore({ ...wide(1), waitingBytes: 100 })
    const stop = new AbortController()
    const entry = { bytes: () => 100, after: new Promise(() => undefined) }
    const waits = gate.run(async () => undefined, stop.signal, entry)
    await assert.rejects(
      gate.run(async () => undefined, never(), entry),
      full,
    )
    stop.abort(new Error('gave up'))
    await assert.rejects(waits, /gave up/)
    assert.equal(
      await gate.run(async () => 'free', never(), { bytes: () => 1, after: Promise.resolve() }),
      'free',
    )
  })

  it('counts the bytes of waiting tasks, and releases those of aborted tasks', async () => {
    const gate = new Semaphore({ ...wide(1), waitingBytes: 100 })
    let leave: () => void = () => undefined
    const first = gate.run(() => new Promise<void>((resolve) => (leave = resolve)), never(), {
      bytes: () => 500,
    })
    const stop = new AbortController()
    const waited: string[] = []
    const entry = { bytes: () => 60, onWait: () => waited.push('told') }
    const second = gate.run(async () => 'second', stop.signal, entry)
    await assert.rejects(
      gate.run(async () => 'third', never(), entry),
      full,
    )
    assert.deepEqual(waited, ['told'])
    const text = await gate
      .run(async () => '', never(), { bytes: () => 41 })
      .catch((error: Error) => error.message)
    assert.match(text, /messages \(1\) hold 60 bytes/)
    stop.abort(new Error('gave up'))
    await assert.rejects(second, /gave up/)
    const third = gate.run(async () => 'third', never(), { bytes: () => 100 })
    leave()
    await first
    assert.equal(await third, 'third')
  })
})

// ---- Bodies --------------------------------------------------------------------------------------------

// File sizes in bytes close to the size of a base64 buffer (80 KiB), and to a chunk read from disk (510 KiB).
const SIZES = [
  1, 2, 3, 61_300, 61_438, 61_439, 61_440, 61_441, 522_239, 522_240, 522_241, 1_044_481, 1_700_000,
]

describe('request bodies', () => {
  const forms: [string, (file: FileSource) => RequestBody | Promise<RequestBody>][] = [
    ['raw', rawBody],
    ['multipart', multipartBody],
    ['FHIR Binary', fhirBinaryBody],
    ['JSON', (file) => jsonBody('application/json', { a: 'ü', f: '' }, [{ path: ['f'], file }], withValueAt)],
  ]
  for (const [form, make] of forms) {
    it(`${form}: the length is exact, and a second pass gives the same bytes and hash`, async () => {
      for (const size of SIZES) {
        const content = sizedFile(size)
        const body = await make(source(content))
        const first = await bytesOf(body.open())
        assert.equal(first.length, body.length, `${size} bytes`)
        assert.deepEqual(body.sha256(), [sha256(content)])
        const half = body.open()[Symbol.asyncIterator]()
        await half.next()
        assert.ok(first.equals(await bytesOf(body.open())))
        assert.deepEqual(body.sha256(), [sha256(content)])
      }
    })
  }

  it('JSON with several files is what JSON.stringify would have written', async () => {
    const [one, two, three] = [sizedFile(100_001), sizedFile(7), sizedFile(49_152)]
    const value = { b: ['', { c: '"\\\u2028' }], a: '', z: { d: '' } }
    const embeddings = [
      { path: ['b', 0], file: source(one) },
      { path: ['a'], file: source(two) },
      { path: ['z', 'd'], file: source(three) },
    ]
    const body = await jsonBody('application/json', value, embeddings, withValueAt)
    const whole = {
      b: [one.toString('base64'), value.b[1]],
      a: two.toString('base64'),
      z: { d: three.toString('base64') },
    }
    assert.equal((await bytesOf(body.open())).toString(), JSON.stringify(whole))
    assert.deepEqual(body.sha256(), [one, two, three].map(sha256))
    assert.equal(value.a, '', 'the given value was changed')
  })

  const names: [string, string][] = [
    ['report.pdf', 'report.pdf'],
    ['Befund Müller 日本 🙂.pdf', 'Befund Müller 日本 🙂.pdf'],
    ['the "final" one.pdf', 'the %22final%22 one.pdf'],
    ["a; name='b'; filename=c.pdf", "a; name='b'; filename=c.pdf"],
    ['100%.pdf', '100%.pdf'],
  ]
  for (const [name, parsed] of names) {
    it(`multipart, read by an independent parser: ${name}`, async () => {
      const content = sizedFile(100_000)
      const body = multipartBody(source(content, name))
      const parts: Promise<unknown>[] = []
      const parser = new Busboy({ headers: { 'content-type': body.contentType } })
      const finished = new Promise((resolve, reject) => parser.on('finish', resolve).on('error', reject))
      parser.on('field', (field) => parts.push(Promise.resolve(field)))
      parser.on('file', (field, stream, ...[filename, , type]) => {
        parts.push(bytesOf(stream).then((bytes) => [field, filename, type, sha256(bytes)]))
      })
      parser.end(await bytesOf(body.open()))
      await finished
      assert.deepEqual(await Promise.all(parts), [['file', parsed, 'application/pdf', sha256(content)]])
    })
  }
})

// ---- Uploads -------------------------------------------------------------------------------------------

describe('the reference of an upload', () => {
  const BINARY = '/fhir/R4/redox/Development/Binary'
  let server: Server
  let reply: Reply
  before(async () => {
    server = await serve(withToken(() => reply))
  })
  after(() => server.close())

  const upload = async (kind: UploadKind = 'binary', answer: Reply = {}): Promise<string> => {
    reply = answer
    const { client } = connectTo(server.url)
    try {
      return (await uploadDirect(client, source(sizedFile(100)), { kind, signal: never() })).url
    } finally {
      await client.close()
    }
  }
  it('makes its host known, so that a message of the same connection may refer to it', async () => {
    reply = made({ Location: 'https://files.example.com/1' })
    const { client } = connectTo(server.url)
    try {
      assert.deepEqual([...client.uploadOrigins], [])
      await uploadDirect(client, source(sizedFile(100)), { kind: 'binary', signal: never() })
      assert.deepEqual([...client.uploadOrigins], ['https://files.example.com'])
    } finally {
      await client.close()
    }
  })

  const GIVEN = 'https://api.redoxengine.com/fhir/R4/redox/Development/Binary/4a?x=%20#y'
  const BLOB = 'https://blob.redoxengine.com/14652614'
  const made = (headers: Record<string, string>, body: unknown = '') => ({ status: 201, headers, body })

  const answers: [string, UploadKind, Reply, string][] = [
    ['Location', 'binary', made({ Location: GIVEN }), GIVEN],
    ['location', 'binary', made({ location: GIVEN }), GIVEN],
    ['LOCATION of a 200', 'binary', { headers: { LOCATION: GIVEN } }, GIVEN],
    ['a path in Location', 'binary', made({ location: `${BINARY}/1` }), `{server}${BINARY}/1`],
    ['a relative Location', 'binary', made({ location: 'Binary/1' }), `{server}${BINARY}/1`],
    ['URI', 'binary', made({}, { URI: GIVEN }), GIVEN],
    ['url', 'binary', made({}, { url: GIVEN }), GIVEN],
    ['fullUrl', 'binary', made({}, { fullUrl: GIVEN }), GIVEN],
    ['id', 'binary', made({}, { resourceType: 'Binary', id: '1' }), `{server}${BINARY}/1`],
    ['Location before the body', 'binary', made({ location: GIVEN }, { id: '1', url: 'https://x' }), GIVEN],
    ['URI of a blob', 'blob', made({}, { URI: BLOB }), BLOB],
    ['URI of a blob before Location', 'blob', made({ location: '/x' }, { URI: BLOB }), BLOB],
  ]
  for (const [what, kind, answer, url] of answers)
    it(`is read from ${what}`, async () =>
      assert.equal(await upload(kind, answer), url.replace('{server}', server.url)))

  for (const body of ['', '{}', 'Created', '{"URI":""}', '{"URI":7}'])
    it(`is missing in ${body || 'nothing'}`, () =>
      failing('REDOX_REJECTED', () => upload('blob', { status: 201, body }), /without a reference/))
})

describe('file on disk', () => {
  it('that shrinks while it is sent causes an error of its own, and the request is not completed', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'redox-'))
    const name = path.join(folder, 'a.pdf')
    writeFileSync(name, sizedFile(5_000_000))
    const server = await serve(withToken(() => ({ status: 201, body: { URI: 'https://x/1' } })))
    const { client } = connectTo(server.url)
    try {
      const { file } = await takePath(name, { where: 'x' }, [folder])
      truncateSync(name, 4_000_000)
      await failing(
        'REDOX_BAD_INPUT',
        () => uploadDirect(client, file, { kind: 'blob', signal: never() }),
        /^File changed while it was read/,
      )
      assert.equal(server.to('/upload').length, 0)
    } finally {
      await client.close()
      await server.close()
      rmSync(folder, { recursive: true })
    }
  })
})

// ---- Compressed answers --------------------------------------------------------------------------------

describe('network share that does not respond', () => {
  it('ends the read of a file within the time limit', async () => {
    const { open } = files
    const folder = path.dirname(fixturePath('photo.jpg'))
    const { file } = await takePath(fixturePath('photo.jpg'), { where: 'x' }, [folder], { readMs: 100 })
    files.open = (async (name: string, flags: string) => {
      const handle = await open(name, flags)
      handle.read = (() => new Promise(() => undefined)) as never
      return handle
    }) as typeof open
    try {
      await failing('REDOX_BAD_INPUT', () => bytesOf(file.read()), /does not answer/)
    } finally {
      files.open = open
    }
  })
})

describe('compressed answer that was not requested', () => {
  const URL = 'https://blob.redoxengine.com/ü'
  const answer = Buffer.from(JSON.stringify({ URI: URL }))
  let server: Server
  let reply: Reply
  before(async () => {
    server = await serve(withToken(() => reply))
  })
  after(() => server.close())

  const upload = async (status: number, encoding: string, body: Buffer) => {
    reply = { status, headers: { 'content-encoding': encoding }, body }
    const { client } = connectTo(server.url)
    return uploadDirect(client, source(sizedFile(100)), { kind: 'blob', signal: never() }).finally(() =>
      client.close(),
    )
  }

  const CODINGS: [encoding: string, body: Buffer][] = [
    ['gzip', gzipSync(answer)],
    ['GZIP ', gzipSync(answer)],
    ['x-gzip', gzipSync(answer)],
    ['deflate', deflateSync(answer)],
    ['br', brotliCompressSync(answer)],
    ['identity', answer],
    ['constructor', answer],
  ]
  for (const [encoding, body] of CODINGS)
    it(`is decompressed: ${encoding}`, async () => assert.equal((await upload(201, encoding, body)).url, URL))

  it('is never requested', async () => {
    await upload(201, 'identity', answer)
    for (const { headers } of server.requests) assert.equal(headers['accept-encoding'], 'identity')
  })

  const BROKEN: [what: string, body: Buffer][] = [
    ['cut short', gzipSync(answer).subarray(0, -10)],
    ['no gzip', answer],
    // A gzip body of 20 kB that expands to 20 MB.
    ['larger than any answer may be', gzipSync(Buffer.alloc(20_000_000, ' '))],
  ]
  for (const [what, body] of BROKEN) {
    it(`cannot be read when ${what}, and a refusal remains a refusal`, async () => {
      await failing('REDOX_UNAVAILABLE', () => upload(201, 'gzip', body), /^Answer unreadable/)
      await failing('REDOX_REJECTED', () => upload(400, 'gzip', body))
    })
  }

  it('keeps the reason of a refusal', () =>
    failing('REDOX_REJECTED', () => upload(400, 'gzip', gzipSync('{"errorDetail":"so it is"}')), /so it is/))

  it('may be empty', () =>
    failing('REDOX_REJECTED', () => upload(201, 'gzip', Buffer.alloc(0)), /without a reference/))
})

// ---- Hosts ---------------------------------------------------------------------------------------------

describe('answer before the server has the whole message', () => {
  it('does not count as success', async () => {
    const early = createServer((socket) => {
      socket.on('error', () => undefined)
      // A token request is small, so it arrives in one chunk. The message can follow on the same socket.
      socket.on('data', (piece) => {
        const head = piece.toString('latin1')
        if (!head.startsWith('POST ')) return
        const isToken = head.includes('/v2/auth/token')
        const body = isToken ? '{"access_token":"t","expires_in":300}' : '{"Meta":{"Logs":[{"ID":"1"}]}}'
        socket.write(
          `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
        )
        if (!isToken) socket.pause()
      })
    }).listen(0, '127.0.0.1')
    await once(early, 'listening')
    const { client } = connectTo(`http://127.0.0.1:${(early.address() as AddressInfo).port}`)
    const file = source(sizedFile(9_000_000))
    const message = {
      api: 'datamodel' as const,
      operation: 'Notes:New',
      body: { Note: {} },
      attachments: [{ way: 'embed' as const, path: ['Note', 'FileContents'], file }],
    }
    await failing('REDOX_OUTCOME_UNKNOWN', () => deliverDirect(client, message, { signal: never() }))
    await client.close()
    early.close()
  })
})

describe('hosts', () => {
  for (const [region, infix] of [
    ['US', ''],
    ['CA', 'ca.'],
  ] as const) {
    it(`are those of the region ${region}`, () => {
      const api = `https://api.${infix}redoxengine.com`
      const blob = `https://blob.${infix}redoxengine.com`
      assert.deepEqual(hostsFor(region), {
        apiBase: api,
        blobUploadUrl: `${blob}/upload`,
        fhirBase: `${api}/fhir/R4`,
        binaryUploadBase: `${api}/fhir/R4`,
      })
      assert.deepEqual(referenceOrigins(hostsFor(region)).sort(), [api, blob])
    })
  }

  it('follow the configured API base and FHIR base', () => {
    const byApi = hostsFor('US', { apiBase: 'https://candi.redoxengine.com//' })
    assert.equal(byApi.fhirBase, 'https://candi.redoxengine.com/fhir/R4')
    const byFhir = hostsFor('US', { fhirBase: 'https://x.example/r4/' })
    assert.equal(byFhir.binaryUploadBase, 'https://x.example/r4')
  })

  for (const local of ['http://localhost:1', 'http://127.0.0.1:1', 'http://[::1]:1'])
    it(`may use plain http on this machine: ${local}`, () =>
      assert.equal(hostsFor('US', { apiBase: local }).apiBase, local))

  const bad: [string, RegExp][] = [
    ['http://api.redoxengine.com', /must begin with https/],
    ['http://localhost.evil.example', /must begin with https/],
    ['http://0.0.0.0', /must begin with https/],
    ['ftp://api.redoxengine.com', /must begin with https/],
    ['https://user:secret@api.redoxengine.com', /user name or password/],
    ['https://api.redoxengine.com/?a=b', /query or a fragment/],
    ['https://api.redoxengine.com/#a', /query or a fragment/],
    ['api.redoxengine.com', /not a URL/],
  ]
  for (const [url, words] of bad) {
    it(`are never ${url}`, async () => {
      for (const name of ['apiBase', 'fhirBase', 'blobUploadUrl', 'binaryUploadBase'])
        await failing('REDOX_CONFIGURATION', () => hostsFor('US', { [name]: url }), words)
    })
  }
})
