import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { startSandbox } from '../../src/sandbox'
import type { ReceivedMessage } from '../../src/sandbox'
import type { Json } from './support'
import * as support from './support'
import { bearer, notes, PDF, postJson, sandbox, token } from './support'
import { eventually } from '../lib/eventually'

const send = async (bytes: Buffer, id = 'doc-1'): Promise<number> => {
  const message = support.put(notes(bytes.toString('base64')), 'Note.DocumentID', id)
  return (await postJson('/endpoint', message, bearer(await token()))).status
}
const documentIds = (): string[] =>
  sandbox().received.map(({ delivered }) => (delivered as Json)['Note'].DocumentID)

describe('sandbox: server', () => {
  support.useSandbox()

  it('has an address', () => {
    const { url, endpoints } = sandbox()
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+$/)
    const fhir = `${url}/fhir/R4`
    assert.deepEqual(endpoints, {
      apiBase: url,
      blobUploadUrl: `${url}/upload`,
      fhirBase: fhir,
      binaryUploadBase: fhir,
    })
  })

  it('generates new keys at every start', async () => {
    const other = await startSandbox()
    await other.close()
    assert.match(other.oauthKey.privateKey, /^-----BEGIN PRIVATE KEY-----\n/)
    assert.notEqual(other.oauthKey.privateKey, sandbox().oauthKey.privateKey)
    assert.notEqual(other.oauthKey.clientId, sandbox().oauthKey.clientId)
    assert.notEqual(other.legacyKey.secret, sandbox().legacyKey.secret)
  })

  it('cannot share a port', async () => {
    const port = Number(new URL(sandbox().url).port)
    await assert.rejects(startSandbox({ port }), { code: 'EADDRINUSE' })
  })

  it('answers 401, 403 and 404 to unknown tokens, methods and paths', async () => {
    const headers = bearer(await token())
    const status = async (path: string, init: RequestInit): Promise<number> =>
      (await fetch(sandbox().url + path, init)).status
    assert.equal(await status('/nothing', { method: 'POST' }), 401)
    assert.equal(await status('/nothing', { method: 'POST', headers }), 404)
    assert.equal(await status('/endpoint/', { method: 'POST', headers }), 404)
    assert.equal(await status('/endpoint', { method: 'PUT', headers, body: '{}' }), 403)
    assert.equal(await status('/v2/auth/token', { method: 'GET' }), 403)
  })

  it('answers other operations of Redox with a text that the sandbox does not simulate them', async () => {
    const headers = bearer(await token())
    const jobs = ['/query', '/oauth/token', '/nothing']
    for (const path of jobs)
      for (const method of ['POST', 'GET']) {
        const answer = await fetch(sandbox().url + path, { method, headers })
        assert.equal(answer.status, 404)
        assert.match(await answer.text(), /This request is not simulated here/)
      }
    const { Meta } = (await (await postJson('/query', {}, headers)).json()) as Json
    assert.match(Meta.Errors[0].Text, /not simulated here/)
  })

  it('records every request without secrets', async () => {
    const accessToken = await token()
    const headers = { ...bearer(accessToken), cookie: 'session=x', 'X-Mine': 'y' }
    await postJson('/endpoint?a=b', '{}', headers)
    await fetch(`${sandbox().url}/nothing`)
    const records = sandbox().requests
    assert.deepEqual(
      records.map(({ method, path, status, bytes }) => [method, path, status, bytes]).slice(1),
      [
        ['POST', '/endpoint', 400, 2],
        ['GET', '/nothing', 404, 0],
      ],
    )
    const record = records[1]!
    assert.match(record.at, /^\d{4}-.*Z$/)
    assert.equal(record.contentType, 'application/json')
    assert.equal(record.headers['x-mine'], 'y')
    assert.equal(record.headers['cookie'], undefined)
    assert.ok(!JSON.stringify(records).includes(accessToken))
  })

  it('keeps the last 1000 records', async () => {
    for (let batch = 0; batch < 10; batch++) {
      await Promise.all(Array.from({ length: 101 }, () => fetch(`${sandbox().url}/nothing`)))
    }
    await fetch(`${sandbox().url}/last`)
    assert.equal(sandbox().requests.length, 1000)
    assert.equal(sandbox().requests.at(-1)!.path, '/last')
  })

  it('notifies listeners before the sender gets its answer, until they unsubscribe', async () => {
    const heard: ReceivedMessage[] = []
    const leave = sandbox().onReceived((message) => heard.push(message))
    await send(PDF)
    assert.equal(heard.length, 1)
    assert.equal(heard[0], sandbox().received[0])
    assert.match(heard[0]!.id, /^[0-9a-f-]{36}$/)
    leave()
    await send(PDF)
    assert.equal(heard.length, 1)
  })

  it('clears received messages, but not uploads', async () => {
    const uri = await support.uploadBlob(PDF)
    await send(PDF)
    sandbox().clear()
    assert.deepEqual([sandbox().received.length, sandbox().requests.length], [0, 0])
    assert.equal((await postJson('/endpoint', notes(uri), bearer(await token()))).status, 200)
  })

  const refusedBodies = {
    'an announced length': ['/endpoint', 'application/json', 'Content-Length: 60000000', ''],
    'a file in a form without a length': [
      '/upload',
      'multipart/form-data; boundary=XYZ',
      'Transfer-Encoding: chunked',
      '--XYZ\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n',
    ],
  } as const
  for (const [what, [path, type, length, start]] of Object.entries(refusedBodies)) {
    it(`returns a refusal to a client that sends its whole body first: ${what}`, async () => {
      const authorization = `Authorization: Bearer ${await token()}`
      const socket = connect(Number(new URL(sandbox().url).port), '127.0.0.1')
      socket.write(
        `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\n${length}\r\n${authorization}\r\n\r\n`,
      )
      const chunked = start !== ''
      const block = Buffer.concat([Buffer.from(start), Buffer.alloc(1_000_000)])
      for (let sent = 0; sent < 60; sent++) {
        if (chunked) socket.write(`${block.length.toString(16)}\r\n`)
        const flowing = socket.write(block)
        if (chunked) socket.write('\r\n')
        if (!flowing) await once(socket, 'drain')
      }
      const [data] = (await once(socket, 'data')) as [Buffer]
      socket.destroy()
      assert.match(data.toString(), /^HTTP\/1\.1 413 /)
    })
  }

  it('answers an announced length over the limit before the body arrives', async () => {
    const headers = {
      ...bearer(await token()),
      'content-type': 'application/json',
      'content-length': 50_000_000,
    }
    const request = httpRequest(`${sandbox().url}/endpoint`, { method: 'POST', headers })
    request.flushHeaders()
    const [answer] = await once(request, 'response')
    assert.equal(answer.statusCode, 413)
    request.on('error', () => {})
    request.destroy()
  })

  it('continues after clients that disconnect in the middle of a request', async () => {
    const types = ['application/json', 'multipart/form-data; boundary=XYZ']
    for (const [path, type] of [
      ['/endpoint', types[0]!],
      ['/upload', types[1]!],
    ] as const) {
      const headers = { ...bearer(await token()), 'content-type': type, 'content-length': 1000 }
      const request = httpRequest(sandbox().url + path, { method: 'POST', headers })
      request.on('error', () => {})
      request.write('--XYZ\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc')
      await eventually('nothing came', () =>
        sandbox().requests.some((record) => record.path === path && record.bytes > 0),
      )
      request.destroy()
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.deepEqual(
      sandbox()
        .requests.filter(({ path }) => path !== '/v2/auth/token')
        .map(({ status }) => status),
      [0, 0],
    )
    assert.equal(await send(PDF), 200)
  })

  it('closes once, also with open connections', async () => {
    const other = await startSandbox()
    const socket = connect(Number(new URL(other.url).port), '127.0.0.1')
    await once(socket, 'connect')
    socket.resume()
    await Promise.all([once(socket, 'close'), other.close(), other.close()])
    await assert.rejects(fetch(other.url))
  })
})

describe('sandbox: bounded inbox', () => {
  support.useSandbox({ maxKeptMessages: 3, maxKeptBytes: 1000 })

  it('drops the oldest messages above the limit of messages', async () => {
    for (const id of ['1', '2', '3', '4']) assert.equal(await send(Buffer.alloc(10), id), 200)
    assert.deepEqual(documentIds(), ['2', '3', '4'])
  })

  it('drops the oldest messages above the limit of bytes', async () => {
    for (const [id, size] of [
      ['1', 400],
      ['2', 600],
    ] as const)
      await send(Buffer.alloc(size), id)
    assert.deepEqual(documentIds(), ['1', '2'])
    await send(Buffer.alloc(1), '3')
    assert.deepEqual(documentIds(), ['2', '3'])
    await send(Buffer.alloc(1000), '4')
    assert.deepEqual(documentIds(), ['4'])
    const heard: ReceivedMessage[] = []
    sandbox().onReceived((message) => heard.push(message))
    await send(Buffer.alloc(1001), '5')
    assert.deepEqual([documentIds(), heard.length], [[], 1])
    await send(Buffer.alloc(1000), '6')
    assert.deepEqual(documentIds(), ['6'])
  })
})

describe('command redox-sandbox', () => {
  support.useSandbox()
  const CLI = join(__dirname, '../../src/sandbox/cli.js')

  async function run(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
    const child = spawn(process.execPath, [CLI, ...args])
    let [out, err] = ['', '']
    child.stdout.on('data', (data: Buffer) => (out += data.toString()))
    child.stderr.on('data', (data: Buffer) => (err += data.toString()))
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, out, err }
  }

  it('prints its usage', async () => {
    const { code, out } = await run('--help')
    assert.equal(code, 0)
    assert.match(out, /^Usage: redox-sandbox/)
    // Without the option -p, npx would try to install a package named redox-sandbox.
    assert.match(out, /npx -p @ehr-flows\/node-red-redox redox-sandbox/)
  })

  it('refuses unknown arguments', async () => {
    for (const args of [
      ['--port', 'x'],
      ['--port', '70000'],
      ['--account', 'rich'],
      ['--profile', 'unknown'],
      ['--profile', 'constructor'],
      ['--faults', 'any'],
      ['--deliveries', 'any'],
      ['--log-shape', 'other'],
      ['--other'],
      ['word'],
    ]) {
      const { code, err } = await run(...args)
      assert.equal(code, 1)
      assert.match(err, /Usage: redox-sandbox/)
    }
    const { code, err } = await run('--port', new URL(sandbox().url).port)
    assert.equal(code, 1)
    assert.match(err, /^The port is taken \(EADDRINUSE\)\. Choose another one with --port, .*\.\n$/)
  })

  let serving: ChildProcess | undefined
  afterEach(() => serving?.kill('SIGKILL'))

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`serves requests, prints no patient data, and ends on ${signal}`, async () => {
      const child = spawn(process.execPath, [CLI, '--account', 'free'])
      serving = child
      let out = ''
      const said = (pattern: RegExp): Promise<RegExpExecArray> =>
        new Promise((resolve) => {
          const look = (): void => {
            const match = pattern.exec(out)
            if (match) resolve(match)
          }
          child.stdout.on('data', look)
          look()
        })
      child.stdout.on('data', (data: Buffer) => (out += data.toString()))
      const [, apiKey, secret] = await said(/Legacy API key +(\S+)\nLegacy secret +(\S+)/)
      const url = /Redox sandbox at (\S+)/.exec(out)![1]!
      assert.ok(out.includes('-----BEGIN PRIVATE KEY-----'))
      const json = { 'content-type': 'application/json' }
      const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
        fetch(url + path, { method: 'POST', headers: { ...json, ...headers }, body: JSON.stringify(body) })
      const { accessToken } = (await (await post('/auth/authenticate', { apiKey, secret })).json()) as Json
      const headers = bearer(accessToken)
      const before = out.length
      await post('/endpoint', notes(PDF.toString('base64')), headers)
      await said(/Notes:New to [\w-]+: PDF \d+ bytes embedded\n/)
      assert.equal(
        (await fetch(`${url}/upload`, { method: 'POST', headers, body: support.multipart(PDF) })).status,
        403,
      )
      const line = out.slice(before)
      for (const secretOrPatient of [accessToken, 'Doe', '0000000001', 'report.pdf', '1990']) {
        assert.ok(!line.includes(secretOrPatient), secretOrPatient)
      }
      child.kill(signal)
      const [code, killedBy] = await once(child, 'close')
      assert.deepEqual([code, killedBy], [0, null])
    })
  }

  it('injects faults and prints them', async () => {
    const child = spawn(process.execPath, [CLI, '--faults', 'blob 429 once; token 503'])
    serving = child
    let out = ''
    child.stdout.on('data', (data: Buffer) => (out += data.toString()))
    const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
      for (;;) {
        const match = pattern.exec(out)
        if (match) return match
        await once(child.stdout, 'data')
      }
    }
    const [, url] = await until(/Redox sandbox at (\S+)[^]*Legacy secret/)
    assert.equal((await fetch(`${url}/auth/authenticate`, { method: 'POST' })).status, 503)
    await until(/\n\S+Z fault 503 on token, not accepted\n/)
  })

  it('prints what became of a delivery, by the plan, without patient data', async () => {
    const child = spawn(process.execPath, [
      CLI,
      '--deliveries',
      'delay 0; any refuse',
      '--log-shape',
      'stages',
    ])
    serving = child
    let out = ''
    child.stdout.on('data', (data: Buffer) => (out += data.toString()))
    const until = (pattern: RegExp): Promise<void> => eventually(String(pattern), () => pattern.test(out))
    await until(/User-level key for the Platform API[^]*-----END PRIVATE KEY-----/)
    const [, url, apiKey, secret] =
      /Redox sandbox at (\S+)[^]*Legacy API key +(\S+)\nLegacy secret +(\S+)/.exec(out)!
    const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
      fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      })
    const { accessToken } = (await (await post('/auth/authenticate', { apiKey, secret })).json()) as Json
    await post('/endpoint', notes(PDF.toString('base64')), bearer(accessToken))
    await until(/Z delivery to [\w-]+: failed \(request: The destination refused the message\)\n/)
    assert.doesNotMatch(out, /Doe|0000000001/)
  })

  it('lets a process end after unref, also with an open connection', async () => {
    const script = `require(${JSON.stringify(join(CLI, '../index.js'))}).startSandbox().then((sandbox) => {
      sandbox.unref()
      const socket = require('node:net').connect(new URL(sandbox.url).port, '127.0.0.1')
      socket.once('connect', () => setTimeout(() => socket.unref(), 50))
    })`
    const child = spawn(process.execPath, ['-e', script])
    serving = child
    assert.deepEqual(await once(child, 'close'), [0, null])
  })
})
