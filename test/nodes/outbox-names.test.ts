/** Operations and names of destinations in the admin API of the outbox. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { ERROR_CODES } from '../../src/error-codes'
import { areDestinationNames, destinationNamesIn } from '../../src/shared/destination-names'
import { startWithUsers, type GuardedNodeRed } from '../lib/admin'
import { eventually } from '../lib/eventually'
import { DESTINATION, OTHER_DESTINATION, OUTBOX_PATIENT, OutboxClient, type Json } from '../lib/outbox'
import { reply, ScriptedServer } from '../lib/scripted-server'
import { DESTINATION_NAME, OTHER_DESTINATION_NAME, REFUSED } from './outbox-support'

const takenBy = (...Destinations: object[]) =>
  reply(200, { Meta: { Logs: [{ ID: 'd9f5d293-7110-461e-a875-3beb089e79f3' }], Destinations } })

describe('names of destinations in the outbox', function () {
  this.timeout(60_000)
  let nodeRed: GuardedNodeRed<'admin'>
  let redox: ScriptedServer
  let admin: OutboxClient
  let sent = 0
  beforeEach(async () => {
    nodeRed = await startWithUsers({ admin: '*' })
    admin = new OutboxClient(nodeRed.url, nodeRed.tokens.admin)
    redox = await ScriptedServer.start()
    await admin.deploy(redox.url)
  })
  afterEach(async () => {
    await nodeRed?.stop()
    await redox?.close()
  })

  async function deliver(destination: string, ...named: object[]): Promise<string> {
    redox.script('send', takenBy(...named))
    const { id } = await admin.accept({ documentId: `doc-${++sent}`, destination })
    await admin.until(id, 'delivered')
    return id as string
  }
  const nameOf = async (destination: string): Promise<unknown> =>
    (await admin.messages()).find((message) => message['destination'] === destination)?.['destinationName']

  it('are those in the answers of Redox, also after a restart of the flows', async () => {
    const id = await deliver(DESTINATION, { ID: DESTINATION, Name: 'City Hospital' })
    await eventually('the name is known', async () => (await nameOf(DESTINATION_NAME)) === 'City Hospital')
    const whole = await admin.get(`messages/${id}`)
    assert.deepEqual([whole['destinationName'], whole['operation']], ['City Hospital', 'Notes:New'])
    redox.script('send', REFUSED)
    await admin.until((await admin.accept({ documentId: 'doc-refused' }))['id'] as string, 'parked')
    await admin.deploy(redox.url, { attempts: '2' })
    const [destination] = (await admin.connection())['destinations'] as Json[]
    assert.equal(destination!['destinationName'], 'City Hospital')
    assert.deepEqual(
      (await admin.messages()).map(({ operation }) => operation as string),
      ['Notes:New', 'Notes:New'],
    )
  })

  it('are those in an answer that refuses the message', async () => {
    const destination = '00000000-0000-4000-8000-00000000000a'
    const Destinations = [{ ID: destination, Name: 'General Hospital' }]
    redox.script('send', reply(400, { Meta: { Errors: [{ Text: 'no such patient' }], Destinations } }))
    const { id } = await admin.accept({ documentId: `doc-${++sent}`, destination })
    await admin.until(id, 'parked')
    await eventually(
      'the name is known',
      async () => (await nameOf(`datamodel ${destination}`)) === 'General Hospital',
    )
  })

  it('in an answer are ignored for another destination, and if they repeat data of the message', async () => {
    const { last, id } = OUTBOX_PATIENT
    await deliver(
      DESTINATION,
      { ID: DESTINATION, Name: `${last}, ${id}` },
      { ID: OTHER_DESTINATION, Name: 'Mercy' },
    )
    await deliver(OTHER_DESTINATION, { ID: OTHER_DESTINATION, Name: 'Mercy\nHospital' })
    await deliver('00000000-0000-4000-8000-00000000000b', {
      ...{ ID: '00000000-0000-4000-8000-00000000000b', Name: 'The last one' },
    })
    // The answers are read in the order of delivery: when the name in the last one is known, all have been read.
    await eventually(
      'the last name is known',
      async () => (await nameOf('datamodel 00000000-0000-4000-8000-00000000000b')) === 'The last one',
    )
    for (const destination of [DESTINATION_NAME, OTHER_DESTINATION_NAME])
      assert.equal(await nameOf(destination), undefined)
  })

  it('are those in the settings of the connection, if there are any', async () => {
    const names = ` ${DESTINATION.toUpperCase()} = Our clinic \n\nnot a name`
    await admin.deploy(redox.url, { destinationNames: names })
    await deliver(DESTINATION, { ID: DESTINATION, Name: 'City Hospital' })
    assert.equal(await nameOf(DESTINATION_NAME), 'Our clinic')
    const both = `datamodel ${[OTHER_DESTINATION, DESTINATION].join(' ')}`
    await deliver(`${DESTINATION}, ${OTHER_DESTINATION}`)
    assert.equal(await nameOf(both), `${OTHER_DESTINATION}, Our clinic`)
    await admin.deploy(redox.url)
    await eventually('the answer is read', async () => (await nameOf(DESTINATION_NAME)) === 'City Hospital')
    assert.equal(await nameOf(both), `${OTHER_DESTINATION}, City Hospital`)
  })
})

describe('the setting Destination names', () => {
  it('has one name per line', () => {
    const setting = 'slug-1 = A = B\r\nAF394F14=C\nwithout a name\n = D\n'
    assert.deepEqual(
      [...destinationNamesIn(setting)],
      [
        ['slug-1', 'A = B'],
        ['af394f14', 'C'],
      ],
    )
    assert.equal(areDestinationNames(setting), false)
    assert.equal(areDestinationNames('slug-1 = A = B\r\n\nAF394F14=C'), true)
  })
})

describe('reasons in the outbox', () => {
  /** Codes with which no message waits or is parked. */
  const NO_REASON = [
    ...['REDOX_QUEUE_FULL', 'REDOX_DUPLICATE'],
    ...['REDOX_NOT_DELIVERED', 'REDOX_NOT_CONFIRMED'],
  ]
  for (const language of ['en-US', 'de'])
    it(`have a sentence for each code: ${language}`, () => {
      const file = `plugins/redox-outbox-tab/locales/${language}/redox-outbox-tab.json`
      const { outbox } = JSON.parse(readFileSync(file, 'utf8')) as { outbox: { why: Record<string, string> } }
      const codes = Object.keys(ERROR_CODES).filter((code) => !NO_REASON.includes(code))
      assert.deepEqual(Object.keys(outbox.why).sort(), [...codes, 'REDOX_STORE_MOVING'].sort())
    })
})
