import { badInput } from '../../../src/errors'
import { draftFhir, type FhirOperation } from '../../../src/message/fhir'
import { assertFhirKey } from '../../../src/redox/settings'
import { fieldValues, type Field } from './datamodel-node'
import { placeFiles, takeFiles } from './file-input'
import { oneOf, withAbsent, type Inputs } from './inputs'
import type { Prepare, Prepared, Task } from './prepare'

/** Fields of the Patient entry (facts 3.3). */
export const FHIR_PATIENT_FIELDS: Field[] = [
  { name: 'patientId', path: 'Patient.identifier[0].value' },
  { name: 'patientIdSystem', path: 'Patient.identifier[0].system', with: 'patientId' },
  { name: 'family', path: 'Patient.name[0].family' },
  { name: 'given', path: 'Patient.name[0].given[0]' },
  { name: 'birthDate', path: 'Patient.birthDate' },
  { name: 'gender', path: 'Patient.gender' },
]

/** Fields that every main resource has. */
export const resourceFields = (code: 'code' | 'type'): Field[] => [
  { name: 'resourceStatus', path: 'main.status' },
  { name: 'code', path: `main.${code}.coding[0].code` },
  { name: 'codeSystem', path: `main.${code}.coding[0].system`, with: 'code' },
  { name: 'codeDisplay', path: `main.${code}.coding[0].display`, with: 'code' },
  { name: 'category', path: 'main.category[0].coding[0].code' },
  { name: 'identifier', path: 'main.identifier[0].value' },
  { name: 'identifierSystem', path: 'main.identifier[0].system', with: 'identifier' },
]

interface FhirNode {
  operations: readonly [FhirOperation, ...FhirOperation[]]
  fields: Field[]
}

/** How a node prepares messages for one of Redox's FHIR operations. */
export const fhirNode =
  (node: FhirNode): Prepare =>
  (task) =>
    prepare(task, node)

async function prepare(task: Task, { operations, fields }: FhirNode): Promise<Prepared> {
  const { inputs, connection } = task
  assertFhirKey(connection.client.settings)
  const files = await takeFiles(task, true)
  const draft = draftFhir(
    {
      operation: oneOf(inputs, 'operation', operations),
      slug: await slugOf(inputs),
      data: await inputs.value('data'),
      fields: await fieldValues(task, [...fields, ...FHIR_PATIENT_FIELDS]),
      files: placeFiles(task, files, 'fhir'),
      place: inputs.setting('place').trim(),
      now: new Date(),
    },
    connection.sender,
  )
  draft.warnings.forEach((warning) => task.warn(warning))
  return { kind: 'message', draft: withAbsent(draft, inputs), isText: false }
}

async function slugOf(inputs: Inputs): Promise<string> {
  const slug = await inputs.text('destination')
  if (slug !== undefined || !inputs.isSet('destination')) return slug?.trim() ?? ''
  throw badInput(
    `Destination is missing: ${inputs.where('destination')} is not set, or is empty. ${inputs.setting('destinationType') === 'env' ? 'Give that variable a value' : 'Set it before this node'}.`,
  )
}
