/** End of a Node-RED process: only requests in flight to Redox delay it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { PRIVATE_KEY } from '../lib/flow'
import { freePort, startNodeRed, type NodeRed } from '../lib/node-red'
import { isToken, serve, type Reply, UNKNOWN_HOST } from '../lib/redox'
import { reply, ScriptedServer, silence } from '../lib/scripted-server'
import { DESTINATION } from '../lib/send-nodes'
import { eventually } from '../lib/eventually'

/** Longest duration in ms of a stop without requests in flight. With such requests, Node-RED waits up to 12 s. */
const BOUND_MS = 5000
const DELIVERIES = ['direct', 'durable']
/** PostgreSQL's response to a login: AuthenticationOk, ReadyForQuery. */
const LOGGED_IN = Buffer.from('R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I', 'latin1')

describe('stop of Node-RED', function () {
  this.timeout(60_000)
  let nodeRed: NodeRed | undefined
  const servers: (ScriptedServer | Server)[] = []

  afterEach(async () => {
    await nodeRed?.stop().catch(() => undefined)
    nodeRed = undefined
    for (const server of servers.splice(0)) await server.close()
  })

  async function scripted(token: Reply[], replies: Reply[] = []): Promise<ScriptedServer> {
    const server = await ScriptedServer.start()
    server.script('token', ...token)
    server.script('send', ...replies)
    servers.push(server)
    return server
  }

  /** Deploys one node for each host and each kind of delivery, and passes a message to each node. */
  async function send(hosts: Record<string, string>, deliveries = DELIVERIES): Promise<void> {
    nodeRed = await startNodeRed()
    const cases = Object.entries(hosts).flatMap(([kind, apiBase]) =>
      deliveries.map((delivery) => ({ id: `${delivery}-${kind}`, apiBase, delivery })),
    )
    await post('flows', [{ id: 'tab', type: 'tab', label: 'stop' }, ...cases.flatMap(nodesOf)])
  }

  const post = async (place: string, body?: unknown): Promise<void> => {
    const response = await fetch(nodeRed!.url + place, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    assert.ok(response.ok, `${place}: ${response.status} ${await response.text()}`)
  }

  const stopped = async (): Promise<number> => {
    const began = performance.now()
    await nodeRed!.stop()
    return performance.now() - began
  }

  async function stopsAtOnce(): Promise<void> {
    const took = await stopped()
    assert.ok(took < BOUND_MS, `${Math.round(took)} ms, with this log:\n${nodeRed!.log()}`)
  }

  it('does not wait for an unreachable Redox, in any form of the outage', async () => {
    const down = reply(503, { error: 'down' }, { 'retry-after': '30' })
    const token = reply(200, { access_token: 'first', expires_in: 300 })
    const silentToken = await scripted([silence])
    const silentSecondToken = await scripted([token, token, silence], [reply(401, { error: 'token' })])
    silentSecondToken.gather = 2
    const downToken = await scripted([down, down, down, down])
    const downSend = await scripted([], [down, down, down, down, down, down, down, down])
    const hangs = createServer((socket) => void socket.on('error', () => undefined)).listen(0, '127.0.0.1')
    await once(hangs, 'listening')
    const connected = once(hangs, 'connection')
    servers.push(hangs)
    await send({
      refused: `http://127.0.0.1:${await freePort()}`,
      unreachable: 'https://192.0.2.1',
      unknown: `https://${UNKNOWN_HOST}`,
      tls: `https://127.0.0.1:${(hangs.address() as AddressInfo).port}`,
      token: silentToken.url,
      secondToken: silentSecondToken.url,
      downToken: downToken.url,
      downSend: downSend.url,
    })
    await Promise.all([
      connected,
      silentToken.until('token', 2),
      silentSecondToken.until('send', 2),
      silentSecondToken.until('token', 3),
      downToken.until('token', 1),
      downSend.until('send', 2),
    ])
    await stopsAtOnce()
  })

  // The stop is delayed neither by opening the store nor by a message that waits for the store.
  it('does not wait for a database that hangs while the store opens', async () => {
    const databases = await Promise.all([hangingDatabase(0), hangingDatabase(1)])
    nodeRed = await startNodeRed()
    const nodes = databases.flatMap(({ storeUrl }, index) =>
      nodesOf({ id: `hangs-${index}`, apiBase: 'https://192.0.2.1', delivery: 'durable', storeUrl }),
    )
    await post('flows', [{ id: 'tab', type: 'tab', label: 'stop' }, ...nodes])
    await Promise.all(databases.map(({ hangs }) => hangs))
    for (const index of databases.keys()) await post(`inject/hangs-${index}-in`)
    await stopsAtOnce()
    for (const index of databases.keys())
      assert.match(nodeRed.log(), new RegExp(`hangs-${index}-send: the message \\w+ was not sent yet`))
  })

  /**
   * Starts a database server that responds to this number of requests and then hangs. `hangs` resolves when the first
   * request without a response arrives.
   */
  async function hangingDatabase(answers: number): Promise<{ storeUrl: string; hangs: Promise<void> }> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    servers.push(server)
    const hangs = new Promise<void>((resolve) => {
      server.on('connection', (socket) => {
        let left = answers
        socket.on('error', () => undefined)
        socket.on('data', () => void (left-- > 0 ? socket.write(LOGGED_IN) : resolve()))
      })
    })
    const { port } = server.address() as AddressInfo
    return { storeUrl: `postgres://user:password@127.0.0.1:${port}/store`, hangs }
  }

  it('does not wait for messages that are followed, and names them in the log', async () => {
    const server = await serve((request) => ({
      body: isToken(request)
        ? { access_token: 'token', expires_in: 300 }
        : { payload: { result: { attempts: { total: 1, latest: { status: 'pending' } } } } },
    }))
    nodeRed = await startNodeRed()
    await post('flows', [{ id: 'tab', type: 'tab', label: 'stop' }, ...followingNodes(server.url)])
    await eventually('it is asked for', () => server.requests.some(({ path }) => path.endsWith('/log-1')))
    await stopsAtOnce()
    await server.close()
    assert.match(
      nodeRed.log(),
      /delivery of the message \w+ is not confirmed \(REDOX_NOT_CONFIRMED, log ID log-1\)/,
    )
  })

  for (const delivery of DELIVERIES)
    it(`waits for the answer to a sent request (${delivery})`, async () => {
      let isAnswered = false
      // A deploy before may also have logged "Stopping flows".
      const stops = (): number => nodeRed!.log().split('Stopping flows').length
      const late: Reply = async (response) => {
        const before = stops()
        await eventually('it stops', () => stops() > before)
        await pause(200)
        isAnswered = true
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(JSON.stringify({ Meta: { Logs: [{ ID: 'd9f5d293-7110-461e-a875-3beb089e79f3' }] } }))
      }
      const server = await scripted([], [late])
      await send({ late: server.url }, [delivery])
      await server.until('send', 1)
      const ended = nodeRed!
      await stopped()
      assert.ok(isAnswered)
      assert.doesNotMatch(ended.log(), /REDOX_(OUTCOME_UNKNOWN|ABORTED)|is gone/)
    })
})

interface Case {
  id: string
  apiBase: string
  delivery: string
  /** address of the database; undefined: the embedded store */
  storeUrl?: string
}

const followingNodes = (apiBase: string): object[] => [
  {
    ...{ id: 'in', type: 'inject', z: 'tab', wires: [['follow']], once: true, onceDelay: 0.1 },
    props: [{ p: 'redox.logIds', v: '["log-1"]', vt: 'json' }],
  },
  {
    ...{ id: 'follow', type: 'redox-log', z: 'tab', connection: 'c', wires: [[]], version: 1 },
    ...{ logIds: 'redox.logIds', logIdsType: 'msg', followMinutes: '' },
  },
  {
    ...{ id: 'c', type: 'redox-config', environment: 'Development', environmentType: 'environment', apiBase },
    ...{ auth: 'oauth', clientId: 'client', keyId: 'key', organizationId: 'org-1' },
    ...{ platformClientId: 'user', platformKeyId: 'user-key' },
    credentials: { privateKey: PRIVATE_KEY, platformPrivateKey: PRIVATE_KEY },
  },
]

const nodesOf = ({ id, apiBase, delivery, storeUrl }: Case): object[] => [
  {
    ...{ id: `${id}-in`, type: 'inject', z: 'tab', wires: [[`${id}-send`]], once: true, onceDelay: 0.1 },
    props: [{ p: 'payload', v: '[72,101,108,108,111]', vt: 'bin' }],
  },
  {
    ...{ id: `${id}-send`, type: 'redox-datamodel-note', z: 'tab', connection: `${id}-c`, wires: [[]] },
    ...{ eventType: 'New', destination: DESTINATION, destinationType: 'str', way: 'embed' },
    ...{ fileFrom: 'message', file: 'payload', fileType: 'msg', filename: 'a.txt', filenameType: 'str' },
    ...{ documentType: 'Letter', documentTypeType: 'str', documentId: id, documentIdType: 'str' },
    ...{ providerId: '1', providerIdType: 'str', typeOfProviderId: 'NPI', typeOfProviderIdType: 'str' },
    ...{ patientId: '1', patientIdType: 'str', typeOfPatientId: 'MR', typeOfPatientIdType: 'str' },
    ...{ firstName: 'A', firstNameType: 'str', lastName: 'B', lastNameType: 'str', dob: '2000-01-31' },
    ...{ dobType: 'str', availability: 'Available', availabilityType: 'str' },
  },
  {
    ...{ id: `${id}-c`, type: 'redox-config', environment: 'Development', environmentType: 'environment' },
    ...{ apiBase, auth: 'oauth', clientId: 'client', keyId: 'key', delivery },
    store: storeUrl === undefined ? 'embedded' : 'postgresql',
    credentials: { privateKey: PRIVATE_KEY, storeKey: 'a store key that is hard to guess', storeUrl },
  },
]
