import { badInput } from '../../../src/errors'
import { draftFhir } from '../../../src/message/fhir'
import type { FhirOperation } from '../../../src/message/fhir-operations'
import { assertFhirKey } from '../../../src/redox/settings'
import { assertAcceptedData } from './accepted-data'
import { fieldValues } from './field-values'
import { chooseWays, takeFiles } from './file-input'
import { oneOf, inTermsOfForm, type Inputs } from './inputs'
import type { Prepare, Prepared, PrepareInput } from './prepare-types'

interface FhirNode {
  operations: readonly [FhirOperation, ...FhirOperation[]]
}

/** Returns the function with which a node prepares messages for its FHIR operations. */
export const fhirNode =
  (node: FhirNode): Prepare =>
  (task) =>
    prepare(task, node)

async function prepare(task: PrepareInput, { operations }: FhirNode): Promise<Prepared> {
  const { inputs, connection } = task
  assertFhirKey(connection.client.settings)
  const files = await takeFiles(task, true)
  const draft = draftFhir(
    {
      operation: oneOf(inputs, 'operation', operations),
      slug: await slugOf(inputs),
      data: await inputs.value('data'),
      fields: await fieldValues(task),
      files: chooseWays(task, files, 'fhir'),
      place: inputs.setting('place').trim(),
      now: new Date(),
    },
    connection.sender,
  )
  await assertAcceptedData(task, draft.message)
  draft.warnings.forEach((warning) => task.warn(warning))
  return { kind: 'message', draft: inTermsOfForm(draft, inputs), isText: false }
}

async function slugOf(inputs: Inputs): Promise<string> {
  const slug = await inputs.text('destination')
  if (slug !== undefined || !inputs.isSet('destination')) return slug?.trim() ?? ''
  throw badInput(
    `Destination is missing: ${inputs.where('destination')} is not set, or is empty. ${inputs.setting('destinationType') === 'env' ? 'Give that variable a value' : 'Set it before this node'}.`,
  )
}
