import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat, writeFile, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import type { BatchOperation, ClassicLevel } from 'classic-level'
import { RedoxError, type RedoxErrorCode } from '../errors'
import { Pace, type PaceKeeper, type RequestLog } from '../transport/retry'
import {
  STATES,
  UNTOLD_MS,
  type Action,
  type AuditLine,
  type DeliveryStore,
  type Hold,
  type LaneState,
  type MessageState,
  type NewMessage,
  type Query,
  type Settlement,
  type StoredMessage,
} from './store'

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

const VERSION = 1

// Keys, each sorted as text. Numbers are padded, what anybody may choose is escaped.
const digits = (number: number): string => String(Math.max(0, Math.floor(number))).padStart(16, '0')
const escaped = (value: string): string => encodeURIComponent(value).replaceAll('!', '%21')
const KEY = {
  version: 'meta!version',
  mark: 'meta!mark',
  flushed: 'meta!flushed',
  /** sequence of the last message that was accepted, and how many were forgotten: what is left has to add up */
  last: 'meta!last',
  forgotten: 'meta!forgotten',
  row: (id: string) => `row!${id}`,
  content: (id: string) => `content!${id}`,
  notes: (id: string) => `notes!${id}`,
  /** what waits or is held, in the order of acceptance */
  open: (lane: string, sequence: string) => `open!${escaped(lane)}!${sequence}`,
  /** what waits or is held, and what is ordered and parked: whatever is ordered comes after all before it */
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

const isOpen = (state: MessageState): boolean => state === 'waiting' || state === 'held'
const isForgettable = (state: MessageState): boolean => state === 'delivered' || state === 'discarded'

/**
 * The store of a single process: LevelDB for the messages, a folder for their files. One process has it open at a
 * time; what another one held when it ended is there to be claimed at once.
 */
export class LevelStore implements DeliveryStore {
  readonly #db: Database
  readonly #files: string
  readonly #counts = Object.fromEntries(STATES.map((state) => [state, 0])) as Record<MessageState, number>
  /** how many are open, by lane */
  readonly #lanes = new Map<string, number>()
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
  #isBroken = false
  #isClosed = false
  #flushing: Promise<void> = Promise.resolve()
  #nextFlush: Promise<void> | undefined
  /** what reads and then writes goes one after the other */
  #last: Promise<unknown> = Promise.resolve()

  private constructor(db: Database, files: string) {
    this.#db = db
    this.#files = files
  }

  /**
   * @param folder made if it is not there
   * @throws RedoxError
   */
  static async open(folder: string): Promise<LevelStore> {
    const files = path.join(folder, 'files')
    await mkdir(files, { recursive: true, mode: 0o700 }).catch(failed)
    const db: Database = new (await engine())(path.join(folder, 'messages'), { valueEncoding: 'buffer' })
    await db.open().catch(failed)
    const store = new LevelStore(db, files)
    try {
      await store.#recover()
      return store
    } catch (error) {
      await db.close()
      throw error
    }
  }

  async #recover(): Promise<void> {
    const version = Number((await this.#get(KEY.version))?.toString() ?? VERSION)
    if (version > VERSION) throw newer(version)
    await this.#write([put(KEY.version, bytes(String(VERSION)))])
    for (const state of STATES)
      for await (const key of this.#keys(`state!${state}`)) {
        this.#counts[state]++
        this.#sequence = Math.max(this.#sequence, Number(lastOf(key)))
      }
    for await (const key of this.#keys('open')) this.#count(laneOf(key), 1)
    // LevelDB leaves out what it cannot read of its log, without a word.
    const number = async (key: string): Promise<number> => Number((await this.#get(key))?.toString() ?? 0)
    this.#sequence = Math.max(this.#sequence, await number(KEY.last))
    this.#forgotten = await number(KEY.forgotten)
    const found = Object.values(this.#counts).reduce((sum, count) => sum + count)
    if (found !== this.#sequence - this.#forgotten) throw missing(this.#sequence - this.#forgotten - found)
    const [lastLine] = await this.#db.keys({ ...under('audit'), reverse: true, limit: 1 }).all()
    this.#auditLines = lastLine === undefined ? 0 : Number(lastOf(lastLine))
    for (const row of await this.#rows('state!held')) await this.#move([[row, { ...row, heldUntil: 0 }]])
  }

  // ---- Accepting and sending --------------------------------------------------------------------------

  mark(own: Buffer): Promise<Buffer> {
    return this.#durably(async () => {
      const known = await this.#get(KEY.mark)
      if (known === undefined) await this.#write([put(KEY.mark, own)])
      return known ?? own
    })
  }

  async accept(message: NewMessage): Promise<void> {
    const { id } = message
    this.#unsure.set(id, 'writing')
    try {
      await this.#durably(() => this.#add(message))
      this.#unsure.delete(id)
    } catch (error) {
      // Whoever brought it hears that it was not accepted, and may bring it again.
      this.#unsure.set(id, 'failed')
      await this.#alone(() => this.#forgetFailed()).catch(() => undefined)
      throw error
    }
  }

  /** On a full disk it may take until there is room. */
  async #forgetFailed(): Promise<void> {
    for (const [id, state] of this.#unsure) {
      if (state !== 'failed') continue
      await this.#forget(id)
      this.#unsure.delete(id)
    }
  }

  async #add({ content, ...known }: NewMessage): Promise<void> {
    if (await this.#row(known.id)) return
    for (const name of known.files) if (!(await this.hasFile(name))) throw lost(`The file ${name}`)
    const sequence = digits(this.#sequence + 1)
    const fresh = { attempts: 0, dueAt: 0, begun: false, told: false }
    const span = known.deadline - known.acceptedAt
    const row: Row = { ...known, ...fresh, state: 'waiting', sequence, span }
    await this.#write([
      put(KEY.row(row.id), json(row)),
      put(KEY.content(row.id), content),
      put(KEY.last, bytes(sequence)),
      ...places(row).map((key) => put(key, bytes(row.id))),
      ...row.tags.map((tag) => put(KEY.tag(tag, sequence), bytes(row.id))),
      ...row.files.map((name) => put(KEY.file(name, row.id), bytes(row.id))),
    ])
    this.#sequence++
    this.#counts.waiting++
    this.#count(row.lane, 1)
  }

  claim({ holder, now, until, limit, except }: Hold & { except: string[] }): Promise<StoredMessage[]> {
    return this.#alone(async () => {
      await this.#forgetFailed()
      await this.#releaseLate(now)
      const rows = await this.#claimable(now, limit, except)
      const held = rows.map((row): Row => ({ ...row, state: 'held', holder, heldUntil: until }))
      // If this is forgotten in a power failure, they wait as before: what counts is written before a request begins.
      await this.#move(rows.map((row, at) => [row, held[at]!]))
      return Promise.all(held.map((row) => this.#whole(row)))
    })
  }

  async #releaseLate(now: number): Promise<void> {
    const held = await this.#rows('state!held')
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
    const held = await this.#rows('state!held')
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
    const lanes = [...this.#lanes.keys()].filter((lane) => !except.includes(lane) && !paused.has(lane))
    const first = lanes.length === 0 ? 0 : this.#claims++ % lanes.length
    return [...lanes.slice(first), ...lanes.slice(0, first)]
  }

  renew(holder: string, ids: string[], until: number): Promise<void> {
    return this.#alone(async () => {
      const rows = await Promise.all(ids.map((id) => this.#row(id)))
      const held = rows.filter((row) => row?.state === 'held' && row.holder === holder) as Row[]
      await this.#write(held.map((row) => put(KEY.row(row.id), json({ ...row, heldUntil: until }))))
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

  untold({ now, until, limit, owners }: Hold & { owners: string[] }): Promise<StoredMessage[]> {
    return this.#alone(async () => {
      const rows: Row[] = []
      for (const owner of owners) rows.push(...(await this.#untoldOf(owner, now, limit)))
      const taken = inOrder(rows).slice(0, limit)
      for (const { id } of taken) this.#telling.set(id, until)
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

  // ---- Looking and deciding ---------------------------------------------------------------------------

  async find({ limit, ...wanted }: Query): Promise<StoredMessage[]> {
    const rows = wanted.id === undefined ? await this.#search(wanted, limit) : [await this.#row(wanted.id)]
    const found = rows.filter((row) => row !== undefined && isWanted(row, wanted)) as Row[]
    const sorted = inOrder(found)
    if (wanted.newestFirst) sorted.reverse()
    return Promise.all(sorted.slice(0, limit).map((row) => this.#whole(row)))
  }

  async #search(wanted: Omit<Query, 'limit'>, limit: number): Promise<Row[]> {
    const after = wanted.after === undefined ? undefined : (await this.#row(wanted.after))?.sequence
    const rows: Row[] = []
    const reverse = wanted.newestFirst ?? false
    for (const prefix of prefixesOf(wanted)) {
      const from = after === undefined ? {} : { [reverse ? 'lt' : 'gt']: `${prefix}!${after}` }
      let found = 0
      for await (const id of this.#db.values({ ...under(prefix), ...from, reverse })) {
        const row = await this.#row(id.toString())
        if (!row || !isWanted(row, wanted)) continue
        rows.push(row)
        if (++found >= limit) break
      }
    }
    return rows
  }

  async lanes(): Promise<LaneState[]> {
    const paused = await this.#pausedLanes()
    const parked = await this.#lanesUnder('parked')
    const lanes = new Set([...this.#lanes.keys(), ...parked, ...paused])
    return Promise.all([...lanes].sort().map((lane) => this.#laneState(lane, paused.has(lane))))
  }

  async #laneState(lane: string, paused: boolean): Promise<LaneState> {
    const [oldest] = await this.#rows(`open!${escaped(lane)}`, 1)
    const [first] = await this.#rows(`line!${escaped(lane)}`, 1)
    return {
      lane,
      open: this.#lanes.get(lane) ?? 0,
      paused,
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
    notes?: Buffer,
  ): Promise<void> {
    return this.#durably(async () => {
      const row = await this.#row(id)
      const isPossible =
        action === 'resend' ? row && !isOpen(row.state) : row?.state === 'waiting' || row?.state === 'parked'
      if (!row || !isPossible) throw lost(`The message ${id}`)
      const line = this.#auditLine({ at: now, who, action, subject: id, reason })
      const also = notes ? [line, put(KEY.notes(id), notes)] : [line]
      await this.#move([[row, decided(row, action, now)]], also)
    })
  }

  pause(lane: string, isPaused: boolean, reason: string, who: string, now: number): Promise<void> {
    const key = KEY.paused(lane)
    const line = { at: now, who, action: isPaused ? 'pause' : 'resume', subject: lane, reason } as const
    return this.#durably(() =>
      this.#write([isPaused ? put(key, bytes(lane)) : del(key), this.#auditLine(line)]),
    )
  }

  looked(id: string, reason: string, who: string, now: number): Promise<void> {
    return this.#durably(() =>
      this.#write([this.#auditLine({ at: now, who, action: 'look', subject: id, reason })]),
    )
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
    const draft = path.join(this.#files, `${UNFINISHED}${randomUUID()}`)
    let broken: { error: unknown } | undefined
    const framed = framesOf(chunks, (error) => (broken = { error }))
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
      codeOf(error) === 'ENOENT' ? Promise.reject(lost('A file of the message')) : failed(error),
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

  // Names come from the seal; none may lead elsewhere.
  #fileOf(name: string): string {
    return path.join(this.#files, path.basename(name))
  }

  // ---- Forgetting -------------------------------------------------------------------------------------

  async purge(before: number, now: number): Promise<number> {
    const range = { gt: 'ended!', lt: `ended!${digits(before)}` }
    let purged = 0
    for await (const id of this.#db.values(range)) {
      const row = await this.#row(id.toString())
      if (!row || !(row.told || row.endedAt! < now - UNTOLD_MS)) continue
      await this.#alone(() => this.#forget(row.id))
      purged++
    }
    await this.#sweep(now)
    return purged
  }

  async #forget(id: string): Promise<void> {
    const row = await this.#row(id)
    if (row === undefined) return
    await this.#write([
      put(KEY.forgotten, bytes(digits(this.#forgotten + 1))),
      ...[KEY.row(row.id), KEY.content(row.id), KEY.notes(row.id)].map(del),
      ...places(row).map(del),
      ...row.tags.map((tag) => del(KEY.tag(tag, row.sequence))),
      ...row.files.map((name) => del(KEY.file(name, row.id))),
    ])
    this.#forgotten++
    this.#counts[row.state]--
    if (isOpen(row.state)) this.#count(row.lane, -1)
    for (const name of row.files) await this.#removeUnused(name)
  }

  async #removeUnused(name: string): Promise<void> {
    const [used] = await this.#db
      .keys({ ...under(`file!${name}`), limit: 1 })
      .all()
      .catch(failed)
    if (used === undefined) await rm(this.#fileOf(name), { force: true }).catch(failed)
  }

  /** Files that were never finished, or whose message was never accepted. */
  async #sweep(now: number): Promise<void> {
    const used = new Set<string>()
    for await (const key of this.#keys('file')) used.add(key.split('!')[1]!)
    for (const name of await readdir(this.#files).catch(failed)) {
      if (used.has(name)) continue
      const facts = await stat(this.#fileOf(name)).catch(() => undefined)
      // One that was stored just now may belong to a message that is about to be accepted.
      if (facts && facts.mtimeMs < now - NEW_FILE_MS) await this.#alone(() => this.#removeUnused(name))
    }
  }

  pace(perFiveMinutes: number): PaceKeeper {
    return new Pace(perFiveMinutes, this.#requests)
  }

  async close(): Promise<void> {
    await this.#last
    this.#isClosed = true
    await this.#flush().catch(() => undefined)
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
    return found && (JSON.parse(found.toString()) as Row)
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
    if (row?.state !== 'held' || row.holder !== holder) throw lost(`The message ${id}`)
    return row
  }

  async #pausedLanes(): Promise<Set<string>> {
    const lanes = await this.#db.values(under('paused')).all().catch(failed)
    return new Set(lanes.map(String))
  }

  /** One look for each lane, however many messages it has. */
  async #lanesUnder(index: string): Promise<string[]> {
    const lanes: string[] = []
    for (let { gt, lt } = under(index); ;) {
      const [key] = await this.#db.keys({ gt, lt, limit: 1 }).all().catch(failed)
      if (key === undefined) return lanes
      lanes.push(laneOf(key))
      gt = `${index}!${escaped(laneOf(key))}"`
    }
  }

  async #move(rows: [from: Row, to: Row][], also: Change[] = []): Promise<void> {
    const changes = rows.flatMap(([from, to]) => [
      ...places(from).map(del),
      ...places(to).map((key) => put(key, bytes(to.id))),
      put(KEY.row(to.id), json(to)),
    ])
    await this.#write([...changes, ...also])
    for (const [from, to] of rows) {
      this.#counts[from.state]--
      this.#counts[to.state]++
      this.#count(from.lane, Number(isOpen(to.state)) - Number(isOpen(from.state)))
    }
  }

  #count(lane: string, more: number): void {
    const open = (this.#lanes.get(lane) ?? 0) + more
    if (open > 0) this.#lanes.set(lane, open)
    else this.#lanes.delete(lane)
  }

  /** All or nothing. Survives this process at once, and a power failure after the next {@link #flush}. */
  async #write(changes: Change[]): Promise<void> {
    if (changes.length === 0) return
    await this.#db.batch(changes).catch((error: unknown) => this.#broken(error))
  }

  #broken(error: unknown): never {
    this.#isBroken = true
    return failed(error)
  }

  /** After a failed write LevelDB refuses all others until it is opened anew, which may fail as long as a disk is full. */
  async #repair(): Promise<void> {
    if (this.#isClosed) throw closed()
    if (!this.#isBroken) return
    await this.#db.close().catch(failed)
    await this.#db.open().catch(failed)
    this.#isBroken = false
  }

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
   * Waits for the disk, once for all who have written by then: the log is written in order, so that the last record
   * of it brings all before it along. Nobody holds up others meanwhile.
   */
  #flush(): Promise<void> {
    this.#nextFlush ??= this.#flushing
      .catch(() => undefined)
      .then(() => {
        this.#nextFlush = undefined
        this.#flushing = this.#db
          .batch([put(KEY.flushed, bytes(''))], { sync: true })
          .catch((error: unknown) => this.#broken(error))
        return this.#flushing
      })
    return this.#nextFlush
  }
}

const HEADER = 4
/** More is no chunk of a file, but damage. */
const LONGEST_CHUNK = 1_000_000
const UNFINISHED = 'unfinished-'
const NEW_FILE_MS = 3_600_000

/** Loaded when it is needed: whoever delivers directly needs no engine, and may be on a machine that it does not run on. */
async function engine(): Promise<typeof ClassicLevel> {
  try {
    return (await import('classic-level')).ClassicLevel
  } catch {
    throw new RedoxError(
      'REDOX_STORE_UNAVAILABLE',
      'Durable delivery needs the package classic-level, which is not installed or does not run on this machine. ' +
        'Install the nodes again with optional dependencies, or choose PostgreSQL as the store in the redox-config node.',
    )
  }
}

const lastOf = (key: string): string => key.slice(key.lastIndexOf('!') + 1)
const laneOf = (key: string): string => decodeURIComponent(key.split('!')[1]!)

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

function decided(row: Row, action: Action, now: number): Row {
  const { reason: _reason, endedAt: _endedAt, ...kept } = released(row)
  if (action === 'resend') {
    const deadline = now + row.span
    return { ...kept, state: 'waiting', attempts: 0, dueAt: 0, begun: false, told: false, deadline }
  }
  const state = action === 'discard' ? 'discarded' : 'delivered'
  return { ...kept, state, reason: action, endedAt: now, told: true }
}

function prefixesOf({ tag, state }: Omit<Query, 'limit'>): string[] {
  if (tag !== undefined) return [`tag!${escaped(tag)}`]
  return (state ? [state] : STATES).map((one) => `state!${one}`)
}

const isWanted = (row: Row, { state, lane, id, since = 0, till = Infinity }: Omit<Query, 'limit'>): boolean =>
  (state === undefined || row.state === state) &&
  (lane === undefined || row.lane === lane) &&
  (id === undefined || row.id === id) &&
  row.acceptedAt >= since &&
  row.acceptedAt <= till

const inOrder = (rows: Row[]): Row[] => rows.sort((a, b) => (a.sequence < b.sequence ? -1 : 1))

/** Each chunk behind its length, four bytes. */
async function* framesOf(
  chunks: AsyncIterable<Buffer>,
  onBroken: (error: unknown) => void,
): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of chunks) {
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

/** Renaming is durable only when the folder is. Windows cannot and need not. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  await handle.sync().finally(() => handle.close())
}

const lost = (what: string): RedoxError =>
  new RedoxError('REDOX_STORE_LOST', `${what} is not in the store, is being sent, or has ended otherwise.`)

const closed = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNAVAILABLE',
    'The store of accepted messages was closed. Send the message again.',
  )

const missing = (messages: number): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNREADABLE',
    `The store of accepted messages is damaged: ${messages} of them cannot be found. Nothing of it was removed: copy its ` +
      'folder, then see docs/operations.md on how to repair it.',
  )

const damaged = (): RedoxError =>
  new RedoxError('REDOX_STORE_UNREADABLE', 'A file in the store of accepted messages is damaged.')

const newer = (version: number): RedoxError =>
  new RedoxError(
    'REDOX_STORE_NEWER',
    `The store of accepted messages was written by a newer release of these nodes (its version is ${version}). ` +
      'Install that release again; nothing was changed.',
  )

const FAILURES: [pattern: RegExp, code: RedoxErrorCode, message: string][] = [
  [
    /LEVEL_LOCKED/,
    'REDOX_STORE_LOCKED',
    'Another process has the store of accepted messages open. Only one at a time may use it: end the other ' +
      'one, or choose PostgreSQL as the store in the redox-config node.',
  ],
  [
    /LEVEL_CORRUPTION/,
    'REDOX_STORE_UNREADABLE',
    'The store of accepted messages is damaged. Nothing of it was removed: copy its folder, then see ' +
      'docs/operations.md on how to repair it.',
  ],
  [
    /ENOSPC|EDQUOT|No space left|quota exceeded/i,
    'REDOX_STORE_FULL',
    'The disk of the store of accepted messages is full. Make room; nothing that was accepted is lost.',
  ],
]

function failed(error: unknown): never {
  if (error instanceof RedoxError) throw error
  const facts = factsOf(error)
  const [, code, message] = FAILURES.find(([pattern]) => pattern.test(facts)) ?? []
  throw new RedoxError(
    code ?? 'REDOX_STORE_UNAVAILABLE',
    message ?? `The store of accepted messages cannot be used. Check its folder.`,
    { fault: /\b[A-Z_]{4,}\b/.exec(facts)?.[0] ?? 'unknown' },
  )
}

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code

/** Codes and words of an error and what caused it. */
function factsOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  return `${String(codeOf(error))} ${error.message} ${factsOf(error.cause)}`
}
