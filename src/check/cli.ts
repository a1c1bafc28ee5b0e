#!/usr/bin/env node
/**
 * Command `redox-check`: finds out, with a person's own key for Development or Staging, what Redox accepts, and prints
 * the settings of the nodes that follow from it.
 */
import { writeFile } from 'node:fs/promises'
import { RedoxError } from '../errors'
import { CheckRun } from './check-run'
import { dataModelSender, isWanted } from './consent'
import {
  runBlobStep,
  runMediaStep,
  runNotesStep,
  runResultsStep,
  type DataModelSender,
} from './datamodel-steps'
import {
  adviseEmbedding,
  runBinaryStep,
  runBundleStep,
  runDocumentStep,
  runObservationStep,
  runReportStep,
} from './fhir-steps'
import { runLimitsStep } from './limits-step'
import { optionsOf, STEPS, UsageError, type CheckOptions, type StepName } from './options'
import { lineOf, reportOf, summaryOf } from './report'
import { readSettings } from './settings'
import { runTokenStep } from './token-step'

const USAGE = `Usage: redox-check [--skip <step>,…] [--limits] [--report <file>] [--yes]
Not installed here: npx -p @ehr-flows/node-red-redox redox-check …

Finds out what Redox accepts, with your own key for Development or Staging, and which settings follow from it. It sends
a made-up patient, never in Production. Each step is announced before it runs.

  --skip <step>,…   steps to leave out: ${STEPS.slice(0, -1).join(', ')}
  --limits          also sends files at the limits of size, up to 160 MB
  --report <file>   where the report is written (default: redox-check.md)
  --yes             does not ask before each step
  --help            prints this text

Settings come from the environment, or the command asks for them. Secrets are never arguments.
  REDOX_CHECK_ENVIRONMENT       Development or Staging
  REDOX_CHECK_CLIENT_ID         OAuth API key: client ID
  REDOX_CHECK_KEY_ID            its key ID (kid), if it is not in the private key
  REDOX_CHECK_PRIVATE_KEY_FILE  file with its private key, PEM or JWK; or REDOX_CHECK_PRIVATE_KEY, the key itself
  REDOX_CHECK_API_KEY           legacy API key, in place of the OAuth key or in addition to it
  REDOX_CHECK_SECRET            its secret
  REDOX_CHECK_SOURCE            source ID
  REDOX_CHECK_FHIR_DESTINATION  slug of the FHIR destination (default: redox-fhir-sandbox)
  REDOX_CHECK_DESTINATION       ID of the Data Model destination (default: nothing is sent through this API)
  REDOX_CHECK_REGION            US or CA (default: US)
  REDOX_CHECK_API_BASE, REDOX_CHECK_BLOB_UPLOAD_URL, REDOX_CHECK_FHIR_BASE, REDOX_CHECK_BINARY_BASE   other hosts
With a legacy key and without a terminal, these have to repeat where its messages arrive:
  REDOX_CHECK_CONFIRM_ENVIRONMENT, REDOX_CHECK_CONFIRM_SOURCE, REDOX_CHECK_CONFIRM_DESTINATION
`

const say = (text: string): boolean => process.stdout.write(`${text}\n`)

const FHIR_STEPS = {
  binary: runBinaryStep,
  report: runReportStep,
  observation: runObservationStep,
  document: runDocumentStep,
  bundle: runBundleStep,
}
const DATA_MODEL_STEPS = {
  blob: runBlobStep,
  notes: runNotesStep,
  results: runResultsStep,
  media: runMediaStep,
}

/** Runs all steps. Returns false if no token was obtained. */
async function runSteps(run: CheckRun, options: CheckOptions): Promise<boolean> {
  const { environment, slug, destination = 'none' } = run.settings
  say(`Environment ${environment}. FHIR destination ${slug}. Data Model destination ${destination}.`)
  say('\nStep token: requests access tokens. Nothing is left behind.')
  await runTokenStep(run)
  if (run.oauth === undefined && run.legacy === undefined) return false
  for (const [step, runStep] of Object.entries(FHIR_STEPS) as [
    StepName,
    (run: CheckRun) => Promise<void>,
  ][]) {
    if (run.oauth === undefined) run.notRun(step, 'FHIR API', 'it needs an OAuth key')
    else if (await isWanted(step, options, say)) await runStep(run)
    else run.notRun(step, 'FHIR API', 'skipped')
  }
  adviseEmbedding(run)
  const sender = await runDataModelSteps(run, options)
  if (await isWanted('limits', options, say)) await runLimitsStep(run, sender)
  say('\nAnswers')
  run.addSummary()
  return true
}

async function runDataModelSteps(run: CheckRun, options: CheckOptions): Promise<DataModelSender | undefined> {
  const found = await dataModelSender(run, say)
  if (typeof found === 'string') {
    run.notRun('key', 'Data Model API', found)
    return undefined
  }
  for (const [step, runStep] of Object.entries(DATA_MODEL_STEPS) as [StepName, typeof runBlobStep][]) {
    if (await isWanted(step, options, say)) await runStep(run, found)
    else run.notRun(step, 'Data Model API', 'skipped')
  }
  return found
}

async function writeReport(run: CheckRun, { report }: CheckOptions): Promise<void> {
  if (run.rows.length === 0) return
  say(`\n${summaryOf(run)}`)
  await writeFile(report, reportOf(run))
  say(`\nThe report is in ${report}.`)
}

async function main(): Promise<void> {
  const options = optionsOf(process.argv.slice(2))
  if (options === 'help') {
    say(USAGE)
    return
  }
  const run = new CheckRun(await readSettings(), (row) => say(lineOf(row)))
  try {
    // What was found before an error is reported, too.
    const hasToken = await runSteps(run, options).finally(() => writeReport(run, options))
    if (!hasToken) {
      process.stderr.write('No key got a token, so nothing else was tried.\n')
      process.exitCode = 1
    }
  } finally {
    await run.close()
  }
}

main().catch((error: unknown) => {
  if (error instanceof UsageError) process.stderr.write(`${error.message}\n\n${USAGE.trimEnd()}\n`)
  else if (error instanceof RedoxError) process.stderr.write(`${error.code}: ${error.message}\n`)
  else process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
})
