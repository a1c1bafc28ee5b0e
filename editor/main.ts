/**
 * What the dialogs of all nodes share, built into resources/redox-editor.js. Every node's HTML loads it, so that it is
 * there whichever comes first; it takes effect once.
 */
import { STEPS } from '../src/shared/migrations'
import { prepareConnection } from './dialog/connection'
import { watchPointer } from './dialog/faults'
import { prepareSender, takeOnlyConnection } from './dialog/sender'
import { shareConnectionOfExamples } from './examples'
import { migrateNodes, watchVariables } from './flows'
import { watchPalette } from './palette'
import { labelOf } from './texts'
import { of } from './validation/validators'

const editor = { takeOnlyConnection, prepareSender, prepareConnection, label: labelOf, migrations: STEPS }
const validators = { of }

/** The globals that the nodes' HTML uses. */
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
