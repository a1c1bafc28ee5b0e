import type { QueryResultRow } from 'pg'
import type { StoreWarning } from '../../shared/values'
import type { DatabaseConnection } from './connection'

interface DurabilitySettings extends QueryResultRow {
  fsync: string
  standbys: string
  commit: string
  replicas: number
}

// A user without the role pg_monitor sees a row for each replica, without its details.
const SETTINGS = `SELECT current_setting('fsync') AS fsync, current_setting('synchronous_standby_names') AS standbys,
  current_setting('synchronous_commit') AS commit,
  (SELECT count(*)::int FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup') AS replicas`

/**
 * Returns the settings of the server with which accepted messages may be lost, or cost more. Replicas that are not
 * connected now are not known.
 */
export async function warningsOf(connection: DatabaseConnection): Promise<StoreWarning[]> {
  const [settings] = await connection.rows<DurabilitySettings>(SETTINGS, [])
  if (!settings) return []
  const { fsync, standbys, commit, replicas } = settings
  // With `local`, a commit does not wait for a synchronous replica either.
  const isAsynchronous = replicas > 0 && (standbys.trim() === '' || commit === 'local')
  return [
    ...(connection.server.isCommitOff ? (['commitOff'] as const) : []),
    ...(isAsynchronous ? (['asynchronous'] as const) : []),
    ...(fsync === 'off' ? (['fsyncOff'] as const) : []),
  ]
}
