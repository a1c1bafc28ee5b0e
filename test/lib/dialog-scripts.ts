/** Functions of the built dialog scripts, called without a browser. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { runInNewContext } from 'node:vm'

type Validator<Result> = (this: object, value: string) => true | Result

export interface Validators<Result> {
  of(type: string, name: string): Validator<Result>
}

const BUNDLE = path.join(__dirname, '../../../resources/redox-editor.js')
const nothing = (): void => {}

/**
 * Validators of the dialog fields.
 * @param sentence replaces the message catalogue: returns the sentence for a key (without the common prefix) and values
 */
export function dialogValidators<Result>(
  sentence: (key: string, values: object) => Result,
): Validators<Result> {
  const window: { RedoxValidators?: Validators<Result> } = {}
  const RED = {
    _: (key: string, values: object) => sentence(key.replace(/^.*\.invalid\./, ''), values),
    utils: { validateTypedProperty: () => true },
    events: { on: nothing },
  }
  const document = { addEventListener: nothing, contains: () => false }
  const $ = { ajaxPrefilter: nothing }
  runInNewContext(readFileSync(BUNDLE, 'utf8'), { window, RED, document, $, atob, URL })
  return window.RedoxValidators!
}
