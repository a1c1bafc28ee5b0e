/**
 * Faults that the sandbox simulates: the list of faults, the parser of fault plans, and the selection of the rule that
 * applies to a request. `inject-fault.ts` implements the effects of each fault.
 */
import { linesOf, occurrencesOf, partsOf, PlanError, random, secondsIn, type PlanLine } from './plan-lines'

/** API that a request belongs to, by its name in fault plans. */
export type Api = 'token' | 'blob' | 'Binary' | 'endpoint' | 'fhir' | 'platform' | 'other'

interface FaultRow {
  /**
   * True if the API processes the request and, if it is valid, accepts it although the client sees a failure: the
   * message is in the inbox.
   */
  accepted: boolean
  /** Kind of the value after `=` in a fault, as in `late=5`. */
  value?: 'seconds' | 'url'
  /** APIs for which the fault is possible; undefined: all APIs. */
  apis?: readonly Api[]
}

/** Table of all faults. Soak tests count lost and duplicated messages by its column `accepted`. */
export const FAULTS = {
  /** Fault with an HTTP status of 300 to 599, and an error body in the form of the API. */
  status: { accepted: false },
  'status-retry-after': { accepted: false, value: 'seconds' },
  /**
   * Fault with an HTTP status of 300 to 599, as from a gateway that did not wait long enough for the API: the API still
   * accepts the request.
   */
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
  /**
   * Fault with a 200 and an error in the body, as Redox reports a refusal by the destination
   * (docs/redox-api.md#fhir-answers).
   */
  issues: { accepted: false, apis: ['endpoint', 'fhir'] },
  'no-subscription': { accepted: false, apis: ['endpoint'] },
  partial: { accepted: true, apis: ['endpoint', 'fhir'] },
  /** Fault without effect on the response: the destination refuses the message when it is delivered. */
  'failed-later': { accepted: true, apis: ['endpoint', 'fhir'] },
  'no-location': { accepted: true, apis: ['token', 'blob', 'Binary', 'endpoint', 'fhir'] },
} as const satisfies Record<string, FaultRow>

export type FaultKind = keyof typeof FAULTS
/**
 * Fault kinds that replace the API's processing (`ReplacingFault`: the API never gets the message) and those that
 * change its response (`ModifyingFault`).
 */
export type ReplacingFault = {
  [K in FaultKind]: (typeof FAULTS)[K]['accepted'] extends true ? never : K
}[FaultKind]
export type ModifyingFault = Exclude<FaultKind, ReplacingFault>

/** Parsed fault of a fault plan. */
export interface Fault {
  kind: FaultKind
  /** The fault as written in the plan: `503`, `late=5`. */
  name: string
  status: number
  seconds: number
  url: string
}

/**
 * Part of a rule in a fault plan: `seed` (`seed 42`), or place (an API or a path), fault and count, as in `upload 503
 * once`.
 */
export type RulePart = 'seed' | 'place' | 'fault' | 'count'

/** Error of a fault plan that cannot be parsed. */
export class FaultPlanError extends PlanError<RulePart> {
  constructor(reason: string, line: number, part: RulePart, word?: string) {
    super(`Line ${line} of the fault plan: ${reason}`, line, part, word)
    this.name = 'FaultPlanError'
  }
}

interface FaultRule {
  hits(api: Api, path: string): boolean
  /** Fault of the rule. undefined: requests to which the rule applies are processed without a fault. */
  fault: Fault | undefined
  /**
   * Returns true if the rule applies to this request, by its count or chance. Called once for each request that no
   * earlier rule applies to.
   */
  fires(): boolean
}

const DEFAULT_SEED = 1
/** Default target of the fault `redirect`. No server exists there: names under `.invalid` are reserved (RFC 2606). */
const ELSEWHERE = 'http://redirected.invalid'

/** Parsed fault plan: chooses the fault for each request. Counts and random numbers start again with each object. */
export class FaultPlan {
  #rules: FaultRule[]

  /**
   * Parses a fault plan.
   * @throws FaultPlanError
   */
  constructor(text = '') {
    const lines = linesOf(text)
    const seed = seedOf(lines)
    this.#rules = lines
      .filter(({ words }) => !isSeed(words))
      .map((line, index) => ruleOf(line, random(seed + index)))
  }

  /** Returns the fault of the first rule that applies to the next request; undefined if the request gets no fault. */
  next(api: Api, path: string): Fault | undefined {
    return this.#rules.find((rule) => rule.hits(api, path) && rule.fires())?.fault
  }
}

// ---- The text -----------------------------------------------------------------------------------------

const isSeed = ([first]: string[]): boolean => first?.toLowerCase() === 'seed'

function seedOf(lines: PlanLine[]): number {
  const [line, ...others] = lines.filter(({ words }) => isSeed(words))
  if (!line) return DEFAULT_SEED
  if (others[0]) throw new FaultPlanError('the seed is set twice.', others[0].number, 'seed')
  const [, number = '', ...rest] = line.words
  if (!/^\d{1,9}$/.test(number) || rest.length > 0) {
    throw new FaultPlanError('a seed must be a whole number, such as: seed 42', line.number, 'seed')
  }
  return Number(number)
}

function ruleOf({ number, words }: PlanLine, draw: () => number): FaultRule {
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
    occurrencesOf(often, draw) ??
    fail(`"${count}" is not a count. Counts: once, 3x, 20%, or nothing for always`, 'count', count)
  const { apis }: Partial<FaultRow> = fault ? FAULTS[fault.kind] : {}
  if (apis && place.apis && !place.apis.some((api) => apis.includes(api))) {
    fail(`"${what}" is not possible for ${where}, only for ${apis.join(', ')}`, 'fault', what)
  }
  const hits = (api: Api, path: string): boolean => (apis?.includes(api) ?? true) && place.hits(api, path)
  return { hits, fault, fires }
}

// ---- Where --------------------------------------------------------------------------------------------

interface FaultTarget {
  /** APIs that the place names; undefined for a path, because a path can belong to any API. */
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
  platform: ['platform'],
  any: ['token', 'blob', 'Binary', 'endpoint', 'fhir', 'platform', 'other'],
}
/** Names of places in a fault plan. In addition, any path can be used as a place. */
export const PLACES = Object.keys(APIS)

function placeOf(where: string): FaultTarget | undefined {
  if (where.startsWith('/')) {
    const pattern = pathPattern(where)
    return { hits: (_api, path) => pattern.test(path) }
  }
  const apis = Object.hasOwn(APIS, where.toLowerCase()) ? APIS[where.toLowerCase()] : undefined
  return apis && { apis, hits: (api) => apis.includes(api) }
}

/** Converts a path of a plan to a regular expression: `*` matches any characters, including slashes. */
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
/** Word for "no fault" in a plan: lets a number of requests pass without a fault. */
const NONE = 'none'
/** One example of each fault, for the suggestions in the editor. */
export const FAULT_EXAMPLES: readonly string[] = [...(Object.keys(FAULTS) as FaultKind[]).map(example), NONE]
const NAMES = `a status such as ${(Object.keys(FAULTS) as FaultKind[]).map(written).join(', ')}, ${NONE}`

function faultOf(word: string): Fault | undefined {
  const [name, value] = partsOf(word)
  const [, status, variant = ''] = STATUS.exec(name) ?? []
  const kind = status === undefined ? name : `status${variant}`
  if (!isKind(kind) || (status === undefined && isStatus(kind))) return undefined
  const { value: wanted }: FaultRow = FAULTS[kind]
  const seconds = secondsIn(value)
  const url = kind === 'redirect' ? (value ?? ELSEWHERE) : ''
  const fits = {
    seconds: seconds !== undefined,
    url: /^https?:\/\/[^/]+$/.test(url),
    none: value === undefined,
  }[wanted ?? 'none']
  if (!fits) return undefined
  return { kind, name: word, status: Number(status), seconds: seconds ?? 0, url }
}

const isKind = (name: string): name is FaultKind => Object.hasOwn(FAULTS, name)
