import type { RedoxConfigNode } from '../connection/connection'
import { durableConnections } from '../connection/durable-connection'
import { errorCodeOf, type InFlightMessage } from './in-flight-message'

// Loaded with the first message, so that the start of Node-RED does not load it, and only once.
let loading: Promise<typeof import('../../../src/redox/activity')> | undefined

/**
 * Counts a message in the activity of its connection when the message has ended. A message that the outbox accepts is
 * counted by the queue sender, and a message that a deploy stopped before it was sent begins again in the redeployed
 * node.
 */
export function countEnd(
  work: InFlightMessage,
  configNode: RedoxConfigNode | undefined,
  isUpload: boolean,
): void {
  if (!configNode) return
  const began = performance.now()
  const { id, name } = configNode
  void work.ended.then(async (outcome) => {
    if ('accepted' in outcome || (work.isDetached && work.isUnsent)) return
    const { activityOf } = await (loading ??= import('../../../src/redox/activity.js'))
    activityOf(id, name).messageEnded({
      ...work.facts,
      delivery: isUpload || !durableConnections.has(id) ? 'direct' : 'durable',
      code: 'error' in outcome ? errorCodeOf(outcome.error) : undefined,
      seconds: (performance.now() - began) / 1000,
    })
  })
}
