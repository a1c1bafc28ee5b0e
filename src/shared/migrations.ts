/**
 * Migrates node properties that an earlier release saved to the properties of this release. The runtime and the editor
 * use the same steps, so that a flow works the same before and after a user opens and deploys it.
 */

type Properties = Record<string, unknown>

/**
 * Migration steps by node type: `STEPS[type][n - 1]` converts the properties of version n (a plain object that the step
 * may change) to version n + 1. Released steps are never changed; a new step needs a fixture flow in
 * test/fixtures/flows.
 */
export const STEPS: Record<string, ((properties: Properties) => Properties)[]> = {
  'redox-fhir-result': [renameStatus],
  'redox-fhir-document': [renameStatus],
}

// The Node-RED editor stores the status text below a node in its property `status`, which overwrote the value that the
// user had set for the node's own property `status`.
function renameStatus({ status, statusType, ...others }: Properties): Properties {
  const typed = typeof status === 'string' && status !== '[object Object]' ? status : ''
  return { ...others, resourceStatus: typed, resourceStatusType: statusType || 'str' }
}

const stepsOf = (type: string): (typeof STEPS)[string] => STEPS[type] ?? []

export const currentVersion = (type: string): number => stepsOf(type).length + 1

/** Returns the version of saved properties. Release 0.1.0 saved no version, which counts as version 1. */
export const versionOf = (saved: object): number => Number((saved as { version?: unknown }).version) || 1

/** Returns the properties converted to this release; the same object if no migration step applies. */
export function migrate<T extends object>(type: string, saved: T): T {
  const from = versionOf(saved)
  const current = currentVersion(type)
  if (from >= current) return saved
  const migrated = stepsOf(type)
    .slice(from - 1)
    .reduce((properties, step) => step(properties), { ...saved } as Properties)
  return { ...migrated, version: current } as unknown as T
}
