/** Facts out of encrypted contents that a list shows: operations of messages, and names of destinations. */
import { destinationLabels } from '../../nodes/lib/connection/destination-names'
import type { Outbox } from '../../nodes/lib/queue/outbox'
import { RedoxError } from '../../src/errors'
import { isObject } from '../../src/message/json'
import type { StoredMessage } from '../../src/queue/types'
import { redactMessageValues } from '../../src/redox/redaction'
import { isDestinationName } from '../../src/shared/destination-names'

/** Maximum number of operations that are kept for each outbox; the list of an editor shows at most 1000 messages. */
const MAX_OPERATIONS = 5000
/** Number of parked and of delivered messages, the newest ones, in whose answers names are looked for. */
const MAX_ANSWERS = 50
const LOOK_AGAIN_MS = 3_000

interface ContentFacts {
  /** operations by the id of the message; undefined for a message that cannot be decrypted */
  operations: Map<string, string | undefined>
  /** names in Redox's answers, by the ID of the destination in lowercase */
  names: Map<string, string>
  /** time of the last look at answers, by the monotonic clock */
  lookedAt: number
  /** answers that the last look found, by {@link answerKey} */
  read: ReadonlySet<string>
}

const known = new WeakMap<Outbox, ContentFacts>()

function factsOf(outbox: Outbox): ContentFacts {
  const facts = known.get(outbox) ?? {
    ...{ operations: new Map(), names: new Map(), read: new Set() },
    lookedAt: -Infinity,
  }
  known.set(outbox, facts)
  return facts
}

/** Returns the operation of a message; undefined if the content of the message cannot be decrypted. */
export async function operationOf(outbox: Outbox, message: StoredMessage): Promise<string | undefined> {
  const { operations } = factsOf(outbox)
  if (operations.has(message.id)) return operations.get(message.id)
  const operation = await orUnreadable(
    outbox.sealedStore.contentOf(message).then(({ message: prepared }) => prepared.operation),
  )
  const [oldest] = operations.keys()
  if (operations.size >= MAX_OPERATIONS && oldest !== undefined) operations.delete(oldest)
  operations.set(message.id, operation)
  return operation
}

// ---- Names of destinations ------------------------------------------------------------------------------

/** Returns the name of a destination such as `fhir some-slug`; undefined if no part of it has a name. */
export type NameOf = (destination: string) => string | undefined

/** Returns the names that the settings of a connection give to destinations. */
export const labelsOf = (connection: string): NameOf => nameIn(destinationLabels.get(connection) ?? new Map())

/** Returns the names in the settings of a connection, and the names in Redox's answers for destinations without one. */
export async function namesOf(connection: string, outbox: Outbox): Promise<NameOf> {
  const facts = factsOf(outbox)
  if (performance.now() - facts.lookedAt >= LOOK_AGAIN_MS) {
    facts.lookedAt = performance.now()
    await learnNames(outbox, facts)
  }
  return nameIn(new Map([...facts.names, ...(destinationLabels.get(connection) ?? [])]))
}

const nameIn =
  (names: ReadonlyMap<string, string>): NameOf =>
  (destination) => {
    const [, ...ids] = destination.split(' ')
    const found = ids.map((id) => names.get(id.toLowerCase()))
    if (found.every((name) => name === undefined)) return undefined
    return found.map((name, index) => name ?? ids[index]).join(', ')
  }

/** Reads the names in the answers to the messages that were parked or delivered since the last look. */
async function learnNames(outbox: Outbox, facts: ContentFacts): Promise<void> {
  const [parked, delivered] = await Promise.all(
    (['parked', 'delivered'] as const).map((state) =>
      outbox.store.find({ state, newestFirst: true, limit: MAX_ANSWERS }),
    ),
  )
  // The newest answer is read last, so that its names replace those of earlier answers.
  const answered = [...(parked ?? []).reverse(), ...(delivered ?? []).reverse()]
  for (const message of answered.filter((one) => !facts.read.has(answerKey(one))))
    for (const [id, name] of await orUnreadable(namesInAnswer(outbox, message), [])) facts.names.set(id, name)
  facts.read = new Set(answered.map(answerKey))
}

/** Identifies an answer: a message that was sent again has another one. */
const answerKey = ({ id, endedAt }: StoredMessage): string => `${id} ${endedAt}`

/**
 * Returns the names of a message's destinations in Redox's answer. A name that repeats a value of the message, apart
 * from its `Meta`, is left out, because it could be patient data.
 */
async function namesInAnswer(outbox: Outbox, message: StoredMessage): Promise<[id: string, name: string][]> {
  const { delivery, error, unknown } = await outbox.sealedStore.recordOf(message)
  const answer = delivery?.body ?? (unknown ?? error)?.cause.answer
  const named = destinationsIn(answer).filter(([id]) => message.destination.split(' ').includes(id))
  if (named.length === 0) return []
  const { message: prepared } = await outbox.sealedStore.contentOf(message)
  const names = named.map(([, name]) => name)
  const redacted = redactMessageValues(names, prepared.body)
  return named
    .filter((_pair, index) => redacted[index] === names[index])
    .map(([id, name]) => [id.toLowerCase(), name])
}

/** Returns `Meta.Destinations` of an answer of the Data Model API. */
function destinationsIn(answer: unknown): [id: string, name: string][] {
  const { Destinations: found } = isObject(answer) && isObject(answer['Meta']) ? answer['Meta'] : {}
  const all: unknown[] = Array.isArray(found) ? found : []
  return all.flatMap((one): [string, string][] => {
    const { ID, Name } = isObject(one) ? one : {}
    return typeof ID === 'string' && typeof Name === 'string' && isDestinationName(Name) ? [[ID, Name]] : []
  })
}

/** Resolves to `otherwise` if a content cannot be decrypted: the list shows the message without these facts. */
export function orUnreadable<Fact>(fact: Promise<Fact>): Promise<Fact | undefined>
export function orUnreadable<Fact>(fact: Promise<Fact>, otherwise: Fact): Promise<Fact>
export async function orUnreadable<Fact>(fact: Promise<Fact>, otherwise?: Fact): Promise<Fact | undefined> {
  try {
    return await fact
  } catch (error) {
    if (error instanceof RedoxError) return otherwise
    throw error
  }
}
