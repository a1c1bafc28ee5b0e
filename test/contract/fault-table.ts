/**
 * Results of a message when one of its requests fails, and the number of requests that reach the server: the
 * specification in docs/design/outcomes.md as data. Written by hand and independent of the client's own table.
 */

export const APIS = ['token', 'blob', 'Binary', 'endpoint', 'fhir'] as const
export type FaultyApi = (typeof APIS)[number]

export interface Ending {
  /** result of the send: `delivered`, or the error code without `REDOX_` */
  told: string
  /** number of requests to the faulty API that reached the server, and how many of these the server accepted */
  requests: number
  accepted: number
  /** number of requests that the client counts, including those that could not connect to a closed port */
  attempts: number
}

/**
 * Results of a fault that affects only the first request, and of a fault that affects every request. The client makes
 * two attempts.
 */
export interface Endings {
  once: Ending
  always: Ending
}

export interface FaultCase {
  plan: string
  /** explanation of the fault in docs/faults.md, if the fault's name does not explain it */
  words?: string
  endings: Partial<Record<FaultyApi, Endings>>
  /** true: the server breaks its documented contract, so a client that relies on it sends the message twice */
  breaksContract?: true
}

const ending = (told: string, requests: number, accepted: number, attempts = requests): Ending => ({
  told,
  requests,
  accepted,
  attempts,
})
const both = (one: Ending): Endings => ({ once: one, always: one })

const delivered = both(ending('delivered', 1, 1))
/** Results of a fault after which the client reports an error at once, because a retry would not help. */
const final = (code: string, accepted = 0) => both(ending(code, 1, accepted))
/**
 * Results of a fault after which the client retries, because the server did not process the request, or because the
 * request cannot create an entry in a patient's chart.
 */
const again = (code: string): Endings => ({ once: ending('delivered', 2, 1), always: ending(code, 2, 0) })
/**
 * Results of a fault after which the client retries although the server has accepted the request: a second token or
 * upload does no harm.
 */
const taken = (code: string): Endings => ({ once: ending('delivered', 2, 2), always: ending(code, 2, 2) })
const replayed: Endings = { once: ending('delivered', 2, 1), always: ending('AUTHENTICATION', 2, 0) }
const gone = both(ending('NETWORK', 1, 0, 2))
const unknown = final('OUTCOME_UNKNOWN')
const unknownButThere = final('OUTCOME_UNKNOWN', 1)

type Cell = Endings | { blob: Endings; Binary: Endings } | undefined
type Options = Pick<FaultCase, 'words' | 'breaksContract'>

function row(
  plan: string,
  ...[token, upload, send, options = {}]: [token: Cell, upload: Cell, send: Cell, options?: Options]
): FaultCase {
  const cells: [FaultyApi, Cell][] = [
    ['token', token],
    ['blob', upload && 'blob' in upload ? upload.blob : upload],
    ['Binary', upload && 'blob' in upload ? upload.Binary : upload],
    ['endpoint', send],
    ['fhir', send],
  ]
  const endings = Object.fromEntries(cells.filter(([, cell]) => cell !== undefined))
  return { plan, ...options, endings }
}

// prettier-ignore
export const FAULT_CASES: FaultCase[] = [
  //  by request kind:   token request             upload                 message
  row('302',             final('REJECTED'),        final('REJECTED'),     final('REJECTED')),
  row('400',             final('AUTHENTICATION'),  final('REJECTED'),     final('REJECTED')),
  row('401',             final('AUTHENTICATION'),  replayed,              replayed),
  row('403',             final('AUTHENTICATION'),  final('FORBIDDEN'),    final('FORBIDDEN')),
  row('404',             final('REJECTED'),        final('REJECTED'),     final('REJECTED')),
  row('408',             again('TIMEOUT'),         again('TIMEOUT'),      unknown),
  row('409',             final('REJECTED'),        final('REJECTED'),     final('REJECTED')),
  row('413',             final('TOO_LARGE'),       final('TOO_LARGE'),    final('TOO_LARGE')),
  row('422',             final('REJECTED'),        final('REJECTED'),     final('REJECTED')),
  row('429',             again('RATE_LIMITED'),    again('RATE_LIMITED'), again('RATE_LIMITED')),
  row('429-retry-after=1', again('RATE_LIMITED'),  again('RATE_LIMITED'), again('RATE_LIMITED')),
  row('500',             again('UNAVAILABLE'),     again('UNAVAILABLE'),  unknown),
  row('501',             again('UNAVAILABLE'),     again('UNAVAILABLE'),  unknown),
  row('502',             again('UNAVAILABLE'),     again('UNAVAILABLE'),  again('UNAVAILABLE')),
  row('503',             again('UNAVAILABLE'),     again('UNAVAILABLE'),  again('UNAVAILABLE')),
  row('503-retry-after=1', again('UNAVAILABLE'),   again('UNAVAILABLE'),  again('UNAVAILABLE')),
  row('504',             again('UNAVAILABLE'),     again('UNAVAILABLE'),  unknown),
  row('599',             again('UNAVAILABLE'),     again('UNAVAILABLE'),  unknown),
  row('500-after-accept', taken('UNAVAILABLE'),    taken('UNAVAILABLE'),  unknownButThere, { words: 'Redox accepted the request' }),
  row('504-after-accept', taken('UNAVAILABLE'),    taken('UNAVAILABLE'),  unknownButThere, { words: 'Redox accepted the request' }),
  row('502-after-accept', taken('UNAVAILABLE'),    taken('UNAVAILABLE'),  taken('UNAVAILABLE'),
    { words: 'against the contract: Redox documents 502 as dropped', breaksContract: true }),
  row('redirect',        final('REJECTED'),        final('REJECTED'),     final('REJECTED'), { words: 'never followed' }),
  row('reset-before-body', again('NETWORK'),       again('NETWORK'),      unknown),
  row('reset-mid-body',  again('NETWORK'),         again('NETWORK'),      unknown),
  row('reset-after-body', again('NETWORK'),        again('NETWORK'),      unknown),
  row('reset-after-accept', taken('NETWORK'),      taken('NETWORK'),      unknownButThere),
  row('half-open',       again('TIMEOUT'),         again('TIMEOUT'),      unknown, { words: 'no answer at all' }),
  row('refuse=0.2',      again('NETWORK'),         again('NETWORK'),      unknown, { words: 'connection broken, then refused for a moment' }),
  row('refuse=60',       gone,                     gone,                  unknown, { words: 'connection broken, then refused' }),
  row('slow-reader',     delivered,                delivered,             delivered),
  row('late=0.2',        delivered,                delivered,             delivered, { words: 'before the timeout' }),
  row('late=6',          taken('TIMEOUT'),         taken('TIMEOUT'),      unknownButThere, { words: 'after the timeout' }),
  row('cut-short',       taken('UNAVAILABLE'),     taken('UNAVAILABLE'),  unknownButThere),
  // The response to a Binary upload contains the reference in a header, so a truncated body has no effect.
  row('truncated-json',  final('AUTHENTICATION', 1), { blob: final('REJECTED', 1), Binary: delivered }, unknownButThere),
  row('not-json',        final('AUTHENTICATION'),  final('REJECTED'),     unknown, { words: '200 with an HTML page' }),
  row('gzip',            delivered,                delivered,             delivered, { words: 'compressed, although not requested' }),
  row('errors-inside',   final('AUTHENTICATION'),  final('REJECTED'),     final('REJECTED'), { words: '200 that contains errors' }),
  row('issues',          undefined,                undefined,             final('REJECTED'), { words: '200, and the destination refused' }),
  row('partial',         undefined,                undefined,             final('PARTIAL', 1)),
  row('failed-later',    undefined,                undefined,             delivered, { words: 'the destination refuses it when it is delivered' }),
  { plan: 'no-subscription', endings: { endpoint: final('REJECTED') } },
  row('no-location',     final('AUTHENTICATION', 1), final('REJECTED', 1), delivered, { words: 'a success without token or reference' }),
]
