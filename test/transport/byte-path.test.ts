/**
 * Bytes of files in request bodies, in cases that other tests do not cover: reused buffers, bodies that are sent again,
 * aborts while other requests are sent, kept-alive sockets, and the number of bytes in one event-loop iteration.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import type { ServerOptions } from 'node:https'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Writable } from 'node:stream'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { Connection, ConnectionConfig } from '../../nodes/lib/connection/connection'
import type { Network } from '../../nodes/lib/connection/network'
import { takeMemory, takePath, type FileSource } from '../../src/file/file'
import { yieldFor } from '../../src/event-loop'
import { withValueAt } from '../../src/message/json'
import type { Progress, AttemptOptions } from '../../src/redox/client-types'
import { fhirBinaryBody, jsonBody, multipartBody, rawBody, type RequestBody } from '../../src/transport/body'
import { deliverDirect, uploadDirect } from '../../src/redox/direct-delivery'
import { sha256, sizedFile } from '../lib/fixtures'
import { CA, certified } from '../lib/proxy'
import { bytesOf, connectTo, isToken, never, serve, TEST_KEY, type Reply, type Server } from '../lib/redox'

const KB = 1024

// ---- Files: each with different bytes, so that files cannot be confused ---------------------------------

type From = 'memory' | 'disk'
const FROM: From[] = ['memory', 'disk']

const NOISE = sizedFile(12_000_000)
let folder: string
let files = 0

interface Sample {
  source: FileSource
  digest: string
}

async function sample(size: number, from: From): Promise<Sample> {
  const start = (++files * 4099) % (NOISE.length - size)
  const bytes = NOISE.subarray(start, start + size)
  const hints = { where: 'x', filename: `file-${files}.bin`, contentType: 'application/octet-stream' }
  const name = path.join(folder, hints.filename)
  if (from === 'disk') writeFileSync(name, bytes)
  const { file } = from === 'disk' ? await takePath(name, hints, [folder]) : takeMemory(bytes, hints)
  return { source: file, digest: sha256(bytes) }
}

before(() => void (folder = mkdtempSync(path.join(tmpdir(), 'redox-bytes-'))))
after(() => rmSync(folder, { recursive: true }))

/** Files in a request body, extracted without code of the client. */
function filesIn(contentType: string, body: Buffer): Buffer[] {
  if (contentType.includes('json')) {
    const { Files, data } = JSON.parse(body.toString()) as { Files?: string[]; data?: string }
    return (Files ?? [data!]).map((text) => Buffer.from(text, 'base64'))
  }
  const boundary = /boundary=(.+)$/.exec(contentType)?.[1]
  if (boundary === undefined) return [body]
  const tail = `\r\n--${boundary}--\r\n`
  assert.ok(body.subarray(-tail.length).equals(Buffer.from(tail)), 'the end of a multipart body')
  return [body.subarray(body.indexOf('\r\n\r\n') + 4, -tail.length)]
}

const digestsIn = (contentType: string, body: Buffer): string[] => filesIn(contentType, body).map(sha256)

// ---- Bodies, without a client ---------------------------------------------------------------------------

const embedded = (all: FileSource[]): Promise<RequestBody> =>
  jsonBody(
    'application/json',
    { Files: all.map(() => '') },
    all.map((file, at) => ({ path: ['Files', at], file })),
    withValueAt,
  )

const FORMS: Record<string, (file: FileSource) => RequestBody | Promise<RequestBody>> = {
  embedded: (file) => embedded([file]),
  'FHIR Binary': fhirBinaryBody,
  multipart: multipartBody,
  raw: rawBody,
}

/** Socket whose peer reads each chunk as late as possible, when other requests can already have reused the buffer. */
class LateSocket extends Writable {
  readonly #arrived: Buffer[] = []

  /**
   * @param highWaterMark number of buffered bytes above which `write` returns false: 16 KiB on Node.js 20, 64 KiB in
   * later versions
   */
  constructor(highWaterMark: number) {
    super({ highWaterMark })
  }

  override _write(piece: Buffer, _encoding: string, done: () => void): void {
    void (async () => {
      for (let turns = 0; turns < 3; turns++) await nextTurn()
      this.#arrived.push(Buffer.from(piece))
      done()
    })()
  }

  /** Ends the socket, waits until all bytes have arrived, and returns them. */
  async arrived(): Promise<Buffer> {
    this.end()
    await once(this, 'finish')
    return Buffer.concat(this.#arrived)
  }
}

/** Writes a body as undici does: without waiting until the last chunk has arrived. */
async function write(body: RequestBody, socket: LateSocket): Promise<void> {
  for await (const piece of body.open()) if (!socket.write(piece)) await once(socket, 'drain')
}

// File sizes close to those of a buffer (80 KiB of base64 are 60 KiB), a socket's limit (64 KiB) and a read (510 KiB).
// prettier-ignore
const SIZES = [
  1, 5_000, 48 * KB, 49_000, 60 * KB - 1, 60 * KB, 64 * KB - 1, 64 * KB, 64 * KB + 1, 80 * KB, 80 * KB + 10,
  120 * KB, 150_000, 510 * KB - 1, 510 * KB, 510 * KB + 1, 525 * KB, 560 * KB, 600 * KB, 1_020 * KB + 9_000,
]

describe('reused memory', function () {
  this.timeout(30_000)
  for (const highWaterMark of [16 * KB, 64 * KB])
    for (const [form, make] of Object.entries(FORMS))
      for (const from of FROM)
        it(`is left to a slow socket (${highWaterMark / KB} KiB): ${form} from ${from}`, async () => {
          const made = await Promise.all([...SIZES, ...SIZES].map((size) => sample(size, from)))
          const waiting = [...made]
          const faults: Promise<string[]>[] = []
          // After a file, a writer starts the next one at once, for which it gets the buffer that was released last.
          const writer = async (): Promise<void> => {
            for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
              const [body, socket] = [await make(next.source), new LateSocket(highWaterMark)]
              await write(body, socket)
              faults.push(faultsOf(next, body, socket))
            }
          }
          await Promise.all(Array.from({ length: 12 }, writer))
          assert.deepEqual((await Promise.all(faults)).flat(), [])
        })

  for (const [form, make] of Object.entries(FORMS))
    for (const from of FROM)
      it(`is not reused after an abort, when a socket may still refer to it: ${form} from ${from}`, async () => {
        const { source } = await sample(600 * KB, from)
        let [broken, asItWas]: Buffer[] = []
        for await (const piece of (await make(source)).open()) {
          broken = piece
          asItWas = Buffer.from(piece)
          if (piece.length >= 64 * KB) break
        }
        for (let others = 0; others < 10; others++)
          await bytesOf((await make((await sample(600 * KB, from)).source)).open())
        assert.ok(broken!.equals(asItWas!))
      })
})

/** Differences between the received and the expected bytes; an empty list if there are none. */
async function faultsOf(
  { source, digest }: Sample,
  body: RequestBody,
  socket: LateSocket,
): Promise<string[]> {
  const bytes = await socket.arrived()
  try {
    assert.equal(bytes.length, body.length)
    assert.deepEqual([digestsIn(body.contentType, bytes), body.sha256()], [[digest], [digest]])
    return []
  } catch (error) {
    return [`${source.size} bytes: ${(error as Error).name}`]
  }
}

// ---- Requests of a client --------------------------------------------------------------------------------

type Way = 'embed' | 'embed 3' | 'multipart' | 'raw'
const WAYS: Way[] = ['embed', 'embed 3', 'multipart', 'raw']

const ANSWERS: Record<string, Reply> = {
  '/v2/auth/token': { body: { access_token: 'token', expires_in: 300 } },
  '/upload': { status: 201, body: { URI: 'http://127.0.0.1/file' } },
  '/fhir/R4/redox/Development/Binary': { status: 201, headers: { location: 'http://127.0.0.1/file' } },
  '/endpoint': { body: { Meta: {} } },
}

let server: Server
let connection: Connection

interface Setup {
  reply?: (path: string, announced: number) => Reply | undefined
  tls?: ServerOptions
  read?: (request: IncomingMessage) => Promise<Buffer>
  config?: ConnectionConfig
}

async function connect({ reply, tls, read, config }: Setup = {}): Promise<void> {
  server = await serve(
    (request) => reply?.(request.path, Number(request.headers['content-length'])) ?? ANSWERS[request.path]!,
    tls,
    read,
  )
  const network: Network = tls ? { tls: { ca: CA } } : {}
  connection = connectTo(server.url, { binaryForm: 'raw', ...config }, { privateKey: TEST_KEY }, network)
}

afterEach(async () => {
  await connection?.client.close()
  await server?.close()
})

/** For each request that the server has read since the last call: SHA-256 of the files. */
function arrivals(): string[] {
  const found = server.requests.splice(0).filter((request) => !isToken(request))
  return found
    .map(({ headers, body }) => {
      assert.equal(body.length, Number(headers['content-length']))
      return digestsIn(headers['content-type']!, body).join()
    })
    .sort()
}

interface Sent {
  /** SHA-256 of the files that were to be sent */
  digests: string
  /** SHA-256 of the files in the result of the client */
  told: string
}

async function send(
  way: Way,
  size: number,
  from: From,
  options: AttemptOptions = { signal: never() },
): Promise<Sent> {
  const made = await Promise.all(
    (way === 'embed 3' ? [size, 10_000, Math.ceil(size / 3)] : [size]).map((one) => sample(one, from)),
  )
  const sources = made.map(({ source }) => source)
  const digests = made.map(({ digest }) => digest).join()
  const { client } = connection
  if (way === 'multipart' || way === 'raw') {
    const kind = way === 'raw' ? 'binary' : 'blob'
    const { sha256: told } = await uploadDirect(client, sources[0]!, { kind, ...options })
    return { digests, told }
  }
  const message = {
    ...{ api: 'datamodel' as const, operation: 'Notes:New', body: { Files: made.map(() => '') } },
    attachments: sources.map((file, at) => ({ way: 'embed' as const, path: ['Files', at], file })),
  }
  const delivered = await deliverDirect(client, message, options)
  return { digests, told: delivered.files.map((file) => file.sha256).join() }
}

function assertUnharmed(sent: Sent[]): void {
  for (const { digests, told } of sent) assert.equal(told, digests, 'what the client says')
  assert.deepEqual(arrivals(), sent.map(({ digests }) => digests).sort())
}

/** All combinations of transfer, file size and file source, in a mixed order. */
function mixed(sizes: number[]): [Way, number, From][] {
  const all = sizes.flatMap((size) => WAYS.flatMap((way) => FROM.map((from) => [way, size, from] as const)))
  // The step 37 is coprime to the number of rows, so every row occurs once.
  return all.map((_, at) => [...all[(at * 37) % all.length]!])
}

const BY_CLIENT = [64 * KB - 1, 64 * KB, 80 * KB + 10, 510 * KB, 525 * KB, 1_100_000, 3_000_000]

/** Server that reads nothing until `start` is called, and then small chunks. */
class SlowReader {
  #go: () => void = () => undefined
  #told = new Promise<void>((resolve) => (this.#go = resolve))

  readonly read = async (request: IncomingMessage): Promise<Buffer> => {
    if (request.url !== '/v2/auth/token') await this.#told
    const pieces: Buffer[] = []
    for await (const piece of request) {
      pieces.push(piece as Buffer)
      if (pieces.length % 8 === 0) await sleep(1)
    }
    return Buffer.concat(pieces)
  }

  start(): void {
    this.#go()
  }
}

describe('many simultaneous requests of one connection', function () {
  this.timeout(30_000)
  const config = { sendsAtOnce: 20, requestMb: 100 }
  const round = async (sizes: number[]): Promise<void> =>
    assertUnharmed(await Promise.all(mixed(sizes).map((one) => send(...one))))

  it('arrive unchanged in several rounds', async () => {
    await connect({ config })
    for (let rounds = 0; rounds < 2; rounds++) await round(BY_CLIENT)
  })

  it('arrive unchanged over TLS', async () => {
    await connect({ config, tls: certified('server') })
    for (let rounds = 0; rounds < 2; rounds++) await round(BY_CLIENT)
  })

  it('arrive unchanged at a server that reads slowly, so that sockets fill up', async () => {
    const reader = new SlowReader()
    await connect({ config, read: reader.read })
    let handed = 0
    const sizes = [64 * KB, 525 * KB, 3_000_000, 5_000_000, 5_500_000]
    const sending = mixed(sizes).map((one) => send(...one, { signal: never(), onProgress: () => handed++ }))
    for (let before = -1; handed !== before; await sleep(200)) before = handed
    reader.start()
    assertUnharmed(await Promise.all(sending))
  })
})

describe('body of a retried request', function () {
  this.timeout(30_000)
  const { random } = Math
  // With a random value of 0, there is no wait between attempts.
  before(() => void (Math.random = () => 0))
  after(() => void (Math.random = random))

  it('has every byte again after a refusal, a reset and an abort in its middle', async () => {
    // Number of attempts by Content-Length, which is different for each request.
    const attempts = new Map<number, number>()
    const read = async (request: IncomingMessage): Promise<Buffer> => {
      const announced = Number(request.headers['content-length'])
      const count = (attempts.get(announced) ?? 0) + 1
      if (request.url !== '/v2/auth/token') attempts.set(announced, count)
      return count === 2 ? cutOff(request, announced / 2) : bytesOf(request)
    }
    const reply = (place: string, announced: number): Reply | undefined => {
      if (place === '/v2/auth/token') return undefined
      const count = attempts.get(announced)
      if (count === 1) return { status: 503, headers: { 'retry-after': '0' } }
      return count === 3 ? (response) => void response.socket!.resetAndDestroy() : undefined
    }
    await connect({ read, reply, config: { attempts: 4, repeatUnknown: 'yes', sendsAtOnce: 16 } })
    const rows = WAYS.flatMap((way) => FROM.map((from) => [way, from] as const))
    const sent = await Promise.all(rows.map(([way, from], at) => send(way, 1_300_000 + at * 1000, from)))
    for (const { digests, told } of sent) assert.equal(told, digests)
    // Of the four attempts of a request, the second is cut off. The other three arrive complete, and the last succeeds.
    const thrice = sent.flatMap(({ digests }) => [digests, digests, digests])
    assert.deepEqual(arrivals(), thrice.sort())
    assert.deepEqual(
      [...attempts.values()],
      rows.map(() => 4),
    )
  })
})

/** Ends the connection after this many bytes of a body. */
async function cutOff(request: IncomingMessage, after: number): Promise<never> {
  let read = 0
  for await (const piece of request) {
    read += (piece as Buffer).length
    if (read >= after) break
  }
  request.socket.resetAndDestroy()
  throw new Error('cut off')
}

describe('abort in the middle of a body', function () {
  this.timeout(30_000)

  it('changes neither simultaneous nor later requests', async () => {
    const TO_CUT = 4_000_001
    const read = (request: IncomingMessage): Promise<Buffer> =>
      Number(request.headers['content-length']) >= TO_CUT
        ? cutOff(request, 1_500_000 + Math.random() * 1_000_000)
        : bytesOf(request)
    await connect({ read, config: { sendsAtOnce: 16 } })
    for (let rounds = 0; rounds < 3; rounds++) {
      const unharmed: Promise<Sent>[] = []
      const broken: Promise<unknown>[] = []
      for (const [at, [way, size, from]] of mixed([70_000, 560 * KB, 1_100_000]).entries()) {
        unharmed.push(send(way, size, from))
        if (at % 3 === 0) broken.push(send(way, TO_CUT, from))
        if (at % 3 !== 1) continue
        const stop = new AbortController()
        const after = 200_000 * at
        const onProgress = ({ sent }: Progress): void => {
          if (sent > after % 2_800_000) stop.abort()
        }
        broken.push(send(way, 3_000_000, from, { signal: stop.signal, onProgress }))
      }
      const endings = await Promise.allSettled(broken)
      assert.deepEqual([...new Set(endings.map(({ status }) => status))], ['rejected'])
      assertUnharmed(await Promise.all(unharmed))
    }
  })
})

describe('kept connection', function () {
  this.timeout(30_000)
  const RUNS: [Way, From][] = [
    ['multipart', 'memory'],
    ['multipart', 'disk'],
    ['raw', 'disk'],
    ['embed', 'memory'],
    ['embed', 'disk'],
  ]
  async function sendOften(way: Way, from: From): Promise<void> {
    const sent: Sent[] = []
    for (let count = 0; count < 50; count++) sent.push(await send(way, 300_000, from))
    assertUnharmed(sent)
  }

  for (const [way, from] of RUNS)
    it(`serves the token and 50 sends one after the other: ${way} from ${from}`, async () => {
      await connect()
      await sendOften(way, from)
      assert.equal(server.connections(), 1)
    })
})

// ---- Event-loop iterations -------------------------------------------------------------------------------

const PER_TURN = 512 * KB

describe('event-loop iteration', function () {
  this.timeout(30_000)

  /** Largest growth of `count` within one event-loop iteration during `work`. */
  async function mostInATurn(count: () => number, work: () => Promise<unknown>): Promise<number> {
    let [isDone, most, before] = [false, 0, count()]
    // This wait starts before any other, so that it resolves first in the next event-loop iteration.
    let next = nextTurn()
    const done = work().finally(() => (isDone = true))
    while (!isDone) {
      await next
      next = nextTurn()
      most = Math.max(most, count() - before)
      before = count()
    }
    await done
    return most
  }

  it('is limited to half a MiB and one chunk, and serves callers in the order of their calls', async () => {
    const PIECE = 48 * KB
    const [CALLERS, PIECES] = [64, 100]
    const [asked, granted]: [string[], string[]] = [[], []]
    const caller = async (who: number): Promise<void> => {
      for (let piece = 0; piece < PIECES; piece++) {
        asked.push(`${who}/${piece}`)
        await yieldFor(PIECE)
        granted.push(`${who}/${piece}`)
      }
    }
    const most = await mostInATurn(
      () => granted.length * PIECE,
      () => Promise.all(Array.from({ length: CALLERS }, (_, who) => caller(who))),
    )
    assert.ok(most <= PER_TURN + PIECE, `${most} bytes in a turn`)
    assert.equal(granted.length, CALLERS * PIECES)
    assert.deepEqual(granted, asked)
  })

  for (const way of ['embed', 'multipart'] as const)
    it(`is shared by all senders, however fast their sockets are: ${way}`, async () => {
      await connect({ config: { sendsAtOnce: 64, requestMb: 100, waitingMb: 1000 } })
      let handed = 0
      const one = (at: number): Promise<Sent> => {
        let before = 0
        const onProgress = ({ sent }: Progress): void => {
          handed += sent - before
          before = sent
        }
        return send(way, 3_000_000 + at, 'memory', { signal: never(), onProgress })
      }
      let sent: Sent[] = []
      const most = await mostInATurn(
        () => handed,
        async () => (sent = await Promise.all(Array.from({ length: 64 }, (_, at) => one(at)))),
      )
      // The limit is generous (1/24 of all bytes), because chunks that wait for a socket can be written together later.
      assert.ok(most < 8_000_000, `${most} bytes in a turn`)
      assertUnharmed(sent)
    })
})
