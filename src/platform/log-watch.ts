import { RedoxError, type RedoxErrorCode } from '../errors'
import { WINDOW_MS } from '../transport/rate-limiter'
import type { DeliveryLog } from './answers'
import { attemptOf, LONGEST_REPEAT_MS, mayBeRepeated } from './repeats'

/** Last known state of one log id when its following ends. */
export interface FollowedLog {
  id: string
  /** missing if Redox never had the log */
  log?: DeliveryLog
  /** result of the last lookup; missing if the limit of requests allowed none */
  lookup?: 'answered' | RedoxErrorCode
}

interface Following {
  /** begin and end, in ms of the monotonic clock (`performance.now()`) */
  since: number
  until: number
  signal: AbortSignal
}

/** Message that is followed by its log ids. */
interface Follower extends Following {
  logs: WatchedLog[]
  /** ends the following: with what is known of the logs, or with an error */
  end: (failure?: Error) => void
}

interface WatchedLog {
  followers: Set<Follower>
  known: FollowedLog
  isFinal: boolean
  isAsked: boolean
  /** latest failed attempt that Redox may repeat; `until`: time after which the failure is final */
  failed?: { attempt: string; until: number }
  /** time of the next lookup */
  due: number
}

interface LogClient {
  followedLog(logId: string): Promise<DeliveryLog | undefined>
}

/** Maximum number of lookups at once. */
const AT_ONCE = 4
const SHORTEST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 60_000

/**
 * Asks for the logs of all followed messages of a connection until each status is final. Messages with the same log id
 * share its lookups, one timer serves all logs, and the log that is due longest is asked for first: when the limit of
 * requests is reached, every log waits longer, and none waits for ever.
 */
export class LogWatch {
  readonly #logs = new Map<string, WatchedLog>()
  readonly #followers = new Set<Follower>()
  #lookups = 0
  /** time before which the limit of requests allows no lookup */
  #notBefore = 0
  #timer: NodeJS.Timeout | undefined
  #wakesAt = Infinity

  constructor(private readonly client: LogClient) {}

  /**
   * Follows the logs of a message until all are final or the time is over. Failures that may be temporary do not end
   * the following.
   * @throws RedoxError that a later lookup would throw, too; the reason of the signal, when it aborts
   */
  follow(ids: string[], following: Following): Promise<FollowedLog[]> {
    const { signal } = following
    signal.throwIfAborted()
    return new Promise((resolve, reject) => {
      const logs = ids.map((id) => this.#log(id))
      const abort = (): void => follower.end(signal.reason as Error)
      const follower: Follower = {
        ...following,
        logs,
        end: (failure) => {
          signal.removeEventListener('abort', abort)
          this.#remove(follower)
          if (failure === undefined) resolve(logs.map(({ known }) => known))
          else reject(failure)
        },
      }
      signal.addEventListener('abort', abort)
      this.#followers.add(follower)
      for (const log of logs) log.followers.add(follower)
      this.#wakeAt(performance.now())
    })
  }

  #log(id: string): WatchedLog {
    const watched = this.#logs.get(id)
    if (watched) return watched
    const added = { followers: new Set<Follower>(), known: { id }, isFinal: false, isAsked: false, due: 0 }
    this.#logs.set(id, added)
    return added
  }

  #remove(follower: Follower): void {
    this.#followers.delete(follower)
    for (const log of follower.logs) {
      log.followers.delete(follower)
      if (log.followers.size === 0) this.#forget(log)
    }
    if (this.#followers.size > 0) return
    clearTimeout(this.#timer)
    this.#wakesAt = Infinity
  }

  #forget(log: WatchedLog): void {
    if (this.#logs.get(log.known.id) === log) this.#logs.delete(log.known.id)
  }

  #wakeAt(time: number): void {
    if (time >= this.#wakesAt || this.#followers.size === 0) return
    clearTimeout(this.#timer)
    this.#wakesAt = time
    const wait = Math.min(time - performance.now(), LONGEST_PAUSE_MS)
    this.#timer = setTimeout(() => this.#work(), Math.ceil(wait))
  }

  /** Asks for the logs that are due, ends what is over, and sets the timer for the next time. */
  #work(): void {
    this.#wakesAt = Infinity
    const now = performance.now()
    const open = [...this.#logs.values()].filter(({ isAsked }) => !isAsked)
    const due = open.filter((log) => log.due <= now).sort((a, b) => a.due - b.due)
    if (now >= this.#notBefore) for (const log of due.slice(0, AT_ONCE - this.#lookups)) void this.#ask(log)
    for (const { until, logs, end } of this.#followers)
      if (until <= now && !logs.some(({ isAsked }) => isAsked)) end()
    // A log that is due and not asked for waits for the end of a lookup, which calls this method, or of the pause.
    let next = now < this.#notBefore ? this.#notBefore : Infinity
    for (const log of open) if (log.due > now) next = Math.min(next, log.due)
    for (const { until } of this.#followers) if (until > now) next = Math.min(next, until)
    this.#wakeAt(next)
  }

  async #ask(log: WatchedLog): Promise<void> {
    log.isAsked = true
    this.#lookups++
    const { id } = log.known
    const asked = { at: performance.now(), wallTime: Date.now() }
    try {
      const answer = await this.client.followedLog(id)
      this.#answered(log, answer && unlessRepeated(log, answer, asked))
    } catch (error) {
      this.#failed(log, error)
    }
    log.isAsked = false
    this.#lookups--
    this.#wakeAt(performance.now())
  }

  #answered(log: WatchedLog, found = log.known.log): void {
    log.known = { id: log.known.id, lookup: 'answered', ...(found && { log: found }) }
    if (found === undefined || found.status === 'pending') return this.#postpone(log)
    log.isFinal = true
    this.#forget(log)
    for (const { logs, end } of log.followers) if (logs.every(({ isFinal }) => isFinal)) end()
  }

  #failed(log: WatchedLog, error: unknown): void {
    if (!(error instanceof RedoxError) || error.cause.retry !== 'safe') {
      for (const { end } of log.followers) end(error as Error)
      return
    }
    const wait = Math.min(1000 * (error.cause.retryAfterSeconds ?? 0), WINDOW_MS)
    // The limit is that of all logs. This one stays due, so that it is the first after the pause.
    if (error.code === 'REDOX_RATE_LIMITED')
      this.#notBefore = performance.now() + Math.max(wait, SHORTEST_PAUSE_MS)
    else {
      log.known = { ...log.known, lookup: error.code }
      this.#postpone(log, wait)
    }
  }

  /** Sets the time of the next lookup: the longer a log is followed, the longer its pauses are. */
  #postpone(log: WatchedLog, shortest = SHORTEST_PAUSE_MS): void {
    const now = performance.now()
    const followers = [...log.followers]
    const age = now - Math.max(...followers.map(({ since }) => since))
    const pause = Math.max(shortest, Math.min(Math.max(age, SHORTEST_PAUSE_MS), LONGEST_PAUSE_MS))
    // The last lookup is made when the time of a message is over, and one as soon as a failure is final.
    const ends = followers.map(({ until }) => until).filter((until) => until > now)
    const final = Math.max(log.failed?.until ?? Infinity, now + shortest)
    log.due = Math.min(now + pause, final, ...ends)
  }
}

/**
 * Returns the log; with the status `pending` as long as Redox may repeat its failed attempt.
 * @param asked when the log was asked for: in ms of the monotonic clock, and in ms since 1970
 */
function unlessRepeated(
  log: WatchedLog,
  answer: DeliveryLog,
  asked: { at: number; wallTime: number },
): DeliveryLog {
  if (!mayBeRepeated(answer, asked.wallTime)) {
    delete log.failed
    return answer
  }
  const attempt = attemptOf(answer)
  if (log.failed?.attempt !== attempt) {
    // If Redox says nothing of the attempt, it cannot be told from another one.
    const until = attempt === '' ? Infinity : performance.now() + LONGEST_REPEAT_MS
    log.failed = { attempt, until }
  }
  // The answer may be late: it says how the delivery was when the log was asked for.
  return asked.at >= log.failed.until ? answer : { ...answer, status: 'pending' }
}
