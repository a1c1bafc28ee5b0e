import assert from 'node:assert/strict'
import type { Json } from './support'
import * as support from './support'
import { bearer, bundle, put, sandbox, token } from './support'
import { REPORT_CREATE, AT_SANDBOX, post, refused } from './fhir-requests'

describe('sandbox: FHIR API', () => {
  support.useSandbox()

  describe('$observation-create to redox-fhir-sandbox', () => {
    const OBSERVE = 'Observation/$observation-create'
    const bare = (event = 'ObservationCreate'): Json => {
      const message = put(bundle(event), 'type', undefined)
      message['entry'].shift()
      return message
    }
    const untyped = async (message: Json, operation = OBSERVE, address = AT_SANDBOX): Promise<Response> =>
      fetch(`${sandbox().url}/fhir/R4/${address}/${operation}`, {
        method: 'POST',
        headers: bearer(await token()),
        body: new Uint8Array(Buffer.from(JSON.stringify(message))),
      })

    it('accepts a Bundle without type, MessageHeader and Content-Type', async () => {
      assert.equal((await untyped(bare())).status, 200)
      const [received] = sandbox().received
      assert.deepEqual(
        [received!.patient, received!.document],
        ['Doe, Jane · 1990-01-01 · 0000000001', 'Laboratory report · report.pdf'],
      )
    })

    it('checks the elements that are present', async () => {
      assert.deepEqual(await refused(put(bare(), 'type', 'transaction'), OBSERVE), [
        'type: Bundle type must be message',
      ])
      const late = bundle('ObservationCreate')
      late['entry'].reverse()
      assert.deepEqual(await refused(late, OBSERVE), [
        'entry[0].resource: First entry must be a MessageHeader',
      ])
    })

    it('is the only operation that accepts such a Bundle', async () => {
      const report = bare('DiagnosticReportCreate')
      assert.deepEqual(await refused(report), [
        'type: Bundle type must be message',
        'entry[0].resource: First entry must be a MessageHeader',
      ])
      assert.equal((await untyped(bundle(), REPORT_CREATE)).status, 400)
      assert.equal((await untyped(bundle('ObservationCreate'), OBSERVE, 'my-ehr/Development')).status, 400)
      assert.equal((await post(bare(), OBSERVE, 'my-ehr/Development')).status, 400)
    })
  })
})
