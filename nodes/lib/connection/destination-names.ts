import { destinationNamesIn } from '../../../src/shared/destination-names'

const labels = new Map<string, ReadonlyMap<string, string>>()

/**
 * Names of destinations in the settings of the connections, by the id of the redox-config node. The outbox shows them
 * in place of IDs; nothing else depends on them.
 */
export const destinationLabels: ReadonlyMap<string, ReadonlyMap<string, string>> = labels

/**
 * Replaces the names of a connection.
 * @param setting value of *Destination names*; a variable may have another type than string
 * @returns function that removes these names again
 */
export function labelDestinations(id: string, setting: unknown): () => void {
  const names = destinationNamesIn(typeof setting === 'string' ? setting : '')
  labels.set(id, names)
  return () => {
    // The redeployed node with the same id may already have set its own names.
    if (labels.get(id) === names) labels.delete(id)
  }
}
