/** Parsing of fault plans, and selection of the requests to which a fault applies. */
import assert from 'node:assert/strict'
import { FaultPlan, type FaultPlanError } from '../../src/sandbox'
import { OPERATION } from './fault-requests'

describe('sandbox: fault plans', () => {
  const names = (plan: string, times: number, api: 'token' | 'endpoint' = 'endpoint', path = '/x') => {
    const read = new FaultPlan(plan)
    return Array.from({ length: times }, () => read.next(api, path)?.name ?? '-').join(' ')
  }

  it('fire once, a number of times or always', () => {
    assert.equal(names('endpoint 503 once', 3), '503 - -')
    assert.equal(names('endpoint 503 2x', 3), '503 503 -')
    assert.equal(names('endpoint 503 2 x', 3), '503 503 -')
    assert.equal(names('endpoint 503', 3), '503 503 503')
    assert.equal(names('endpoint 503 0x', 3), '- - -')
    assert.equal(names('', 3), '- - -')
  })

  it('fire the first rule that applies', () => {
    assert.equal(names('endpoint 503 2x\nendpoint gzip once\nany late=1', 5), '503 503 gzip late=1 late=1')
    assert.equal(names('token 503\nany late=1', 1), 'late=1')
  })

  it('let a request pass with the fault none', () => {
    assert.equal(names('any none 2x\nany 503 once\nany None once\nany gzip', 6), '- - 503 - gzip gzip')
    assert.equal(names('token none\nany 503', 2, 'token'), '- -')
    assert.equal(names('token none\nany 503', 2), '503 503')
  })

  it('repeat random choices with the same seed', () => {
    const plan = (seed: string): string => names(`${seed}\nendpoint 503 30%`, 200)
    assert.equal(plan('seed 42'), plan('seed 42'))
    assert.notEqual(plan('seed 42'), plan('seed 43'))
    assert.equal(plan(''), plan('seed 1'))
    const share = plan('seed 42').split('503').length - 1
    assert.ok(share > 40 && share < 80, `${share} of 200`)
    assert.equal(names('any 503 0%', 100), names('', 100))
    assert.equal(names('any 503 100%', 3), '503 503 503')
  })

  it('draw random numbers for each rule separately, so that another rule changes nothing', () => {
    const alone = names('any 503 30%', 100)
    assert.equal(names('any 503 30%\nany gzip 50%', 100).replaceAll('gzip', '-'), alone)
    assert.notEqual(names('token gzip\nany 503 30%', 100), alone)
  })

  it('select requests by API or by path', () => {
    const where = (plan: string): string[] => {
      const paths = {
        token: '/auth/authenticate',
        blob: '/upload',
        Binary: '/fhir/R4/redox/Staging/Binary',
        endpoint: '/endpoint',
        fhir: `/fhir/R4/slug/Staging/${OPERATION}`,
        other: '/a.b',
      } as const
      const hit = (Object.keys(paths) as (keyof typeof paths)[]).filter((api) =>
        new FaultPlan(plan).next(api, paths[api]),
      )
      return hit
    }
    assert.deepEqual(where('token 503'), ['token'])
    assert.deepEqual(where('upload 503'), ['blob', 'Binary'])
    assert.deepEqual(where('BLOB 503'), ['blob'])
    assert.deepEqual(where('binary 503'), ['Binary'])
    assert.deepEqual(where('fhir 503'), ['fhir'])
    assert.deepEqual(where('any 503'), ['token', 'blob', 'Binary', 'endpoint', 'fhir', 'other'])
    assert.deepEqual(where('any partial'), ['endpoint', 'fhir'])
    assert.deepEqual(where('/fhir/R4/*/Binary 503'), ['Binary'])
    assert.deepEqual(where('/fhir/R4/*/$diagnosticreport-create 503'), ['fhir'])
    assert.deepEqual(where('/* 503'), ['token', 'blob', 'Binary', 'endpoint', 'fhir', 'other'])
    assert.deepEqual(where('/endpoint 503'), ['endpoint'])
    assert.deepEqual(where('/a.b 503'), ['other'])
    assert.deepEqual(where('/a*c 503'), [])
    assert.deepEqual(where('/endpoin 503'), [])
    assert.deepEqual(where('/.* 503'), [])
  })

  it('may contain comments, empty lines, and several rules in one line', () => {
    const plan = '# all\r\n\r\n  token 503   once # twice\n endpoint gzip once; endpoint LATE=0.5 ;'
    assert.equal(names(plan, 3, 'token'), '503 - -')
    assert.equal(names(plan, 3), 'gzip LATE=0.5 LATE=0.5')
  })

  const wrong: [plan: string, line: number, reason: RegExp][] = [
    ['tokens 503', 1, /"tokens" is not a place\. Places: token, upload/],
    ['\n# x\nany', 3, /a fault is missing after "any"\. Faults: a status such as 503/],
    ['any 200', 1, /"200" is not a fault/],
    ['any 600', 1, /"600" is not a fault/],
    ['any status', 1, /"status" is not a fault/],
    ['any constructor', 1, /"constructor" is not a fault/],
    ['constructor 503', 1, /"constructor" is not a place/],
    ['any 429-retry-after', 1, /is not a fault/],
    ['any late', 1, /"late" is not a fault/],
    ['any late=', 1, /is not a fault/],
    ['any late=x', 1, /is not a fault/],
    ['any late=99999999', 1, /is not a fault/],
    ['any refuse=-1', 1, /is not a fault/],
    ['any half-open=1', 1, /is not a fault/],
    ['any redirect=elsewhere', 1, /is not a fault/],
    ['any redirect=http://a/b', 1, /is not a fault/],
    ['any 503\nany 503 often', 2, /"often" is not a count\. Counts: once, 3x, 20%/],
    ['any 503 200%', 1, /is not a count/],
    ['any 503 once twice', 1, /"once twice" is not a count/],
    ['upload partial', 1, /"partial" is not possible for upload, only for endpoint, fhir/],
    ['seed', 1, /a seed must be a whole number/],
    ['seed x', 1, /a seed must be a whole number/],
    ['seed 1 2', 1, /a seed must be a whole number/],
    ['seed 1\nseed 2', 2, /the seed is set twice/],
    ['${FAULTS}', 1, /is not a place/],
  ]
  for (const [plan, line, reason] of wrong) {
    it(`cause an error with line and reason: ${JSON.stringify(plan)}`, () => {
      assert.throws(
        () => new FaultPlan(plan),
        (error: FaultPlanError) => error.line === line && reason.test(error.message),
      )
    })
  }
})
