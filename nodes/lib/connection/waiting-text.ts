import type { NodeAPI } from 'node-red'

/** Where the words of statuses stand. */
export const STATUS_TEXTS = '@ehr-flows/node-red-redox/redox-config:redox.status.'

/** How many messages wait, in the words of a status; empty for none. */
export function waitingText(RED: NodeAPI, count: number): string {
  if (count === 0) return ''
  const number = String(count)
  return count === 1
    ? RED._(`${STATUS_TEXTS}waitingOne`, { number })
    : RED._(`${STATUS_TEXTS}waiting`, { number })
}
