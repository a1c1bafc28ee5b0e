/** The rules that the dialogs name exist, and `json` is one: Data has to be an object. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { CHECKS } from '../../src/shared/checks'
import { dialogValidators } from '../lib/dialog-scripts'

const ROOT = path.join(__dirname, '../../..')
const DIALOG = 'nodes/redox-config/redox-config.html'

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
    it(`json, for ${JSON.stringify(value)} as ${dataType}: ${said}`, () => {
      const validate = validators.valid('data', ['json'])
      assert.equal(validate.call({ dataType, data: value, eventType: 'New' }, value), said)
    })
  }

  it('json takes a list of resources for FHIR, which has no event types', () => {
    const validate = validators.valid('data', ['json'])
    const data = '[{"resourceType":"Patient"}]'
    assert.equal(validate.call({ dataType: 'json', data }, data), true)
  })

  it('exist, wherever a dialog names one', () => {
    const folders = readdirSync(path.join(ROOT, 'nodes')).filter((name) => name.startsWith('redox-'))
    const named = folders.flatMap((set) => {
      const html = readFileSync(path.join(ROOT, 'dist/nodes', set, `${set}.html`), 'utf8')
      const lists = [...html.matchAll(/RedoxValidators\.valid\([^[\])]*\[([^\]]*)\]/g)]
      return lists.flatMap(([, list]) => [...list!.matchAll(/'(\w+)'/g)].map(([, name]) => name!))
    })
    assert.ok(named.includes('json'))
    assert.deepEqual(
      named.filter((name) => !(CHECKS as readonly string[]).includes(name)),
      [],
    )
  })

  it('that do not exist let the build fail, with the dialog and the property that ask for them', () => {
    const copy = mkdtempSync(path.join(tmpdir(), 'redox-rules-'))
    try {
      for (const folder of ['nodes', 'plugins', 'scripts', 'icons', 'dist/nodes', 'dist/src/shared'])
        cpSync(path.join(ROOT, folder), path.join(copy, folder), { recursive: true })
      const dialog = path.join(copy, DIALOG)
      writeFileSync(dialog, readFileSync(dialog, 'utf8').replace("['uuid']", "['uid']"))
      const build = (): string =>
        execFileSync(process.execPath, [path.join(copy, 'scripts/build-nodes.mjs')], {
          encoding: 'utf8',
          stdio: 'pipe',
        })
      assert.throws(build, /redox-config\.html: "sourceId" asks for the rule "uid"/)
    } finally {
      rmSync(copy, { recursive: true, force: true })
    }
  })
})

describe('the store key of an example, in the dialog', () => {
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
    it(`for the environment ${environment}: ${said}`, () => {
      const node = { ...connection, environment, environmentType }
      assert.equal(validators.validSecret('storeKey').call(node, ''), said)
    })
  }
})
