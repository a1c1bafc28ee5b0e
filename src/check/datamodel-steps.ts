import type { Credentials } from '../auth/credentials'
import { withValueAt } from '../message/json'
import type { DataModel } from '../message/datamodel'
import type { PreparedMessage } from '../message/prepared'
import type { CheckRun } from './check-run'
import type { Finding } from './findings'
import { dataModelSample, sampleFile, type DataModelSample } from './samples'
import { trySend, tryUpload, type Trial } from './trial'

/** Key and destination of the messages, after the environment of the key was proven or confirmed. */
export interface DataModelSender {
  credentials: Credentials
  destination: string
}

export async function runBlobStep(run: CheckRun, { credentials }: DataModelSender): Promise<void> {
  const trial = await tryUpload(run.client(credentials), sampleFile(), 'blob')
  run.add('blob', 'Blob upload', trial)
  run.areBlobsAccepted = trial.result === 'works'
  if (trial.notes !== undefined)
    run.addRow({ step: 'blob', what: 'Reference to a blob', result: 'seen', detail: trial.notes.reference })
  if (trial.result !== 'refused') return
  for (const model of ['note', 'results', 'media'])
    run.advise(`redox-datamodel-${model}`, 'Transfer', 'embed as base64')
}

/** Embeds and references a file; references with both values of `Note.ContentType` (docs/redox-api.md#file-fields). */
export async function runNotesStep(run: CheckRun, sender: DataModelSender): Promise<void> {
  await runModel(run, 'notes', 'Notes', sender)
  const plain = await sendReference(run, 'notes', 'Notes, file referenced, ContentType Plain Text', {
    ...{ sender, model: 'Notes' },
    change: (message) => ({ ...message, body: withValueAt(message.body, CONTENT_TYPE, 'Plain Text') }),
  })
  const text = dataModelSample(run.settings, { model: 'Notes', destination: sender.destination })
  await send(run, { step: 'notes', what: 'Notes, text, ContentType Plain Text' }, sender, text)
  const base64 = run.rows.find(({ what }) => what === REFERENCED_NOTE)
  if (base64?.result === 'refused' && plain?.result === 'works')
    run.advise(
      'redox-datamodel-note (after redox-upload)',
      'Note format · ContentType',
      'Plain Text, with the reference (payload.url) as the text',
    )
}

const CONTENT_TYPE = ['Note', 'ContentType']
const REFERENCED_NOTE = 'Notes, file referenced, ContentType Base64 Encoded'

export const runResultsStep = (run: CheckRun, sender: DataModelSender): Promise<void> =>
  runModel(run, 'results', 'Results', sender)

export const runMediaStep = (run: CheckRun, sender: DataModelSender): Promise<void> =>
  runModel(run, 'media', 'Media', sender)

async function runModel(
  run: CheckRun,
  step: Finding['step'],
  model: DataModel,
  sender: DataModelSender,
): Promise<void> {
  const { destination } = sender
  const sample: DataModelSample = { model, destination, file: sampleFile(), way: 'embed' }
  await send(run, { step, what: `${model}, file embedded` }, sender, dataModelSample(run.settings, sample))
  const what = model === 'Notes' ? REFERENCED_NOTE : `${model}, file referenced`
  await sendReference(run, step, what, { sender, model })
}

interface ReferenceSample {
  sender: DataModelSender
  model: DataModel
  change?: (message: PreparedMessage) => PreparedMessage
}

async function sendReference(
  run: CheckRun,
  step: Finding['step'],
  what: string,
  { sender, model, change = (message) => message }: ReferenceSample,
): Promise<Trial | undefined> {
  if (!run.areBlobsAccepted) {
    run.notRun(step, what, 'the blob upload was not accepted')
    return undefined
  }
  const { destination } = sender
  const message = dataModelSample(run.settings, { model, destination, file: sampleFile(), way: 'upload' })
  return send(run, { step, what }, sender, change(message))
}

async function send(
  run: CheckRun,
  { step, what }: Pick<Finding, 'step' | 'what'>,
  { credentials }: DataModelSender,
  message: PreparedMessage,
): Promise<Trial> {
  const trial = await trySend(run.client(credentials), message)
  run.add(step, what, trial)
  run.keepNotes('datamodel', trial)
  return trial
}
