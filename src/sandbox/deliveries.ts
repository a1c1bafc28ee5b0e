/**
 * Deliveries: what becomes of accepted messages. Redox delivers to each destination in order, and tries again while the
 * destination does not accept (docs/redox-api.md#retries-by-redox).
 */
import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { DeliveryEffect, DeliveryPlan } from './delivery-plan'
import { present } from './present'

/** Pauses before the attempts after the first one, in milliseconds (docs/redox-api.md#retries-by-redox). */
const PAUSES = [0, 10, 10, 20, 30, 50, 80, 120].map((seconds) => seconds * 1000)

export type DeliveryStatus = 'pending' | 'succeeded' | 'failed' | 'filtered'

/** Delivery of one message to one of its destinations, with the log that Redox keeps of it. */
export interface Delivery {
  destination: string
  logId: string
  status: DeliveryStatus
  /** Number of attempts so far, including a running one. */
  attempts: number
  /** Id of the latest attempt; before the first one, the id that it will have. */
  attemptId: string
  /** Time of the latest attempt, ISO 8601, UTC; before the first one, of the acceptance. */
  attemptAt: string
  /** Time of the last change, ISO 8601, UTC. */
  updatedAt: string
  /** Why the latest attempt did not succeed. Texts never repeat a value of the message. */
  problem?: DeliveryProblem | undefined
}

export interface DeliveryProblem {
  /** Stage at which the attempt ended: at the filters, or with the request to the destination. */
  stage: 'filter' | 'request'
  /** HTTP status of the destination. */
  code?: number
  reason: string
}

const FILTERED: DeliveryProblem = { stage: 'filter', reason: 'A filter dropped the message' }
const REFUSED: DeliveryProblem = {
  stage: 'request',
  code: 400,
  reason: 'The destination refused the message',
}

export function newDelivery(destination: string, logId: string, attemptId: string = randomUUID()): Delivery {
  const at = new Date().toISOString()
  return {
    ...{ destination, logId, status: 'pending', attempts: 0, attemptId },
    ...{ attemptAt: at, updatedAt: at },
  }
}

/** Plan by which an accepted message is delivered; `isRefused`: the destinations refuse it. */
export interface DeliveryTerms {
  plan: DeliveryPlan
  isRefused: boolean
}

interface Entry extends DeliveryTerms {
  delivery: Delivery
  /** Time of the first attempt, by `performance.now()`. */
  dueAt: number
}

/**
 * Delivers accepted messages. Each plan has its own queues, one per destination, so that a connection whose destination
 * does not accept holds up no other connection.
 */
export class Deliveries {
  #queues = new Map<DeliveryPlan, Map<string, DestinationQueue>>()
  #listeners = new Set<(delivery: Delivery) => void>()

  accept(deliveries: readonly Delivery[], terms: DeliveryTerms): void {
    const dueAt = performance.now() + terms.plan.delay
    for (const delivery of deliveries) {
      this.#queueOf(terms.plan, delivery.destination.toLowerCase()).add({ ...terms, delivery, dueAt })
    }
  }

  /** Ends deliveries whose message is no longer kept, so that their number stays limited, too. */
  drop(deliveries: readonly Delivery[]): void {
    const dropped = new Set(deliveries)
    for (const queues of this.#queues.values()) for (const queue of queues.values()) queue.drop(dropped)
  }

  /** Ends all deliveries. */
  clear(): void {
    for (const queues of this.#queues.values()) for (const queue of queues.values()) queue.clear()
    this.#queues.clear()
  }

  /** Calls the listener after each change of a delivery. Returns a function that unsubscribes. */
  onChange(listener: (delivery: Delivery) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #queueOf(plan: DeliveryPlan, destination: string): DestinationQueue {
    const queues = this.#queues.get(plan) ?? new Map<string, DestinationQueue>()
    this.#queues.set(plan, queues)
    const queue =
      queues.get(destination) ??
      new DestinationQueue(
        (delivery) => this.#tell(delivery),
        () => {
          queues.delete(destination)
          if (queues.size === 0) this.#queues.delete(plan)
        },
      )
    queues.set(destination, queue)
    return queue
  }

  #tell(delivery: Delivery): void {
    for (const listener of this.#listeners) queueMicrotask(() => listener(delivery))
  }
}

/** Queue of one destination: first in, first out, one attempt at a time. */
class DestinationQueue {
  #entries: Entry[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly onChange: (delivery: Delivery) => void,
    private readonly onEmpty: () => void,
  ) {}

  add(entry: Entry): void {
    if (this.#entries.push(entry) === 1) this.#begin()
  }

  drop(dropped: ReadonlySet<Delivery>): void {
    const [head] = this.#entries
    this.#entries = this.#entries.filter(({ delivery }) => !dropped.has(delivery))
    if (head !== undefined && head !== this.#entries[0]) this.#begin()
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#entries = []
  }

  /** Waits until the first entry is due, and tries to deliver it. */
  #begin(): void {
    clearTimeout(this.#timer)
    const [entry] = this.#entries
    if (entry === undefined) this.onEmpty()
    else this.#after(entry.dueAt - performance.now(), () => this.#attempt(entry))
  }

  #attempt(entry: Entry): void {
    const { delivery, plan, isRefused } = entry
    if (delivery.attempts > 0) delivery.attemptId = randomUUID()
    delivery.attempts++
    delivery.problem = undefined
    delivery.attemptAt = delivery.updatedAt = new Date().toISOString()
    const effect: DeliveryEffect | undefined = isRefused
      ? { kind: 'refuse' }
      : plan.next(delivery.destination)
    if (effect?.kind === 'refuse') this.#settle(delivery, 'failed', REFUSED)
    else if (effect?.kind === 'filter') this.#settle(delivery, 'filtered', FILTERED)
    else if (effect?.kind === 'status') this.#retry(entry, effect.status)
    else if (effect === undefined) this.#settle(delivery, 'succeeded')
    else {
      this.onChange(delivery)
      this.#after(effect.seconds * 1000, () => this.#settle(delivery, 'succeeded'))
    }
  }

  #retry(entry: Entry, code: number): void {
    const { delivery, plan } = entry
    const problem: DeliveryProblem = { stage: 'request', code, reason: STATUS_CODES[code] ?? 'Unknown' }
    if (delivery.attempts > PAUSES.length) return this.#settle(delivery, 'failed', problem)
    delivery.problem = problem
    this.onChange(delivery)
    const pause = present(PAUSES[delivery.attempts - 1], 'the pause after an attempt')
    this.#after(pause / plan.speed, () => this.#attempt(entry))
  }

  #settle(delivery: Delivery, status: DeliveryStatus, problem?: DeliveryProblem): void {
    Object.assign(delivery, { status, problem, updatedAt: new Date().toISOString() })
    this.#entries.shift()
    this.onChange(delivery)
    this.#begin()
  }

  #after(milliseconds: number, then: () => void): void {
    this.#timer = setTimeout(then, Math.max(0, milliseconds)).unref()
  }
}
