import { askLine } from '../terminal'
import type { CheckRun } from './check-run'
import type { DataModelSender } from './datamodel-steps'
import type { CheckOptions, StepName } from './options'
import { variable } from './settings'

/** Announcement of a step: what it sends, and what stays at Redox or at the destination. */
const ANNOUNCEMENTS: Record<StepName, string> = {
  binary:
    'uploads a PDF of one empty page as a FHIR Binary, up to nine times. The uploads that Redox accepts stay there.',
  report:
    'sends two DiagnosticReports. Each that is accepted stays at the FHIR destination, with its patient.',
  observation:
    'sends four Observations. Each that is accepted stays at the FHIR destination, with its patient.',
  document:
    'sends two DocumentReferences. Each that is accepted stays at the FHIR destination, with its patient.',
  bundle:
    'sends one DiagnosticReport without a Patient entry. If it is accepted, it stays at the FHIR destination.',
  blob: 'uploads a PDF of one empty page. It stays at Redox.',
  notes:
    'sends four Notes, two of them with an upload. Each that is accepted stays at the Data Model destination.',
  results:
    'sends two Results, one of them with an upload. Each that is accepted stays at the Data Model destination.',
  media:
    'sends two Media, one of them with an upload. Each that is accepted stays at the Data Model destination.',
  limits:
    'sends up to 160 MB: uploads of 30 MB, and messages of up to 40 MB to both destinations. What is accepted stays there.',
}

/**
 * Announces a step. With a terminal, the person can skip it.
 * @returns false if the step is skipped
 */
export async function isWanted(
  step: StepName,
  { skipped, yes }: CheckOptions,
  say: (text: string) => void,
): Promise<boolean> {
  if (skipped.has(step)) return false
  say(`\nStep ${step}: ${ANNOUNCEMENTS[step]}`)
  if (yes || !process.stdin.isTTY) return true
  return /^(y|yes)?$/i.test((await askLine('Run it? [Y/n]')).trim())
}

/**
 * Returns the key for the Data Model API, or the reason why nothing may be sent through it. This API has no environment
 * in its requests, so the key decides where a message arrives. An OAuth key has to be proven first by the FHIR API,
 * which has the environment in its URL. A legacy key cannot be proven, so the person confirms where it belongs.
 */
export async function dataModelSender(
  run: CheckRun,
  say: (text: string) => void,
): Promise<DataModelSender | string> {
  const { oauth, legacy, proof, settings } = run
  const { destination } = settings
  if (destination === undefined) return 'no Data Model destination is set'
  if (oauth !== undefined && proof !== undefined) return { credentials: oauth, destination }
  if (legacy === undefined)
    return 'no FHIR request was accepted, so nothing proves that the key belongs to this environment'
  if (!(await isConfirmed(run, say)))
    return 'environment, source and destination of the legacy key were not confirmed'
  return { credentials: legacy, destination }
}

async function isConfirmed({ settings }: CheckRun, say: (text: string) => void): Promise<boolean> {
  const { environment, sourceId, destination } = settings
  const wanted = [environment, sourceId ?? '', destination ?? '']
  if (wanted.includes('')) return false
  say(
    '\nNothing proves which environment a legacy key belongs to. Look up the key in the Redox dashboard, and confirm ' +
      'where the messages may arrive.',
  )
  const given = process.stdin.isTTY
    ? [
        await askLine('Type the environment'),
        await askLine('Type the source ID'),
        await askLine('Type the ID of the Data Model destination'),
      ]
    : ['ENVIRONMENT', 'SOURCE', 'DESTINATION'].map((name) => variable(`CONFIRM_${name}`))
  return given.every((text, index) => text.trim().toLowerCase() === wanted[index]?.toLowerCase())
}
