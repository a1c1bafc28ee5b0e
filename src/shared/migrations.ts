/**
 * Changes properties that an earlier release saved into those of this release. The runtime and the editor use the same
 * steps, so that a flow works the same before and after it is opened and deployed.
 */

type Properties = Record<string, unknown>

/**
 * `STEPS[type][n - 1]` returns the properties of version n + 1 from those of version n (a plain object that it may
 * change). Released steps are never changed; a new one comes with a fixture flow in test/fixtures/flows.
 */
export const STEPS: Record<string, ((properties: Properties) => Properties)[]> = {
  'redox-fhir-result': [renameStatus],
  'redox-fhir-document': [renameStatus],
}

// The editor keeps what a node shows beneath it in its property `status`: it took the place of what was typed.
function renameStatus({ status, statusType, ...others }: Properties): Properties {
  const typed = typeof status === 'string' && status !== '[object Object]' ? status : ''
  return { ...others, resourceStatus: typed, resourceStatusType: statusType || 'str' }
}

const stepsOf = (type: string): (typeof STEPS)[string] => STEPS[type] ?? []

export const currentVersion = (type: string): number => stepsOf(type).length + 1

/** Release 0.1.0 saved no version. */
export const versionOf = (saved: object): number => Number((saved as { version?: unknown }).version) || 1

/** The properties as this release knows them; the same object when there is nothing to do. */
export function migrate<T extends object>(type: string, saved: T): T {
  const from = versionOf(saved)
  const current = currentVersion(type)
  if (from >= current) return saved
  const migrated = stepsOf(type)
    .slice(from - 1)
    .reduce((properties, step) => step(properties), { ...saved } as Properties)
  return { ...migrated, version: current } as unknown as T
}
