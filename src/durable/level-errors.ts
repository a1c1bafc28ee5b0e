/** What goes wrong with the embedded store, in the words of an operator. No text names a path: errors are shown to users. */
import { RedoxError } from '../errors'

const WAY_OUT =
  'Bring back a backup, or begin a new store in the outbox, which sets this one aside: see docs/operations.md.'

const unreadable = (what: string): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNREADABLE',
    `${what} Nothing of it was removed: copy its folder before anything else. ${WAY_OUT}`,
  )

export const lost = (what: string): RedoxError =>
  new RedoxError('REDOX_STORE_LOST', `${what} is not in the store, is being sent, or has ended otherwise.`)

export const closed = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNAVAILABLE',
    'The store of accepted messages was closed. Send the message again.',
  )

/** While it is open. */
export const notInPlace = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNAVAILABLE',
    'The folder of the store of accepted messages is not where it was: it was removed, renamed or unmounted. Nothing ' +
      'is accepted meanwhile. Bring it back, or mount its volume, and it goes on by itself. If it is lost, stop ' +
      'Node-RED: see docs/operations.md.',
  )

/** At opening. */
export const gone = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNREADABLE',
    'The store of accepted messages is not there, or a part of it, although this connection had one. If it lies on a ' +
      `volume of its own, mount it. ${WAY_OUT}`,
  )

export const otherStore = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNREADABLE',
    'The folder of the store of accepted messages holds another store. Bring back the one that belongs here. ' +
      WAY_OUT,
  )

/** While it is open. */
export const earlierCopy = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNREADABLE',
    'The folder of the store of accepted messages holds an earlier copy of it: what was delivered since would be sent ' +
      'again. Bring back the later one, and it goes on by itself. To go on with the copy, end the process and start it again.',
  )

export const cutShort = (): RedoxError =>
  unreadable('The store of accepted messages is damaged: what was written to it last cannot be found.')

export const missing = (messages: number): RedoxError =>
  unreadable(`The store of accepted messages is damaged: ${messages} of them cannot be found.`)

export const filesMissing = (messages: number): RedoxError =>
  unreadable(`The store of accepted messages is damaged: files of ${messages} messages cannot be found.`)

export const fileMissing = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_LOST',
    'A file of the message is not in the store of accepted messages any more. Bring it back from a backup and send the ' +
      'message again in the outbox, or discard it.',
  )

export const damaged = (): RedoxError =>
  new RedoxError('REDOX_STORE_UNREADABLE', 'A file in the store of accepted messages is damaged.')

export const damagedStore = (): RedoxError => unreadable('The store of accepted messages is damaged.')

export const full = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_FULL',
    'The disk of the store of accepted messages is full. Make room; nothing that was accepted is lost, and it goes on ' +
      'being delivered.',
  )

const locked = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_LOCKED',
    'Another process has the store of accepted messages open. Only one at a time may use it: end the other ' +
      'one, or choose PostgreSQL as the store in the redox-config node.',
  )

const FAILURES: [pattern: RegExp, error: () => RedoxError][] = [
  [/LEVEL_LOCKED/, locked],
  [/LEVEL_CORRUPTION/, damagedStore],
  [/create_if_missing/, gone],
  [/ENOSPC|EDQUOT|No space left|quota exceeded/i, full],
]

export function failed(error: unknown): never {
  throw asFailure(error)
}

export function asFailure(error: unknown): RedoxError {
  if (error instanceof RedoxError) return error
  const facts = factsOf(error)
  const [, known] = FAILURES.find(([pattern]) => pattern.test(facts)) ?? []
  return (
    known?.() ??
    new RedoxError(
      'REDOX_STORE_UNAVAILABLE',
      `The store of accepted messages cannot be used. Check its folder.`,
      {
        fault: /\b[A-Z_]{4,}\b/.exec(facts)?.[0] ?? 'unknown',
      },
    )
  )
}

/** When LevelDB is opened where it has been before: a file that it cannot find is lost. */
export function openingFailed(error: unknown): never {
  if (/LEVEL_NOT_FOUND|No such file/.test(factsOf(error))) throw damagedStore()
  return failed(error)
}

export const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code

/** Codes and words of an error and what caused it. */
function factsOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  return `${String(codeOf(error))} ${error.message} ${factsOf(error.cause)}`
}
