import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat, writeFile, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import type { BatchOperation, ClassicLevel } from 'classic-level'
import { RedoxError } from '../../errors'
import { Pace, type PaceKeeper, type RequestLog } from '../../transport/retry'
import { onTheWall, SteadyClock, type ClockReading, type StoreClock } from '../clock'
import {
  asFailure,
  closed,
  codeOf,
  cutShort,
  damaged,
  damagedStore,
  earlierCopy,
  failed,
  fileMissing,
  filesMissing,
  full,
  gone,
  lost,
  missing,
  notInPlace,
  openingFailed,
  otherStore,
} from './errors'
import {
  digits,
  hasDatabase,
  hasTraces,
  IdentityFile,
  namesIn,
  placeOf,
  readIdentity,
  syncFolder,
  writeIdentity,
} from './identity'
import { assertLogsIntact } from './log'
import { Reserve } from './reserve'
import {
  DECIDABLE,
  MOVING,
  STATES,
  UNTOLD_MS,
  type Action,
  type AuditLine,
  type Criteria,
  type DecisionTerms,
  type DeliveryStore,
  type Hold,
  type LaneState,
  type MessageState,
  type NewMessage,
  type Query,
  type Settlement,
  type Standing,
  type StoredMessage,
} from '../types'
import { areStorable, assertStorable, assertVersion, pageLost, textsOf } from '../store-errors'

type Database = ClassicLevel<string, Buffer>
type Change = BatchOperation<Database, string, Buffer>

/** A message without what is stored beside it. */
interface Row extends Omit<StoredMessage, 'content' | 'notes'> {
  /** its place in the order of acceptance */
  sequence: string
  /** milliseconds from its acceptance to its deadline */
  span: number
  /** who sends it, and until when */
  holder?: string
  heldUntil?: number
}

interface LaneCount {
  open: number
  parked: number
  /** how many of these, by the node that accepted them */
  owners: Map<string, number>
}
const NOTHING: Readonly<LaneCount> = { open: 0, parked: 0, owners: new Map() }

const VERSION = 2

// Keys, each sorted as text. Numbers are padded, what anybody may choose is escaped.
const escaped = (value: string): string => encodeURIComponent(value).replaceAll('!', '%21')
const KEY = {
  version: 'meta!version',
  mark: 'meta!mark',
  /** how late it was, see {@link SteadyClock} */
  clock: 'meta!clock',
  /** which store this is; the same as in its identity file */
  identity: 'meta!identity',
  /** how many times it was flushed; never less than in its identity file */
  flushed: 'meta!flushed',
  /** sequence of the last message that was accepted, and how many were forgotten: what is left has to add up */
  last: 'meta!last',
  forgotten: 'meta!forgotten',
  row: (id: string) => `row!${id}`,
  content: (id: string) => `content!${id}`,
  notes: (id: string) => `notes!${id}`,
  /** what waits or is being sent, in the order of acceptance */
  open: (lane: string, sequence: string) => `open!${escaped(lane)}!${sequence}`,
  /** what waits or is being sent, and what is ordered and parked: whatever is ordered comes after all before it */
  line: (lane: string, sequence: string) => `line!${escaped(lane)}!${sequence}`,
  /** what has no order and waits, by when it is due */
  due: (lane: string, dueAt: number, sequence: string) => `due!${escaped(lane)}!${digits(dueAt)}!${sequence}`,
  parked: (lane: string, sequence: string) => `parked!${escaped(lane)}!${sequence}`,
  state: (state: MessageState, sequence: string) => `state!${state}!${sequence}`,
  tag: (tag: string, sequence: string) => `tag!${escaped(tag)}!${sequence}`,
  untold: (owner: string, sequence: string) => `untold!${escaped(owner)}!${sequence}`,
  /** what may be forgotten one day, by when it ended */
  ended: (at: number, sequence: string) => `ended!${digits(at)}!${sequence}`,
  file: (name: string, id: string) => `file!${name}!${id}`,
  paused: (lane: string) => `paused!${escaped(lane)}`,
  audit: (number: number) => `audit!${digits(number)}`,
}
const under = (prefix: string): { gt: string; lt: string } => ({ gt: `${prefix}!`, lt: `${prefix}"` })
const bytes = (value: string): Buffer => Buffer.from(value, 'utf8')
const json = (value: unknown): Buffer => bytes(JSON.stringify(value))
const put = (key: string, value: Buffer): Change => ({ type: 'put', key, value })
const del = (key: string): Change => ({ type: 'del', key })

const isOpen = (state: MessageState): boolean => state === 'waiting' || state === 'sending'
const isForgettable = (state: MessageState): boolean => state === 'delivered' || state === 'discarded'

/**
 * The store of a single process: LevelDB for the messages, a folder for their files. One process has it open at a
 * time; what another one held when it ended is there to be claimed at once.
 */
export class LevelStore implements DeliveryStore {
  readonly #db: Database
  readonly #folder: string
  readonly #reserve: Reserve
  #identityFile: IdentityFile | undefined
  /** the files and folders that it was opened in */
  #place = ''
  readonly #counts = Object.fromEntries(STATES.map((state) => [state, 0])) as Record<MessageState, number>
  /** lanes that something is open or parked in */
  readonly #lanes = new Map<string, LaneCount>()
  readonly #requests: RequestLog = { pausedUntil: 0, made: [] }
  #sequence = 0
  #forgotten = 0
  #auditLines = 0
  /** not on the disk yet, or not any more: nobody may send them */
  readonly #unsure = new Map<string, 'writing' | 'failed'>()
  /** that somebody is telling of, and until when: whoever starts anew tells at once what is untold */
  readonly #telling = new Map<string, number>()
  /** files that have their names, but not on the disk yet */
  readonly #unsynced = new Set<string>()
  #claims = 0
  #flushed = 0
  #isBroken = false
  /** bytes that there was no room for when something was accepted last; 0: there was */
  #refused = 0
  /** it broke because the disk was full */
  #isFull = false
  #isClosed = false
  /** what reads and then writes goes one after the other */
  #last: Promise<unknown> = Promise.resolve()
  #disk: Promise<void> = Promise.resolve()

  private constructor(
    db: Database,
    folder: string,
    reserve: Reserve,
    /** random; of this store alone */
    readonly identity: string,
    readonly clock: StoreClock,
  ) {
    this.#db = db
    this.#folder = folder
    this.#reserve = reserve
  }

  /**
   * @param known the identity that is kept elsewhere; undefined: none, so that a store may be begun here
   * @param clock undefined: that of this process
   * @throws RedoxError
   */
  static async open(folder: string, known?: string, clock?: StoreClock): Promise<LevelStore> {
    const found = await readIdentity(folder)
    const isFirst = known === undefined && found === undefined && !(await hasTraces(folder))
    if (known !== undefined && found === undefined) throw gone()
    if (known !== undefined && found?.identity !== known) throw otherStore()
    if (isFirst) await makeFolders(folder)
    else if (!(await hasDatabase(folder))) throw gone()
    else await assertLogsIntact(path.join(folder, 'messages'), KEY.flushed)
    const reserve = await Reserve.of(folder)
    const options = { valueEncoding: 'buffer', writeBufferSize: reserve.writeBufferSize }
    const db: Database = new (await engine())(path.join(folder, 'messages'), options)
    const open = (): Promise<void> => db.open({ createIfMissing: isFirst }).catch(openingFailed)
    await open().catch(async (error: unknown) => {
      if (asFailure(error).code !== 'REDOX_STORE_FULL') throw error
      await reserve.giveUp()
      await open()
    })
    const identity = found?.identity ?? (await db.get(KEY.identity).catch(failed))?.toString() ?? randomUUID()
    const read = await db.get(KEY.clock).catch(failed)
    const last = read && (JSON.parse(read.toString()) as ClockReading)
    const store = new LevelStore(db, folder, reserve, identity, clock ?? new SteadyClock(last))
    try {
      await store.#begin(found === undefined)
      return store
    } catch (error) {
      await store.#release()
      throw error
    }
  }

  /** @param isNew it has no identity file yet */
  async #begin(isNew: boolean): Promise<void> {
    const version = await this.#get(KEY.version)
    // A folder that was just made has none yet.
    if (version !== undefined || !isNew) {
      const found = Number(version?.toString())
      assertVersion(found, VERSION)
      if (found < VERSION) await this.#upgrade()
    }
    if (isNew) {
      // The file comes last: where it is, LevelDB is there too.
      const mine = [put(KEY.version, bytes(String(VERSION))), put(KEY.identity, bytes(this.identity))]
      await this.#db.batch(mine, { sync: true }).catch(failed)
      await writeIdentity(this.#folder, { identity: this.identity, flushed: 0 })
    }
    await this.#recover()
    for (const row of await this.#rows('state!sending')) await this.#move([[row, { ...row, heldUntil: 0 }]])
    await this.#reserve.hasRoomFor(0)
  }

  /** From version 1, in which a message that is being sent has the state `held`. All or nothing. */
  async #upgrade(): Promise<void> {
    const rows = await this.#rows('state!held')
    const changes = rows.flatMap((row) => [
      del(`state!held!${row.sequence}`),
      put(KEY.state('sending', row.sequence), bytes(row.id)),
      put(KEY.row(row.id), json({ ...row, state: 'sending' })),
    ])
    const version = put(KEY.version, bytes(String(VERSION)))
    await this.#db.batch([...changes, version], { sync: true }).catch(failed)
  }

  /** Checks what is on the disk, and counts it. */
  async #recover(): Promise<void> {
    await this.#closeIdentity()
    this.#identityFile = await IdentityFile.open(this.#folder)
    const { identity, flushed } = (await readIdentity(this.#folder))!
    const own = (await this.#get(KEY.identity))?.toString()
    if (identity !== this.identity || own !== this.identity) throw otherStore()
    const number = async (key: string): Promise<number> => Number((await this.#get(key))?.toString() ?? 0)
    // The flush that met a write that failed may be unreadable: it was behind that one.
    if ((await number(KEY.flushed)) < flushed - Number(this.#isBroken)) throw cutShort()
    this.#flushed = Math.max(this.#flushed, await number(KEY.flushed))
    await this.#recount()
    await this.#assertFiles()
    await mkdir(this.#files, { recursive: true, mode: 0o700 }).catch(failed)
    const place = await placeOf(this.#folder)
    if (place === undefined) throw notInPlace()
    this.#place = place
  }

  async #closeIdentity(): Promise<void> {
    const file = this.#identityFile
    this.#identityFile = undefined
    // What it was told last was synced then.
    await file?.close().catch(() => undefined)
  }

  async #recount(): Promise<void> {
    const number = async (key: string): Promise<number> => Number((await this.#get(key))?.toString() ?? 0)
    let found = 0
    let last = 0
    for (const state of STATES) {
      this.#counts[state] = 0
      for await (const key of this.#keys(`state!${state}`)) {
        this.#counts[state]++
        found++
        last = Math.max(last, Number(lastOf(key)))
      }
    }
    this.#lanes.clear()
    for (const index of ['open', 'parked']) for await (const row of this.#each(index)) this.#countIn(row, 1)
    this.#sequence = Math.max(last, await number(KEY.last))
    this.#forgotten = await number(KEY.forgotten)
    // LevelDB leaves out what it cannot read of its log, without a word.
    if (found !== this.#sequence - this.#forgotten) throw missing(this.#sequence - this.#forgotten - found)
    const [lastLine] = await this.#db.keys({ ...under('audit'), reverse: true, limit: 1 }).all()
    this.#auditLines = lastLine === undefined ? 0 : Number(lastOf(lastLine))
  }

  /** Of what is still to be sent or decided each file has to be there, but where that is known already. */
  async #assertFiles(): Promise<void> {
    const there = new Set(await namesIn(this.#files))
    const without = new Set<string>()
    for await (const key of this.#keys('file')) {
      const [, name, id] = key.split('!')
      if (there.has(name!) || without.has(id!)) continue
      const row = await this.#row(id!)
      if (row && !isForgettable(row.state) && row.reason !== 'REDOX_STORE_LOST') without.add(id!)
    }
    if (without.size > 0) throw filesMissing(without.size)
  }

  // ---- Accepting and sending --------------------------------------------------------------------------

  mark(own: Buffer): Promise<Buffer> {
    return this.#reliably(async () => {
      const known = await this.#get(KEY.mark)
      if (known === undefined) await this.#write([put(KEY.mark, own)])
      return known ?? own
    })
  }

  accept(message: NewMessage): Promise<void> {
    return this.#take({
      ...message,
      ...{ state: 'waiting', attempts: 0, dueAt: 0, begun: false, told: false },
    })
  }

  async #take(message: StoredMessage): Promise<void> {
    assertStorable(...textsOf(message))
    const { id } = message
    // Its repair looks after it as well. The turn may come later than the answer.
    const inPlace = this.#isBroken ? Promise.resolve() : this.#assertInPlace()
    inPlace.catch(() => undefined)
    let isNew = false
    try {
      await this.#reliably(async () => {
        await inPlace
        const isKnown = (await this.#row(id)) !== undefined
        isNew = !isKnown || this.#unsure.has(id)
        if (isNew) this.#unsure.set(id, 'writing')
        if (!isKnown) await this.#add(message)
      })
      this.#refused = 0
      this.#unsure.delete(id)
    } catch (error) {
      // Whoever brought it hears that it was not accepted, and may bring it again.
      if (isNew) this.#unsure.set(id, 'failed')
      await this.#alone(async () => {
        await this.#forgetFailed()
        for (const name of message.files) await this.#removeUnused(name)
      }).catch(() => undefined)
      throw error
    }
  }

  /** Resolves when messages can be accepted. On a full disk it forgets what is done before its time. */
  async check(): Promise<void> {
    await this.#alone(() => this.#assertInPlace())
    if (!(await this.#reserve.hasRoomFor(this.#refused))) await this.#makeRoom()
    await this.#assertRoom(this.#refused)
    this.#refused = 0
  }

  /** By what is done and told, oldest first. */
  async #makeRoom(): Promise<void> {
    for (let times = 0; times < FORGETTINGS; times++) {
      const ids = await this.#ended(this.clock.now(), ({ told }) => told, FORGOTTEN_AT_ONCE)
      if (ids.length === 0) return
      await this.#alone(() => this.#forgetAll(ids))
      if (await this.#reserve.hasRoomFor(this.#refused)) return
      // What is forgotten takes its place until LevelDB has written its neighbours anew.
      await this.#db.compactRange('content!', under('content').lt).catch(failed)
      if (await this.#reserve.hasRoomFor(this.#refused)) return
    }
  }

  /** @param written of the same, already */
  async #assertRoom(bytes: number, written = 0): Promise<void> {
    if (await this.#reserve.hasRoomFor(bytes)) return
    this.#refused = written + bytes
    throw full()
  }

  /** On a full disk it may take until there is room. */
  async #forgetFailed(): Promise<void> {
    const ids = [...this.#unsure].flatMap(([id, state]) => (state === 'failed' ? [id] : []))
    await this.#forgetAll(ids)
    for (const id of ids) this.#unsure.delete(id)
  }

  async #add({ content, notes, ...known }: StoredMessage): Promise<void> {
    await this.#assertRoom(content.length)
    for (const name of known.files) if (!(await this.hasFile(name))) throw lost(`the file ${name}`)
    const sequence = digits(this.#sequence + 1)
    const row: Row = { ...known, sequence, span: known.deadline - known.acceptedAt }
    const changes = [
      put(KEY.row(row.id), json(row)),
      put(KEY.content(row.id), content),
      ...(notes ? [put(KEY.notes(row.id), notes)] : []),
      put(KEY.last, bytes(sequence)),
      ...places(row).map((key) => put(key, bytes(row.id))),
      ...row.tags.map((tag) => put(KEY.tag(tag, sequence), bytes(row.id))),
      ...row.files.map((name) => put(KEY.file(name, row.id), bytes(row.id))),
    ]
    const count = (): void => {
      this.#sequence++
      this.#count(row, 1)
    }
    await this.#write(changes, count, () => this.#assertRoom(content.length))
  }

  claim({ holder, leaseMs, limit, except }: Hold & { except: string[] }): Promise<StoredMessage[]> {
    return this.#alone(async () => {
      await this.#forgetFailed()
      const now = this.clock.now()
      await this.#releaseLate(now)
      const rows = await this.#claimable(now, limit, except)
      const held = rows.map((row): Row => ({ ...row, state: 'sending', holder, heldUntil: now + leaseMs }))
      // If this is forgotten in a power failure, they wait as before: what counts is written before a request begins.
      await this.#move(rows.map((row, at) => [row, held[at]!]))
      return Promise.all(held.map((row) => this.#whole(row)))
    })
  }

  async #releaseLate(now: number): Promise<void> {
    const held = await this.#rows('state!sending')
    const late = held.filter(({ heldUntil = 0 }) => heldUntil <= now)
    await this.#move(late.map((row) => [row, { ...released(row), state: 'waiting' }]))
  }

  /** A few of each lane in turn, so that none uses up the limit. */
  async #claimable(now: number, limit: number, except: string[]): Promise<Row[]> {
    const lanes = await this.#openLanes(except)
    const busy = await this.#busyLanes()
    const due = await Promise.all(lanes.map((lane) => this.#dueIn(lane, busy, now, limit)))
    const inTurn = Array.from({ length: limit }, (_, at) => due.flatMap((rows) => rows[at] ?? [])).flat()
    return inOrder(inTurn.slice(0, limit))
  }

  async #dueIn(lane: string, busy: Set<string>, now: number, limit: number): Promise<Row[]> {
    const next = busy.has(lane) ? undefined : await this.#nextOrdered(lane)
    const range = { gt: `due!${escaped(lane)}!`, lt: `due!${escaped(lane)}!${digits(now)}"` }
    const free = (await this.#rowsIn(range, limit)).filter(({ id }) => !this.#unsure.has(id))
    return [...(next && next.dueAt <= now ? [next] : []), ...free]
  }

  /** Lanes that an ordered message is being sent to. */
  async #busyLanes(): Promise<Set<string>> {
    const held = await this.#rows('state!sending')
    return new Set(held.flatMap(({ ordered, lane }) => (ordered ? [lane] : [])))
  }

  /** The ordered message that is to be sent next: nothing before it is open or parked. */
  async #nextOrdered(lane: string): Promise<Row | undefined> {
    const [first] = await this.#rows(`line!${escaped(lane)}`, 1)
    return first?.ordered && first.state === 'waiting' && !this.#unsure.has(first.id) ? first : undefined
  }

  /** Each time another one comes first, so that none waits for ever behind others. */
  async #openLanes(except: string[]): Promise<string[]> {
    const paused = await this.#pausedLanes()
    const lanes = [...this.#lanes].flatMap(([lane, { open }]) =>
      open > 0 && !except.includes(lane) && !paused.has(lane) ? [lane] : [],
    )
    const first = lanes.length === 0 ? 0 : this.#claims++ % lanes.length
    return [...lanes.slice(first), ...lanes.slice(0, first)]
  }

  /** It is open, which no other process can have it meanwhile. */
  touch(): Promise<void> {
    return Promise.resolve()
  }

  renew(holder: string, ids: string[], leaseMs: number): Promise<void> {
    return this.#alone(async () => {
      const heldUntil = this.clock.now() + leaseMs
      const rows = await Promise.all(ids.map((id) => this.#row(id)))
      const held = rows.filter((row) => row?.state === 'sending' && row.holder === holder) as Row[]
      await this.#write(held.map((row) => put(KEY.row(row.id), json({ ...row, heldUntil }))))
    })
  }

  begin(id: string, holder: string): Promise<void> {
    return this.#durably(async () => {
      const row = await this.#held(id, holder)
      await this.#write([put(KEY.row(id), json({ ...row, begun: true }))])
    })
  }

  note(id: string, holder: string, notes: Buffer): Promise<void> {
    return this.#durably(async () => {
      await this.#held(id, holder)
      await this.#write([put(KEY.notes(id), notes)])
    })
  }

  settle(id: string, holder: string, settlement: Settlement, now: number): Promise<void> {
    return this.#durably(async () => {
      const row = await this.#held(id, holder)
      const { notes, ...change } = settlement
      const { reason: _reason, ...kept } = released(row)
      const ended = change.state === 'waiting' ? {} : { endedAt: now, told: false }
      const next = { ...kept, ...change, ...ended, begun: false, attempts: row.attempts + 1 }
      await this.#move([[row, next]], notes ? [put(KEY.notes(id), notes)] : [])
      this.#telling.delete(id)
    })
  }

  async nextDue(now: number, except: string[]): Promise<number | undefined> {
    const times: number[] = []
    const busy = await this.#busyLanes()
    for (const lane of await this.#openLanes(except)) {
      const next = busy.has(lane) ? undefined : await this.#nextOrdered(lane)
      const [free] = await this.#rows(`due!${escaped(lane)}`, 1)
      times.push(...[next, free].flatMap((row) => row?.dueAt ?? []))
    }
    return times.length === 0 ? undefined : Math.max(now, Math.min(...times))
  }

  // ---- Telling the nodes ------------------------------------------------------------------------------

  untold({ leaseMs, limit, owners }: Hold & { owners: string[] }): Promise<StoredMessage[]> {
    return this.#alone(async () => {
      const now = this.clock.now()
      const rows: Row[] = []
      for (const owner of owners) rows.push(...(await this.#untoldOf(owner, now, limit)))
      const taken = inOrder(rows).slice(0, limit)
      for (const { id } of taken) this.#telling.set(id, now + leaseMs)
      return Promise.all(taken.map((row) => this.#whole(row)))
    })
  }

  async #untoldOf(owner: string, now: number, limit: number): Promise<Row[]> {
    const rows: Row[] = []
    for await (const id of this.#db.values(under(`untold!${escaped(owner)}`))) {
      const row = await this.#row(id.toString())
      if (row && (this.#telling.get(row.id) ?? 0) <= now && rows.push(row) === limit) break
    }
    return rows
  }

  markTold(id: string): Promise<void> {
    return this.#alone(async () => {
      const row = await this.#row(id)
      if (row && !row.told) await this.#move([[row, { ...row, told: true }]])
      this.#telling.delete(id)
    })
  }

  leaveUntold(id: string): Promise<void> {
    return this.#alone(() => Promise.resolve(void this.#telling.delete(id)))
  }

  // ---- Moving to another store ------------------------------------------------------------------------

  adopt(message: StoredMessage): Promise<void> {
    return this.#take(message)
  }

  restate(id: string, { notes, ...standing }: Standing & { notes: Buffer }, line?: AuditLine): Promise<void> {
    return this.#reliably(async () => {
      const row = await this.#row(id)
      if (!row || (row.heldUntil ?? 0) > this.clock.now()) throw lost(`the message ${id}`)
      const { reason: _reason, endedAt: _endedAt, ...kept } = released(row)
      const also = [put(KEY.notes(id), notes), ...(line ? [this.#auditLine(line)] : [])]
      await this.#move([[row, { ...kept, ...standing }]], also)
    })
  }

  remove(id: string): Promise<void> {
    return this.#alone(() => this.#forgetAll([id]))
  }

  // ---- Looking and deciding ---------------------------------------------------------------------------

  async find({ limit, ...wanted }: Query): Promise<StoredMessage[]> {
    if (!areStorable(wanted)) return []
    const found: Row[] = []
    for (const prefix of prefixesOf(wanted)) {
      let ofPrefix = 0
      for await (const row of this.#matching(prefix, wanted)) {
        found.push(row)
        if (++ofPrefix >= limit) break
      }
    }
    const sorted = inOrder(found)
    if (wanted.newestFirst) sorted.reverse()
    return Promise.all(sorted.slice(0, limit).map((row) => this.#whole(row)))
  }

  async ids(criteria: Criteria, states: readonly MessageState[]): Promise<string[]> {
    if (!areStorable(criteria)) return []
    const found: Pick<Row, 'id' | 'sequence'>[] = []
    for (const state of states) {
      const wanted = { ...criteria, state }
      for (const prefix of prefixesOf(wanted))
        for await (const { id, sequence } of this.#matching(prefix, wanted)) found.push({ id, sequence })
    }
    return inOrder(found).map(({ id }) => id)
  }

  async #sequenceOf(id: string): Promise<string> {
    const row = await this.#row(id)
    if (row) return row.sequence
    throw pageLost()
  }

  /** In the order of acceptance, or against it. */
  async *#matching(prefix: string, wanted: Omit<Query, 'limit'>): AsyncGenerator<Row> {
    const { after: before, newestFirst: reverse = false } = wanted
    const after = before === undefined ? undefined : await this.#sequenceOf(before)
    const from = after === undefined ? {} : { [reverse ? 'lt' : 'gt']: `${prefix}!${after}` }
    const isBehind = ({ sequence }: Row): boolean =>
      after === undefined || (reverse ? sequence < after : sequence > after)
    const places = { ...under(prefix), ...from, reverse }
    try {
      for await (const id of wanted.id === undefined ? this.#db.values(places) : [wanted.id]) {
        const row = await this.#row(id.toString())
        if (row && isWanted(row, wanted) && isBehind(row)) yield row
      }
    } catch (error) {
      // The store may be closed meanwhile.
      failed(error)
    }
  }

  async lanes(): Promise<LaneState[]> {
    const paused = await this.#pausedLanes()
    const lanes = new Set([...this.#lanes.keys(), ...paused])
    return Promise.all([...lanes].sort().map((lane) => this.#laneState(lane, paused.has(lane))))
  }

  async #laneState(lane: string, paused: boolean): Promise<LaneState> {
    const [oldest] = await this.#rows(`open!${escaped(lane)}`, 1)
    const [first] = await this.#rows(`line!${escaped(lane)}`, 1)
    const { open, parked, owners } = this.#lanes.get(lane) ?? NOTHING
    return {
      ...{ lane, open, parked, owners: [...owners.keys()], paused },
      ...(oldest && { oldest: oldest.acceptedAt }),
      ...(first?.state === 'parked' && { blockedBy: { id: first.id, reason: first.reason ?? '' } }),
    }
  }

  counts(): Promise<Record<MessageState, number>> {
    return Promise.resolve({ ...this.#counts })
  }

  decide(
    id: string,
    action: Action,
    reason: string,
    who: string,
    now: number,
    { notes, deadline, seen }: DecisionTerms = {},
  ): Promise<void> {
    return this.#reliably(async () => {
      const row = await this.#row(id)
      const isPossible = row && DECIDABLE[action].includes(row.state) && row.reason !== MOVING
      const isFutile = action === 'extend' && (deadline ?? 0) <= (row?.deadline ?? 0)
      if (!isPossible || isFutile || (seen && !standsAs(row, seen))) throw lost(`the message ${id}`)
      if (action === 'resend')
        for (const name of row.files) if (!(await this.hasFile(name))) throw fileMissing()
      const line = this.#auditLine({ at: this.#wall(now), who, action, subject: id, reason })
      const also = notes ? [line, put(KEY.notes(id), notes)] : [line]
      await this.#move([[row, decided(row, action, now, deadline)]], also)
    })
  }

  async pause(lane: string, isPaused: boolean, reason: string, who: string, now: number): Promise<void> {
    assertStorable(lane)
    const key = KEY.paused(lane)
    const at = this.#wall(now)
    const line = { at, who, action: isPaused ? 'pause' : 'resume', subject: lane, reason } as const
    await this.#reliably(() =>
      this.#write([isPaused ? put(key, bytes(lane)) : del(key), this.#auditLine(line)]),
    )
  }

  looked(id: string, reason: string, who: string, now: number): Promise<void> {
    return this.#reliably(() =>
      this.#write([this.#auditLine({ at: this.#wall(now), who, action: 'look', subject: id, reason })]),
    )
  }

  begun(setAside: string, reason: string, who: string, now: number): Promise<void> {
    return this.#reliably(() =>
      this.#write([
        this.#auditLine({ at: this.#wall(now), who, action: 'begin-new', subject: setAside, reason }),
      ]),
    )
  }

  #wall(time: number): number {
    return onTheWall(this.clock, time)
  }

  #auditLine(line: AuditLine): Change {
    return put(KEY.audit(++this.#auditLines), json(line))
  }

  async audit({ skip, limit }: { skip: number; limit: number }): Promise<AuditLine[]> {
    const range = { gt: KEY.audit(skip), lt: under('audit').lt, limit }
    const lines = await this.#db.values(range).all().catch(failed)
    return lines.map((line) => JSON.parse(line.toString()) as AuditLine)
  }

  // ---- Files ------------------------------------------------------------------------------------------

  async putFile(name: string, chunks: AsyncIterable<Buffer>): Promise<void> {
    if (await this.hasFile(name)) return
    await this.#assertInPlace()
    const draft = path.join(this.#files, `${UNFINISHED}${randomUUID()}`)
    let broken: { error: unknown } | undefined
    const room = (bytes: number, written: number): Promise<void> => this.#assertRoom(bytes, written)
    const framed = framesOf(chunks, room, (error) => (broken = { error }))
    try {
      const handle = await open(draft, 'wx', 0o600)
      try {
        await writeFile(handle, framed)
        await handle.sync()
      } finally {
        await handle.close()
      }
      if (!(await this.#isThere(name))) this.#unsynced.add(name)
      await rename(draft, this.#fileOf(name))
      await syncFolder(this.#files)
    } catch (error) {
      await rm(draft, { force: true }).catch(() => undefined)
      // No fault of the store.
      if (broken) throw broken.error
      // Windows does not replace a file that is being read; it is the same file.
      if (!(await this.hasFile(name))) failed(error)
    } finally {
      this.#unsynced.delete(name)
    }
  }

  async hasFile(name: string): Promise<boolean> {
    return !this.#unsynced.has(name) && this.#isThere(name)
  }

  #isThere(name: string): Promise<boolean> {
    return stat(this.#fileOf(name)).then(
      () => true,
      () => false,
    )
  }

  async *readFile(name: string): AsyncGenerator<Buffer> {
    const handle = await open(this.#fileOf(name), 'r').catch((error: unknown) =>
      codeOf(error) === 'ENOENT' ? this.#noFile() : failed(error),
    )
    try {
      for (;;) {
        const header = await readFully(handle, HEADER)
        if (header.length === 0) return
        const length = header.length < HEADER ? Infinity : header.readUInt32BE()
        const chunk = length > LONGEST_CHUNK ? header : await readFully(handle, length)
        if (chunk.length !== length) throw damaged()
        yield chunk
      }
    } finally {
      await handle.close()
    }
  }

  /** While the folder is away it is not missing, and its message waits. */
  async #noFile(): Promise<never> {
    await this.#assertInPlace()
    throw fileMissing()
  }

  get #files(): string {
    return path.join(this.#folder, 'files')
  }

  // Names come from the seal; none may lead elsewhere.
  #fileOf(name: string): string {
    return path.join(this.#files, path.basename(name))
  }

  // ---- Forgetting -------------------------------------------------------------------------------------

  async purge(before: number, now: number): Promise<number> {
    const isOld = ({ told, endedAt = 0 }: Row): boolean => told || endedAt < now - UNTOLD_MS
    let purged = 0
    for (;;) {
      const ids = await this.#ended(before, isOld, FORGOTTEN_AT_ONCE)
      if (ids.length === 0) break
      await this.#alone(() => this.#forgetAll(ids))
      purged += ids.length
    }
    await this.#sweep(now)
    return purged
  }

  /** What ended before, oldest first. */
  async #ended(before: number, isWanted: (row: Row) => boolean, limit: number): Promise<string[]> {
    const ids: string[] = []
    for await (const id of this.#db.values({ gt: 'ended!', lt: `ended!${digits(before)}` })) {
      const row = await this.#row(id.toString())
      if (row && isWanted(row) && ids.push(row.id) === limit) break
    }
    return ids
  }

  /** Their files go when it is certain that they are forgotten: in a power failure none comes back without its file. */
  async #forgetAll(ids: string[]): Promise<void> {
    const files = new Set<string>()
    let isAny = false
    for (const id of ids) {
      const row = await this.#row(id)
      if (row === undefined) continue
      await this.#forget(row)
      isAny = true
      for (const name of row.files) files.add(name)
    }
    if (isAny) await this.#sync()
    for (const name of files) await this.#removeUnused(name)
  }

  async #forget(row: Row): Promise<void> {
    const changes = [
      put(KEY.forgotten, bytes(digits(this.#forgotten + 1))),
      ...[KEY.row(row.id), KEY.content(row.id), KEY.notes(row.id)].map(del),
      ...places(row).map(del),
      ...row.tags.map((tag) => del(KEY.tag(tag, row.sequence))),
      ...row.files.map((name) => del(KEY.file(name, row.id))),
    ]
    await this.#write(changes, () => {
      this.#forgotten++
      this.#count(row, -1)
    })
  }

  async #removeUnused(name: string): Promise<void> {
    const [used] = await this.#db
      .keys({ ...under(`file!${name}`), limit: 1 })
      .all()
      .catch(failed)
    // Another store's folder may be here meanwhile.
    await this.#assertInPlace()
    if (used === undefined) await rm(this.#fileOf(name), { force: true }).catch(failed)
  }

  /** Files that were never finished, or whose message was never accepted. */
  async #sweep(now: number): Promise<void> {
    const used = new Set<string>()
    for await (const key of this.#keys('file')) used.add(key.split('!')[1]!)
    await this.#assertInPlace()
    // A file has its time from the clock on the wall, which may have been set meanwhile.
    const before = Math.min(now, this.#wall(now)) - NEW_FILE_MS
    for (const name of await readdir(this.#files).catch(failed)) {
      if (used.has(name)) continue
      const facts = await stat(this.#fileOf(name)).catch(() => undefined)
      // One that was stored just now may belong to a message that is about to be accepted.
      if (facts && facts.mtimeMs < before) await this.#alone(() => this.#removeUnused(name))
    }
  }

  pace(perFiveMinutes: number): PaceKeeper {
    return new Pace(perFiveMinutes, this.#requests)
  }

  async close(): Promise<void> {
    await this.#last
    this.#isClosed = true
    await this.#flush().catch(() => undefined)
    await this.#release()
  }

  async #release(): Promise<void> {
    await this.#closeIdentity()
    await this.#db.close().catch(failed)
  }

  // ---- Rows -------------------------------------------------------------------------------------------

  #get(key: string): Promise<Buffer | undefined> {
    return this.#db.get(key).catch(failed)
  }

  #keys(prefix: string): AsyncIterable<string> {
    return this.#db.keys(under(prefix))
  }

  async #row(id: string): Promise<Row | undefined> {
    const found = await this.#get(KEY.row(id))
    return found && rowOf(found)
  }

  async *#each(prefix: string): AsyncGenerator<Row> {
    for await (const id of this.#db.values(under(prefix))) {
      const row = await this.#row(id.toString())
      if (row) yield row
    }
  }

  #rows(prefix: string, limit = -1): Promise<Row[]> {
    return this.#rowsIn(under(prefix), limit)
  }

  async #rowsIn(range: { gt: string; lt: string }, limit: number): Promise<Row[]> {
    const ids = await this.#db
      .values({ ...range, limit })
      .all()
      .catch(failed)
    const rows = await Promise.all(ids.map((id) => this.#row(id.toString())))
    return rows.filter((row) => row !== undefined)
  }

  async #whole({ sequence: _q, span: _s, holder: _h, heldUntil: _u, ...row }: Row): Promise<StoredMessage> {
    const [content, notes] = await this.#db.getMany([KEY.content(row.id), KEY.notes(row.id)]).catch(failed)
    return { ...row, content: content!, ...(notes && { notes }) }
  }

  async #held(id: string, holder: string): Promise<Row> {
    const row = await this.#row(id)
    if (row?.state !== 'sending' || row.holder !== holder) throw lost(`the message ${id}`)
    return row
  }

  async #pausedLanes(): Promise<Set<string>> {
    const lanes = await this.#db.values(under('paused')).all().catch(failed)
    return new Set(lanes.map(String))
  }

  async #move(rows: [from: Row, to: Row][], also: Change[] = []): Promise<void> {
    const changes = rows.flatMap(([from, to]) => [
      ...places(from).map(del),
      ...places(to).map((key) => put(key, bytes(to.id))),
      put(KEY.row(to.id), json(to)),
    ])
    await this.#write([...changes, ...also], () => {
      for (const [from, to] of rows) {
        this.#count(from, -1)
        this.#count(to, 1)
      }
    })
  }

  #count(row: Row, more: 1 | -1): void {
    this.#counts[row.state] += more
    this.#countIn(row, more)
  }

  #countIn({ lane, owner, state }: Row, more: 1 | -1): void {
    if (isForgettable(state)) return
    const known = this.#lanes.get(lane) ?? { open: 0, parked: 0, owners: new Map<string, number>() }
    if (state === 'parked') known.parked += more
    else known.open += more
    const ofOwner = (known.owners.get(owner) ?? 0) + more
    if (ofOwner > 0) known.owners.set(owner, ofOwner)
    else known.owners.delete(owner)
    if (known.owners.size > 0) this.#lanes.set(lane, known)
    else this.#lanes.delete(lane)
  }

  /**
   * All or nothing. Survives this process at once, and a power failure after the next {@link #flush}. On a full disk it
   * is written where the reserve was.
   * @param count what is counted when it was written
   * @param isAllowed rejects if the reserve may not be used
   */
  async #write(
    changes: Change[],
    count = (): void => undefined,
    isAllowed = (): Promise<void> => Promise.resolve(),
  ): Promise<void> {
    if (changes.length === 0) return
    try {
      await this.#db.batch(changes)
    } catch (error) {
      if (!this.#isFullBy(error)) failed(error)
      await this.#repair()
      await isAllowed()
      await this.#db.batch(changes).catch((again: unknown) => this.#broken(again))
      return this.#recount()
    }
    count()
  }

  #broken(error: unknown): never {
    this.#isFullBy(error)
    return failed(error)
  }

  #isFullBy(error: unknown): boolean {
    this.#isBroken = true
    return (this.#isFull ||= asFailure(error).code === 'REDOX_STORE_FULL')
  }

  /** After a failed write LevelDB refuses all others until it is opened anew. Until it can be, it stays readable. */
  async #repair(): Promise<void> {
    if (this.#isClosed) throw closed()
    if (!this.#isBroken) return
    const found = (await placeOf(this.#folder)) === undefined ? undefined : await readIdentity(this.#folder)
    if (found?.identity !== this.identity) throw notInPlace()
    if (found.flushed < this.#flushed) throw earlierCopy()
    if (this.#isFull) await this.#reserve.giveUp()
    await this.#reserve.assertRoomToOpen(path.join(this.#folder, 'messages'))
    await this.#withDisk(async () => {
      await this.#db.close().catch(failed)
      await this.#db.open({ createIfMissing: false }).catch(openingFailed)
      await this.#recover()
    })
    this.#isBroken = this.#isFull = false
  }

  /** What is written now is found again under the path of the store. */
  readonly #assertInPlace = shared(async () => {
    const place = await placeOf(this.#folder)
    if (place === this.#place) return
    // What came back as other files, e.g. a copy, is opened before anything else is written.
    if (place !== undefined && (await readIdentity(this.#folder))?.identity === this.identity)
      this.#isBroken = true
    throw notInPlace()
  })

  #alone<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(() => this.#repair()).then(task)
    this.#last = result.catch(() => undefined)
    return result
  }

  /** As {@link #alone}, and on the disk when it resolves. */
  async #durably<T>(task: () => Promise<T>): Promise<T> {
    const result = await this.#alone(task)
    await this.#flush()
    return result
  }

  /**
   * As {@link #durably}, and found again: for what is accepted and decided. What is on its way goes on without, as far
   * as LevelDB can read and write the files that it has open.
   */
  async #reliably<T>(task: () => Promise<T>): Promise<T> {
    const result = await this.#alone(task)
    await Promise.all([this.#flush(), this.#assertInPlace()])
    return result
  }

  /**
   * Waits for the disk, once for all who have written by then: the log is written in order, so that the last record
   * of it brings all before it along. Nobody holds up others meanwhile.
   */
  readonly #flush = shared(async () => {
    try {
      // Behind a record that was not written as a whole LevelDB reads no other.
      if (!this.#isBroken) return await this.#sync()
    } catch (error) {
      if (!this.#isFull) throw error
    }
    // Repaired, and the reserve given up, before the next task.
    await this.#alone(() => this.#sync())
  })

  #reading(): ClockReading {
    return { now: this.clock.now(), ahead: this.clock.ahead }
  }

  /** The identity file comes after, so that it is never ahead of what is on the disk. */
  #sync(): Promise<void> {
    return this.#withDisk(async () => {
      const flushed = this.#flushed + 1
      await this.#db
        .batch([put(KEY.flushed, bytes(digits(flushed))), put(KEY.clock, json(this.#reading()))], {
          sync: true,
        })
        .catch((error: unknown) => this.#broken(error))
      if (!this.#identityFile) throw closed()
      await this.#identityFile.flushed(flushed).catch((error: unknown) => this.#broken(error))
      this.#flushed = flushed
    })
  }

  /** One after the other: a flush with a lower number never comes last, and none meets a database that is being reopened. */
  #withDisk(task: () => Promise<void>): Promise<void> {
    const result = this.#disk.then(task)
    this.#disk = result.catch(() => undefined)
    return result
  }
}

const HEADER = 4
/** More is no chunk of a file, but damage. */
const LONGEST_CHUNK = 1_000_000
const UNFINISHED = 'unfinished-'
const NEW_FILE_MS = 3_600_000
const FORGOTTEN_AT_ONCE = 100
/** In one go, to make room. */
const FORGETTINGS = 10

/** Loaded when it is needed: whoever delivers directly needs no engine, and may be on a machine that it does not run on. */
async function engine(): Promise<typeof ClassicLevel> {
  try {
    return (await import('classic-level')).ClassicLevel
  } catch {
    throw new RedoxError(
      'REDOX_STORE_UNAVAILABLE',
      'Package classic-level is missing, or does not run on this machine. Durable delivery needs it. Install the nodes ' +
        'again with optional dependencies, or choose PostgreSQL as the store in the connection.',
    )
  }
}

/** A task that is done once for all who ask before it begins. */
function shared(task: () => Promise<void>): () => Promise<void> {
  let running = Promise.resolve()
  let next: Promise<void> | undefined
  return () =>
    (next ??= running
      .catch(() => undefined)
      .then(() => {
        next = undefined
        return (running = task())
      }))
}

/** Each is there after a power failure. */
async function makeFolders(folder: string): Promise<void> {
  await mkdir(path.join(folder, 'files'), { recursive: true, mode: 0o700 }).catch(failed)
  for (const made of [folder, path.dirname(folder)]) await syncFolder(made).catch(failed)
}

function rowOf(found: Buffer): Row {
  try {
    return JSON.parse(found.toString()) as Row
  } catch {
    throw damagedStore()
  }
}

const lastOf = (key: string): string => key.slice(key.lastIndexOf('!') + 1)

/** Where a message stands, by what it can be found. */
function places({ state, lane, ordered, sequence, dueAt, told, owner, endedAt = 0 }: Row): string[] {
  return [
    KEY.state(state, sequence),
    ...(isOpen(state) ? [KEY.open(lane, sequence)] : []),
    ...(isOpen(state) || (ordered && state === 'parked') ? [KEY.line(lane, sequence)] : []),
    ...(!ordered && state === 'waiting' ? [KEY.due(lane, dueAt, sequence)] : []),
    ...(state === 'parked' ? [KEY.parked(lane, sequence)] : []),
    ...(isForgettable(state) ? [KEY.ended(endedAt, sequence)] : []),
    ...(!isOpen(state) && !told ? [KEY.untold(owner, sequence)] : []),
  ]
}

const released = ({ holder: _holder, heldUntil: _until, ...row }: Row): Row => row

const standsAs = (row: Row, { state, reason, endedAt }: NonNullable<DecisionTerms['seen']>): boolean =>
  row.state === state && row.reason === reason && row.endedAt === endedAt

function decided(row: Row, action: Action, now: number, longer = 0): Row {
  if (action === 'extend') return { ...row, deadline: longer }
  const { reason: _reason, endedAt: _endedAt, ...kept } = released(row)
  if (action === 'resend') {
    const deadline = now + row.span
    return { ...kept, state: 'waiting', attempts: 0, dueAt: 0, begun: false, told: false, deadline }
  }
  const state = action === 'discard' ? 'discarded' : 'delivered'
  return { ...kept, state, reason: action, endedAt: now, told: true }
}

function prefixesOf({ id, tag, state }: Omit<Query, 'limit'>): string[] {
  if (id !== undefined) return ['row']
  if (tag !== undefined) return [`tag!${escaped(tag)}`]
  return (state ? [state] : STATES).map((one) => `state!${one}`)
}

function isWanted(row: Row, wanted: Omit<Query, 'limit'>): boolean {
  const { state, lane, id, tag, code, since = 0, till = Infinity } = wanted
  return (
    (state === undefined || row.state === state) &&
    (lane === undefined || row.lane === lane) &&
    (id === undefined || row.id === id) &&
    (tag === undefined || row.tags.includes(tag)) &&
    (code === undefined || row.reason === code) &&
    row.acceptedAt >= since &&
    row.acceptedAt <= till
  )
}

const inOrder = <T extends Pick<Row, 'sequence'>>(rows: T[]): T[] =>
  rows.sort((a, b) => (a.sequence < b.sequence ? -1 : 1))

/** Each chunk behind its length, four bytes. */
async function* framesOf(
  chunks: AsyncIterable<Buffer>,
  assertRoom: (bytes: number, written: number) => Promise<void>,
  onBroken: (error: unknown) => void,
): AsyncGenerator<Buffer> {
  let written = 0
  try {
    for await (const chunk of chunks) {
      await assertRoom(chunk.length, written)
      written += chunk.length
      const header = Buffer.alloc(HEADER)
      header.writeUInt32BE(chunk.length)
      yield header
      yield chunk
    }
  } catch (error) {
    onBroken(error)
    throw error
  }
}

/** So many bytes, or what is left of the file. */
async function readFully(handle: FileHandle, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length)
  let read = 0
  while (read < length) {
    const { bytesRead } = await handle.read(bytes, read, length - read).catch(failed)
    if (bytesRead === 0) break
    read += bytesRead
  }
  return bytes.subarray(0, read)
}
