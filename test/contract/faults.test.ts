/** Every fault of the sandbox on every API: the result at the client, and the requests that the server has counted. */
import assert from 'node:assert/strict'
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Connection, ConnectionConfig } from '../../nodes/lib/connection/connection'
import { RedoxError } from '../../src/errors'
import { takePath } from '../../src/file/file'
import type { PreparedMessage } from '../../src/message/prepared'
import { prepareDataModel } from '../../src/message/datamodel'
import { prepareFhir } from '../../src/message/fhir'
import {
  FAULTS,
  FaultPlan,
  startSandbox,
  type SandboxListener,
  type RequestRecord,
  type Sandbox,
} from '../../src/sandbox'
import type { OnProgress } from '../../src/redox/client-types'
import { deliverDirect } from '../../src/redox/direct-delivery'
import { sha256, sizedFile } from '../lib/fixtures'
import { connectTo, isToken, never, serve, UNKNOWN_HOST } from '../lib/redox'
import { APIS, FAULT_CASES, type Ending, type Endings, type FaultCase, type FaultyApi } from './fault-table'
import { DESTINATION, fileOf, REPORT, SLUG, SOURCE } from './sending'

const FILE = fileOf(Buffer.from('%PDF-1.7 a report %%EOF'))
const OFTEN = ['once', 'always'] as const
type Often = (typeof OFTEN)[number]

/** Number of test cases that run at once. More would overload two CPU cores, and the short timeouts would expire. */
const WIDTH = 30

interface Run {
  told: string
  attempts: number | undefined
  /** requests from the connection of this test case that the server has recorded */
  requests: RequestRecord[]
  /** all copies of the message that the server has accepted */
  copies: unknown[]
}

// ---- Running -------------------------------------------------------------------------------------------

/** One sandbox for each API, because a sandbox keeps a limited number of requests. */
const sandboxes = new Map<FaultyApi, Sandbox>()
const random = Math.random

async function openSandboxes(): Promise<void> {
  const open = () => startSandbox({ maxKeptMessages: 1000 })
  await Promise.all(APIS.map(async (api) => sandboxes.set(api, await open())))
}

const closeSandboxes = (): Promise<unknown> =>
  Promise.all([...sandboxes.values()].map((sandbox) => sandbox.close()))

const codeOf = (error: unknown): string => {
  if (!(error instanceof RedoxError)) throw error
  return error.code.replace('REDOX_', '')
}

function message(
  api: FaultyApi,
  id: string,
  {
    sender,
    destinations,
    file = FILE,
  }: Pick<Connection, 'sender'> & { destinations: string[]; file?: typeof FILE },
): PreparedMessage {
  const common = { eventType: 'New', destinations, fields: [], now: new Date() }
  const way = api === 'blob' || api === 'Binary' ? ('upload' as const) : ('embed' as const)
  const files = [{ file, way }]
  if (api === 'Binary' || api === 'fhir') {
    const patient = { resourceType: 'Patient', identifier: [{ system: 'urn:x', value: id }] }
    const data = [{ resourceType: 'DiagnosticReport', code: { text: 'x' } }, patient]
    return prepareFhir({ ...common, operation: REPORT, slug: SLUG, data, files }, sender)
  }
  const data = {
    Patient: { Identifiers: [{ ID: id, IDType: 'MR' }] },
    Note: { DocumentType: 'Consent Form', DocumentID: id, Provider: { ID: '1' } },
  }
  return prepareDataModel({ ...common, model: 'Notes', data, files }, sender)
}

const connect = (
  listener: SandboxListener,
  { oauthKey }: Sandbox,
  config: ConnectionConfig = {},
): Connection => connectTo(listener.url, { ...oauthKey, attempts: 2, answerTimeout: 2, ...config }, oauthKey)

let ids = 0

/** Sends one message to this port of the sandbox. The port stays open, so that no other process gets its number. */
async function run(
  api: FaultyApi,
  listener: SandboxListener,
  partial = false,
  config: ConnectionConfig = {},
): Promise<Run> {
  const sandbox = sandboxes.get(api)!
  const connection = connect(listener, sandbox, config)
  const id = `message-${ids++}`
  const destinations = partial ? [DESTINATION, SOURCE] : [DESTINATION]
  const prepared = message(api, id, { ...connection, destinations })
  const result = await deliverDirect(connection.client, prepared, { signal: never() }).then(
    ({ attempts }) => ({ told: 'delivered', attempts }),
    (error: unknown) => ({ told: codeOf(error), attempts: (error as RedoxError).cause.attempts }),
  )
  await connection.client.close()
  return {
    ...result,
    requests: sandbox.requests.filter(({ headers }) => `http://${headers.host}` === listener.url),
    copies: sandbox.received.filter((one) => JSON.stringify(one.request.body).includes(`"${id}"`)),
  }
}

function bounded(width: number): <T>(task: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let free = width
  return async (task) => {
    if (free-- <= 0) await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await task()
    } finally {
      free++
      waiting.shift()?.()
    }
  }
}

// ---- The matrix ----------------------------------------------------------------------------------------

const isSend = (api: FaultyApi): boolean => api === 'endpoint' || api === 'fhir'

function check(api: FaultyApi, { plan, breaksContract }: FaultCase, expected: Ending, found: Run): void {
  const hit = found.requests.filter((request) => request.api === api)
  const counted = { requests: hit.length, accepted: hit.filter(({ accepted }) => accepted).length }
  assert.deepEqual(
    { told: found.told, ...counted },
    { told: expected.told, requests: expected.requests, accepted: expected.accepted },
  )

  const wasDelivered = expected.told === 'delivered'
  const copies = isSend(api) ? expected.accepted : Number(wasDelivered)
  assert.equal(found.copies.length, copies)
  if (!breaksContract) assert.ok(copies <= 1, 'two copies of one message')
  if (wasDelivered) assert.ok(copies >= 1, 'told delivered, but there is none')

  const tokens = found.requests.filter((request) => request.api === 'token').length
  if (api !== 'token') assert.equal(tokens, plan === '401' ? 2 : 1, 'tokens')
  const afterwards = found.requests.length - tokens
  if (!wasDelivered && api === 'token') assert.equal(afterwards, 0, 'something was sent without a token')
  // If a token response lacks a property, the error has no number of attempts, because the client checks the response
  // after the attempts.
  const isUncounted =
    api === 'token' && ['truncated-json', 'not-json', 'errors-inside', 'no-location'].includes(plan)
  const attempts = wasDelivered ? afterwards : isUncounted ? undefined : expected.attempts
  assert.equal(found.attempts, attempts, 'attempts')
}

describe('matrix of faults and APIs', function () {
  this.timeout(60_000)
  const runs = new Map<string, Promise<Run>>()
  const key = (api: FaultyApi, plan: string, often: Often) => `${api} ${plan} ${often}`

  before(async () => {
    await openSandboxes()
    // With a random value of 0.5, the wait before each retry is half of the longest possible wait.
    Math.random = () => 0.5
    const cases = FAULT_CASES.flatMap(({ plan, endings }) =>
      APIS.filter((api) => endings[api]).flatMap((api) => OFTEN.map((often) => ({ plan, api, often }))),
    )
    // All ports are opened first: a fault can close a port for a while, whose number another test case must not get.
    const ready = await Promise.all(
      cases.map(async (one) => {
        const plan = `${one.api} ${one.plan}${one.often === 'once' ? ' once' : ''}`
        return { ...one, listener: await sandboxes.get(one.api)!.openListener(plan) }
      }),
    )
    const inTurn = bounded(WIDTH)
    for (const { plan, api, often, listener } of ready) {
      const result = inTurn(() => run(api, listener, plan === 'partial'))
      result.catch(() => undefined)
      runs.set(key(api, plan, often), result)
    }
  })
  after(async () => {
    Math.random = random
    await Promise.allSettled(runs.values())
    await closeSandboxes()
  })

  it('contains every fault of the sandbox', () => {
    const kinds = FAULT_CASES.map(({ plan }) => new FaultPlan(`any ${plan}`).next('endpoint', '/')!.kind)
    assert.deepEqual([...new Set(kinds)].sort(), Object.keys(FAULTS).sort())
  })

  for (const one of FAULT_CASES)
    for (const api of APIS) {
      const endings = one.endings[api]
      if (endings === undefined) continue
      for (const often of OFTEN) {
        const { told, requests, accepted } = endings[often]
        it(`${api} ${one.plan} ${often}: ${told}, ${requests} requests, ${accepted} accepted`, async () =>
          check(api, one, endings[often], await runs.get(key(api, one.plan, often))!))
      }
    }

  const REPEATED: [plan: string, told: string, copies: number][] = [
    ['reset-after-body once', 'delivered', 1],
    ['reset-after-accept once', 'delivered', 2],
    ['504 once', 'delivered', 1],
    ['half-open once', 'delivered', 1],
    ['cut-short', 'OUTCOME_UNKNOWN', 2],
    // If the repetition of the message fails, its outcome remains unknown.
    ['reset-after-accept once; API 400', 'OUTCOME_UNKNOWN', 1],
    ['reset-after-accept once; API 503', 'OUTCOME_UNKNOWN', 1],
    ['reset-after-accept once; API 401', 'OUTCOME_UNKNOWN', 1],
    ['400', 'REJECTED', 0],
  ]
  for (const [plan, told, copies] of REPEATED) {
    it(`a repeated unknown outcome, ${plan}: ${told}, ${copies} copies with one id`, async () => {
      const repeated = (['endpoint', 'fhir'] as const).map(async (api) => {
        const listener = await sandboxes.get(api)!.openListener(`${api} ${plan.replace('API', api)}`)
        return run(api, listener, false, { repeatUnknown: 'yes' })
      })
      for (const found of await Promise.all(repeated)) {
        assert.deepEqual([found.told, found.copies.length], [told, copies])
        const bodies = found.copies.map((copy) =>
          JSON.stringify((copy as { request: { body: unknown } }).request.body),
        )
        assert.ok(new Set(bodies).size <= 1, 'the copies differ: they cannot be told to be one')
      }
    })
  }
})

// ---- Faults that the sandbox cannot inject alone -------------------------------------------------------

describe('network faults and rate limits of a connection', function () {
  this.timeout(20_000)
  const api = 'endpoint'
  before(openSandboxes)
  after(closeSandboxes)

  const deliverBy = (connection: Connection, id: string, onProgress?: OnProgress) =>
    deliverDirect(connection.client, message(api, id, { ...connection, destinations: [DESTINATION] }), {
      signal: never(),
      ...(onProgress && { onProgress }),
    })
  const requestsOf = (listener: SandboxListener, name: string): RequestRecord[] =>
    sandboxes
      .get(api)!
      .requests.filter(({ headers, api: of }) => of === name && `http://${headers.host}` === listener.url)
  const countOf = (listener: SandboxListener, name: string): number => requestsOf(listener, name).length

  async function storm(plan: string, many: number, config: ConnectionConfig = {}) {
    const sandbox = sandboxes.get(api)!
    const listener = await sandbox.openListener(plan)
    const connection = connect(listener, sandbox, { sendsAtOnce: 50, ...config })
    const before = sandbox.received.length
    const began = Date.now()
    const all = Array.from({ length: many }, (_, n) => deliverBy(connection, `n-${n}`))
    const told = (await Promise.allSettled(all)).map((one) =>
      one.status === 'fulfilled' ? 'delivered' : codeOf(one.reason),
    )
    await connection.client.close()
    await listener.close()
    return {
      told: [...new Set(told)].sort(),
      tokens: countOf(listener, 'token'),
      requests: countOf(listener, api),
      copies: sandbox.received.length - before,
      milliseconds: Date.now() - began,
    }
  }

  it('host without DNS entry, or without listener: REDOX_NETWORK after all attempts', async () => {
    const closed = await serve(() => ({}))
    await closed.close()
    const urls = [`https://${UNKNOWN_HOST}`, closed.url]
    await Promise.all(
      urls.map(async (url) => {
        const connection = connectTo(url, { attempts: 2, connectTimeout: 2 })
        const error = await deliverBy(connection, 'x').catch((one: unknown) => one as RedoxError)
        assert.ok(error instanceof RedoxError)
        assert.deepEqual([error.code, error.cause.attempts], ['REDOX_NETWORK', 2])
        await connection.client.close()
      }),
    )
  })

  for (const status of [302, 307, 308]) {
    it(`redirect (${status}): the client sends neither token nor document elsewhere`, async () => {
      const elsewhere = await serve(() => ({ body: {} }))
      const server = await serve((request) =>
        isToken(request)
          ? { body: { access_token: 'token', expires_in: 300 } }
          : { status, headers: { location: elsewhere.url } },
      )
      const connection = connectTo(server.url, { attempts: 3 })
      await assert.rejects(deliverBy(connection, 'x'), { code: 'REDOX_REJECTED' })
      assert.deepEqual([server.to('/endpoint').length, elsewhere.requests.length], [1, 0])
      for (const one of [connection.client, server, elsewhere]) await one.close()
    })
  }

  it('many simultaneous 401: each message is replayed once, and all messages share the new tokens', async () => {
    const found = await storm(`${api} 401`, 40)
    assert.deepEqual([found.told, found.requests, found.copies], [['AUTHENTICATION'], 80, 0])
    // All messages that wait for a token get the same token. The server can refuse it before a later message uses it.
    assert.ok(found.tokens >= 2 && found.tokens <= 10, `${found.tokens} token calls`)
  })

  it('429 for one message: all messages of the connection wait as long as the answer requests', async () => {
    const sandbox = sandboxes.get(api)!
    const listener = await sandbox.openListener(`${api} 429-retry-after=2 once`)
    const connection = connect(listener, sandbox)
    const before = sandbox.received.length
    const sending: Promise<unknown>[] = []
    await new Promise<void>((resolve) =>
      sending.push(deliverBy(connection, 'first', ({ phase }) => phase === 'retry' && resolve())),
    )
    for (let n = 0; n < 30; n++) sending.push(deliverBy(connection, `n-${n}`))
    await Promise.all(sending)
    const [first, ...others] = requestsOf(listener, api).map(({ at }) => Date.parse(at))
    for (const at of others) assert.ok(at - first! >= 2000, `a request after ${at - first!} ms`)
    assert.deepEqual([countOf(listener, api), sandbox.received.length - before], [32, 31])
    await connection.client.close()
    await listener.close()
  })

  it('429 for all messages: few requests, and each message is delivered once', async () => {
    const found = await storm(`${api} 429 20x`, 20, { attempts: 4 })
    assert.deepEqual([found.told, found.requests, found.copies], [['delivered'], 40, 20])
  })

  it('429 on one connection: another connection does not wait', async () => {
    const [one, other] = await Promise.all([
      storm(`${api} 429-retry-after=2 once`, 1),
      storm(`${api} none`, 1),
    ])
    assert.ok(one.milliseconds >= 2000)
    assert.ok(other.milliseconds < one.milliseconds, `${other.milliseconds} ms`)
  })
})

// ---- Files ---------------------------------------------------------------------------------------------

describe('file on disk', function () {
  this.timeout(20_000)
  const CONTENT = sizedFile(3_000_000)
  let folder: string

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'redox-'))
    await openSandboxes()
  })
  after(async () => {
    rmSync(folder, { recursive: true })
    await closeSandboxes()
  })

  const rewritten = (file: string): void => writeFileSync(file, Buffer.from(CONTENT).reverse())
  /** Appends to a file and restores the file's modification time, so that only the size shows the change. */
  const grown = (file: string): void => {
    appendFileSync(file, 'more')
    utimesSync(file, 1, 1)
  }
  type Row = [what: string, change: (file: string) => void, before: string, during: string]
  const CHANGES: Row[] = [
    ['stays', () => undefined, 'delivered', 'delivered'],
    ['shrinks', (file) => truncateSync(file, 2_000_000), 'BAD_INPUT', 'BAD_INPUT'],
    ['grows', grown, 'BAD_INPUT', 'BAD_INPUT'],
    ['is rewritten in the same size', rewritten, 'BAD_INPUT', 'BAD_INPUT'],
    // An open file can still be read after it was deleted.
    ['vanishes', (file) => rmSync(file), 'BAD_INPUT', 'delivered'],
  ]

  /**
   * Sends a file to this API, and changes the file before or while the client reads it. Returns the result, and the
   * SHA-256 of the files that the sandbox has received.
   */
  async function sendChanged(api: FaultyApi, change: Row[1], when: 'before' | 'during') {
    const sandbox = sandboxes.get(api)!
    const name = path.join(folder, `${api}-${ids++}.pdf`)
    writeFileSync(name, CONTENT)
    utimesSync(name, 1, 1)
    const { file } = await takePath(name, { where: 'x' }, [folder])
    const connection = connectTo(sandbox.url, { ...sandbox.oauthKey, attempts: 3 }, sandbox.oauthKey)
    let isChanged = false
    const changeOnce = (): void => {
      if (!isChanged) change(name)
      isChanged = true
    }
    if (when === 'before') changeOnce()
    sandbox.clear()
    const told = await deliverDirect(
      connection.client,
      message(api, name, { ...connection, destinations: [DESTINATION], file }),
      {
        signal: never(),
        onProgress: ({ sent }) => {
          // In the first 10 000 bytes of the body, the client may be sending the JSON before the file, and may not have
          // opened the file yet.
          if (sent > 10_000) changeOnce()
        },
      },
    ).then(
      ({ files }) => ['delivered', files[0]!.sha256],
      (error: unknown) => [codeOf(error)],
    )
    await connection.client.close()
    assert.ok(isChanged)
    return { told, arrived: sandbox.received.flatMap(({ files }) => files.map(({ sha256: hash }) => hash)) }
  }

  for (const [what, change, ...expected] of CHANGES) {
    for (const api of APIS.filter((one) => one !== 'token')) {
      it(`${what} (${api}): ${expected.join(' if before it is read, ')} if during the read`, async () => {
        for (const [index, when] of (['before', 'during'] as const).entries()) {
          const { told, arrived } = await sendChanged(api, change, when)
          const isDelivered = expected[index] === 'delivered'
          assert.deepEqual(told, isDelivered ? ['delivered', sha256(CONTENT)] : ['BAD_INPUT'], when)
          assert.deepEqual(arrived, isDelivered ? [sha256(CONTENT)] : [], when)
        }
      })
    }
  }
})

// ---- The documentation ---------------------------------------------------------------------------------

describe('tables of docs/faults.md', () => {
  const doc = readFileSync(path.join(__dirname, '../../../docs/faults.md'), 'utf8')
  const SECTIONS: [heading: string, apis: FaultyApi[]][] = [
    ['Token', ['token']],
    ['Upload', ['blob', 'Binary']],
    ['Send', ['endpoint', 'fhir']],
  ]

  const told = ({ told: code }: Ending): string => (code === 'delivered' ? code : `\`REDOX_${code}\``)
  const server = ({ requests, accepted }: Ending): string => `${requests} / ${accepted}`
  const cellsOf = ({ once, always }: Endings): string[] => [
    told(once),
    server(once),
    told(always),
    server(always),
  ]

  /** Rows of the table in docs/faults.md, in which faults with the same results share a row. */
  function rows(apis: FaultyApi[]): string[][] {
    const groups = new Map<string, string[]>()
    for (const { plan, words, endings } of FAULT_CASES) {
      const different = new Set(apis.map((api) => JSON.stringify(endings[api]))).size > 1
      for (const api of different ? apis : apis.slice(0, 1)) {
        const found = endings[api]
        if (found === undefined) continue
        const name = `\`${plan}\`${words ? ` (${words})` : ''}${different ? ` of ${api}` : ''}`
        const cells = JSON.stringify(cellsOf(found))
        groups.set(cells, [...(groups.get(cells) ?? []), name])
      }
    }
    return [...groups].map(([cells, names]) => [names.join(', '), ...(JSON.parse(cells) as string[])])
  }

  function written(heading: string): string[][] {
    const section = doc.split(new RegExp(`^## ${heading}$`, 'm'))[1]?.split(/^## /m)[0] ?? ''
    const lines = section.split('\n').filter((line) => line.startsWith('|'))
    return lines.slice(2).map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
  }

  for (const [heading, apis] of SECTIONS)
    it(`show the executed cases: ${heading}`, () => {
      const table = rows(apis)
      const markdown = table.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
      assert.deepEqual(written(heading), table, `the rows should be:\n${markdown}`)
    })
})
