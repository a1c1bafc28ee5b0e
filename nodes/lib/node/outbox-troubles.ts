/** Troubles of a connection: what the redox-outbox node tells of them, and when. Contains no patient data. */
import type { ConnectionReport } from '../connection/connection-report'

/** Kinds of troubles. */
export const TROUBLES = ['store', 'token', 'stopped', 'parked', 'late'] as const
export type TroubleKind = (typeof TROUBLES)[number]

/**
 * `begun`: the trouble was noticed. `more`: further messages were parked, or further destinations stopped. `over`: the
 * trouble has ended.
 */
export type TroubleState = 'begun' | 'more' | 'over'

/** `msg.payload` of a message about a trouble, without the connection. */
export interface TroubleNews {
  event: TroubleKind
  state: TroubleState
  /** when the node noticed the trouble, ISO 8601 */
  since: string
  /** messages of the connection; missing while the store cannot be used, and for the trouble `token` */
  counts?: { waiting: number; parked: number }
  /** age of the oldest waiting message in seconds */
  oldestSeconds?: number
  /** names of the destinations in trouble, at most {@link MAX_DESTINATIONS} */
  destinations: string[]
  /** error code of the trouble; missing if it has none, or if it is over */
  code?: string
  /** sentence for people */
  text: string
}

const MAX_DESTINATIONS = 200

interface KnownTrouble {
  since: string
  destinations: string[]
}

/** State of a trouble at one time; undefined: the trouble does not exist. */
interface PresentTrouble {
  destinations: string[]
  code?: string | undefined
}

/** Remembers which troubles a connection has, so that each is told once when it begins and once when it is over. */
export class Troubles {
  readonly #known = new Map<TroubleKind, KnownTrouble>()
  #parked = 0
  /** last value of {@link ConnectionReport.parkedSinceStart} */
  #parkings: number | undefined

  /** Returns what is new in a report of durable delivery. */
  news(report: ConnectionReport): TroubleNews[] {
    // Nothing is known of the messages while the store cannot be read.
    const isReadable = report.state.code === undefined
    const isMoreParked = isReadable && this.#isMoreParked(report)
    return (isReadable ? OF_OUTBOX : OF_STORE).flatMap((kind) => {
      const isMore = kind === 'parked' && isMoreParked
      return this.#newsOf({ kind, isMore }, presentOf(kind, report), report)
    })
  }

  /**
   * Returns what is new about the access token.
   * @param code undefined: Redox issues tokens
   * @param name name of the redox-config node
   */
  newsOfToken(code: string | undefined, name: string): TroubleNews[] {
    const present = code === undefined ? undefined : { destinations: [], code }
    return this.#newsOf({ kind: 'token', isMore: false }, present, { name })
  }

  #newsOf(
    { kind, isMore }: { kind: TroubleKind; isMore: boolean },
    present: PresentTrouble | undefined,
    about: TroubledConnection,
  ): TroubleNews[] {
    const known = this.#known.get(kind)
    if (!present) {
      if (known === undefined) return []
      this.#known.delete(kind)
      return [newsOf({ kind, state: 'over', ...known }, about)]
    }
    const since = known?.since ?? new Date().toISOString()
    const { destinations } = present
    this.#known.set(kind, { since, destinations })
    const isFurther = kind === 'stopped' && destinations.some((one) => !known?.destinations.includes(one))
    if (known && !isMore && !isFurther) return []
    return [newsOf({ kind, state: known ? 'more' : 'begun', since, ...present }, about)]
  }

  /** Returns true if messages were parked since the last report, even if as many were decided on. */
  #isMoreParked({ state: { parked }, parkedSinceStart }: ConnectionReport): boolean {
    const isNew = (parkedSinceStart ?? 0) > (this.#parkings ?? parkedSinceStart ?? 0) && parked > 0
    const isMore = parked > this.#parked || isNew
    this.#parked = parked
    this.#parkings = parkedSinceStart
    return isMore
  }
}

const OF_STORE = ['store'] as const
const OF_OUTBOX = ['store', 'stopped', 'parked', 'late'] as const

function presentOf(
  kind: Exclude<TroubleKind, 'token'>,
  report: ConnectionReport,
): PresentTrouble | undefined {
  const { state, destinations, late, failing } = report
  const stopped = destinations.filter(({ destination }) => state.stopped.includes(destination))
  const parked = destinations.filter((one) => one.parked > 0)
  const reasonOf = (some: typeof destinations): string | undefined =>
    some.find(({ blockedBy }) => blockedBy)?.blockedBy?.reason
  const names = (some: typeof destinations): string[] => some.map(({ destination }) => destination)
  switch (kind) {
    case 'store':
      return storeTrouble(state)
    case 'stopped':
      return stopped.length === 0 ? undefined : { destinations: names(stopped), code: reasonOf(stopped) }
    case 'parked':
      return state.parked === 0 ? undefined : { destinations: names(parked), code: reasonOf(parked) }
    default:
      return state.isLate ? { destinations: late, code: failing.get(late[0] ?? '') } : undefined
  }
}

/** The store cannot be used, or it is full: then delivery goes on. */
function storeTrouble({ code, isFull }: ConnectionReport['state']): PresentTrouble | undefined {
  if (code !== undefined) return { destinations: [], code }
  return isFull ? { destinations: [], code: 'REDOX_STORE_FULL' } : undefined
}

/** Connection that a trouble is of; without a state, nothing is known of its messages. */
type TroubledConnection = Pick<ConnectionReport, 'name'> & Partial<Pick<ConnectionReport, 'state'>>

function newsOf(
  {
    kind,
    state,
    since,
    destinations,
    code,
  }: PresentTrouble & { kind: TroubleKind; state: TroubleState; since: string },
  { name, state: known }: TroubledConnection,
): TroubleNews {
  const { waiting = 0, parked = 0, oldestSeconds = 0 } = known ?? {}
  const facts = { waiting, parked, oldestSeconds, destinations: destinations.length, code }
  return {
    ...{ event: kind, state, since, destinations: destinations.slice(0, MAX_DESTINATIONS) },
    ...(known && known.code === undefined && { counts: { waiting, parked }, oldestSeconds }),
    ...(code !== undefined && { code }),
    text: `Redox${name === '' ? '' : ` (${name})`}: ${state === 'over' ? OVER[kind] : BEGUN[kind](facts)}`,
  }
}

interface TroubleFacts {
  waiting: number
  parked: number
  oldestSeconds: number
  /** number of destinations */
  destinations: number
  code: string | undefined
}

const inBrackets = (code: string | undefined): string => (code === undefined ? '' : ` (${code})`)
const counted = (count: number, one: string, many: string): string =>
  count === 1 ? `1 ${one}` : `${count} ${many}`

function storeText(code: string | undefined): string {
  if (code === 'REDOX_STORE_FULL')
    return (
      'the store is full (REDOX_STORE_FULL). Messages without room in it leave through Catch nodes; accepted messages ' +
      'are delivered.'
    )
  const isStore = code?.startsWith('REDOX_STORE')
  return `the ${isStore ? 'store cannot be used' : 'connection cannot be opened'}${inBrackets(code)}. No message is accepted.`
}

const BEGUN: Record<TroubleKind, (facts: TroubleFacts) => string> = {
  store: ({ code }) => storeText(code),
  token: ({ code }) => `Redox issues no access token${inBrackets(code)}. Nothing can be sent.`,
  stopped: ({ destinations, waiting, code }) =>
    `${counted(destinations, 'destination is', 'destinations are')} stopped${inBrackets(code)}, ` +
    `${counted(waiting, 'message waits', 'messages wait')}. A person has to decide in the outbox.`,
  parked: ({ parked, code }) =>
    `${counted(parked, 'message is', 'messages are')} parked${inBrackets(code)}. A person has to decide in the outbox.`,
  late: ({ oldestSeconds, waiting, code }) =>
    `the oldest message has been waiting for ${counted(Math.floor(oldestSeconds / 60), 'minute', 'minutes')}` +
    `${inBrackets(code)}, ${counted(waiting, 'message waits', 'messages wait')} in all.`,
}

const OVER: Record<TroubleKind, string> = {
  store: 'the store accepts messages again.',
  token: 'Redox issues access tokens again.',
  stopped: 'no destination is stopped any more.',
  parked: 'no message is parked any more.',
  late: 'no message is late any more.',
}
