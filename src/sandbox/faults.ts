/**
 * Faults that the sandbox plays: what there is, the text of a plan, and which rule of it hits a request. How each
 * of them looks on the wire is in `play.ts`.
 */

/** What a request is for, as a plan names it. */
export type Api = 'token' | 'blob' | 'Binary' | 'endpoint' | 'fhir' | 'other'

interface FaultRow {
  /** Whether the API takes a request that is right, whatever its sender is told: a message is in the inbox. */
  accepted: boolean
  /** What stands behind `=`. */
  value?: 'seconds' | 'url'
  /** What it can happen to; everything unless told. */
  apis?: readonly Api[]
}

/** Every fault, and whether what it hits was accepted all the same: the table that a soak test counts against. */
export const FAULTS = {
  /** An HTTP status of 300 to 599, in the shape that the API has for it. */
  status: { accepted: false },
  'status-retry-after': { accepted: false, value: 'seconds' },
  /** As after a gateway that waited too short: the API worked on. */
  'status-after-accept': { accepted: true },
  redirect: { accepted: false, value: 'url' },
  'reset-before-body': { accepted: false },
  'reset-mid-body': { accepted: false },
  'reset-after-body': { accepted: false },
  'reset-after-accept': { accepted: true },
  'half-open': { accepted: false },
  refuse: { accepted: false, value: 'seconds' },
  'slow-reader': { accepted: true },
  late: { accepted: true, value: 'seconds' },
  'cut-short': { accepted: true },
  'truncated-json': { accepted: true },
  'not-json': { accepted: false },
  gzip: { accepted: true },
  'errors-inside': { accepted: false },
  /** The way in which Redox tells that a destination refused (docs/redox-api.md#fhir-answers). */
  issues: { accepted: false, apis: ['endpoint', 'fhir'] },
  'no-subscription': { accepted: false, apis: ['endpoint'] },
  partial: { accepted: true, apis: ['endpoint', 'fhir'] },
  'no-location': { accepted: true, apis: ['token', 'blob', 'Binary', 'endpoint', 'fhir'] },
} as const satisfies Record<string, FaultRow>

export type FaultKind = keyof typeof FAULTS
/** The faults that are played in place of the API, and those that are played on its answer. */
export type LostFault = {
  [K in FaultKind]: (typeof FAULTS)[K]['accepted'] extends true ? never : K
}[FaultKind]
export type KeptFault = Exclude<FaultKind, LostFault>

/** One fault of a plan. */
export interface Fault {
  kind: FaultKind
  /** As it stands in the plan: `503`, `late=5`. */
  name: string
  status: number
  seconds: number
  url: string
}

/** A part of a rule: `seed 42`, or place, fault and count as in `upload 503 once`. */
export type RulePart = 'seed' | 'place' | 'fault' | 'count'

/** A plan that cannot be read. `line` counts from 1; `word` is what stands there for `part`. */
export class FaultPlanError extends Error {
  constructor(
    reason: string,
    readonly line: number,
    readonly part: RulePart,
    readonly word = '',
  ) {
    super(`Line ${line} of the fault plan: ${reason}`)
    this.name = 'FaultPlanError'
  }
}

interface Rule {
  hits(api: Api, path: string): boolean
  /** Undefined: the requests that it takes go through as they should. */
  fault: Fault | undefined
  /** Whether it is its turn; asked once for each request that no rule before took. */
  fires(): boolean
}

const DEFAULT_SEED = 1
/** A day, as far as a timer need go here. */
const MAX_SECONDS = 86_400
/** No server answers there: names under `.invalid` never exist (RFC 2606). */
const ELSEWHERE = 'http://redirected.invalid'

/** Which request fails how. Counts and chances begin anew with each object. */
export class FaultPlan {
  #rules: Rule[]

  /** @throws FaultPlanError */
  constructor(text = '') {
    const lines = linesOf(text)
    const seed = seedOf(lines)
    this.#rules = lines
      .filter(({ words }) => !isSeed(words))
      .map((line, index) => ruleOf(line, random(seed + index)))
  }

  /** What is to happen to the next request, if anything: the first rule that fires. */
  next(api: Api, path: string): Fault | undefined {
    return this.#rules.find((rule) => rule.hits(api, path) && rule.fires())?.fault
  }
}

// ---- The text -----------------------------------------------------------------------------------------

interface Line {
  number: number
  words: string[]
}

/** Rules stand on lines of their own, or behind a `;` where there is room for one line only. */
function linesOf(text: string): Line[] {
  return text.split(/\r\n|\r|\n/).flatMap((line, index) =>
    line
      .replace(/(^|\s)#.*/, '')
      .split(';')
      .map((rule) => ({ number: index + 1, words: rule.trim().split(/\s+/) }))
      .filter(({ words }) => words[0] !== ''),
  )
}

const isSeed = ([first]: string[]): boolean => first?.toLowerCase() === 'seed'

function seedOf(lines: Line[]): number {
  const [line, ...others] = lines.filter(({ words }) => isSeed(words))
  if (!line) return DEFAULT_SEED
  if (others[0]) throw new FaultPlanError('the seed is set twice.', others[0].number, 'seed')
  const [, number = '', ...rest] = line.words
  if (!/^\d{1,9}$/.test(number) || rest.length > 0) {
    throw new FaultPlanError('a seed must be a whole number, such as: seed 42', line.number, 'seed')
  }
  return Number(number)
}

function ruleOf({ number, words }: Line, draw: () => number): Rule {
  const [where = '', what, ...often] = words
  const fail = (reason: string, part: RulePart, word?: string): never => {
    throw new FaultPlanError(reason, number, part, word)
  }
  const place =
    placeOf(where) ??
    fail(`"${where}" is not a place. Places: ${PLACES.join(', ')}, or a path such as /fhir/*`, 'place', where)
  if (what === undefined) return fail(`a fault is missing after "${where}". Faults: ${NAMES}`, 'fault')
  const isNone = what.toLowerCase() === NONE
  const fault = isNone
    ? undefined
    : (faultOf(what) ?? fail(`"${what}" is not a fault. Faults: ${NAMES}`, 'fault', what))
  const count = often.join(' ')
  const fires =
    turnsOf(often, draw) ??
    fail(`"${count}" is not a count. Counts: once, 3x, 20%, or nothing for always`, 'count', count)
  const { apis }: Partial<FaultRow> = fault ? FAULTS[fault.kind] : {}
  if (apis && place.apis && !place.apis.some((api) => apis.includes(api))) {
    fail(`"${what}" is not possible for ${where}, only for ${apis.join(', ')}`, 'fault', what)
  }
  const hits = (api: Api, path: string): boolean => (apis?.includes(api) ?? true) && place.hits(api, path)
  return { hits, fault, fires }
}

// ---- Where --------------------------------------------------------------------------------------------

interface Place {
  /** None for a path, which may be of any. */
  apis?: readonly Api[]
  hits(api: Api, path: string): boolean
}

const APIS: Record<string, readonly Api[]> = {
  token: ['token'],
  upload: ['blob', 'Binary'],
  blob: ['blob'],
  binary: ['Binary'],
  endpoint: ['endpoint'],
  fhir: ['fhir'],
  any: ['token', 'blob', 'Binary', 'endpoint', 'fhir', 'other'],
}
/** The words for places; a path is one, too. */
export const PLACES = Object.keys(APIS)

function placeOf(where: string): Place | undefined {
  if (where.startsWith('/')) {
    const pattern = pathPattern(where)
    return { hits: (_api, path) => pattern.test(path) }
  }
  const apis = Object.hasOwn(APIS, where.toLowerCase()) ? APIS[where.toLowerCase()] : undefined
  return apis && { apis, hits: (api) => apis.includes(api) }
}

/** `*` stands for anything, slashes too. */
const pathPattern = (path: string): RegExp =>
  new RegExp(`^${path.replace(/[\\^$.+?()[\]{}|]/g, '\\$&').replace(/\*+/g, '.*')}$`)

// ---- What ---------------------------------------------------------------------------------------------

const STATUS = /^([345]\d\d)(-after-accept|-retry-after)?$/
const isStatus = (kind: string): boolean => kind.startsWith('status')
const written = (kind: FaultKind): string => {
  const { value }: FaultRow = FAULTS[kind]
  if (kind === 'redirect') return 'redirect or redirect=URL'
  return kind.replace('status', '503') + (value === undefined ? '' : '=SECONDS')
}
function example(kind: FaultKind): string {
  const { value }: FaultRow = FAULTS[kind]
  const status = { status: '503', 'status-retry-after': '429-retry-after' }[kind as string]
  return (status ?? kind.replace('status', '504')) + (value === 'seconds' ? '=2' : '')
}
/** Lets requests through between two faults. */
const NONE = 'none'
/** One spelling of every fault, to choose from. */
export const FAULT_EXAMPLES: readonly string[] = [...(Object.keys(FAULTS) as FaultKind[]).map(example), NONE]
const NAMES = `a status such as ${(Object.keys(FAULTS) as FaultKind[]).map(written).join(', ')}, ${NONE}`

function faultOf(word: string): Fault | undefined {
  const [name, value] = partsOf(word.toLowerCase(), word)
  const [, status, variant = ''] = STATUS.exec(name) ?? []
  const kind = status === undefined ? name : `status${variant}`
  if (!isKind(kind) || (status === undefined && isStatus(kind))) return undefined
  const { value: wanted }: FaultRow = FAULTS[kind]
  const seconds = Number(value)
  const url = kind === 'redirect' ? (value ?? ELSEWHERE) : ''
  const fits = {
    seconds: value !== undefined && /^\d+(\.\d+)?$/.test(value) && seconds <= MAX_SECONDS,
    url: /^https?:\/\/[^/]+$/.test(url),
    none: value === undefined,
  }[wanted ?? 'none']
  if (!fits) return undefined
  return { kind, name: word, status: Number(status), seconds, url }
}

function partsOf(lower: string, word: string): [string, string | undefined] {
  const at = word.indexOf('=')
  return at < 0 ? [lower, undefined] : [lower.slice(0, at), word.slice(at + 1)]
}

const isKind = (name: string): name is FaultKind => Object.hasOwn(FAULTS, name)

// ---- How often ----------------------------------------------------------------------------------------

function turnsOf(words: string[], draw: () => number): (() => boolean) | undefined {
  if (words.length === 0) return () => true
  const often = words.join('').toLowerCase()
  const percent = /^(\d{1,3}(\.\d+)?)%$/.exec(often)?.[1]
  if (percent !== undefined && Number(percent) <= 100) return () => draw() * 100 < Number(percent)
  const count = often === 'once' ? '1' : /^(\d{1,9})x$/.exec(often)?.[1]
  if (count === undefined) return undefined
  let left = Number(count)
  return () => left-- > 0
}

/** mulberry32: what it draws is told by the seed alone, so that a plan with chances can be played again. */
function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
