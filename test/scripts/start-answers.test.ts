/** Output of `npm start` if an example does not give the expected result. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

interface Answers {
  missingLines(
    missing: { what: string; type: string }[],
    reason: string,
    place?: { button: string; tab: string },
  ): string[]
  summary(wrong: number): string
}

describe('npm start with missing answers', () => {
  let answers: Answers
  before(async () => {
    const file = pathToFileURL(path.join(__dirname, '../../../scripts/lib/answers.mjs')).href
    answers = (await import(file)) as Answers
  })

  it('lists each missing answer, then the reason and the button to press, once', () => {
    const missing = [
      { what: 'Results', type: 'redox-datamodel-results' },
      { what: 'Observation', type: 'redox-fhir-result' },
    ]
    const place = { button: 'send the result', tab: '3 Result with files' }
    assert.deepEqual(answers.missingLines(missing, 'No answer came within 15 s.', place), [
      'MISSING  Results (redox-datamodel-results)',
      'MISSING  Observation (redox-fhir-result)',
      '         No answer came within 15 s. To try again: press the button of "send the result" in the tab "3 Result with files".',
    ])
  })

  it('suggests no missing button, and prints nothing when every answer has arrived', () => {
    const missing = [{ what: 'Media', type: 'redox-datamodel-media' }]
    assert.deepEqual(answers.missingLines(missing, 'The examples have no such button.'), [
      'MISSING  Media (redox-datamodel-media)',
      '         The examples have no such button.',
    ])
    assert.deepEqual(answers.missingLines([], ''), [])
  })

  it('counts missing answers in a sentence, and always reports that nothing left this machine', () => {
    const sandbox = '\nThe answers come from the built-in sandbox: nothing left this machine.'
    assert.equal(answers.summary(0), sandbox)
    assert.equal(answers.summary(1), `\n1 answer is missing or wrong.${sandbox}`)
    assert.equal(answers.summary(2), `\n2 answers are missing or wrong.${sandbox}`)
  })
})
