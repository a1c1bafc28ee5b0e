/** Contract test of QueueStore and AdminStore: both kinds of store give the same answers after the same steps. */
import assert from 'node:assert/strict'
import { RedoxError } from '../../../src/errors'
import { ACTIONS, type Action, type DeliveryStore, type NewMessage } from '../../../src/queue/types'
import { NO_POSTGRES, skip } from '../../lib/skip'
import { LEVEL, POSTGRES, type Place } from '../stores'
import { DELIVERED, hold, idsOf, later, message, PARKED, START } from './store'

const SEEDS = 12
const STEPS = 60
const DESTINATIONS = ['a', 'b']
const SENDER = 'me'

/** Returns a function that returns the numbers of a fixed sequence, each from 0 up to a limit (Lehmer's generator). */
function sequenceOf(seed: number): (limit: number) => number {
  let state = seed
  return (limit) => {
    state = (state * 48_271) % 2_147_483_647
    return state % limit
  }
}

/** A call that is made to each store. Returns what the stores have to agree on. */
type Step = (store: DeliveryStore, now: number) => Promise<unknown>

/** Chooses the steps of a test. They depend only on the seed. */
class RandomSteps {
  readonly ids: string[] = []
  readonly #below: (limit: number) => number

  constructor(seed: number) {
    this.#below = sequenceOf(seed)
  }

  #one<T>(choice: readonly T[]): T {
    return choice[this.#below(choice.length)]!
  }

  /** Returns a step with its name, for the message of a failed comparison. */
  next(): [name: string, step: Step] {
    const kind = this.#below(10)
    if (this.ids.length < 3 || kind < 3) return this.#accept()
    if (kind < 5) return ['claim', async (store) => idsOf(await store.claim(hold({ holder: SENDER })))]
    if (kind < 8) return this.#settle()
    return kind === 8 && this.#below(3) === 0 ? this.#pause() : this.#decide()
  }

  #accept(): [string, Step] {
    const id = `m${this.ids.length}`
    const destination = this.#one(DESTINATIONS)
    const patient = this.#one([undefined, undefined, 'p', 'q'])
    const change: Partial<NewMessage> = {
      ...{ destination, ordered: patient !== undefined || this.#below(4) > 0 },
      ...(patient !== undefined && { orderKey: `${destination} ${patient}` }),
    }
    this.ids.push(id)
    const name = `accept ${id} ${JSON.stringify(change)}`
    return [name, (store, now) => store.accept(message(id, { ...change, acceptedAt: now }))]
  }

  #settle(): [string, Step] {
    const place = this.#below(5)
    const outcome = this.#one(['delivered', 'parked', 'later'])
    return [
      `settle ${place} ${outcome}`,
      async (store, now) => {
        const sending = await store.ids({}, ['sending'])
        const id = sending[place % sending.length]
        const settlement = { delivered: DELIVERED, parked: PARKED, later: later(now + 700) }[outcome]!
        if (id !== undefined) await store.settle(id, SENDER, settlement, now)
        return id
      },
    ]
  }

  #decide(): [string, Step] {
    const id = this.#one(this.ids)
    const action: Action = this.#one(ACTIONS.filter((one) => one !== 'extend'))
    return [
      `${action} ${id}`,
      (store, now) => store.applyAction(id, action, { who: 'ann', reason: 'x', now }),
    ]
  }

  #pause(): [string, Step] {
    const destination = this.#one(DESTINATIONS)
    const isPaused = this.#below(2) === 0
    const name = `${isPaused ? 'pause' : 'resume'} ${destination}`
    return [name, (store, now) => store.pause(destination, isPaused, { who: 'ann', reason: 'x', now })]
  }
}

/** Returns the result of a step, or the code with which the store refused it. */
async function resultOf(result: Promise<unknown>): Promise<unknown> {
  try {
    return await result
  } catch (error) {
    if (error instanceof RedoxError) return error.code
    throw error
  }
}

async function answersOf(store: DeliveryStore, ids: string[], now: number): Promise<object> {
  const waiting = [...(await store.waitingReasons(ids))].sort(([one], [other]) => (one < other ? -1 : 1))
  const isSending = (await store.ids({}, ['sending'])).length > 0
  const destinations = (await store.destinations()).map(({ owners, ...state }) => ({
    ...state,
    owners: [...owners].sort(),
  }))
  return {
    ...{ waiting, destinations, counts: await store.counts() },
    // With a lease, the stores may name its end, or not.
    ...(!isSending && { due: await store.nextDue(now, []) }),
  }
}

describe('stores of accepted messages: LevelDB and PostgreSQL give the same answers', function () {
  this.timeout(60_000)
  let places: Place[] = []
  let stores: DeliveryStore[] = []

  before(async function () {
    if (POSTGRES.missing() !== undefined) skip(this, NO_POSTGRES)
    await POSTGRES.start()
  })
  after(() => POSTGRES.stop())
  beforeEach(async () => {
    places = await Promise.all([LEVEL.place(), POSTGRES.place()])
    stores = await Promise.all(places.map((place) => place.open()))
  })
  afterEach(async () => {
    for (const store of stores) await store.close()
    for (const place of places) await place.remove()
  })

  for (let seed = 1; seed <= SEEDS; seed++)
    it(`after random steps, no. ${seed}`, async () => {
      const steps = new RandomSteps(seed)
      const made: string[] = []
      for (let count = 0; count < STEPS; count++) {
        const now = START + count * 300
        for (const place of places) await place.at(now)
        const [name, step] = steps.next()
        made.push(name)
        const [one, other] = await Promise.all(
          stores.map(async (store) => [
            await resultOf(step(store, now)),
            await answersOf(store, steps.ids, now),
          ]),
        )
        assert.deepEqual(one, other, `${made.join('\n')}\nthen the answers differ`)
      }
    })
})
