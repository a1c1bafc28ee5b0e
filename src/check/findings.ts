import type { StepName } from './options'
import type { Trial } from './trial'

/** One row of the table. */
export interface Finding {
  step: StepName | 'token' | 'key' | 'answers'
  /** what was tried, e.g. `Binary, API host, raw bytes` */
  what: string
  result: Trial['result'] | 'not run' | 'seen'
  /** e.g. `HTTP 413: Payload too large`, without identifiers */
  detail: string
}

/** Setting that differs from the default, with which the nodes work as found. */
export interface Advice {
  /** type of the node: `redox-config`, `redox-fhir-result`, … */
  node: string
  /** label of the field in the dialog */
  field: string
  value: string
}
