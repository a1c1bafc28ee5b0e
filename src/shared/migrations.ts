/**
 * Migrates node properties that an earlier release saved to those of this release. The runtime and the editor use the
 * same steps, so that a flow works the same before and after a user opens and deploys it.
 */

type Properties = Record<string, unknown>

/**
 * Migration steps by node type: `STEPS[type][n - 1]` returns the properties of version n + 1 from those of version n (a
 * plain object that the step may change). Released steps are never changed; a new step needs a fixture flow in
 * test/fixtures/flows.
 */
export const STEPS: Record<string, ((properties: Properties) => Properties)[]> = {
  'redox-fhir-result': [renameStatus],
  'redox-fhir-document': [renameStatus],
}

// The Node-RED editor stores the status text below a node in its property `status`, and so overwrote the user's value.
function renameStatus({ status, statusType, ...others }: Properties): Properties {
  const typed = typeof status === 'string' && status !== '[object Object]' ? status : ''
  return { ...others, resourceStatus: typed, resourceStatusType: statusType || 'str' }
}

const stepsOf = (type: string): (typeof STEPS)[string] => STEPS[type] ?? []

export const currentVersion = (type: string): number => stepsOf(type).length + 1

/** Returns the version of saved properties. Release 0.1.0 saved none: version 1. */
export const versionOf = (saved: object): number => Number((saved as { version?: unknown }).version) || 1

/** Returns the properties of this release; the same object when no step applies. */
export function migrate<T extends object>(type: string, saved: T): T {
  const from = versionOf(saved)
  const current = currentVersion(type)
  if (from >= current) return saved
  const migrated = stepsOf(type)
    .slice(from - 1)
    .reduce((properties, step) => step(properties), { ...saved } as Properties)
  return { ...migrated, version: current } as unknown as T
}
