/** DocumentID that a node generates from patient, document type and file. */
import assert from 'node:assert/strict'
import { lastReceived, startFlow, useNodeRed, type Message } from '../lib/flow'
import { ScriptedServer } from '../lib/scripted-server'
import { fileMessage, MEDIA, NOTE, PDF, PHOTO, start, startTo, UPLOAD_BLOB } from '../lib/send-nodes'

const MADE = { documentId: '', documentIdType: 'content' }
const PARTS = [
  [NOTE, 'Note'],
  [MEDIA, 'Media'],
] as const

describe('generated DocumentID', () => {
  useNodeRed()

  for (const [node, part] of PARTS) {
    const idOf = async (settings: Message = {}, payload: unknown = PDF): Promise<string> => {
      await (await start(node, { ...MADE, data: 'data', ...settings })).send(fileMessage(payload))
      return ((await lastReceived()).request.body as Message)[part].DocumentID as string
    }

    it(`of ${node.type} is the same whenever and however the document is sent`, async () => {
      const id = await idOf()
      assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
      assert.equal(await idOf({ way: 'upload' }), id)
      assert.equal(await idOf({}, PDF.toString('base64')), id)
      const upload = await startFlow({ type: UPLOAD_BLOB.type, node: UPLOAD_BLOB.node })
      assert.equal(await idOf({}, (await upload.send(fileMessage()))['payload']), id)
      // Other values do not change the DocumentID.
      assert.equal(await idOf({ documentDescription: 'again', firstName: 'Other' }), id)
    })

    it(`of ${node.type} differs for another patient, type or file`, async () => {
      const ids = [
        await idOf(),
        await idOf({ patientId: 'another' }),
        await idOf({ typeOfPatientId: 'EPI' }),
        await idOf({ documentType: 'another' }),
        await idOf({}, PHOTO),
      ]
      assert.equal(new Set(ids).size, ids.length, ids.join(' '))
    })

    it(`of ${node.type} is replaced by a DocumentID in the data, also without a file`, async () => {
      const data = { [part]: { DocumentID: 'mine' } }
      for (const settings of [{}, { eventType: 'Delete', redoxFileType: 'PDF' }]) {
        await (await start(node, { ...MADE, data: 'data', ...settings })).send({ ...fileMessage(), data })
        assert.equal(((await lastReceived()).request.body as Message)[part].DocumentID, 'mine')
      }
    })

    for (const DocumentID of ['', null]) {
      it(`of ${node.type} is used where the data have ${JSON.stringify(DocumentID)}`, async () => {
        const data = { [part]: { DocumentID } }
        await (await start(node, { ...MADE, data: 'data' })).send({ ...fileMessage(), data })
        assert.match(((await lastReceived()).request.body as Message)[part].DocumentID as string, /-8...-8/)
      })
    }

    it(`of ${node.type} does not exist for a Delete, which has no file`, async () => {
      const flow = await start(node, { ...MADE, eventType: 'Delete' })
      assert.match((await flow.fail(fileMessage(), 'REDOX_BAD_INPUT')).message, /a Delete has no file/)
    })

    it(`of ${node.type} does not exist for a message without a file`, async () => {
      const flow = await start(node, { ...MADE, fileFrom: 'none' })
      assert.match((await flow.fail(fileMessage(), 'REDOX_BAD_INPUT')).message, /there is no file/)
    })
  }

  it('can be made from a text that is the document', async () => {
    const idOf = async (text: string): Promise<string> => {
      await (await start(NOTE, { ...MADE, noteContentType: 'Plain Text' })).send(fileMessage(text))
      return ((await lastReceived()).request.body as Message)['Note'].DocumentID as string
    }
    assert.equal(await idOf('Well.'), await idOf('Well.'))
    assert.notEqual(await idOf('Well.'), await idOf('Unwell.'))
  })

  it('is the same in each retry, and reported when the outcome is unknown', async () => {
    const server = await ScriptedServer.start()
    server.script('send', (response) => void response.socket!.resetAndDestroy())
    const connection = { repeatUnknown: 'yes', attempts: '2' }
    const idOf = ({ body }: { body: Buffer }): string => JSON.parse(body.toString()).Note.DocumentID as string
    const { cause } = await (
      await startTo(server, NOTE, MADE, connection)
    ).fail(fileMessage(), 'REDOX_OUTCOME_UNKNOWN')
    const ids = server.of('send').map(idOf)
    assert.equal(ids.length, 2)
    assert.deepEqual(new Set([...ids, cause.identifiers!['DocumentID']]).size, 1)
    await server.close()
  })
})
