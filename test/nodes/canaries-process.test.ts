/** Search for marker values of secret data in a separate Node-RED process: in its trace log and in its admin API. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { startWithUsers, type GuardedNodeRed } from '../lib/admin'
import { Canaries, DOCUMENT, PERSON, SAID, SECRETS } from '../lib/canaries'
import { PRIVATE_KEY } from '../lib/flow'
import { serve, type Reply, type Server } from '../lib/redox'
import { reset, silence } from '../lib/scripted-server'
import { eventually } from '../lib/eventually'

const USERS = { admin: '*', reader: 'read', outsider: 'flows.read' }
const LOGGING = { console: { level: 'trace', metrics: true, audit: true } }
const canaries = new Canaries([PRIVATE_KEY])

describe('markers in a process', function () {
  this.timeout(60_000)
  let nodeRed: GuardedNodeRed<keyof typeof USERS>
  let server: Server
  let answer: Reply = { body: { Meta: { Logs: [{ ID: 'log-1' }] } } }

  before(async () => {
    server = await serve(({ path }) =>
      path.includes('/auth/')
        ? { body: { access_token: SECRETS.token, expires_in: 300, token: PRIVATE_KEY } }
        : answer,
    )
    nodeRed = await startWithUsers(USERS, { logging: LOGGING })
  })
  after(async () => {
    await nodeRed?.stop()
    await server?.close()
  })

  const ask = (place: string, user?: keyof typeof USERS, body?: unknown): Promise<Response> =>
    fetch(nodeRed.url + place, {
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(user && { authorization: `Bearer ${nodeRed.tokens[user]}` }),
      },
    })

  const connection = (): object => ({
    ...{
      id: 'c1',
      type: 'redox-config',
      name: '',
      environment: 'Development',
      environmentType: 'environment',
    },
    ...{ apiBase: server.url, clientId: 'client', keyId: 'key', attempts: '1', answerTimeout: '1' },
    credentials: { privateKey: PRIVATE_KEY, apiKey: SECRETS.apiKey, secret: SECRETS.secret },
  })
  const typed = (...names: string[]): object =>
    Object.fromEntries(
      names.flatMap((name) => [
        [name, name],
        [`${name}Type`, 'msg'],
      ]),
    )
  const FLOW = [
    { id: 't1', type: 'tab', label: 'canaries' },
    { id: 'button', type: 'inject', z: 't1', name: '', props: [], wires: [['send']] },
    {
      ...{ id: 'send', type: 'redox-datamodel-note', z: 't1', connection: 'c1', name: '', wires: [[]] },
      ...{ destination: 'af394f14-b34a-464f-8d24-895f370af4c9', documentType: 'Letter', documentId: 'd-1' },
      ...{
        providerId: '1',
        typeOfPatientId: 'MR',
        fileFrom: 'message',
        way: 'embed',
        file: 'payload',
        fileType: 'msg',
      },
      ...typed('filename', 'contentType', 'patientId', 'firstName', 'lastName', 'dob', 'availability'),
    },
  ]
  const deploy = async (nodes: object[]): Promise<void> =>
    assert.equal((await ask('flows', 'admin', nodes)).status, 204)

  const MESSAGE = {
    ...{ payload: Buffer.from(DOCUMENT).toString('base64'), filename: PERSON.fileName },
    ...{ contentType: 'text/plain', patientId: PERSON.id, firstName: PERSON.first },
    ...{ lastName: PERSON.last, dob: PERSON.dob, availability: 'Available' },
  }
  const press = async (message: object): Promise<void> => {
    const props = Object.entries(message).map(([p, v]) => ({ p, v, vt: 'str' }))
    await eventually('no button', async () => {
      const { status } = await ask('inject/button', 'admin', { __user_inject_props__: props })
      return status === 200
    })
  }
  const says = (text: RegExp): Promise<void> =>
    eventually(
      () => `${text}: ${nodeRed.log().slice(-1500)}`,
      () => text.test(nodeRed.log()),
    )

  it('are not in the most detailed log, whatever fails', async () => {
    await deploy([...FLOW, connection()])
    const known = SAID.send.filter((text) => Object.values(MESSAGE).some((value) => text.includes(value)))
    const said = [...known, DOCUMENT, JSON.stringify(MESSAGE)]
    answer = { status: 400, body: { Meta: { Errors: said.slice(0, 15).map((Text) => ({ Text })) } } }
    await press(MESSAGE)
    await says(/Rejected by Redox/)
    answer = { status: 502, body: `<h1>${said.join()}</h1>` }
    await press(MESSAGE)
    await says(/Redox is unavailable/)
    answer = reset
    await press(MESSAGE)
    await says(/connection lost/)
    await press({ ...MESSAGE, payload: `${DOCUMENT}%` })
    await says(/base64/)
    await press({ ...MESSAGE, dob: PERSON.last })
    await says(/Birth date/)
    answer = silence
    await press(MESSAGE)
    await sleep(200)
    await deploy([FLOW[0]!, FLOW[1]!, connection()])
    await says(/Its node was removed/)
    assert.match(nodeRed.log(), /"event":"node\.redox-datamodel-note\.receive"/, 'metrics')
    assert.match(nodeRed.log(), /"event":"flows\.set"/, 'audit')
    canaries.assertNone(nodeRed.log(), 'the log')
  })

  it('are not in answers of the admin API, which also never contain the key', async () => {
    await deploy([...FLOW, connection()])
    const form = { ...connection(), credentials: undefined }
    const config = Object.fromEntries(Object.entries(form).filter(([, value]) => value !== undefined))
    const test = { id: 'c1', config, secrets: {} }
    const direct = (await (await ask('redox/outbox/c1/direct', 'admin')).json()) as { total: number }
    assert.ok(direct.total > 0, 'the messages of the test before whose outcome is unknown')
    const node = Object.fromEntries(Object.entries(FLOW[2]!).filter(([name]) => name !== 'wires'))
    const preview = {
      id: 'send',
      type: 'redox-datamodel-note',
      config: node,
      connectionId: 'c1',
      connection: config,
    }
    for (const user of Object.keys(USERS) as (keyof typeof USERS)[])
      for (const [place, body] of [
        ['flows'],
        ['credentials/redox-config/c1'],
        ['redox/inbox'],
        ['redox/inbox/00000000-0000-4000-8000-000000000000'],
        ['redox/test', test],
        ['redox/test', { ...test, secrets: { privateKey: `${PRIVATE_KEY.slice(0, 200)}${SECRETS.secret}` } }],
        ['redox/preview', preview],
        ['redox/outbox'],
        ['redox/outbox/c1/direct'],
      ] as [string, object?][]) {
        const got = await ask(place, user, body)
        assert.ok([200, 401, 404].includes(got.status), `${place}: ${got.status}`)
        canaries.assertNone(await got.text(), `${user}: ${place}`)
      }
    answer = { status: 200 }
    canaries.assertNone(nodeRed.log(), 'the log')
    assert.ok(canaries.searched > 5000)
  })
})
