/** Rules of the dialogs: the field Data must be an object, and the sandbox's published key is for the sandbox only. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { dialogValidators } from '../lib/dialog-scripts'

const ROOT = path.join(__dirname, '../../..')

const validators = dialogValidators((key) => key)

describe('rules of the dialogs', () => {
  const VALUES: [value: string, type: string, said: true | string][] = [
    ['', 'json', true],
    ['{"Patient":{}}', 'json', true],
    ['{"Patient":{}}', 'str', true],
    ['{"Patient":', 'str', 'json'],
    ['[1]', 'json', 'json'],
    ['"text"', 'json', 'json'],
    ['null', 'json', 'json'],
    ['payload.data', 'msg', true],
    ['payload.data', 'jsonata', true],
  ]
  for (const [value, dataType, said] of VALUES) {
    it(`json, ${JSON.stringify(value)} as ${dataType}: ${said}`, () => {
      const validate = validators.of('redox-datamodel-media', 'data')
      assert.equal(validate.call({ dataType, data: value, eventType: 'New' }, value), said)
    })
  }

  it('json accepts a list of resources for FHIR nodes, which have no event types', () => {
    const validate = validators.of('redox-fhir-document', 'data')
    const data = '[{"resourceType":"Patient"}]'
    assert.equal(validate.call({ dataType: 'json', data }, data), true)
  })
})

describe('rules of the dialogs for the store key of an example', () => {
  const example = JSON.parse(
    readFileSync(path.join(ROOT, 'examples/12 - Durable delivery of a folder.json'), 'utf8'),
  ) as { type: string; credentials: object }[]
  const connection = example.find(({ type }) => type === 'redox-config')!
  const ENVIRONMENTS: [environment: string, environmentType: string, said: true | string][] = [
    ['Sandbox', 'environment', true],
    ['ENVIRONMENT', 'env', true],
    ['${REDOX_STAGE}', 'environment', true],
    ['Development', 'environment', 'publishedKey'],
    ['Production', 'environment', 'publishedKey'],
  ]
  for (const [environment, environmentType, said] of ENVIRONMENTS) {
    it(`in the environment ${environment}: ${said}`, () => {
      const node = { ...connection, environment, environmentType }
      assert.equal(validators.of('redox-config', 'storeKey').call(node, ''), said)
    })
  }
})

describe('rules of the connection', () => {
  const CASES: [name: string, value: string, said: true | string][] = [
    ['perFiveMinutes', '', true],
    ['perFiveMinutes', '0', true],
    ['perFiveMinutes', '7500', true],
    ['perFiveMinutes', '-1', 'amountOrNone'],
    ['perFiveMinutes', 'many', 'amountOrNone'],
    ['acceptOnly', '', true],
    ['acceptOnly', 'application/pdf, image/jpeg\nIMAGE/PNG', true],
    ['acceptOnly', '${ACCEPTED}', true],
    ['acceptOnly', 'application/pdf, application/zip', 'acceptOnly'],
    ['acceptOnly', 'pdf', 'acceptOnly'],
    ['destinationNames', '', true],
    [
      'destinationNames',
      'af394f14-b34a-464f-8d24-895f370af4c9 = City Hospital\n\nmercy=St. Mary = North',
      true,
    ],
    ['destinationNames', '${NAMES}', true],
    ['destinationNames', 'City Hospital', 'destinationNames'],
    ['destinationNames', 'mercy = ', 'destinationNames'],
    ['destinationNames', 'City Hospital = mercy', 'destinationNames'],
    ['destinationNames', `mercy = ${'x'.repeat(101)}`, 'destinationNames'],
  ]
  for (const [name, value, said] of CASES)
    it(`${name}, ${JSON.stringify(value)}: ${said}`, () => {
      assert.equal(validators.of('redox-config', name).call({ [name]: value }, value), said)
    })
})
