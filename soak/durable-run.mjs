// Run of a durable soak: sends messages, kills and deploys Node-RED, cuts the network connection to the sandbox and
// decides on parked messages, all at the same time, until all messages are done.
import { setTimeout as sleep } from 'node:timers/promises'
import { messageId, patientOf } from './arrivals.mjs'
import { DESTINATIONS } from './durable-flow.mjs'
import { mulberry32, pdf } from './messages.mjs'
import { decideAll, depthOf } from './outbox.mjs'

/** @typedef {import('./instance.mjs').Instance} Instance */

/** Fraction of the accepted documents that are given to Node-RED a second time. */
const REPEATED = 0.1

/**
 * @typedef {object} RunOptions
 * @property {Instance[]} instances
 * @property {import('./arrivals.mjs').Arrivals} arrivals
 * @property {{ cut: () => void, mend: () => void }} line network connection to the sandbox
 * @property {{ bytes: number }[]} plan sizes of the messages
 * @property {number} kills number of times that a Node-RED process is killed
 * @property {number} deploys number of deploys
 * @property {number} seed
 */

export class DurableRun {
  /** @type {Set<string>} */
  accepted = new Set()
  /**
   * ids of messages whose request to Node-RED got no HTTP response
   * @type {Set<string>}
   */
  unanswered = new Set()
  /**
   * number of messages that Node-RED refused, by HTTP status
   * @type {Record<number, number>}
   */
  refused = {}
  /**
   * ids of messages that were marked as delivered: the flow emits no answer for them
   * @type {Set<string>}
   */
  marked = new Set()
  /** documents that were given twice; of these, those that were refused the second time, and the others that were not */
  repeated = 0
  duplicates = 0
  unrefused = 0
  killed = 0
  deployed = 0
  decided = 0
  /** milliseconds without a network connection to the sandbox, while Node-RED accepted messages */
  downMs = 0
  #given = 0
  #isOver = false
  #options
  #random

  /** @param {RunOptions} options */
  constructor(options) {
    this.#options = options
    this.#random = mulberry32(options.seed)
  }

  /**
   * Sends all messages to Node-RED, then waits until the outbox is empty.
   * @param {number} longestEndMs maximum milliseconds from the acceptance of the last message to the end
   * @returns {Promise<number>} milliseconds until all messages were accepted
   */
  async untilDone(longestEndMs) {
    const began = Date.now()
    const decisions = this.#decide()
    const failing = this.#failRedox()
    await Promise.all([
      ...DESTINATIONS.map((destination) => this.#feed(destination)),
      this.#kill(),
      this.#deploy(),
    ])
    this.#isOver = true
    const feedingMs = Date.now() - began
    this.#options.line.mend()
    await Promise.race([decisions, sleep(longestEndMs, undefined, { ref: false })])
    await failing
    return feedingMs
  }

  /** Returns the instances whose process runs. */
  alive() {
    return this.#options.instances.filter(({ isUp }) => isUp)
  }

  #oneAlive() {
    const up = this.alive()
    return up[Math.floor(this.#random() * up.length)]
  }

  /**
   * @param {number} from
   * @param {number} to
   */
  #between(from, to) {
    return from + this.#random() * (to - from)
  }

  /**
   * Sends the messages for one destination one after the other, so that their order of acceptance is known.
   * @param {import('./durable-flow.mjs').Destination} destination
   */
  async #feed({ number, node, destination }) {
    const { plan, kills } = this.#options
    for (let tries = 0; this.#given < plan.length;) {
      // Waits for the next kill, so that the messages are distributed evenly over all kills.
      while (this.#given > (plan.length * (this.killed + 1)) / (kills + 1)) await sleep(20)
      // The loops for the other destinations may have taken the last messages in the meantime.
      const planned = plan[this.#given]
      if (planned === undefined) return
      this.#given++
      const file = pdf(planned.bytes)
      for (let answer; answer !== 200;) {
        const instance = this.#oneAlive()
        if (!instance) {
          await sleep(20)
          continue
        }
        const id = messageId(number, ++tries)
        const place = `durable/${node}/${id}?destination=${destination}&patient=${patientOf(id)}`
        answer = await instance.post(place, file)
        this.#count(id, answer)
        if (answer !== 200) await sleep(100)
        else if (this.#random() < REPEATED) await this.#repeat(place, file)
      }
    }
  }

  /**
   * Gives an accepted document to Node-RED again, until a Node-RED has answered. A process that is killed meanwhile gives
   * no answer, but must not have accepted the document: it would arrive twice.
   * @param {string} place
   * @param {Buffer<ArrayBuffer>} file
   */
  async #repeat(place, file) {
    this.repeated++
    for (;;) {
      const answer = await this.#oneAlive()?.post(place, file)
      if (answer === 400) return void this.duplicates++
      if (answer === 200) return void this.unrefused++
      await sleep(100)
    }
  }

  /**
   * @param {string} id
   * @param {number | undefined} answer HTTP status; undefined without an HTTP response
   */
  #count(id, answer) {
    if (answer === 200) this.accepted.add(id)
    // Node-RED may have accepted the message just before its process was killed.
    else if (answer === undefined) this.unanswered.add(id)
    else this.refused[answer] = (this.refused[answer] ?? 0) + 1
  }

  async #kill() {
    const { instances, kills } = this.#options
    while (this.killed < kills) {
      await sleep(this.#between(500, instances.length === 1 ? 9000 : 6000))
      const victim = this.#oneAlive()
      if (!victim) continue
      this.killed++
      await victim.kill()
      void victim.start()
    }
  }

  async #deploy() {
    const { deploys, kills } = this.#options
    while (this.deployed < deploys) {
      while (this.deployed / deploys > this.killed / kills) await sleep(50)
      const [one] = this.alive()
      if (one && (await one.deploy(this.deployed).catch(() => false))) this.deployed++
      await sleep(200)
    }
  }

  /** Cuts the network connection to the sandbox for half of the time. */
  async #failRedox() {
    const { line } = this.#options
    while (!this.#isOver) {
      const long = this.#between(1000, 6000)
      await sleep(long)
      if (this.#isOver) return
      line.cut()
      this.downMs += long
      await sleep(long)
      line.mend()
    }
  }

  /** Decides on parked messages until all messages are done. */
  async #decide() {
    for (;;) {
      await sleep(250)
      const [one] = this.alive()
      // The instance may be killed meanwhile. The next round tries again.
      if (one) await this.#decideOn(one).catch(() => undefined)
      if (this.#isOver && one && (await depthOf(one)) === 0) return
    }
  }

  /** @param {Instance} instance */
  async #decideOn(instance) {
    const { arrivals } = this.#options
    const hasArrived = (/** @type {string} */ id) => arrivals.has(id)
    const decisions = decideAll(instance, hasArrived, (id, action) => {
      if (action === 'mark-delivered') this.marked.add(id)
    })
    for await (const id of decisions) if (id) this.decided++
  }
}
