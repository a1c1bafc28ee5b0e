/** Deliveries of the sandbox, and the Platform API that tells of them. */
import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { DeliveryPlan, DeliveryPlanError } from '../../src/sandbox'
import type { Delivery, SandboxListener, SandboxOptions } from '../../src/sandbox'
import { eventually } from '../lib/eventually'
import { listeners, json, POSTS, send } from './fault-requests'
import * as support from './support'
import { assertion, askToken, bearer, bundle, form, notes, PDF, sandbox, token, type Json } from './support'

const OTHER = '11111111-1111-4111-8111-11111111111a'
/** All pauses of Redox between two attempts take less than a second in all. */
const FAST = 'delay 0.02\nspeed 3600'

async function openListener(deliveries: string, faults = ''): Promise<SandboxListener> {
  const opened = await sandbox().openListener(faults, [], deliveries)
  listeners.push(opened)
  return opened
}

async function userToken(): Promise<string> {
  const { key } = sandbox().platform
  const claims = { iss: key.clientId, sub: key.clientId }
  const signed = await assertion({
    header: { kid: key.keyId },
    claims,
    key: createPrivateKey(key.privateKey),
  })
  const answer = await askToken(form(signed))
  assert.equal(answer.status, 200)
  return ((await answer.json()) as Json)['access_token']
}

async function sendNote(to: SandboxListener, ids = [support.DESTINATION], file = 'x'): Promise<Delivery[]> {
  const message = support.put(
    notes(PDF.toString('base64')),
    'Meta.Destinations',
    ids.map((ID) => ({ ID })),
  )
  const body = json(support.put(message, 'Note.FileName', `${file}.pdf`))
  const seen = await send(
    to.url,
    { ...(await POSTS['endpoint']!('')), headers: bearer(await token()), body },
    5000,
  )
  assert.equal(seen.status, 200)
  return sandbox().received.at(-1)!.deliveries
}

async function sendReport(to: SandboxListener, slug = 'my-ehr'): Promise<Delivery> {
  const path = `/fhir/R4/${slug}/Development/DiagnosticReport/$diagnosticreport-create`
  const post = { ...(await POSTS['fhir']!('')), path, headers: bearer(await token()), body: json(bundle()) }
  assert.equal((await send(to.url, post)).status, 200)
  return sandbox().received.at(-1)!.deliveries[0]!
}

const isFinal = ({ status }: Delivery): boolean => status !== 'pending'
const final = (...deliveries: Delivery[]): Promise<unknown> =>
  eventually('all deliveries are final', () => deliveries.every(isFinal))

const platform = async (path: string, init: RequestInit = {}, access?: string): Promise<[number, Json]> => {
  const headers = { ...bearer(access ?? (await userToken())), 'content-type': 'application/json' }
  const answer = await fetch(`${sandbox().url}/platform/v1/${path}`, { ...init, headers })
  const text = await answer.text()
  return [answer.status, text.startsWith('{') ? JSON.parse(text) : { text }]
}
const logPath = (logId: string): string => `organizations/${sandbox().platform.organizationId}/logs/${logId}`
const search = async (criteria: Json, query = ''): Promise<[number, Json]> =>
  platform(`environments/${sandbox().platform.environmentIds.Development}/logs/search/metadata${query}`, {
    method: 'POST',
    body: JSON.stringify(criteria),
  })
const ids = (body: Json): string[] => body['payload'].results.map(({ id }: Json) => id)

const closeListeners = (): Promise<unknown> => Promise.all(listeners.splice(0).map((one) => one.close()))

describe('sandbox: deliveries', () => {
  support.useSandbox()
  afterEach(closeListeners)

  it('follow the answer, with one log per destination', async () => {
    const slow = await openListener('delay 0.3')
    const [first, second, ...none] = await sendNote(slow, [support.DESTINATION, OTHER])
    assert.deepEqual([first!.status, second!.status, none], ['pending', 'pending', []])
    assert.deepEqual(sandbox().received[0]!.logIds, [first!.logId, second!.logId])
    await final(first!, second!)
    assert.deepEqual([first!.status, first!.attempts, second!.status], ['succeeded', 1, 'succeeded'])
  })

  it('take a second if no plan says otherwise', () => {
    assert.deepEqual([new DeliveryPlan().delay, new DeliveryPlan('delay 5').delay], [1000, 5000])
  })

  it('are tried again in the order of arrival, while other destinations go on', async () => {
    const busy = await openListener(`${FAST}\n${support.DESTINATION} 503 3x`)
    const changes: [string, number, string][] = []
    // Before the first message, whose first attempt may be over when the second message is accepted.
    const leave = sandbox().onDelivery(({ logId, attempts, status }) =>
      changes.push([logId, attempts, status]),
    )
    const [one] = await sendNote(busy, [support.DESTINATION])
    const [two, other] = await sendNote(busy, [support.DESTINATION, OTHER])
    await final(one!, two!, other!)
    leave()
    assert.deepEqual(
      changes.filter(([logId]) => logId === one!.logId || logId === two!.logId),
      [
        [one!.logId, 1, 'pending'],
        [one!.logId, 2, 'pending'],
        [one!.logId, 3, 'pending'],
        [one!.logId, 4, 'succeeded'],
        [two!.logId, 1, 'succeeded'],
      ],
    )
    assert.equal(one!.problem, undefined)
  })

  it('fail after the last attempt, and the queue continues', async () => {
    const busy = await openListener(`${FAST}\nany 503 9x`)
    const [one] = await sendNote(busy)
    const [two] = await sendNote(busy)
    await final(one!, two!)
    assert.deepEqual([one!.status, one!.attempts, two!.status], ['failed', 9, 'succeeded'])
    assert.deepEqual(one!.problem, { stage: 'request', code: 503, reason: 'Service Unavailable' })
  })

  it('are refused, filtered or slow by destination', async () => {
    const mixed = await openListener(`delay 0\n${OTHER} refuse\nmy-ehr filter\n${support.DESTINATION} slow=2`)
    const [slow, refused] = await sendNote(mixed, [support.DESTINATION, OTHER])
    const filtered = await sendReport(mixed, 'my-ehr')
    const usual = await sendReport(mixed, 'other-ehr')
    await final(refused!, filtered, usual)
    assert.deepEqual([slow!.status, slow!.attempts], ['pending', 1])
    await final(slow!)
    const seen = [slow!, refused!, filtered, usual].map(({ status, problem }) => [status, problem?.stage])
    assert.deepEqual(seen, [
      ['succeeded', undefined],
      ['failed', 'request'],
      ['filtered', 'filter'],
      ['succeeded', undefined],
    ])
  })

  it('fail later by the fault of that name, on both APIs', async () => {
    const faulty = await openListener('delay 0', 'endpoint failed-later once; fhir failed-later once')
    const failed = [(await sendNote(faulty))[0]!, await sendReport(faulty)]
    const usual = [(await sendNote(faulty))[0]!, await sendReport(faulty)]
    await final(...failed, ...usual)
    assert.deepEqual(
      failed.map(({ status }) => status),
      ['failed', 'failed'],
    )
    assert.deepEqual(
      usual.map(({ status }) => status),
      ['succeeded', 'succeeded'],
    )
  })

  it('of one listener do not hold up those of another one', async () => {
    const busy = await openListener('delay 0\nany 503')
    const [stuck] = await sendNote(busy)
    // After these two attempts, Redox waits for ten seconds.
    await eventually('two attempts', () => stuck!.attempts === 2)
    const [behind] = await sendNote(busy)
    const [usual] = await sendNote(await openListener('delay 0'))
    await final(usual!)
    assert.deepEqual([stuck!.status, stuck!.attempts, behind!.attempts], ['pending', 2, 0])
  })

  it('end when the messages are cleared, and are then unknown', async () => {
    const stuck = await openListener('delay 0\nany 503 2x')
    const [gone] = await sendNote(stuck)
    await eventually('the first attempt', () => gone!.attempts > 0)
    sandbox().clear()
    const [next] = await sendNote(stuck)
    await eventually('the next message is tried', () => next!.attempts > 0)
    assert.equal((await platform(logPath(gone!.logId)))[0], 404)
  })

  it('have a plan that names its wrong line', () => {
    const wrong: [string, string, number][] = [
      ['any', 'effect', 1],
      ['any 503\nany 200', 'effect', 2],
      ['any slow', 'effect', 1],
      ['any filter=1', 'effect', 1],
      ['a/b 503', 'destination', 1],
      ['any 503 x', 'count', 1],
      ['delay', 'time', 1],
      ['delay 1\ndelay 2', 'time', 2],
      ['speed 0', 'time', 1],
      ['seed x', 'seed', 1],
    ]
    for (const [plan, part, line] of wrong) {
      assert.throws(
        () => new DeliveryPlan(plan),
        (error: DeliveryPlanError) =>
          error instanceof DeliveryPlanError && error.part === part && error.line === line,
        plan,
      )
    }
  })
})

describe('sandbox: deliveries of a dropped message', () => {
  support.useSandbox({ maxKeptMessages: 1, deliveries: 'delay 0\nany slow=60 once' })

  it('end, and let the next message pass', async () => {
    const [dropped] = await sendNote(sandbox())
    await eventually('the first attempt', () => dropped!.attempts > 0)
    const [next] = await sendNote(sandbox())
    await final(next!)
    assert.deepEqual([dropped!.status, next!.status], ['pending', 'succeeded'])
    assert.equal((await platform(logPath(dropped!.logId)))[0], 404)
  })
})

describe('sandbox: Platform API', () => {
  support.useSandbox({ deliveries: 'delay 0' })
  afterEach(closeListeners)

  it('tells of a log by its id', async () => {
    const [delivery] = await sendNote(sandbox())
    await final(delivery!)
    const [status, body] = await platform(`${logPath(delivery!.logId)}?dataMode=realtime`)
    assert.deepEqual([status, body['meta']], [200, { version: '1.0.0' }])
    const { attempts, ...log } = body['payload'].result
    assert.deepEqual(
      [log.id, log.destinationId, log.dataModel],
      [delivery!.logId, support.DESTINATION, 'Notes'],
    )
    assert.deepEqual([attempts.total, attempts.latest.status], [1, 'succeeded'])
    assert.deepEqual(attempts.latest.operations, [])
    assert.equal(attempts.latest.id, delivery!.attemptId)
    assert.equal('failedStage' in attempts.latest, false)
  })

  it('names stage and reason of a failure, and the operation that resolved an upload', async () => {
    const uri = await support.uploadBlob(PDF)
    const faulty = await openListener('delay 0\nany refuse')
    const post = { ...(await POSTS['endpoint']!('')), headers: bearer(await token()), body: json(notes(uri)) }
    assert.equal((await send(faulty.url, post)).status, 200)
    const [delivery] = sandbox().received[0]!.deliveries
    await final(delivery!)
    const { latest } = (await platform(logPath(delivery!.logId)))[1]['payload'].result.attempts
    assert.deepEqual(
      [latest.status, latest.failedStage, latest.stages.request.code],
      ['failed', 'request', 400],
    )
    assert.equal(latest.stages.request.error.message, 'The destination refused the message')
    const [{ type, attemptStage }] = latest.operations
    assert.deepEqual([type, attemptStage], ['blobResolvers', 'request'])
  })

  it('knows no log of another id, data mode or organization', async () => {
    const [delivery] = await sendNote(sandbox())
    const path = logPath(delivery!.logId)
    assert.equal((await platform(logPath(OTHER)))[0], 404)
    assert.equal((await platform(`${path}?dataMode=backfill`))[0], 404)
    assert.equal((await platform(`${path}?dataMode=other`))[0], 400)
    assert.equal((await platform(`organizations/${OTHER}/logs/${delivery!.logId}`))[0], 403)
    assert.equal((await platform('dry-run/logs/1'))[0], 404)
  })

  it('wants a user-level token, with which nothing can be sent', async () => {
    const [delivery] = await sendNote(sandbox())
    const path = logPath(delivery!.logId)
    assert.equal((await platform(path, {}, 'none'))[0], 401)
    assert.equal((await platform(path, {}, await token()))[0], 403)
    const user = bearer(await userToken())
    for (const api of ['endpoint', 'fhir', 'blob', 'Binary']) {
      const post = { ...(await POSTS[api]!('')), headers: user }
      assert.equal((await send(sandbox().url, post)).status, 403, api)
    }
    assert.equal(sandbox().received.length, 1)
    const { key } = sandbox().platform
    const claims = { iss: key.clientId, sub: key.clientId }
    const signedByOther = await assertion({ header: { kid: key.keyId }, claims })
    assert.equal((await askToken(form(signedByOther))).status, 401)
  })

  it('is throttled by the fault plan', async () => {
    const busy = await openListener('', 'platform 429-retry-after=2 once')
    const headers = bearer(await userToken())
    const path = `/platform/v1/${logPath(OTHER)}`
    const answer = await fetch(busy.url + path, { headers })
    assert.deepEqual([answer.status, answer.headers.get('retry-after')], [429, '2'])
    assert.equal((await fetch(busy.url + path, { headers })).status, 404)
  })

  it('finds a FHIR send, of which no answer names the log', async () => {
    const delivery = await sendReport(sandbox())
    await sendNote(sandbox())
    const [status, body] = await search({ dataModel: 'DiagnosticReport', destinationId: 'my-ehr' })
    assert.deepEqual([status, ids(body)], [200, [delivery.logId]])
  })

  it('searches by every criterion', async () => {
    const faulty = await openListener('delay 0\nany refuse')
    const [failed] = await sendNote(faulty)
    await final(failed!)
    const [{ at, source }] = [sandbox().received[0]!]
    const hour = (hours: number): string => new Date(Date.parse(at) + hours * 3_600_000).toISOString()
    const fitting = {
      dataModel: 'Notes',
      eventType: 'New',
      sourceId: source,
      type: 'request',
      status: 'failed',
    }
    const times = { createdAfter: hour(-1), createdBefore: hour(1), updatedAfter: at, updatedBefore: hour(1) }
    const all = { ...fitting, ...times, destinationId: support.DESTINATION, dataMode: 'realtime' }
    assert.deepEqual(ids((await search(all))[1]), [failed!.logId])
    const others = {
      ...{ dataModel: 'Media', eventType: 'Replace', sourceId: OTHER, type: 'response', status: 'pending' },
      ...{ createdAfter: hour(1), createdBefore: hour(-1), updatedAfter: hour(1), updatedBefore: hour(-1) },
      ...{ destinationId: OTHER, dataMode: 'backfill' },
    }
    for (const [name, value] of Object.entries(others)) {
      assert.deepEqual(ids((await search({ ...all, [name]: value }))[1]), [], name)
    }
    assert.equal((await search({ status: 'lost' }))[0], 400)
    assert.equal((await search({ createdAfter: 'yesterday' }))[0], 400)
  })

  it('pages through searches and lists, newest first', async () => {
    const sent: string[] = []
    for (let time = 0; time < 5; time++) sent.unshift((await sendNote(sandbox()))[0]!.logId)
    const found: string[] = []
    let cursor: string | undefined = ''
    for (let page = 0; cursor !== undefined && page < 5; page++) {
      const [, body]: [number, Json] = await search({}, `?_count=2${cursor && `&_cursor=${cursor}`}`)
      found.push(...ids(body))
      cursor = body['meta'].page.nextCursor
    }
    assert.deepEqual(found, sent)
    const list = await platform(`${logPath('').slice(0, -1)}?_count=3&dataModel=Notes`)
    assert.deepEqual(ids(list[1]), sent.slice(0, 3))
    assert.equal((await search({}, '?_cursor=other'))[0], 400)
    assert.equal((await search({}, '?_count=0'))[0], 400)
    const environment = `environments/${sandbox().platform.environmentIds.Staging}/logs/search/metadata`
    assert.deepEqual(ids((await platform(environment, { method: 'POST', body: '{}' }))[1]), [])
    assert.equal((await platform(environment.replace(/\/[^/]+/, `/${OTHER}`), { method: 'POST' }))[0], 403)
  })
})

describe('sandbox: Platform API, status of the latest attempt alone', () => {
  support.useSandbox({
    deliveries: 'delay 0\nspeed 1\nany 503 2x',
    logShape: 'latest',
  } satisfies SandboxOptions)

  it('shows a failed attempt that is repeated as failed', async () => {
    const [delivery] = await sendNote(sandbox())
    const log = async (): Promise<Json> =>
      (await platform(logPath(delivery!.logId)))[1]['payload'].result as Json
    await eventually(
      'two attempts have failed',
      () => delivery!.attempts === 2 && delivery!.problem !== undefined,
    )
    const { status, attempts } = await log()
    assert.deepEqual([status, attempts.total, attempts.latest.status], [undefined, 2, 'failed'])
    await final(delivery!)
    assert.equal((await log())['attempts'].latest.status, 'succeeded')
  })
})

describe('sandbox: Platform API, older shape', () => {
  support.useSandbox({ deliveries: 'delay 0\nany refuse', logShape: 'stages' } satisfies SandboxOptions)

  it('has the status beside the attempts', async () => {
    const [delivery] = await sendNote(sandbox())
    await final(delivery!)
    const { payload } = (await platform(logPath(delivery!.logId)))[1]
    assert.deepEqual(
      [payload.status, payload.type, payload.attempts.latest.failedStage],
      ['failed', 'request', 'request'],
    )
    assert.equal('result' in payload, false)
  })
})
