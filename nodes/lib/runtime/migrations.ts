import { RedoxError } from '../../../src/errors'
import { currentVersion, migrate, versionOf } from '../../../src/shared/migrations'

/**
 * Returns a node's saved properties in the format of this release.
 * @throws RedoxError REDOX_CONFIGURATION for a node that a newer release saved, because this release does not know its
 * properties
 */
export function migrated<T extends object>(type: string, saved: T): T {
  if (versionOf(saved) <= currentVersion(type)) return migrate(type, saved)
  throw new RedoxError(
    'REDOX_CONFIGURATION',
    `Node is from a newer release: the ${type} node has version ${versionOf(saved)}, and this release of ` +
      `@ehr-flows/node-red-redox knows versions up to ${currentVersion(type)}. Update the package.`,
  )
}
