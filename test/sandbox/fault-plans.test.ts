/** Fault plans: the connection dialog and the sandbox report the same errors. */
import assert from 'node:assert/strict'
import { FaultPlan, type FaultPlanError, FAULTS } from '../../src/sandbox'
import { dialogValidators } from '../lib/dialog-scripts'

type Fault = [key: string, values: { line: number }]
const validators = dialogValidators((key, values) => [key, values] as Fault)
const SANDBOX = { environment: 'Sandbox', environmentType: 'environment' }
const validate = (plan: string): true | Fault => validators.of('redox-config', 'faults').call(SANDBOX, plan)

/** Names of faults, some of them invalid, from which the test generates fault plans. */
const WORDS = [
  ...Object.keys(FAULTS).flatMap((kind) => [kind, `${kind}=2`, `${kind}=x`, kind.toUpperCase()]),
  ...['200', '300', '503', '599', '600', '503=2', '50', '5033', '429-retry-after=0.5', '429-RETRY-AFTER=1'],
  ...['429-retry-after', '429-retry-after=', '504-after-accept', '504-after-accept=1', 'constructor', ''],
  ...[
    'none',
    'NONE',
    'none=1',
    'redirect=http://other:80',
    'redirect=other',
    'redirect=http://a/b',
    'redirect=',
  ],
  ...['late=86400', 'late=86401', 'late=-1', 'late=1.', 'late=1e3', 'LATE=1.5'],
]
const PLANS = [
  ...WORDS.flatMap((word) => [`any ${word}`, `upload ${word} once`, `/a* ${word}`]),
  ...['token', 'upload', 'BLOB', 'binary', 'endpoint', 'fhir', 'other', 'x', '/', '*', 'toString'].map(
    (place) => `${place} 503`,
  ),
  ...[
    'once',
    'ONCE',
    '0x',
    '3x',
    '3 x',
    'x',
    '3',
    '-1x',
    '20%',
    '2.5 %',
    '100%',
    '101%',
    '%',
    'twice',
    'a b',
  ].map((count) => `any 503 ${count}`),
  ...['', '\n\n', '# all', 'any 503 # all', 'any 503#all', ';;any 503;', 'any 503;any', 'any 503\r\nany'],
  ...['seed 1', 'SEED 1', 'seed', 'seed 1 2', 'seed x', 'seed -1', 'seed 1\nseed 2', 'seed 1;any 503'],
  ...['any 503\n\nseed 1234567890', '\nany 503\n any 503 3', 'token partial', 'endpoint partial'],
  ...['token', 'upload', 'blob', 'Binary', 'fhir', 'endpoint', '/x'].flatMap((place) =>
    ['issues', 'no-subscription', 'failed-later'].map((fault) => `${place} ${fault}`),
  ),
]

describe('fault plans in the dialog', () => {
  for (const plan of new Set(PLANS)) {
    it(JSON.stringify(plan), () => {
      let line: number | undefined
      try {
        new FaultPlan(plan)
      } catch (error) {
        line = (error as FaultPlanError).line
      }
      const found = validate(plan)
      assert.equal(found === true ? undefined : found[1].line, line)
    })
  }

  it('leave a variable to the runtime', () => {
    assert.equal(validate(' ${REDOX_FAULTS} '), true)
  })

  it('report the wrong part', () => {
    const keys = ['x 503', 'any x', 'any 503 x', 'seed x'].map((plan) => (validate(plan) as Fault)[0])
    assert.deepEqual(keys, ['faultPlace', 'faultKind', 'faultCount', 'faultSeed'])
  })
})
