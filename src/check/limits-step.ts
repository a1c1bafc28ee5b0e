import { base64Length } from '../file/base64'
import type { FileSource } from '../file/file'
import type { PreparedMessage, SizeLimits } from '../message/prepared'
import { RequestSpecs } from '../redox/requests'
import { DEFAULT_LIMITS } from '../redox/settings'
import type { RedoxClient } from '../redox/client'
import type { CheckRun } from './check-run'
import type { DataModelSender } from './datamodel-steps'
import { dataModelSample, fhirSample, sampleFile } from './samples'
import { trySend, tryUpload, type Trial } from './trial'

// Limits that Redox has named at different times (docs/redox-api.md#sizes), in bytes; the largest is tried first.
const REQUESTS = [40_000_000, 10_000_000]
const UPLOADS = [30_000_000, 10_000_000]
/** Size that an embedded file must not reach by the older limit of the Data Model API. */
const EMBEDDED = 10_000_000

/** The client must not refuse what Redox is asked about. */
const NO_LIMITS: SizeLimits = {
  ...DEFAULT_LIMITS,
  dataModelEmbed: Infinity,
  request: Infinity,
  upload: Infinity,
}

const mb = (bytes: number): number => bytes / 1_000_000

/** Sends files of the largest sizes that Redox has named, from the largest down to the first that is accepted. */
export async function runLimitsStep(run: CheckRun, sender: DataModelSender | undefined): Promise<void> {
  const { oauth } = run
  if (oauth !== undefined) {
    const client = run.client(oauth, { ...run.binary, limits: NO_LIMITS })
    if (run.binary === undefined) run.notRun('limits', 'Upload of a Binary', 'no Binary was accepted before')
    else await findUploadLimit(run, client, 'binary')
    await findRequestLimit(run, client)
  }
  if (sender === undefined) {
    run.notRun('limits', 'Limits of the Data Model API', 'nothing is sent through this API')
    return
  }
  const client = run.client(sender.credentials, { limits: NO_LIMITS })
  if (run.areBlobsAccepted) await findUploadLimit(run, client, 'blob')
  await findEmbedLimit(run, client, sender)
}

async function findUploadLimit(run: CheckRun, client: RedoxClient, kind: 'binary' | 'blob'): Promise<void> {
  const name = kind === 'blob' ? 'blob' : 'Binary'
  const found = await largest(UPLOADS, async (size) => {
    const trial = await tryUpload(client, sampleFile(size), kind)
    run.add('limits', `Upload of a ${name} of ${mb(size)} MB`, trial)
    return trial
  })
  if (found !== undefined && found < DEFAULT_LIMITS.upload)
    run.advise('redox-config', 'Upload limit (MB)', String(mb(found)))
}

async function findRequestLimit(run: CheckRun, client: RedoxClient): Promise<void> {
  const found = await largest(REQUESTS, async (size) => {
    const build = (file: FileSource): PreparedMessage =>
      fhirSample(run.settings, {
        ...{ operation: 'DiagnosticReport/$diagnosticreport-create', way: 'embed', file },
      })
    const trial = await trySend(client, await messageOfSize(client, build, size))
    run.add('limits', `DiagnosticReport, request of ${mb(size)} MB`, trial)
    return trial
  })
  adviseRequestLimit(run, found)
}

/**
 * Tries the limit of the request first. Below the older limit for embedded files, the file is one byte smaller than
 * that limit.
 */
async function findEmbedLimit(
  run: CheckRun,
  client: RedoxClient,
  { destination }: DataModelSender,
): Promise<void> {
  const build = (file: FileSource): PreparedMessage =>
    dataModelSample(run.settings, { model: 'Media', destination, file })
  const [most = 0, least = 0] = REQUESTS
  const sizes: [size: number, what: string, message: () => Promise<PreparedMessage>][] = [
    [most, `Media, request of ${mb(most)} MB`, () => messageOfSize(client, build, most)],
    [EMBEDDED, 'Media, embedded file just below 10 MB', async () => build(sampleFile(EMBEDDED - 1))],
    [least, `Media, request of ${mb(least)} MB`, () => messageOfSize(client, build, least)],
  ]
  for (const [index, [, what, message]] of sizes.entries()) {
    const trial = await trySend(client, await message())
    run.add('limits', what, trial)
    if (trial.result !== 'works') continue
    if (index === 0) run.advise('redox-config', 'Data Model embed limit (MB)', '29 (allowed, not needed)')
    if (index === 2) adviseRequestLimit(run, least)
    return
  }
}

function adviseRequestLimit(run: CheckRun, found: number | undefined): void {
  if (found !== undefined && found < DEFAULT_LIMITS.request)
    run.advise('redox-config', 'Request limit (MB)', String(mb(found)))
}

/** Returns the first size that is accepted. */
async function largest(
  sizes: number[],
  trialOf: (size: number) => Promise<Trial>,
): Promise<number | undefined> {
  for (const size of sizes) if ((await trialOf(size)).result === 'works') return size
  return undefined
}

/** Builds a message with a file of such a size that the request is as large as possible up to `size` bytes. */
async function messageOfSize(
  { settings }: RedoxClient,
  build: (file: FileSource) => PreparedMessage,
  size: number,
): Promise<PreparedMessage> {
  const small = sampleFile()
  const { body } = await new RequestSpecs(settings).message(build(small))
  const around = body.length - base64Length(small.size)
  return build(sampleFile(Math.floor((size - around) / 4) * 3))
}
