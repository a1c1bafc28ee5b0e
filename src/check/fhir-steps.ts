import type { FhirOperation } from '../message/fhir-operations'
import type { BinaryForm } from '../redox/settings'
import type { CheckRun, Variant } from './check-run'
import type { Finding } from './findings'
import { fhirSample, OBSERVATION_PLACES, sampleFile, subjectWithoutEntry, type FhirSample } from './samples'
import { trySend, tryUpload, type Trial } from './trial'

/** Bodies of a Binary upload, with their labels in the dialog of redox-config. */
const FORMS: Record<BinaryForm, string> = {
  raw: 'the bytes of the file',
  'fhir-json': 'FHIR JSON Binary',
  multipart: 'multipart form',
}

/** Uploads a file as a Binary to each host and with each form of the body, and keeps the first that works. */
export async function runBinaryStep(run: CheckRun): Promise<void> {
  const { oauth } = run
  if (oauth === undefined) return
  run.isBinaryTried = true
  const accepted: { base: string; form: BinaryForm; trial: Trial }[] = []
  let isRefused = true
  for (const [host, base] of binaryHosts(run))
    for (const form of Object.keys(FORMS) as BinaryForm[]) {
      const trial = await tryUpload(run.client(oauth, binaryVariant(run, base, form)), sampleFile(), 'binary')
      run.add('binary', `Binary, ${host}, ${FORMS[form]}`, trial)
      if (trial.result === 'works') accepted.push({ base, form, trial })
      isRefused &&= trial.result === 'refused'
    }
  const [chosen] = accepted
  if (chosen === undefined) {
    run.areBinariesRefused = isRefused
    return
  }
  const { base, form, trial } = chosen
  run.binary = binaryVariant(run, base, form)
  run.proof ??= 'a Binary upload'
  run.addRow({
    ...{ step: 'binary', what: 'Reference to a Binary', result: 'seen' },
    detail: trial.notes?.reference ?? 'none',
  })
  if (base !== run.settings.hosts.binaryUploadBase)
    run.advise('redox-config', 'Binary base URL', shownBase(base))
  if (form !== 'raw') run.advise('redox-config', 'Binary upload body', FORMS[form])
}

/** Advises to embed files if other FHIR requests were accepted, so that neither key nor environment is the reason. */
export function adviseEmbedding(run: CheckRun): void {
  if (!run.areBinariesRefused || run.proof === undefined) return
  for (const node of ['redox-fhir-result', 'redox-fhir-document'])
    run.advise(node, 'Transfer', 'embed as base64')
}

/** Hosts that may take a Binary: the FHIR API, and the host of blob uploads (docs/redox-api.md#binary). */
function binaryHosts({ settings: { hosts } }: CheckRun): [name: string, base: string][] {
  const onBlobHost = `${new URL(hosts.blobUploadUrl).origin}/fhir/R4`
  const first = hosts.binaryUploadBase === hosts.fhirBase ? 'FHIR host' : 'configured host'
  const found: [string, string][] = [
    [first, hosts.binaryUploadBase],
    ['FHIR host', hosts.fhirBase],
    ['blob host', onBlobHost],
  ]
  return found.filter(([, base], index) => found.findIndex(([, other]) => other === base) === index)
}

const binaryVariant = (
  { settings }: CheckRun,
  binaryUploadBase: string,
  binaryForm: BinaryForm,
): Variant => ({
  hosts: { ...settings.hosts, binaryUploadBase },
  binaryForm,
})

/** URL of a host of Redox; hosts of its own kind are described, because they may name an organization. */
const shownBase = (base: string): string =>
  new URL(base).hostname.endsWith('.redoxengine.com') ? base : '<origin of the Blob upload URL>/fhir/R4'

// ---- Operations -----------------------------------------------------------------------------------------------------

const REPORT: FhirOperation = 'DiagnosticReport/$diagnosticreport-create'
const OBSERVATION: FhirOperation = 'Observation/$observation-create'
const DOCUMENT: FhirOperation = 'DocumentReference/$documentreference-create'

export async function runReportStep(run: CheckRun): Promise<void> {
  await sendSample(run, 'report', 'DiagnosticReport, file embedded', { operation: REPORT, way: 'embed' })
  await sendReference(run, 'report', 'DiagnosticReport, file referenced', REPORT)
}

export async function runDocumentStep(run: CheckRun): Promise<void> {
  await sendSample(run, 'document', 'DocumentReference, file embedded', { operation: DOCUMENT, way: 'embed' })
  await sendReference(run, 'document', 'DocumentReference, file referenced', DOCUMENT)
}

/** Tries each place of the file. A place that is accepted may still be ignored, which only the destination shows. */
export async function runObservationStep(run: CheckRun): Promise<void> {
  const accepted: string[] = []
  for (const place of OBSERVATION_PLACES) {
    const what = `Observation, file in ${place.path}`
    const trial = await sendSample(run, 'observation', what, { operation: OBSERVATION, way: 'embed', place })
    if (isAccepted(trial)) accepted.push(place.path)
  }
  const [first] = accepted
  if (first !== undefined && first !== OBSERVATION_PLACES[0]?.path)
    run.advise('redox-fhir-result (Observation)', 'Attachment path', first)
}

/** Sends a report whose patient is named by its subject only. */
export async function runBundleStep(run: CheckRun): Promise<void> {
  const subject = subjectWithoutEntry(run.settings, run.patientLocation)
  const kind = 'reference' in subject ? 'reference' : 'identifier'
  await sendSample(run, 'bundle', `Bundle without a Patient entry, subject by ${kind}`, {
    ...{ operation: REPORT, way: 'embed', subject },
  })
}

async function sendReference(
  run: CheckRun,
  step: Finding['step'],
  what: string,
  operation: FhirOperation,
): Promise<void> {
  if (run.isBinaryTried && run.binary === undefined)
    run.notRun(step, what, 'no upload of a Binary was accepted')
  else await sendSample(run, step, what, { operation, way: 'upload' })
}

async function sendSample(
  run: CheckRun,
  step: Finding['step'],
  what: string,
  sample: FhirSample,
): Promise<Trial | undefined> {
  const { oauth, settings } = run
  if (oauth === undefined) return undefined
  const trial = await trySend(run.client(oauth, run.binary), fhirSample(settings, sample))
  run.add(step, what, trial)
  run.keepNotes('fhir', trial)
  if (isAccepted(trial)) run.proof ??= `a ${sample.operation.split('/')[0]}`
  run.patientLocation ??= trial.locations.find((location) => location.includes('/Patient/'))
  return trial
}

const isAccepted = (trial: Trial | undefined): boolean =>
  trial?.result === 'works' || trial?.isOtherAnswer === true
