import type { NodeAPI } from 'node-red'

/** Prefix of the catalogue keys of status texts. */
export const STATUS_TEXTS = '@ehr-flows/node-red-redox/redox-config:redox.status.'

/** Returns a status text with the number of waiting messages; '' for 0. */
export function waitingText(RED: NodeAPI, count: number): string {
  if (count === 0) return ''
  const number = String(count)
  return count === 1
    ? RED._(`${STATUS_TEXTS}waitingOne`, { number })
    : RED._(`${STATUS_TEXTS}waiting`, { number })
}
