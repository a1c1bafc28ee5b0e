import type { NodeAPI } from 'node-red'
import { RedoxError, type Problem } from '../../../src/errors'
import { Fingerprints } from '../../../src/file/fingerprint'
import type {
  PreviewProblem,
  PreviewRequest,
  PreviewResponse,
  ProblemKind,
  SampledField,
} from '../../../src/shared/dialog-api'
import type { TargetEnvironment } from '../../../src/shared/values'
import { environmentOf, type Connection } from '../connection/connection'
import { fieldNamed } from '../fields/conditions'
import { fieldAt } from '../fields/lookup'
import type { Field, Table } from '../fields/types'
import { Inputs, settingsOf, variableIn, type NodeConfig } from '../node/inputs'
import { withConnection, withVariables } from '../connection/form-connection'
import { sendNodeType } from '../node/send-node'

type PreviewForm = PreviewRequest & { config: NodeConfig }

export interface Preview extends PreviewResponse {
  environment?: TargetEnvironment
}

/** Returns the requests that a node would send to Redox for a small PDF and an invented patient. Nothing is sent. */
export async function preview(RED: NodeAPI, form: PreviewForm): Promise<Preview> {
  const warnings: string[] = []
  const sampled: SampledField[] = []
  try {
    const node = RED.nodes.getNode(form.connectionId)
    const config = withVariables(RED, node, form.connection)
    const environment = environmentOf(config.environment)
    return await withConnection(RED, { config, secrets: {}, target: environment }, async (connection) => {
      const sendNode = sendNodeType(form.type)
      if (sendNode === undefined) throw new RedoxError('REDOX_CONFIGURATION', 'There is no such node type.')
      const { table } = sendNode
      const inputs = new SampleInputs(RED, table, form, sampled)
      const prepare = await sendNode.load()
      const prepared = await prepare({
        connection: acceptingSamples(connection),
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
      const requests = await client.preview(message)
      return { environment, requests, problems: problems.map((one) => inForm(table, one)), warnings, sampled }
    })
  } catch (error) {
    if (!(error instanceof RedoxError)) throw error
    const { code, message } = error
    return { requests: [], problems: [], warnings, sampled, error: { code, message } }
  }
}

/** The sample file must not be judged by *Accept only*: only the flow knows the files that it will send. */
const acceptingSamples = (connection: Connection): Connection => {
  const { accepted: _accepted, ...files } = connection.files
  return { ...connection, files }
}

// ---- Problems in terms of the form ------------------------------------------------------------------------

const KINDS: Record<string, ProblemKind> = {
  'is missing': 'missing',
  'is empty': 'empty',
  'has a value that is not allowed': 'values',
  'is not valid': 'format',
}

const DATES = ['date', 'dateTime'] as const

function kindOf(problem: string, field: Field | undefined): PreviewProblem['kind'] {
  const kind = KINDS[problem]
  return kind === 'format' ? (DATES.find((date) => field?.checks?.includes(date)) ?? kind) : kind
}

function inForm(table: Table, found: Problem): PreviewProblem {
  const { path, problem, fix } = found
  const field = fieldAt(table, path)
  const name = variableIn(problem)
  const kind = name === undefined ? kindOf(problem, fieldNamed(table, field ?? '')) : 'variable'
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

/** Values of a form. A field that refers to the message or to the context gets a sample value. */
class SampleInputs extends Inputs {
  readonly #form: PreviewForm

  constructor(
    RED: NodeAPI,
    table: Table,
    form: PreviewForm,
    private readonly sampled: SampledField[],
  ) {
    super(
      RED,
      RED.nodes.getNode(form.id),
      settingsOf(table, { ...form.config, ...(form.config.fileFrom === 'path' && FROM_MESSAGE) }),
      { _msgid: 'sample' },
    )
    this.#form = form
  }

  override async value(name: string): Promise<unknown> {
    const { config, variables = {} } = this.#form
    const isFile = name === 'file'
    if (isFile || DYNAMIC.has(String(config[`${name}Type`]))) {
      if (isFile && TEXT_NOTE.has(String(config.noteContentType))) return 'A sample text.'
      return isFile || config[name] ? sampleOf(name, this.table) : undefined
    }
    const variable = String(config[name] ?? '')
    if (config[`${name}Type`] === 'env' && Object.hasOwn(variables, variable)) {
      const known = variables[variable]
      if (typeof known === 'string') return this.known(name, known)
      if (this.unsetVariable(name) !== undefined) {
        this.sampled.push({ field: name, name: variable })
        return sampleOf(name, this.table)
      }
    }
    return super.value(name)
  }
}

// A preview does not read files from paths.
const FROM_MESSAGE = { fileFrom: 'message' }

// Smallest PDF that every PDF reader accepts.
const PDF = Buffer.from(
  '%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n' +
    '3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n',
  'latin1',
)

/** Returns the sample for a field that refers to the message; `undefined`: the preview treats the field as empty. */
function sampleOf(name: string, table: Table): unknown {
  if (name === 'file') return PDF
  const field = fieldNamed(table, name)
  const sample = field?.kind === 'typed' ? field.sample : undefined
  return sample === undefined ? `sample-${name}` : (sample ?? undefined)
}
