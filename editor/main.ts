/**
 * Common code of all dialogs, built into resources/redox-editor.js. The HTML of every node type loads this script,
 * because the order in which node types are loaded is unknown. Only the first execution has an effect.
 */
import { STEPS } from '../src/shared/migrations'
import { prepareConnection } from './dialog/connection'
import { watchPointer } from './dialog/faults'
import { prepareOutbox, prepareSender, takeOnlyConnection } from './dialog/sender'
import { shareConnectionOfExamples } from './examples'
import { migrateNodes, watchVariables } from './flows'
import { watchPalette } from './palette'
import { labelOf } from './texts'
import { of } from './validation/validators'

const editor = {
  ...{ takeOnlyConnection, prepareSender, prepareOutbox, prepareConnection },
  label: labelOf,
  migrations: STEPS,
}
const validators = { of }

/** Globals that the HTML of the node types uses. */
declare global {
  interface Window {
    RedoxEditor?: typeof editor
    RedoxValidators?: typeof validators
  }
}

if (window.RedoxEditor === undefined) {
  window.RedoxEditor = editor
  window.RedoxValidators = validators
  watchPointer()
  watchPalette()
  watchVariables()
  migrateNodes()
  shareConnectionOfExamples()
}
