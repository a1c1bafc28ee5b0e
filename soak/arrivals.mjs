// Records which messages of the durable soaks arrive at the sandbox: how often each message, and in which order.
import { PATIENTS } from './durable-flow.mjs'
import { inversions } from './messages.mjs'

export class Arrivals {
  /**
   * number of times that each message has arrived, by its id
   * @type {Map<string, number>}
   */
  #times = new Map()
  /**
   * ids in the order of their first arrival, by destination or patient
   * @type {Map<string, string[]>}
   */
  #order = new Map()

  /**
   * @param {import('../dist/src/sandbox/index.js').Sandbox} sandbox
   * @param {string} [order] `destination` or `patient`: messages that have to arrive in order
   */
  constructor(sandbox, order = 'destination') {
    sandbox.onReceived(({ request }) => {
      const [id] = /\bL\d+-\d{6}\b/.exec(JSON.stringify(request.body)) ?? []
      if (id === undefined) throw new Error('A message without an id has arrived')
      const times = (this.#times.get(id) ?? 0) + 1
      this.#times.set(id, times)
      if (times > 1) return
      const line = order === 'patient' ? `${destinationIn(id)} ${patientOf(id)}` : destinationIn(id)
      this.#order.set(line, [...(this.#order.get(line) ?? []), id])
    })
  }

  /** @param {string} id */
  has(id) {
    return this.#times.has(id)
  }

  /** Returns the number of messages that have arrived more than once. */
  doubled() {
    return [...this.#times.values()].filter((times) => times > 1).length
  }

  /** Returns the number of messages that have arrived before an earlier one of their destination or patient. */
  disordered() {
    return [...this.#order.values()].reduce((sum, ids) => sum + inversions(ids), 0)
  }
}

/**
 * Returns an id that {@link Arrivals} recognises. The ids for one destination sort in the order of their numbers.
 * @param {number} destination number of the destination
 * @param {number} number
 */
export const messageId = (destination, number) => `L${destination}-${String(number).padStart(6, '0')}`

/** @param {string} id of a message */
const destinationIn = (id) => id.slice(0, id.indexOf('-'))

/**
 * Returns the identifier of the patient of a message. The patients of different destinations have the same identifiers.
 * @param {string} id of the message
 */
export const patientOf = (id) => `${Number(id.slice(id.indexOf('-') + 1)) % PATIENTS}`
