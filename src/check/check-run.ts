import type { LegacyCredentials, OAuthCredentials } from '../auth/credentials'
import { RedoxClient } from '../redox/client'
import type { RedoxSettings } from '../redox/settings'
import type { AnswerNotes } from './answer-notes'
import type { Advice, Finding } from './findings'
import { redactor } from './redact'
import { clientSettings, type CheckSettings } from './settings'
import type { Trial } from './trial'

/** Settings that a trial changes. */
export type Variant = Partial<Pick<RedoxSettings, 'hosts' | 'binaryForm' | 'limits'>>

/** State of one run: the keys that work, what was found, and what later steps need of earlier ones. */
export class CheckRun {
  readonly rows: Finding[] = []
  readonly advice: Advice[] = []
  /** key with which a token was obtained */
  oauth?: OAuthCredentials
  legacy?: LegacyCredentials
  /** request that proved that the OAuth key belongs to the environment */
  proof?: string
  /** settings with which a Binary was accepted; undefined: none was, or the step was skipped */
  binary?: Variant
  /** true after the step for Binary was run */
  isBinaryTried = false
  /** true if each Binary was refused, and none failed for another reason */
  areBinariesRefused = false
  /** false after the blob upload was refused */
  areBlobsAccepted = true
  /** location of the Patient that the FHIR destination created */
  patientLocation?: string | undefined
  readonly #notes: Record<'fhir' | 'datamodel', AnswerNotes[]> = { fhir: [], datamodel: [] }
  /** content of each 2xx, also of those that are no answer of Redox */
  readonly #contents: Record<'fhir' | 'datamodel', string[]> = { fhir: [], datamodel: [] }
  readonly #clients = new Map<string, RedoxClient>()
  readonly #redacted: (text: string) => string

  constructor(
    readonly settings: CheckSettings,
    private readonly onRow: (row: Finding) => void,
  ) {
    this.#redacted = redactor(settings)
  }

  /** Returns the client for a key and a variant of the settings; one for each, so that they share a token. */
  client(credentials: OAuthCredentials | LegacyCredentials, variant: Variant = {}): RedoxClient {
    const name = JSON.stringify([credentials.kind, variant])
    const known = this.#clients.get(name)
    if (known !== undefined) return known
    const client = new RedoxClient({ ...clientSettings(this.settings, credentials), ...variant })
    this.#clients.set(name, client)
    return client
  }

  /** Adds the result of a trial to the table. */
  add(step: Finding['step'], what: string, trial: Trial): void {
    const { detail, reason, isOtherAnswer } = trial
    const said = reason === undefined ? '' : `: ${this.#redacted(reason)}`
    const other = isOtherAnswer ? `, but the answer is ${trial.notes?.holds ?? 'not understood'}` : ''
    this.addRow({ step, what, result: trial.result, detail: `${detail}${said}${other}` })
  }

  addRow(row: Finding): void {
    this.rows.push(row)
    this.onRow(row)
  }

  notRun(step: Finding['step'], what: string, detail: string): void {
    this.addRow({ step, what, result: 'not run', detail })
  }

  advise(node: string, field: string, value: string): void {
    const isKnown = this.advice.some((one) => one.node === node && one.field === field)
    if (!isKnown) this.advice.push({ node, field, value })
  }

  /** Keeps the form of an answer to a message for the summary, and advises to accept answers that are not Redox's. */
  keepNotes(api: 'fhir' | 'datamodel', { notes, isOtherAnswer }: Trial): void {
    if (notes === undefined) return
    this.#contents[api].push(notes.holds)
    if (!isOtherAnswer) this.#notes[api].push(notes)
    else this.advise('redox-config', 'Other 2xx answers', 'accepted')
  }

  /** Adds rows about the answers: what a 200 holds, ids, headers. */
  addSummary(): void {
    for (const [api, name] of [
      ['fhir', 'FHIR API'],
      ['datamodel', 'Data Model API'],
    ] as const) {
      const seen = (what: string, values: string[]): void => {
        const detail = [...new Set(values)].join('; ')
        if (detail !== '') this.addRow({ step: 'answers', what: `${name}, ${what}`, result: 'seen', detail })
      }
      const see = (what: string, of: (one: AnswerNotes) => string): void =>
        seen(what, this.#notes[api].map(of))
      seen('a 2xx holds', this.#contents[api])
      see('log IDs', ({ logIds }) => logIds)
      see('Meta.Message.ID', ({ messageId }) => messageId)
      see('Redox-Trace-Id', ({ traceId }) => traceId)
      see('X-RateLimit-Limit', ({ rateLimit }) => String(rateLimit ?? 'none'))
      see('headers', ({ headers }) => headers.join(', '))
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.close()))
  }
}
