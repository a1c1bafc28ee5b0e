/** Settings of durable delivery, out of a redox-config node. */
import { existsSync } from 'node:fs'
import {
  DEFAULT_SCHEMA,
  isDatabaseUrl,
  isSchemaName,
  locationIn,
  type StoreDatabase,
  type StoreLocation,
} from '../../../src/queue/store-location'
import type { DuplicateRule } from '../../../src/queue/duplicates'
import type { MessageOrder } from '../../../src/queue/types'
import { MIN_STORE_KEY_LENGTH, PUBLISHED_KEYS, type TargetEnvironment } from '../../../src/shared/values'
import {
  amountIn,
  assertVariablesSet,
  asTexts,
  bytesIn,
  choiceIn,
  configuration,
  type ConnectionConfig,
  type ConnectionSecrets,
} from './read-settings'

/** Settings of durable delivery. Times in milliseconds. */
export interface DurableSettings {
  place: StoreLocation
  key: string
  order: MessageOrder
  duplicates: DuplicateRule
  retryFor: number
  keepFor: number
  /** age in milliseconds from which a waiting message is reported as late */
  lateAfter: number
  /** bytes in the store above which no message is accepted; Infinity: no limit */
  storeLimit: number
}

const HOUR = 3_600_000

/**
 * Returns the settings of durable delivery; undefined for direct delivery.
 * @param id id of the redox-config node
 * @param target environment; published store keys are accepted for the sandbox only
 * @throws RedoxError REDOX_CONFIGURATION
 */
export function durableSettingsOf(
  savedConfig: ConnectionConfig,
  savedSecrets: ConnectionSecrets,
  target: TargetEnvironment,
  { id, userDir }: { id: string; userDir: string | undefined },
): DurableSettings | undefined {
  const config = asTexts(savedConfig)
  if (choiceIn(config, 'delivery') === 'direct') return undefined
  const { storeKey = '', storeUrl = '' } = asTexts(savedSecrets)
  assertVariablesSet({ storeKey, storeUrl })
  const kind = choiceIn(config, 'store')
  const key = storeKey.trim()
  if (key.length < MIN_STORE_KEY_LENGTH)
    throw configuration(
      `Store key ${key === '' ? 'is missing' : `is shorter than ${MIN_STORE_KEY_LENGTH} characters`}. Accepted messages are ` +
        `encrypted with it. ${whatKeyToSet(kind, locationIn(userDir, id))}`,
      'storeKey',
    )
  if (PUBLISHED_KEYS.has(key) && target !== 'Sandbox')
    throw configuration(
      'Store key is published: it is the key of an example, and is accepted for the sandbox only. Create a new key in the ' +
        'dialog, and keep a copy in a safe place. The new key cannot read a store that the published key encrypted: ' +
        'begin a new store in the outbox.',
      'storeKey',
    )
  return {
    place: locationIn(userDir, id, kind === 'embedded' ? undefined : databaseOf(config, storeUrl.trim())),
    key,
    order: choiceIn(config, 'storeOrder'),
    duplicates: choiceIn(config, 'storeDuplicates'),
    retryFor: amountIn(config, 'storeRetryHours', 72) * HOUR,
    keepFor: amountIn(config, 'storeKeepHours', 24) * HOUR,
    lateAfter: amountIn(config, 'storeLateMinutes', 60) * 60_000,
    storeLimit: bytesIn(config, 'storeLimitGb', Infinity),
  }
}

/**
 * Returns the part of an error text that explains which store key to set: an existing store can be read only with the
 * key that it was created with.
 */
function whatKeyToSet(
  kind: StoreLocation['kind'],
  { folder, mark }: Extract<StoreLocation, { kind: 'embedded' }>,
): string {
  const old = 'set the key that it had before, from your copy: no other key can read its store'
  const made = 'create a key in the dialog, or use an environment variable that contains one'
  if (existsSync(folder) || (mark !== undefined && existsSync(mark)))
    return (
      `This connection has a store: ${old}. Without a copy, the waiting messages are lost: set a new key, deploy, and ` +
      'begin a new store in the outbox.'
    )
  if (kind === 'embedded') return `This connection has no store yet: ${made}.`
  return `If this connection has used durable delivery before, here or elsewhere, ${old}. If not, ${made}.`
}

/** @throws RedoxError REDOX_CONFIGURATION */
function databaseOf({ storeSchema = '' }: ConnectionConfig, url: string): StoreDatabase {
  if (!isDatabaseUrl(url))
    throw configuration(
      'Database is not valid: it must be an address such as postgresql://user:password@host/database.',
      'storeUrl',
    )
  assertVariablesSet({ storeSchema })
  const schema = storeSchema.trim() || DEFAULT_SCHEMA
  if (isSchemaName(schema)) return { url, schema }
  throw configuration(
    'Schema is not valid: it may have up to 63 lowercase letters, digits and underscores, begins with no digit and not ' +
      'with pg_. Correct it in the connection.',
    'storeSchema',
  )
}
