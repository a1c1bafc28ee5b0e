/** Durable delivery with the embedded store: every accepted message is delivered, or parked for a user. */
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import helper from 'node-red-node-test-helper'
import { durableConnections } from '../../nodes/lib/connection/durable-connection'
import { sizedFile } from '../lib/fixtures'
import { logged, type Flow, type Message, type Settings } from '../lib/flow'
import { cutShort, heldBack, reply, reset, ScriptedServer } from '../lib/scripted-server'
import {
  DESTINATION,
  fileMessage,
  FHIR_RESULT,
  NOTE,
  OTHER_DESTINATION,
  PDF,
  SEND_NODES,
  startTo,
} from '../lib/send-nodes'
import { eventually } from '../lib/eventually'
import {
  DOWN,
  filesUnder,
  KEY,
  payloads,
  server,
  startDurable,
  topics,
  useDurable,
  userDir,
} from '../lib/durable'

describe('durable delivery', () => {
  useDurable()
  for (const node of SEND_NODES) {
    it(`${node.type}: done() is called at acceptance, the answer emitted at delivery`, async () => {
      const { held, answer: answerNow } = heldBack()
      server.script('send', DOWN, held)
      const flow = await startDurable(node, {}, { way: 'embed' })
      const { id, answer, error } = await flow.outcome(fileMessage())
      assert.deepEqual([answer, error], [undefined, undefined])
      await flow.showsStatus((text) => text.startsWith('stored '))
      answerNow()
      await eventually('no answer', () => flow.emitted.length === 1)
      const [{ payload, statusCode, redox, ...rest }] = flow.emitted as [Message]
      const { payload: _payload, ...sent } = fileMessage()
      assert.deepEqual(rest, { ...sent, _msgid: id })
      assert.deepEqual([typeof payload, statusCode], ['object', 200])
      const { outbox, files, operation, environment } = redox
      assert.deepEqual([operation, environment], [node.operation, 'Development'])
      assert.equal(files[0].sha256, createHash('sha256').update(PDF).digest('hex'))
      assert.ok(outbox.attempts === 2 && outbox.id && Date.parse(outbox.acceptedAt) <= Date.now())
      assert.ok(JSON.stringify(payloads().at(-1)).includes(PDF.toString('base64')))
    })
  }

  it('continues after a restart in the order of acceptance', async () => {
    server.script('send', DOWN)
    const before = await startDurable()
    for (const topic of ['1', '2', '3']) await before.outcome({ ...fileMessage(), topic })
    assert.deepEqual(before.emitted, [])
    const after = await startDurable()
    server.script('send')
    await eventually('not delivered', () => after.emitted.length === 3)
    assert.deepEqual(topics(after.emitted), ['1', '2', '3'])
    assert.deepEqual(after.emitted[0]!.nested, { list: [1, { deep: true }] })
    await pause(100)
    assert.equal(after.emitted.length, 3)
  })

  it('accepts the published key of an example for the sandbox only', async () => {
    const storeKey = 'known to everybody, for the sandbox only'
    const example = readFileSync(
      path.join(__dirname, '../../../examples/12 - Durable delivery of a folder.json'),
    )
    assert.ok(example.includes(JSON.stringify(storeKey)))
    for (const environment of ['Development', 'Production']) {
      const flow = await startDurable(NOTE, { environment }, {}, { storeKey: ` ${storeKey} ` })
      const { error } = await flow.outcome(fileMessage())
      assert.equal(error?.code, 'REDOX_CONFIGURATION')
      assert.match(error.message, /^Store key is published/)
    }
    assert.equal(server.requests.length, 0)
    const flow = await startDurable(NOTE, { environment: 'Sandbox' }, {}, { storeKey })
    await flow.outcome(fileMessage())
    await eventually('no answer', () => flow.emitted.length === 1)
  })

  for (const [name, folder] of [
    ['05 - Watch a folder for scans', 'redox-scans'],
    ['12 - Durable delivery of a folder', 'redox-durable-scans'],
  ] as const) {
    it(`example "${name}" takes no file from its demo folder outside the sandbox`, async () => {
      const example = readFileSync(path.join(__dirname, `../../../examples/${name}.json`), 'utf8')
      const { func } = (JSON.parse(example) as Message[]).find((node) => node['name'] === 'new scans')!
      const scans = path.join(userDir, folder)
      const startFor = (environment: string): Promise<Flow> => {
        const libs = [{ var: 'fs', module: 'fs' }]
        const look = { id: 'look', type: 'function', outputs: 1, func, libs, wires: [['catch-out']] }
        const others = [{ ...{ z: 'tab', x: 100, y: 100 }, ...look }]
        const env = { ENVIRONMENT: environment, SCANS: scans }
        return startTo(server, NOTE, {}, {}, { env, others })
      }
      const flow = await startFor('Production')
      for (const turn of [1, 2, 3]) helper.getNode('look').receive({ _msgid: `turn ${turn}` })
      await eventually('not told', () => flow.caught.length > 0)
      assert.match(flow.caught[0]!.error.message, /^Nothing is sent: SCANS/)
      assert.deepEqual(await readdir(userDir), [])

      const trying = await startFor('Sandbox')
      helper.getNode('look').receive({ _msgid: 'the folder is made' })
      await eventually('no folder', async () => (await readdir(userDir)).includes(folder))
      await writeFile(path.join(scans, '0000000001_a.pdf'), PDF)
      await writeFile(path.join(scans, 'invoice.pdf'), PDF)
      await eventually('not taken', () => {
        helper.getNode('look').receive({ _msgid: 'again' })
        return trying.caught.length > 0
      })
      assert.deepEqual(await readdir(scans), ['invoice.pdf', 'taken'])
      assert.deepEqual(await readdir(path.join(scans, 'taken')), ['0000000001_a.pdf'])
      assert.equal(trying.caught.length, 1)
      assert.equal(trying.caught[0]!.scan, path.join(scans, 'taken', '0000000001_a.pdf'))
    })
  }

  describe('durable delivery of messages from a Function node, whose objects come from another vm context', () => {
    const MADE =
      "return { payload: msg.payload, _msgid: msg._msgid, _linkSource: msg._linkSource, filename: 'a.pdf', " +
      "order: { id: 'A-1', list: [{ deep: true }], none: Object.create(null) } }"
    const made = { id: 'function', type: 'function', outputs: 1, func: MADE, wires: [['node']] }
    const entry = { id: 'in', type: 'link in', links: [], wires: [['function']] }
    const exit = { id: 'return', type: 'link out', mode: 'return', links: [], wires: [] }
    const call = { id: 'call', type: 'link call', linkType: 'static', links: ['in'], wires: [['emitted']] }
    const others = [made, entry, exit, { ...call, timeout: '20' }].map((node) => ({
      ...{ z: 'tab', x: 100, y: 100 },
      ...node,
    }))
    const startBehindFunction = (nodes = others): Promise<Flow> =>
      startTo(server, NOTE, {}, { delivery: 'durable' }, { secrets: { storeKey: KEY }, others: nodes })
    const order = { id: 'A-1', list: [{ deep: true }], none: {} }

    it('keeps the properties of the message in the answer', async () => {
      const flow = await startBehindFunction()
      helper.getNode('function').receive({ payload: PDF, _msgid: 'from-function' })
      await eventually('no answer', () => flow.emitted.length === 1)
      assert.deepEqual(flow.emitted[0]!.order, order)
      assert.equal(flow.emitted[0]!._msgid, 'from-function')
    })

    const kept: [what: string, func: string][] = [
      ['of a class', 'class Scan {}\nreturn Object.assign(new Scan(), msg, { order: { id: 1 } })'],
      [
        'that begins with a large object',
        'const many = Object.fromEntries([...Array(20000).keys()].map((n) => ["n" + n, n]))\n' +
          'return { many, payload: msg.payload, _msgid: msg._msgid, order: { id: 1 } }',
      ],
    ]
    for (const [what, func] of kept) {
      it(`keeps the properties of a message ${what}`, async () => {
        const flow = await startBehindFunction([{ ...others[0]!, func }])
        helper.getNode('function').receive({ payload: PDF, _msgid: 'from-function' })
        await eventually('no answer', () => flow.emitted.length === 1)
        const [message] = flow.emitted as [Message]
        assert.deepEqual([message['_msgid'], message['order']], ['from-function', { id: 1 }])
      })
    }

    it('keeps the properties of the message in the error for Catch when it is parked', async () => {
      server.script('send', reply(400, { Meta: { Errors: [{ Text: 'no' }] } }))
      const flow = await startBehindFunction()
      helper.getNode('function').receive({ payload: PDF, _msgid: 'from-function' })
      await eventually('no error', () => flow.caught.length === 1)
      assert.deepEqual(flow.caught[0]!.order, order)
      assert.equal(flow.caught[0]!._msgid, 'from-function')
    })

    it('returns the answer to a "link call"', async () => {
      const flow = await startBehindFunction()
      await flow.redeploy('full', { node: { wires: [['return']] } })
      helper.getNode('call').receive({ payload: PDF, _msgid: 'called' })
      await eventually('no answer', () => flow.emitted.length === 1 || flow.caught.length === 1)
      assert.deepEqual(flow.caught, [])
      assert.deepEqual(flow.emitted[0]!.order, order)
    })
  })

  it('parks a message after an unclear answer, unless the connection accepts such answers', async () => {
    server.script('send', reply(200, { success: false }))
    const flow = await startDurable()
    await flow.outcome(fileMessage())
    await eventually('no error', () => flow.caught.length === 1)
    const { code, cause } = flow.caught[0]!.error
    assert.deepEqual([code, cause.answer], ['REDOX_OUTCOME_UNKNOWN', { success: false }])
    assert.ok(cause.outbox.id && cause.identifiers.DocumentID)
    await pause(100)
    assert.equal(server.of('send').length, 1)

    const accepting = await startDurable(FHIR_RESULT, { otherAnswers: 'accepted' })
    await accepting.outcome(fileMessage())
    await eventually('no answer', () => accepting.emitted.length === 1)
    assert.deepEqual(accepting.emitted[0]!.payload, { success: false })
  })

  it('uses a reference that was uploaded before the restart', async () => {
    server.script('send', DOWN)
    await (await startDurable(FHIR_RESULT, {}, { way: 'upload' })).outcome(fileMessage())
    await server.until('send', 1)
    const flow = await startDurable(FHIR_RESULT, {}, { way: 'upload' })
    server.script('send')
    await eventually('not delivered', () => flow.emitted.length === 1)
    assert.equal(server.of('upload').length, 1)
    assert.ok(JSON.stringify(payloads().at(-1)).includes(flow.emitted[0]!.redox.files[0].url))
  })

  const DESTINATION_OF_MESSAGE = { destination: 'destination', destinationType: 'msg' }
  const to = (destination: string, topic: string): Message => ({ ...fileMessage(), destination, topic })

  it('holds later messages to the same destination, and no others', async () => {
    const flow = await startDurable(NOTE, {}, DESTINATION_OF_MESSAGE)
    const { held, answer } = heldBack(503)
    server.script('send', held)
    await flow.outcome(to(DESTINATION, 'first'))
    await server.until('send', 1)
    server.script('send')
    await flow.outcome(to(DESTINATION, 'second'))
    await flow.outcome(to(OTHER_DESTINATION, 'other'))
    await eventually('the other destination does not wait', () => topics(flow.emitted).includes('other'))
    assert.equal(server.of('send').length, 2)
    answer({})
    await eventually('not delivered', () => flow.emitted.length === 3)
    assert.deepEqual(topics(flow.emitted), ['other', 'first', 'second'])
    assert.equal(server.of('send').length, 4)
  })

  it('parks a refused message, reports it to Catch, and holds the later ones', async () => {
    server.script('send', reply(400, { Meta: { Errors: [{ Text: 'no' }] } }))
    const flow = await startDurable(NOTE, {}, DESTINATION_OF_MESSAGE)
    await flow.outcome(to(DESTINATION, '1'))
    await flow.outcome(to(DESTINATION, '2'))
    await eventually('nothing caught', () => flow.caught.length === 1)
    const [{ error, topic }] = flow.caught as [Message]
    assert.deepEqual([error.code, topic], ['REDOX_REJECTED', '1'])
    assert.deepEqual([error.cause.outbox.attempts, typeof error.cause.outbox.id], [1, 'string'])
    server.script('send')
    await flow.outcome(to(OTHER_DESTINATION, 'elsewhere'))
    await eventually('the later one is delivered', () => flow.emitted.length === 1)
    assert.deepEqual([topics(flow.emitted), server.of('send').length], [['elsewhere'], 2])
  })

  it('without order, continues after a parked message', async () => {
    server.script('send', reply(400, {}), reply(200, { Meta: {} }))
    const flow = await startDurable(NOTE, { storeOrder: 'none' })
    await flow.outcome({ ...fileMessage(), topic: '1' })
    await flow.outcome({ ...fileMessage(), topic: '2' })
    await eventually('not both ended', () => flow.caught.length + flow.emitted.length === 2)
  })

  for (const [title, answer] of [
    ['a connection that breaks', reset],
    ['an answer that is cut short', cutShort],
  ] as const)
    it(`never repeats a message that may have arrived: ${title}`, async () => {
      server.script('send', answer, reply(200, { Meta: {} }))
      const flow = await startDurable()
      await flow.outcome(fileMessage())
      await eventually('nothing caught', () => flow.caught.length === 1)
      assert.equal(flow.caught[0]!.error.code, 'REDOX_OUTCOME_UNKNOWN')
      assert.ok(flow.caught[0]!.error.cause.identifiers)
      // No parked message is sent before a user has decided.
      const isParked = async (): Promise<boolean> =>
        (await durableConnections.get('config')?.outbox?.store.counts())?.parked === 1
      await eventually('not parked', isParked)
      const again = await startDurable()
      await eventually('not parked after a restart', isParked)
      assert.deepEqual([server.of('send').length, again.caught.length], [1, 0])
    })

  it('repeats a message that may have arrived if the connection is set so', async () => {
    server.script('send', reset, reply(200, { Meta: {} }))
    const flow = await startDurable(NOTE, { repeatUnknown: 'yes' })
    await flow.outcome(fileMessage())
    await eventually('not delivered', () => flow.emitted.length === 1)
    const [first, second] = server.of('send').map(({ body }) => body.toString())
    assert.equal(first, second)
  })

  it('parks a message after its deadline', async () => {
    server.script('send', DOWN)
    const flow = await startDurable(NOTE, { storeRetryHours: String(3 / 3600) })
    await flow.outcome(fileMessage())
    await eventually('nothing caught', () => flow.caught.length === 1)
    assert.equal(flow.caught[0]!.error.code, 'REDOX_UNAVAILABLE')
  })

  it('never accepts an invalid message', async () => {
    const flow = await startDurable(NOTE, {}, { documentType: '' })
    const { error } = await flow.outcome(fileMessage())
    assert.equal(error?.code, 'REDOX_INVALID_MESSAGE')
    assert.deepEqual(flow.completed, [])
  })

  it('stores a file once, and no part of it or of the patient unencrypted', async () => {
    server.script('send', DOWN)
    const flow = await startDurable()
    for (const topic of ['1', '2', '3']) await flow.outcome({ ...fileMessage(), topic })
    const files = await filesUnder(userDir)
    assert.equal(files.filter((file) => path.basename(path.dirname(file)) === 'files').length, 1)
    for (const file of files) {
      const content = (await readFile(file)).toString('latin1')
      for (const clear of ['Quuxworth', 'Zebedina', 'ZX81-7745', '1931-07-19', '%PDF', 'doc-1'])
        assert.ok(!content.includes(clear) && !file.includes(clear), `${clear} in ${path.basename(file)}`)
      assert.ok(!content.includes(PDF.subarray(100, 130).toString('base64').slice(0, 30)))
    }
  })

  const isFile = (file: string): boolean => path.basename(path.dirname(file)) === 'files'

  it('deletes delivered messages and their files after the retention time', async () => {
    const settings = { storeKeepHours: String(0.1 / 3600) }
    const flow = await startDurable(NOTE, settings)
    await flow.outcome(fileMessage())
    await eventually('not delivered', () => flow.emitted.length === 1)
    await pause(110)
    await startDurable(NOTE, settings)
    await eventually('kept', async () => !(await filesUnder(userDir)).some(isFile))
  })

  it('deletes delivered messages and their files within a minute of their time', async () => {
    const flow = await startDurable(NOTE, { storeKeepHours: String(1 / 3600) })
    // The first run of the deletion, right after the start, finds nothing.
    await flow.outcome(fileMessage())
    await eventually('not delivered', () => flow.emitted.length === 1)
    assert.ok((await filesUnder(userDir)).some(isFile))
    await eventually('kept', async () => !(await filesUnder(userDir)).some(isFile))
  }).timeout(90_000)

  const SOURCE = 'd0a1b2c3-1111-4222-8333-444455556666'
  const LEGACY = { auth: 'legacy' }
  const legacyKey = (apiKey: string): Record<string, string> => ({
    storeKey: KEY,
    apiKey,
    secret: 'a secret',
  })
  const OAUTH = { storeKey: KEY }
  type Side = [config: Settings, secrets: Record<string, string>]
  const otherAccounts: [string, accepted: Side, now: Side][] = [
    ['environment', [{}, OAUTH], [{ environment: 'Staging' }, OAUTH]],
    ['client', [{}, OAUTH], [{ clientId: 'client-2' }, OAUTH]],
    ['source ID', [{}, OAUTH], [{ sourceId: SOURCE }, OAUTH]],
    ['upload host', [{}, OAUTH], [{ blobUploadUrl: 'http://127.0.0.1:9/upload' }, OAUTH]],
    ['FHIR host', [{}, OAUTH], [{ fhirBase: 'http://127.0.0.1:9/fhir' }, OAUTH]],
    ['legacy key', [LEGACY, legacyKey('key of A')], [LEGACY, legacyKey('key of B')]],
    ['kind of key', [LEGACY, legacyKey('key of A')], [{}, OAUTH]],
  ]
  for (const [name, [config, secrets], [nowConfig, nowSecrets]] of otherAccounts)
    it(`parks a message when the ${name} has changed`, async () => {
      server.script('send', DOWN)
      await (await startDurable(NOTE, config, {}, secrets)).outcome(fileMessage())
      const flow = await startDurable(NOTE, nowConfig, {}, nowSecrets)
      server.script('send')
      const sent = server.of('send').length
      await eventually('nothing caught', () => flow.caught.length === 1)
      const { code, message } = flow.caught[0]!.error as { code: string; message: string }
      assert.deepEqual([code, flow.emitted, server.of('send').length], ['REDOX_OTHER_ACCOUNT', [], sent])
      assert.equal(/then Development, now Staging/.test(message), name === 'environment')
      assert.ok(!message.includes('key of'), message)
    })

  it('parks a message when the host of the API has changed', async () => {
    server.script('send', DOWN)
    await (await startDurable()).outcome(fileMessage())
    const other = await ScriptedServer.start()
    try {
      const flow = await startDurable(NOTE, { apiBase: other.url, blobUploadUrl: `${other.url}/upload` })
      await eventually('nothing caught', () => flow.caught.length === 1)
      assert.equal(flow.caught[0]!.error.code, 'REDOX_OTHER_ACCOUNT')
      assert.equal(other.of('send').length, 0)
    } finally {
      await other.close()
    }
  })

  it('sends with the same account after a change of key, name or limits', async () => {
    server.script('send', DOWN)
    await (await startDurable()).outcome(fileMessage())
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const rotated = {
      storeKey: KEY,
      privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    }
    const flow = await startDurable(
      NOTE,
      { keyId: 'key-2', sourceName: 'Lab', sendsAtOnce: '2' },
      {},
      rotated,
    )
    server.script('send')
    await eventually('not delivered', () => flow.emitted.length === 1)
  })

  it('keeps the plain data of a message, also with circular references', async () => {
    const tree: Message = { name: 'root', children: [] }
    tree.children = Array.from({ length: 20 }, (_, index) => ({ index, parent: tree }))
    const flow = await startDurable()
    await flow.outcome({
      ...fileMessage(),
      tree,
      buffer: Buffer.from('x'),
      none: undefined,
      when: new Date(),
    })
    await eventually('not delivered', () => flow.emitted.length === 1)
    const [{ tree: kept, ...rest }] = flow.emitted as [Message]
    assert.deepEqual([kept.name, kept.children.length, kept.children[3]], ['root', 20, { index: 3 }])
    assert.deepEqual([rest.buffer, rest.when, rest.topic], [undefined, undefined, 'scan'])
  })

  it('leaves out req, res and objects without plain data', async () => {
    const flow = await startDurable()
    const socket = { _res: {}, append: () => undefined }
    await flow.outcome({
      ...{
        ...fileMessage(),
        req: { params: { id: 'x' } },
        res: socket,
        wrapped: { socket: { close: pause } },
      },
      ...{ files: [Buffer.from('x'), Buffer.from('y')], mixed: [Buffer.from('x'), 1], empty: {}, none: [] },
    })
    await eventually('not delivered', () => flow.emitted.length === 1)
    const [msg] = flow.emitted as [Message]
    for (const name of ['req', 'res', 'wrapped', 'files']) assert.ok(!(name in msg), name)
    assert.deepEqual([msg.mixed, msg.empty, msg.none], [[null, 1], {}, []])
  })

  it('logs open messages of a connection that delivers directly now', async () => {
    server.script('send', DOWN)
    const flow = await startDurable()
    await flow.outcome(fileMessage())
    await eventually('not seen', () => flow.statuses.some((text) => text.includes('waiting 1')))
    await flow.redeploy('full', { config: { delivery: 'direct' } })
    await eventually('not told', () => logged().some((line) => line.includes('1 accepted messages')))
  })

  it('logs open messages of a removed connection; one with the same id delivers them', async () => {
    server.script('send', DOWN)
    const flow = await startDurable()
    await flow.outcome(fileMessage())
    await eventually('not seen', () => flow.statuses.some((text) => text.includes('waiting 1')))
    await flow.redeploy('full', { config: null })
    await eventually('not told', () =>
      logged().some((line) =>
        line.includes('1 accepted messages (waiting 1, parked 0) in the store embedded:config'),
      ),
    )
    server.script('send')
    const again = await startDurable()
    await eventually('not delivered', () => again.emitted.length === 1)
  })

  it('parks a message whose file was changed in the store', async () => {
    server.script('send', DOWN)
    const before = await startDurable(NOTE, {}, { way: 'embed' })
    await before.outcome(fileMessage())
    const [file] = (await filesUnder(userDir)).filter((one) => path.basename(path.dirname(one)) === 'files')
    const content = await readFile(file!)
    content[content.length - 20]! ^= 1
    await writeFile(file!, content)
    server.script('send')
    const flow = await startDurable(NOTE, {}, { way: 'embed' })
    await eventually('nothing caught', () => before.caught.length + flow.caught.length === 1)
    const [{ error }] = [...before.caught, ...flow.caught] as [Message]
    assert.equal(error.code, 'REDOX_STORE_UNREADABLE')
  })

  it('accepts messages in their order, also when a large file comes first', async () => {
    server.script('send', DOWN)
    const flow = await startDurable(NOTE, {}, { way: 'upload' })
    const large = sizedFile(20_000_000)
    const sent = [large, PDF, PDF].map((file, index) =>
      flow.outcome({ ...fileMessage(file), topic: String(index) }),
    )
    await Promise.all(sent)
    server.script('send')
    await eventually('not delivered', () => flow.emitted.length === 3)
    assert.deepEqual(topics(flow.emitted), ['0', '1', '2'])
  })

  for (const storeOrder of ['destination', 'none'])
    it(`limits waiting messages in memory: order ${storeOrder}, REDOX_QUEUE_FULL`, async () => {
      const flow = await startDurable(NOTE, { waitingMb: '1', sendsAtOnce: '2', storeOrder })
      await flow.outcome(fileMessage())
      const large = () => ({ ...fileMessage(), other: Buffer.alloc(400_000) })
      const ends = await Promise.all(Array.from({ length: 8 }, () => flow.outcome(large())))
      const codes = ends.map(({ error }) => error?.code)
      assert.ok(codes.includes('REDOX_QUEUE_FULL') && codes.includes(undefined), String(codes))
      assert.equal((await flow.outcome(large())).error, undefined)
    })

  for (const delivery of ['durable', 'direct'])
    it(`does not limit the number of messages with files on disk, whatever an old flow has saved: ${delivery}`, async function () {
      this.timeout(120_000)
      const scan = path.join(userDir, 'scan.pdf')
      await writeFile(scan, PDF)
      const saved = { folders: userDir, settleSeconds: '0.1', waiting: '2', waitingMb: '1', delivery }
      const flow = await startDurable(NOTE, saved, { fileFrom: 'path', file: 'scan', fileType: 'msg' })
      const message = { ...fileMessage(), payload: '', scan }
      const ends = await Promise.all(Array.from({ length: 200 }, () => flow.outcome({ ...message })))
      assert.deepEqual([...new Set(ends.map(({ error }) => error?.code))], [undefined])
      await eventually('not sent', () => server.of('send').length === 200)
    })

  for (const delivery of ['durable', 'direct'])
    it(`ends a message at once after an answer nested 100 000 deep: ${delivery}, REDOX_OUTCOME_UNKNOWN`, async () => {
      server.script('send', reply(200, '['.repeat(100_000) + ']'.repeat(100_000)))
      const flow = await startDurable(NOTE, { delivery })
      await flow.outcome(fileMessage())
      await eventually('nothing caught', () => flow.caught.length === 1)
      assert.equal(flow.caught[0]!.error.code, 'REDOX_OUTCOME_UNKNOWN')
      assert.equal(server.of('send').length, 1)
    })

  it('loses and doubles none of 64 messages in flight in a deploy', async () => {
    const flow = await startDurable(NOTE, { storeOrder: 'none' })
    const sent = Array.from({ length: 64 }, (_, index) =>
      flow.outcome({ ...fileMessage(), topic: String(index) }),
    )
    await server.until('send', 5)
    await flow.redeploy('full', {})
    await server.until('send', 20)
    await flow.redeploy('nodes', { config: { name: 'changed' } })
    await Promise.all(sent)
    await eventually('not delivered', () => flow.emitted.length === 64)
    await flow.outcome({ ...fileMessage(), topic: 'last' })
    await eventually('the last one is delivered', () => topics(flow.emitted).includes('last'))
    assert.deepEqual([new Set(topics(flow.emitted)).size, flow.emitted.length], [65, 65])
    assert.deepEqual([server.of('send').length, flow.caught], [65, []])
  })
})
