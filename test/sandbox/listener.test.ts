/** Additional ports of the sandbox, each with its own fault plan and its own subscriptions. */
import assert from 'node:assert/strict'
import { FaultPlanError, startSandbox } from '../../src/sandbox'
import type { SandboxListener } from '../../src/sandbox'
import type { Json } from './support'
import * as support from './support'
import { bearer, bundle, notes, PDF, sandbox, token } from './support'
import { listeners, open, send, ask, bodyOf, POSTS, json, type Seen } from './fault-requests'

describe('sandbox: subscriptions', () => {
  support.useSandbox()
  afterEach(() => Promise.all(listeners.splice(0).map((listener) => listener.close())))

  const sendTo = async (url: string, ids: string[]): Promise<Seen> => {
    const message = support.put(
      notes(PDF.toString('base64')),
      'Meta.Destinations',
      ids.map((ID) => ({ ID })),
    )
    return send(url, {
      ...(await POSTS['endpoint']!('')),
      headers: bearer(await token()),
      body: json(message),
    })
  }
  const other = '11111111-1111-4111-8111-11111111111a'

  it('exist for every destination', async () => {
    for (const ids of [[support.DESTINATION], [other, support.DESTINATION]]) {
      assert.equal((await sendTo(sandbox().url, ids)).status, 200)
    }
  })

  it('exist only for the destinations of a list', async () => {
    const listener = await sandbox().openListener('', [other.toUpperCase()])
    listeners.push(listener)
    assert.equal((await sendTo(listener.url, [other])).status, 200)
    const refused = await sendTo(listener.url, [other, support.DESTINATION])
    assert.equal(refused.status, 400)
    const { Errors, Destinations } = bodyOf(refused)['Meta']
    assert.deepEqual(
      Errors.map(({ Text, Type, Module }: Json) => [Text, Type, Module]),
      [
        [
          'No subscription for this source, destination and data model - Meta.Destinations[1]',
          'message',
          'Subscriptions',
        ],
      ],
    )
    assert.equal(Destinations.length, 2)
    assert.equal((await sendTo(sandbox().url, [support.DESTINATION])).status, 200)
    assert.equal(sandbox().received.length, 2)
  })

  it('can be set at the start of a sandbox', async () => {
    const own = await startSandbox({ subscribed: [other] })
    try {
      const answer = await fetch(`${own.url}/auth/authenticate`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(own.legacyKey),
      })
      const { accessToken } = (await answer.json()) as Json
      const headers = { ...bearer(accessToken), 'content-type': 'application/json' }
      const body = JSON.stringify(notes(PDF.toString('base64')))
      assert.equal((await fetch(`${own.url}/endpoint`, { method: 'POST', headers, body })).status, 400)
    } finally {
      await own.close()
    }
  })
})

describe('sandbox: listeners', () => {
  support.useSandbox()
  afterEach(() => Promise.all(listeners.splice(0).map((listener) => listener.close())))

  it('have a plan each, with counts of their own', async () => {
    const [one, two] = [await open('endpoint 503 2x'), await open('endpoint 429 once')]
    const statuses = async (listener: SandboxListener): Promise<unknown[]> => {
      const seen = []
      for (let time = 0; time < 3; time++) seen.push((await ask(listener, 'endpoint')).status)
      return seen
    }
    assert.deepEqual(await statuses(one), [503, 503, 200])
    assert.deepEqual(await statuses(sandbox()), [200, 200, 200])
    assert.deepEqual(await statuses(two), [429, 200, 200])
    assert.deepEqual(await statuses(await open('endpoint 503 2x')), [503, 503, 200])
  })

  it('share tokens and files', async () => {
    const listener = await open('')
    const answer = await send(listener.url, await POSTS['token']!(listener.url))
    assert.equal(answer.status, 200)
    const headers = bearer(bodyOf(answer)['access_token'] as string)
    const uri = bodyOf(await send(listener.url, { ...(await POSTS['blob']!('')), headers }))['URI'] as string
    assert.ok(uri.startsWith(`${listener.url}/`))
    const message = { ...(await POSTS['endpoint']!('')), headers, body: json(notes(uri)) }
    assert.equal((await send(sandbox().url, message)).status, 200)
    const { location } = (await send(listener.url, { ...(await POSTS['Binary']!('')), headers })).headers
    assert.ok(location!.startsWith(`${listener.url}/fhir/R4/redox/`))
    const report = json(bundle('DiagnosticReportCreate', { contentType: 'application/pdf', url: location }))
    assert.equal(
      (await send(listener.url, { ...(await POSTS['fhir']!('')), headers, body: report })).status,
      200,
    )
    assert.deepEqual(
      sandbox().received.map(({ files }) => files[0]!.way),
      ['referenced', 'referenced'],
    )
  })

  it('refuse an assertion for another listener', async () => {
    const listener = await open('')
    assert.equal((await send(listener.url, await POSTS['token']!(sandbox().url))).status, 401)
  })

  it('close separately, or with the sandbox', async () => {
    const other = await startSandbox()
    const [one, two] = [await other.openListener(''), await other.openListener('')]
    await one.close()
    await one.close()
    await assert.rejects(fetch(one.url))
    assert.equal((await fetch(two.url)).status, 404)
    await other.close()
    await assert.rejects(fetch(two.url))
    const late = await other.openListener('')
    await assert.rejects(fetch(late.url))
  })

  it('include the main listener, whose plan is set at the start of the sandbox', async () => {
    const other = await startSandbox({ faults: 'any 418 once' })
    try {
      assert.deepEqual([(await fetch(other.url)).status, (await fetch(other.url)).status], [418, 404])
    } finally {
      await other.close()
    }
  })

  it('refuse a plan that cannot be parsed', async () => {
    await assert.rejects(sandbox().openListener('token'), FaultPlanError)
    await assert.rejects(startSandbox({ faults: 'token' }), FaultPlanError)
  })
})
