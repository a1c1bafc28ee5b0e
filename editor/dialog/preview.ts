/** Preview in the dialog of a send node: the requests that the node would send. */
import type {
  PreviewedRequest,
  PreviewProblem,
  PreviewRequest,
  PreviewResponse,
  ProblemKind,
} from '../../src/shared/dialog-api'
import { formValues } from '../forms'
import { labelOf, text } from '../texts'
import { declaresVariable, variablesOf } from '../validation/variables'
import { ask, messageOf } from './ask'
import { adviceOn, faultsOf } from './faults'
import { line, list } from './parts'

// Milliseconds between the last change in the form and the request: long enough to type a word.
const PREVIEW_AFTER_MS = 500

export function preparePreview(
  form: JQuery,
  node: EditorApi.EditorNode,
  connection: () => EditorApi.EditorNode | undefined,
): void {
  const section = form.find<HTMLDetailsElement>('.redox-preview')
  const result = section.find('.redox-preview-result')
  let shown = 0
  async function show(): Promise<void> {
    // A response that comes late must not replace the result of a newer request.
    const mine = ++shown
    const tell = (...parts: JQuery[]): void => {
      if (mine === shown) result.empty().append(...parts)
    }
    const config = connection()
    if (!config) return tell(line('', text('preview.empty')))
    tell(line('', text('preview.working')))
    try {
      const preview = await ask<PreviewResponse>('redox/preview', requestFor(node, config))
      tell(...previewParts(node, preview))
    } catch (failure) {
      tell(line('redox-bad', messageOf(failure)))
    }
  }
  let planned: ReturnType<typeof setTimeout> | undefined
  const showSoon = (): void => {
    clearTimeout(planned)
    // A response about earlier values of the form is not shown: it would look like one about the present values.
    shown++
    const [details] = section
    planned = setTimeout(() => {
      if (details?.isConnected && details.open) void show()
    }, PREVIEW_AFTER_MS)
  }
  section.on('toggle', () => {
    const [details] = section
    if (!details?.open) return
    // The preview is the last section of the dialog, so its result would be outside the visible area.
    details.scrollIntoView({ block: 'start' })
    void show()
  })
  form.on('change', showSoon)
  section.find('.redox-preview-refresh').on('click', () => void show())
}

function requestFor(node: EditorApi.EditorNode, connection: EditorApi.EditorNode): PreviewRequest {
  const saved = Object.keys(connection._def.defaults).map((name) => [name, connection[name]])
  return {
    id: node.id,
    type: node.type,
    config: formValues(node),
    connectionId: connection.id,
    connection: Object.fromEntries(saved) as Record<string, unknown>,
    variables: knownVariables(node),
  }
}

/**
 * Returns the values of the environment variables in the fields, as far as the editor knows them. The runtime knows
 * only deployed variables.
 */
function knownVariables(node: EditorApi.EditorNode): Record<string, string | null> {
  const values = formValues(node)
  const variables = Object.keys(values)
    .filter((name) => values[`${name}Type`] === 'env')
    .map((name) => values[name] ?? '')
  return Object.fromEntries(
    variables.flatMap((variable): [string, string | null][] => {
      const [known] = variablesOf(node, variable)
      if (known) return [[variable, known.value]]
      return declaresVariable(node, variable) ? [[variable, null]] : []
    }),
  )
}

function previewParts(node: EditorApi.EditorNode, preview: PreviewResponse): JQuery[] {
  const { requests, warnings, sampled } = preview
  const notes = [
    ...warnings,
    ...Object.keys(node._def.defaults).flatMap((name) => {
      const advice = adviceOn(node, name)
      return advice === undefined ? [] : [`${labelOf(name)}: ${advice}`]
    }),
    ...sampled.map(({ field, name }) => text('preview.sampled', { label: labelOf(field), name })),
  ]
  const faults = problemsOf(node, preview)
  return [
    faults.length === 0
      ? line('redox-good', text('preview.noProblems'))
      : list('redox-bad', text('preview.problems'), faults),
    ...(notes.length === 0 ? [] : [list('', text('preview.warnings'), [...new Set(notes)])]),
    ...requests.map(requestPart),
  ]
}

/**
 * Returns each problem once, as a sentence about the form. If a field of the form has an error, problems of the message
 * in this field, and the error of the message, are left out: the field usually causes them.
 */
function problemsOf(node: EditorApi.EditorNode, { problems, error }: PreviewResponse): string[] {
  const inForm = new Map(
    Object.keys(node._def.defaults)
      .map((name): [string, string[]] => [name, faultsOf(node, name)])
      .filter(([, faults]) => faults.length > 0),
  )
  const others = problems
    .filter(({ field }) => field === undefined || !inForm.has(field))
    .map((problem) => problemText(problem))
  if (error && inForm.size === 0) others.push(error.message)
  return [...new Set([...[...inForm.values()].flat(), ...others])]
}

const SENTENCES: Partial<Record<ProblemKind, string>> = {
  date: 'date',
  dateTime: 'dateTime',
  variable: 'fromVariable',
}
const OF_FIELDS: Partial<Record<ProblemKind, string>> = {
  missing: 'required',
  empty: 'required',
  values: 'oneOf',
}

/**
 * Returns the sentence for a problem. A problem without a sentence in the catalogue is shown as the runtime reports it.
 */
function problemText({ path, problem, fix, kind, values, field, name }: PreviewProblem): string {
  const label = field === undefined ? path : labelOf(field)
  const place = field === undefined ? '' : ` (${path})`
  if (kind === undefined) return `${label} ${problem}${place}. ${fix}`
  const key = SENTENCES[kind] ?? (field === undefined ? undefined : OF_FIELDS[kind])
  return key === undefined
    ? text(`preview.problem.${kind}`, { path: label, values })
    : text(`invalid.${key}`, { label, values, name })
}

function requestPart({ method, url, headers, body }: PreviewedRequest): JQuery {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return $('<pre>')
    .attr('tabindex', 0)
    .text([`${method} ${url}`, ...lines, '', indented(body)].join('\n'))
}

function indented(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2)
  } catch {
    return body
  }
}
