import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { openConnection } from '../../nodes/lib/connection/connection'
import { sha256, sizedFile } from '../lib/fixtures'
import { lastReceived, sandbox, useNodeRed, type Flow, type Settings } from '../lib/flow'
import {
  FHIR_RESULT,
  fileMessage,
  NOTE,
  PDF,
  SEND_NODES,
  start,
  UPLOAD,
  UPLOAD_BLOB,
} from '../lib/send-nodes'

const KB = 1_000
const MB = 1_000_000
async function assertRefused(flow: Flow, payload: unknown): Promise<void> {
  await flow.fail(fileMessage(payload), 'REDOX_TOO_LARGE')
  assert.deepEqual((await sandbox()).requests, [], 'something was sent')
}

async function assertArrives(flow: Flow, file: Buffer, way: string): Promise<void> {
  const answer = await flow.send(fileMessage(file))
  assert.deepEqual(
    answer['redox'].files.map((one: Settings) => [one['way'], one['size'], one['sha256']]),
    [[way, file.length, sha256(file)]],
  )
  if (answer['redox'].operation === 'upload') return
  assert.equal((await lastReceived()).files[0]!.sha256, sha256(file))
}

describe('size limits', () => {
  useNodeRed()

  for (const node of SEND_NODES) {
    it(`${node.type}: auto embeds up to 200 KB and uploads from one byte more`, async () => {
      const flow = await start(node)
      await assertArrives(flow, sizedFile(200 * KB), 'embed')
      await assertArrives(flow, sizedFile(200 * KB + 1), 'upload')
    })

    it(`${node.type}: uploads up to 30 MB, refuses one byte more before anything is sent`, async () => {
      for (const way of ['auto', 'upload'])
        await assertRefused(await start(node, { way }), sizedFile(30 * MB + 1))
      await assertArrives(await start(node), sizedFile(30 * MB), 'upload')
    })

    const [largest, tooLarge] =
      node.api === 'datamodel' ? [10 * MB - 1, 10 * MB] : [30 * MB - 3 * KB, 30 * MB]
    it(`${node.type}: embeds ${largest} bytes, refuses ${tooLarge} before anything is sent`, async () => {
      const flow = await start(node, { way: 'embed' })
      await assertRefused(flow, sizedFile(tooLarge))
      await assertArrives(flow, sizedFile(largest), 'embed')
    })
  }

  it('apply to a file embedded in the data: less than 10 MB', async () => {
    const note = (size: number): Settings => ({
      Note: {
        DocumentID: 'D-1',
        ...{ FileName: 'a.pdf', FileType: 'PDF', FileContents: sizedFile(size).toString('base64') },
      },
    })
    const flow = await start(NOTE, { fileFrom: 'none' })
    await flow.send({ data: note(10 * MB - 1) })
    ;(await sandbox()).clear()
    await flow.fail({ data: note(10 * MB) }, 'REDOX_TOO_LARGE')
    assert.deepEqual((await sandbox()).requests, [], 'something was sent')
  })

  it('redox-upload: uploads up to 30 MB, refuses one byte more before anything is sent', async () => {
    for (const node of [UPLOAD, UPLOAD_BLOB]) {
      const flow = await start(node)
      ;(await sandbox())?.clear()
      await assertRefused(flow, sizedFile(30 * MB + 1))
      await assertArrives(flow, sizedFile(30 * MB), 'upload')
    }
  })

  it('count the bytes of the file in each input form', async () => {
    const flow = await start(UPLOAD)
    await assertRefused(flow, sizedFile(30 * MB + 1).toString('base64'))
    const folder = mkdtempSync(path.join(tmpdir(), 'redox-limits-'))
    writeFileSync(path.join(folder, 'large.pdf'), '%PDF-1.7')
    truncateSync(path.join(folder, 'large.pdf'), 5_000 * MB)
    appendFileSync(path.join(folder, 'large.pdf'), '%%EOF')
    for (const node of [UPLOAD, NOTE, FHIR_RESULT])
      await assertRefused(await start(node, { fileFrom: 'path' }, { folders: folder }), 'large.pdf')
    rmSync(folder, { recursive: true })
  })

  it('apply to the whole request, exact to one byte', async () => {
    const settings = { way: 'embed' }
    await (await start(FHIR_RESULT, settings)).send(fileMessage())
    const { bytes } = (await sandbox()).requests.at(-1)!
    const config = (limit: number): Settings => ({ requestMb: String(limit / MB) })
    await assertArrives(await start(FHIR_RESULT, settings, config(bytes)), PDF, 'embed')
    ;(await sandbox()).clear()
    await assertRefused(await start(FHIR_RESULT, settings, config(bytes - 1)), PDF)
  })

  it('apply to the request before its file is uploaded', async () => {
    for (const node of [NOTE, FHIR_RESULT]) {
      const flow = await start(node, { way: 'upload' }, { requestMb: '0.0001' })
      await assertRefused(flow, PDF)
    }
  })

  it('are settings of the connection', async () => {
    const config = { embedBySelfKb: '1.005', dataModelEmbedMb: '0.002', uploadMb: '0.003' }
    const flow = await start(NOTE, {}, config)
    await assertArrives(flow, sizedFile(1005), 'embed')
    await assertArrives(flow, sizedFile(1006), 'upload')
    await assertArrives(flow, sizedFile(3000), 'upload')
    const embeds = await start(NOTE, { way: 'embed' }, config)
    await assertArrives(embeds, sizedFile(1999), 'embed')
    await embeds.fail(fileMessage(sizedFile(2000)), 'REDOX_TOO_LARGE')
    await (await start(NOTE, {}, config)).fail(fileMessage(sizedFile(3001)), 'REDOX_TOO_LARGE')
  })
})

describe('requests per five minutes', () => {
  const limitOf = (config: object): number =>
    openConnection(config, {}, 'Development', { sandbox: undefined, userDir: tmpdir() }).client.settings
      .perFiveMinutes

  it('are 7500 with durable delivery and unlimited with direct delivery, unless set', () => {
    assert.equal(limitOf({}), 0)
    assert.equal(limitOf({ perFiveMinutes: '', delivery: 'direct' }), 0)
    assert.equal(limitOf({ delivery: 'durable' }), 7500)
    assert.equal(limitOf({ perFiveMinutes: ' ', delivery: 'durable' }), 7500)
    // Lookups with a user-level key have a limit of 500, and Redox counts both together.
    assert.equal(limitOf({ platformClientId: 'user', delivery: 'durable' }), 7000)
    assert.equal(limitOf({ platformClientId: 'user', perFiveMinutes: '7500', delivery: 'durable' }), 7500)
    for (const delivery of ['direct', 'durable']) {
      assert.equal(limitOf({ perFiveMinutes: '0', delivery }), 0)
      assert.equal(limitOf({ perFiveMinutes: 0, delivery }), 0)
      assert.equal(limitOf({ perFiveMinutes: '3', delivery }), 3)
      assert.equal(limitOf({ perFiveMinutes: '0.5', delivery }), 1)
      for (const perFiveMinutes of ['-1', 'many', '1e999'])
        assert.throws(() => limitOf({ perFiveMinutes, delivery }), { code: 'REDOX_CONFIGURATION' })
    }
  })
})
