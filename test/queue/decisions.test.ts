/** Decisions about many messages at once, with both kinds of stores and without HTTP. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { SealedStore, type AttemptRecord, type Job } from '../../src/queue/jobs'
import {
  decideAll,
  matchingIds,
  type DecisionResult,
  type Decision,
  type MessageCriteria,
} from '../../src/queue/decisions'
import type { AuditLine } from '../../src/queue/audit'
import { MOVING, type Action, type StoredMessage } from '../../src/queue/types'
import { RedoxError } from '../../src/errors'
import { STORES, type Place } from './stores'
import { NO_POSTGRES, skip } from '../lib/skip'

const KEY = 'a key that cannot be guessed'
const HOUR = 3_600_000
const UNKNOWN = 'REDOX_OUTCOME_UNKNOWN'
const OTHER = 'REDOX_OTHER_ACCOUNT'
const DOWN = 'REDOX_UNAVAILABLE'

const parcel = (documentId: string, destination: string): Job => ({
  ...{ owner: 'node', environment: 'Development', account: 'an account', isText: false, msg: {} },
  message: {
    ...{ api: 'datamodel', operation: 'Notes:New', slug: '', attachments: [] },
    body: { Meta: { Destinations: [{ ID: destination }] }, Note: { DocumentID: documentId } },
  },
})

const failure = (code: string): NonNullable<AttemptRecord['error']> => ({
  code: code as NonNullable<AttemptRecord['error']>['code'],
  message: 'it failed',
  cause: {},
})

for (const kind of STORES)
  describe(`decisions about many messages: ${kind.name}`, function () {
    this.timeout(60_000)
    let place: Place
    let contents: SealedStore

    before(async function () {
      if (kind.missing() !== undefined) skip(this, NO_POSTGRES)
      await kind.start()
    })
    after(() => kind.stop())
    beforeEach(async () => {
      place = await kind.place()
      contents = await SealedStore.open(await place.open(), KEY)
    })
    afterEach(async () => {
      await contents.store.close()
      await place.remove()
    })

    async function accept(documentId: string, { at = Date.now(), destination = 'd' } = {}): Promise<string> {
      const id = `${documentId}-${randomUUID()}`
      const terms = { id, order: 'none' as const, acceptedAt: at, deadline: at + HOUR }
      await contents.store.accept(
        await contents.sealMessage(await contents.storeFiles(parcel(documentId, destination)), terms),
      )
      return id
    }
    const hold = () => ({
      ...{ holder: 'me', leaseMs: HOUR, limit: 1000, except: [] },
    })
    /** Accepts a message and brings it into this state. */
    async function ended(
      state: 'waiting' | 'parked' | 'delivered',
      reason: string,
      notes: Partial<AttemptRecord> = {},
    ): Promise<string> {
      const id = await accept(`doc-${state}-${reason}`)
      await contents.store.claim(hold())
      const sealed = await contents.sealRecord(id, { uploaded: {}, error: failure(reason), ...notes })
      const settlement = { state, reason, dueAt: Date.now() + HOUR, notes: sealed } as const
      await contents.store.settle(id, 'me', settlement, Date.now())
      return id
    }
    const parked = (reason: string, notes?: Partial<AttemptRecord>): Promise<string> =>
      ended('parked', reason, notes)
    const get = async (id: string): Promise<StoredMessage> =>
      (await contents.store.find({ id, limit: 1 }))[0]!
    const stateOf = async (id: string): Promise<string> => (await get(id)).state
    const decide = async (
      action: Action,
      filter: MessageCriteria = {},
      more: Partial<Decision> & { signal?: AbortSignal } = {},
    ): Promise<DecisionResult> => {
      const { signal, ...rest } = more
      const ids = await matchingIds(contents, filter, action)
      const decision = { action, reason: 'long outage', who: 'ann', ...rest }
      return decideAll(contents, ids, { ...decision, filter }, signal ? { signal } : {})
    }
    const audit = (): Promise<AuditLine[]> => contents.store.audit({ skip: 0, limit: 1000 })

    it('count messages that match the filter and have a state for the action', async () => {
      const early = Date.now() - HOUR
      await accept('waits', { at: early, destination: 'elsewhere' })
      await ended('waiting', DOWN)
      await parked('REDOX_REJECTED')
      await parked(DOWN)
      await ended('delivered', '')
      const held = await accept('held')
      await contents.store.claim(hold())
      const count = async (filter: MessageCriteria, action?: Action): Promise<number> =>
        (await matchingIds(contents, filter, action)).length
      assert.equal(await count({}), 6)
      assert.equal(await count({}, 'resend'), 2)
      assert.equal(await count({}, 'extend'), 3)
      assert.equal(await count({}, 'discard'), 5)
      assert.equal(await count({}, 'mark-delivered'), 5)
      assert.equal(await count({ state: 'delivered' }, 'resend'), 1)
      assert.equal(await count({ code: DOWN }), 2)
      assert.equal(await count({ code: DOWN, state: 'parked' }), 1)
      assert.equal(await count({ destination: 'datamodel elsewhere' }), 1)
      assert.equal(await count({ till: early }), 1)
      assert.equal(await count({ since: early + 1 }), 5)
      assert.equal(await count({ search: held }), 1)
      assert.equal(await count({ search: held }, 'resend'), 0)
      assert.equal(await count({ search: 'doc-parked-REDOX_REJECTED' }), 1)
      assert.equal(await count({ search: 'doc-' }), 0)
    })

    it('run in the order of acceptance, with a line of the audit log for each', async () => {
      const ids = []
      for (let times = 0; times < 5; times++) ids.push(await parked(DOWN))
      const other = await parked('REDOX_REJECTED')
      assert.deepEqual(await decide('resend', { code: DOWN }), { decided: 5, left: 0 })
      const lines = await audit()
      assert.deepEqual(
        lines.map(({ who, action, subject, reason }) => [who, action, subject, reason]),
        ids.map((id) => ['ann', 'resend', id, 'long outage']),
      )
      assert.deepEqual(await Promise.all(ids.map(stateOf)), Array(5).fill('waiting'))
      assert.equal(await stateOf(other), 'parked')
    })

    it('send no message again that may have arrived, unless the filter contains its code', async () => {
      const plain = await parked(DOWN)
      const unknown = await parked(UNKNOWN, { unknown: failure(UNKNOWN) })
      // Redox has possibly received an earlier attempt of this message, although the last error does not show it.
      const hidden = await parked(DOWN, { unknown: failure(UNKNOWN) })
      const late = await parked('REDOX_TIMEOUT', { unknown: failure(UNKNOWN) })
      const told = await parked(UNKNOWN)
      for (const filter of [{}, { state: 'parked' as const }, { code: 'REDOX_TIMEOUT' }, { search: hidden }])
        await decide('resend', filter)
      assert.equal(await stateOf(plain), 'waiting')
      const partial = await parked('REDOX_PARTIAL')
      const left = [unknown, hidden, late, told, partial]
      assert.deepEqual(await Promise.all(left.map(stateOf)), Array(5).fill('parked'))
      assert.deepEqual(await decide('resend', {}), { decided: 0, left: 5 })
      assert.deepEqual(await decide('resend', { code: UNKNOWN }), { decided: 2, left: 0 })
      assert.deepEqual([await stateOf(unknown), await stateOf(told)], ['waiting', 'waiting'])
      // No code is needed for the actions mark-delivered and discard, because they send nothing.
      assert.deepEqual(await decide('mark-delivered', { state: 'parked' }), { decided: 3, left: 0 })
    })

    it('send no message again that was discarded before it was known whether a request had arrived', async () => {
      const id = await accept('interrupted')
      const [{ dueAt }] = (await contents.store.claim(hold())) as [StoredMessage]
      await contents.store.recordRequestStart(id, 'me')
      await contents.store.renew('me', [id], 0)
      const notes = await contents.sealRecord(id, { uploaded: {} })
      await contents.store.setStatus(id, { state: 'waiting', dueAt, announced: false, notes })
      assert.deepEqual(await decide('discard'), { decided: 1, left: 0 })
      assert.deepEqual(await decide('resend', { state: 'discarded' }), { decided: 0, left: 1 })
    })

    it('send delivered or discarded messages again only if the filter contains the state', async () => {
      const delivered = await ended('delivered', '')
      const refused = await parked('REDOX_REJECTED')
      await decide('discard')
      const waits = await accept('waits')
      assert.deepEqual(await decide('resend'), { decided: 0, left: 0 })
      assert.deepEqual(await decide('resend', { state: 'waiting' }), { decided: 0, left: 1 })
      assert.deepEqual(await decide('resend', { state: 'discarded' }), { decided: 1, left: 0 })
      assert.deepEqual(await Promise.all([delivered, refused, waits].map(stateOf)), [
        'delivered',
        'waiting',
        'waiting',
      ])
      assert.deepEqual(await decide('resend', { state: 'delivered' }), { decided: 1, left: 0 })
    })

    it('mark or discard delivered messages only if a destination refused them', async () => {
      const [refused, accepted, open] = [
        await ended('delivered', 'x'),
        await ended('delivered', 'y'),
        await ended('delivered', 'z'),
      ]
      for (const [id, reason] of [
        [refused, 'REDOX_NOT_DELIVERED'],
        [accepted, 'accepted'],
      ] as const) {
        const { notes } = await get(id)
        assert.ok(await contents.store.recordVerdict(id, { reason, notes: notes!, seen: notes! }))
      }
      assert.deepEqual(await decide('mark-delivered', { state: 'delivered' }), { decided: 1, left: 2 })
      assert.equal((await get(refused)).reason, 'mark-delivered')
      const code = 'REDOX_NOT_DELIVERED'
      assert.deepEqual(await decide('discard', { state: 'delivered', code }), { decided: 0, left: 0 })
      assert.deepEqual(await Promise.all([accepted, open].map(stateOf)), ['delivered', 'delivered'])
    })

    it('send no message again that was refused after its delivery, and then discarded', async () => {
      const facts = { logIds: ['log-1'], locations: [] }
      const delivery = { status: 200, body: {}, facts } as unknown as NonNullable<AttemptRecord['delivery']>
      const id = await ended('delivered', 'x', { delivery })
      const { notes } = await get(id)
      await contents.store.recordVerdict(id, {
        ...{ reason: 'REDOX_NOT_DELIVERED', notes: notes!, seen: notes! },
      })
      const code = 'REDOX_NOT_DELIVERED'
      assert.equal((await decide('discard', { state: 'delivered', code })).decided, 1)
      // Destinations that have accepted it would get a second copy.
      assert.deepEqual(await decide('resend', { state: 'discarded' }), { decided: 0, left: 1 })
    })

    it('never send messages with another account when their own account is not known', async () => {
      const other = await parked(OTHER)
      assert.deepEqual(await decide('resend', {}, { otherAccount: true }), { decided: 0, left: 1 })
      assert.deepEqual(await decide('resend', { code: OTHER }, { otherAccount: true }), {
        ...{ decided: 1, left: 0 },
      })
      assert.equal((await contents.recordOf(await get(other))).allowedAccount, undefined)
    })

    it('extend waiting messages by hours from now, and leave those in flight', async () => {
      const held = await accept('held')
      await contents.store.claim(hold())
      const waits = await ended('waiting', DOWN)
      const over = await accept('over', { at: Date.now() - 5 * HOUR })
      const refused = await parked('REDOX_REJECTED')
      const { deadline } = await get(held)
      // The clock of a database can differ slightly from the clock of this process.
      const before = contents.store.clock.now()
      assert.deepEqual(await decide('extend', {}, { hours: 12.5 }), { decided: 1, left: 2 })
      await contents.store.settle(over, 'me', { state: 'waiting', dueAt: 0, reason: DOWN }, Date.now())
      assert.deepEqual(await decide('extend', { code: DOWN }, { hours: 12.5 }), { decided: 2, left: 0 })
      for (const id of [waits, over]) {
        const later = (await get(id)).deadline - before
        assert.ok(later >= 12.5 * HOUR && later < 13 * HOUR, String(later))
      }
      assert.equal((await get(held)).deadline, deadline)
      assert.equal((await get(refused)).state, 'parked')
      const lines = await audit()
      const until = /^long outage \(until (\S+Z)\)$/.exec(lines.at(-1)!.reason)?.[1]
      assert.ok(Math.abs(Date.parse(until!) - (await get(over)).deadline) <= 1000, until)
      // A deadline earlier than the present one changes nothing and writes no record in the audit log.
      const unchanged = { decided: 0, left: 2, unchanged: 2 }
      assert.deepEqual(await decide('extend', { code: DOWN }, { hours: 3 }), unchanged)
      assert.equal((await audit()).length, lines.length)
      for (const hours of [0, -1, 721, NaN, Infinity])
        await assert.rejects(decide('extend', {}, { hours }), RedoxError)
      await assert.rejects(decide('extend'), RedoxError)
    })

    it('can be limited to messages that have certainly not arrived, and say why each other is skipped', async () => {
      const plain = await parked(DOWN)
      const unknown = await parked(UNKNOWN, { unknown: failure(UNKNOWN) })
      const other = await parked(OTHER)
      const broken = await parked(DOWN)
      const standing = { state: 'parked', reason: DOWN, dueAt: 0, announced: true } as const
      await contents.store.setStatus(broken, { ...standing, notes: Buffer.from('not sealed at all') })
      const ids = [plain, unknown, other, broken, 'gone']
      const run = async (action: Action, onlyCertain: boolean): Promise<[object, string[][]]> => {
        const skipped: string[][] = []
        const decision = { action, reason: 'long outage', who: 'ann', filter: { state: 'parked' as const } }
        const onSkipped = (id: string, code: string): void => void skipped.push([id, code])
        return [await decideAll(contents, ids, decision, { onlyCertain, onSkipped }), skipped]
      }
      const lost = ['gone', 'REDOX_STORE_LOST']
      assert.deepEqual(await run('resend', false), [
        { decided: 1, left: 4 },
        [[unknown, UNKNOWN], [other, OTHER], [broken, 'REDOX_STORE_UNREADABLE'], lost],
      ])
      assert.deepEqual(await run('discard', true), [
        { decided: 1, left: 4 },
        [[plain, 'REDOX_STORE_LOST'], [unknown, UNKNOWN], [broken, 'REDOX_STORE_UNREADABLE'], lost],
      ])
      assert.deepEqual((await run('discard', false))[0], { decided: 2, left: 3 })
    })

    it('leave messages that are being moved to another store, and unreadable ones', async () => {
      const moving = await parked(DOWN)
      const { dueAt } = await get(moving)
      const notes = await contents.sealRecord(moving, { uploaded: {} })
      await contents.store.setStatus(moving, {
        state: 'parked',
        reason: MOVING,
        dueAt,
        announced: true,
        notes,
      })
      const broken = await parked(DOWN)
      const standing = { state: 'parked', reason: DOWN, dueAt, announced: true } as const
      await contents.store.setStatus(broken, { ...standing, notes: Buffer.from('not sealed at all') })
      const plain = await parked(DOWN)
      assert.deepEqual(await decide('resend'), { decided: 1, left: 2 })
      assert.equal(await stateOf(plain), 'waiting')
      // Discarding an unreadable message works, because its content is not needed.
      assert.deepEqual(await decide('discard', { state: 'parked' }), { decided: 1, left: 1 })
      assert.equal(await stateOf(broken), 'discarded')
      assert.equal((await get(moving)).reason, MOVING)
    })

    it('leave a message that no longer matches when its turn comes', async () => {
      const first = await parked(DOWN)
      const second = await parked(DOWN)
      const ids = await matchingIds(contents, { code: DOWN }, 'resend')
      await contents.store.applyAction(first, 'resend', { who: 'bob', reason: 'by hand', now: Date.now() })
      await contents.store.claim(hold())
      const refused = await contents.sealRecord(first, { uploaded: {} })
      const settlement = { state: 'parked', reason: 'REDOX_REJECTED', notes: refused } as const
      await contents.store.settle(first, 'me', settlement, Date.now())
      const decision = { action: 'resend', reason: 'long outage', who: 'ann' } as const
      const result = await decideAll(contents, ids, { ...decision, filter: { code: DOWN } })
      assert.deepEqual(result, { decided: 1, left: 1 })
      assert.deepEqual([await stateOf(first), await stateOf(second)], ['parked', 'waiting'])
    })

    it('leave the rest unchanged after a stop in the middle, and a second run completes them', async () => {
      const ids: string[] = []
      for (let times = 0; times < 60; times++) ids.push(await parked(DOWN))
      const before = await Promise.all(ids.map(get))
      const stop = new AbortController()
      const deciding = decide('discard', {}, { signal: stop.signal })
      while ((await audit()).length === 0);
      stop.abort()
      const { decided, left } = await deciding
      assert.equal(decided + left, 60)
      assert.ok(decided > 0 && left > 0)
      assert.deepEqual(await Promise.all(ids.slice(decided).map(get)), before.slice(decided))
      assert.equal((await audit()).length, decided)
      assert.deepEqual(await decide('discard'), { decided: left, left: 0 })
      assert.deepEqual(
        (await audit()).map(({ subject }) => subject),
        ids,
      )
    })

    it('stop when the store fails, and report the error', async () => {
      const ids: string[] = []
      for (let times = 0; times < 40; times++) ids.push(await parked(DOWN))
      const filter: MessageCriteria = { code: DOWN }
      const decision = { action: 'resend', reason: 'long outage', who: 'ann' } as const
      const deciding = decideAll(contents, ids, { ...decision, filter })
      while ((await audit()).length === 0);
      await contents.store.close()
      const { decided, left, stoppedBy } = await deciding
      assert.deepEqual([decided + left, stoppedBy], [40, 'REDOX_STORE_UNAVAILABLE'])
      assert.ok(decided > 0 && left > 0)
      await assert.rejects(decideAll(contents, ids, { ...decision, filter }), RedoxError)
      contents = await SealedStore.open(await place.open(), KEY)
      const counts = await contents.store.counts()
      assert.ok(counts.waiting === decided || counts.waiting === decided + 1)
      assert.equal((await audit()).length, counts.waiting)
      assert.deepEqual(await decide('resend', filter), { decided: 40 - counts.waiting, left: 0 })
    })
  })
