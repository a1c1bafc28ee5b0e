import type { Node, NodeAPI } from 'node-red'
import { RedoxError, type Problem } from '../../../src/errors'
import { Fingerprints } from '../../../src/file/fingerprint'
import { fieldAt } from '../../../src/shared/labels'
import type {
  PreviewProblem,
  PreviewRequest,
  PreviewResponse,
  ProblemKind,
  SampledField,
} from '../../../src/shared/dialog-api'
import { environmentOf, type TargetEnvironment } from '../connection/connection'
import { fieldsOf, Inputs, variableIn, type NodeConfig } from '../node/inputs'
import { withConnection, withVariables } from '../connection/form-connection'
import { prepareOf } from '../node/send-node'

type PreviewForm = PreviewRequest & { config: NodeConfig }

export interface Preview extends PreviewResponse {
  environment?: TargetEnvironment
}

/** The requests that a node would make for a small PDF and an invented patient. Nothing is sent. */
export async function preview(RED: NodeAPI, form: PreviewForm): Promise<Preview> {
  const warnings: string[] = []
  const sampled: SampledField[] = []
  try {
    const node = RED.nodes.getNode(form.connectionId)
    const config = withVariables(RED, node, form.connection)
    const environment = environmentOf(config.environment)
    return await withConnection(RED, config, {}, environment, async (connection) => {
      const inputs = new SampleInputs(RED, RED.nodes.getNode(form.id), form, sampled)
      const prepare = await prepareOf(form.type)
      if (prepare === undefined) throw new RedoxError('REDOX_CONFIGURATION', 'There is no such node type.')
      const prepared = await prepare({
        connection,
        inputs,
        signal: new AbortController().signal,
        fingerprints: new Fingerprints(),
        admitted: () => Promise.resolve(),
        warn: (text) => warnings.push(text),
      })
      const { client } = connection
      if (prepared.kind === 'upload') {
        const requests = client.previewUpload(prepared.file, prepared.uploadKind)
        return { environment, requests, problems: [], warnings, sampled }
      }
      const { message, problems } = prepared.draft
      const requests = await client.preview(message, prepared.files)
      return { environment, requests, problems: problems.map(inForm), warnings, sampled }
    })
  } catch (error) {
    if (!(error instanceof RedoxError)) throw error
    const { code, message } = error
    return { requests: [], problems: [], warnings, sampled, error: { code, message } }
  }
}

// ---- Problems, in terms of the form -----------------------------------------------------------------------

const KINDS: Record<string, ProblemKind> = {
  'is missing': 'missing',
  'is empty': 'empty',
  'has a value that is not allowed': 'values',
  'is not valid': 'format',
}

const DATES: Record<string, ProblemKind> = {
  dob: 'date',
  birthDate: 'date',
  effective: 'dateTime',
  date: 'dateTime',
}

function kindOf(problem: string, field: string | undefined): PreviewProblem['kind'] {
  const kind = KINDS[problem]
  return kind === 'format' && field !== undefined ? (DATES[field] ?? kind) : kind
}

function inForm(found: Problem): PreviewProblem {
  const { path, problem, fix } = found
  const field = fieldAt(path)
  const name = variableIn(problem)
  const kind = name === undefined ? kindOf(problem, field) : 'variable'
  return {
    ...found,
    ...(field !== undefined && { field }),
    ...(kind !== undefined && { kind }),
    ...(name !== undefined && { name }),
    ...(kind === 'values' && { values: [...fix.matchAll(/"([^"]*)"/g)].map(([, one]) => one).join(', ') }),
  }
}

// ---- Samples ----------------------------------------------------------------------------------------------

const TEXT_NOTE = new Set(['Plain Text', 'Rich Text'])
const DYNAMIC = new Set(['msg', 'flow', 'global', 'jsonata'])

/** A form's own values, and samples where it points to a message or to context. */
class SampleInputs extends Inputs {
  readonly #form: PreviewForm

  constructor(
    RED: NodeAPI,
    node: Node | null,
    form: PreviewForm,
    private readonly sampled: SampledField[],
  ) {
    super(
      RED,
      node as Node,
      fieldsOf({ ...form.config, ...(form.config.fileFrom === 'path' && FROM_MESSAGE) }),
      { _msgid: 'sample' },
    )
    this.#form = form
  }

  override async value(name: string): Promise<unknown> {
    const { config, type, variables = {} } = this.#form
    const isFile = name === 'file'
    if (isFile || DYNAMIC.has(String(config[`${name}Type`]))) {
      if (isFile && TEXT_NOTE.has(String(config.noteContentType))) return 'A sample text.'
      return isFile || config[name] ? sampleOf(name, type) : undefined
    }
    const variable = String(config[name] ?? '')
    if (config[`${name}Type`] === 'env' && Object.hasOwn(variables, variable)) {
      const known = variables[variable]
      if (typeof known === 'string') return this.known(name, known)
      if (this.unsetVariable(name) !== undefined) {
        this.sampled.push({ field: name, name: variable })
        return sampleOf(name, type)
      }
    }
    return super.value(name)
  }
}

// Paths are not read for a look at a form.
const FROM_MESSAGE = { fileFrom: 'message' }

// The smallest file that every reader takes for a PDF.
const PDF = Buffer.from(
  '%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n' +
    '3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n',
  'latin1',
)
const SAMPLE_ID = '00000000-0000-4000-8000-000000000000'
const PATIENT = {
  Identifiers: [{ ID: '0000000001', IDType: 'MR' }],
  Demographics: { FirstName: 'Sample', LastName: 'Patient', DOB: '2000-01-31', Sex: 'Unknown' },
}
const FHIR_PATIENT = {
  resourceType: 'Patient',
  identifier: [{ value: '0000000001' }],
  name: [{ family: 'Patient', given: ['Sample'] }],
  birthDate: '2000-01-31',
  gender: 'unknown',
}
const TIME = '2026-01-31T09:00:00Z'
/** Samples of fields whose values have a form of their own. `undefined`: as if the message did not have it. */
const SAMPLES: Record<string, unknown> = {
  file: PDF,
  filename: 'sample.pdf',
  contentType: undefined,
  redoxFileType: undefined,
  noteContentType: undefined,
  patientId: '0000000001',
  typeOfPatientId: 'MR',
  firstName: 'Sample',
  given: 'Sample',
  lastName: 'Patient',
  family: 'Patient',
  dob: '2000-01-31',
  birthDate: '2000-01-31',
  sex: 'Unknown',
  gender: 'unknown',
  availability: undefined,
  resourceStatus: undefined,
  effective: TIME,
  date: TIME,
}

function sampleOf(name: string, type: string): unknown {
  const isFhir = type.startsWith('redox-fhir')
  if (name === 'data') return isFhir ? FHIR_PATIENT : { Patient: PATIENT }
  if (name === 'destination') return isFhir ? 'sample-destination' : SAMPLE_ID
  return name in SAMPLES ? SAMPLES[name] : `sample-${name}`
}
