#!/usr/bin/env node
/** Command `redox-sandbox`: starts a sandbox and prints the messages it receives, without patient data. */
import { parseArgs } from 'node:util'
import { isProfileName, LOG_SHAPES, PROFILES, startSandbox } from './index'
import type { Delivery, ReceivedMessage, RequestRecord, Sandbox, SandboxOptions } from './index'

const profileLines = Object.entries(PROFILES).map(([name, { about }]) => `    ${name.padEnd(24)} ${about}`)

const USAGE = `Usage: redox-sandbox [--port <number>] [--account free] [--profile <name>] [--faults <plan>]
                     [--deliveries <plan>] [--log-shape <shape>]
Not installed here: npx -p @ehr-flows/node-red-redox redox-sandbox …

Simulates Redox on 127.0.0.1. It checks and keeps messages, and plays their delivery. Press Ctrl+C to stop it.

  --port <number>   port to listen on (default: a free one)
  --account free    refuses uploads in Development, as Redox does for free accounts
  --profile <name>  settles what is not known of Redox, see below
  --faults <plan>   which requests fail, and how: rules of where, what and how often, separated by ";" or line
                    breaks, such as: --faults "token 503 2x; endpoint reset-after-accept 20%"
  --deliveries <plan>
                    what becomes of accepted messages: rules of destination, what and how often, such as:
                    --deliveries "delay 5; my-ehr refuse once; any 503 20%"
  --log-shape <shape>
                    shape of the logs of the Platform API: "latest" has the status of the latest attempt alone,
                    "stages" is the older shape
  --help            prints this text

Profiles, to try redox-check. With a profile, blob uploads have a port of their own.
${profileLines.join('\n')}
`

const say = (text: string): boolean => process.stdout.write(`${text}\n`)

function optionsOf(args: string[]): SandboxOptions | 'help' {
  const { values } = parseArgs({
    args,
    options: {
      port: { type: 'string' },
      account: { type: 'string' },
      profile: { type: 'string' },
      faults: { type: 'string' },
      deliveries: { type: 'string' },
      'log-shape': { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) return 'help'
  const { port = '0', account = 'paid', faults = '', deliveries = '', profile } = values
  const { 'log-shape': shape = 'attempts' } = values
  const logShape = LOG_SHAPES.find((one) => one === shape)
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw new Error(`Not a port: ${port}`)
  if (account !== 'paid' && account !== 'free') throw new Error(`Not an account: ${account}`)
  if (profile !== undefined && !isProfileName(profile)) throw new Error(`Not a profile: ${profile}`)
  if (logShape === undefined) throw new Error(`Not a log shape: ${shape}`)
  const plans = { faults, deliveries }
  return { port: Number(port), account, ...plans, logShape, ...(profile !== undefined && { profile }) }
}

const introduction = ({
  url,
  endpoints,
  oauthKey,
  legacyKey,
  platform,
}: Sandbox): string => `Redox sandbox at ${url}

API base URL         ${endpoints.apiBase}
Blob upload URL      ${endpoints.blobUploadUrl}
FHIR base URL        ${endpoints.fhirBase}
Binary upload base   ${endpoints.binaryUploadBase}

Demo keys of this run, valid only here
OAuth client ID      ${oauthKey.clientId}
OAuth key ID (kid)   ${oauthKey.keyId}
OAuth private key
${oauthKey.privateKey}
Legacy API key       ${legacyKey.apiKey}
Legacy secret        ${legacyKey.secret}

User-level key for the Platform API
Client ID            ${platform.key.clientId}
Key ID (kid)         ${platform.key.keyId}
Organization ID      ${platform.organizationId}
Environment ID       ${platform.environmentIds.Development} (Development)
Private key
${platform.key.privateKey}
`

/**
 * Returns the printed line of a received message: counts and types only, because file names and identifiers may
 * identify the patient.
 */
function lineOf({ at, operation, destinations, files }: ReceivedMessage): string {
  const list = files.map(
    (file) => `${file.contentType ?? file.fileType ?? 'file'} ${file.size} bytes ${file.way}`,
  )
  return `${at} ${operation} to ${destinations.join(', ')}: ${list.join(', ') || 'no file'}`
}

/** Returns the printed line of a delivery that is final. */
const deliveryLineOf = ({ updatedAt, destination, status, problem }: Delivery): string =>
  `${updatedAt} delivery to ${destination}: ${status}${problem ? ` (${problem.stage}: ${problem.reason})` : ''}`

/**
 * Returns the printed line of a request with a simulated fault. The line does not contain the path, because clients may
 * put patient data in it.
 */
const faultLineOf = ({ at, api, fault, accepted }: RequestRecord): string =>
  `${at} fault ${fault} on ${api}, ${accepted ? 'accepted' : 'not accepted'}`

async function main(): Promise<void> {
  const options = optionsOf(process.argv.slice(2))
  if (options === 'help') {
    say(USAGE)
    return
  }
  const sandbox = await startSandbox(options)
  say(introduction(sandbox))
  sandbox.onReceived((message) => say(lineOf(message)))
  sandbox.onDelivery((delivery) => {
    if (delivery.status !== 'pending') say(deliveryLineOf(delivery))
  })
  sandbox.onFault((request) => say(faultLineOf(request)))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void sandbox.close())
}

/** Error texts for a port that cannot be opened, by system error code; printed in place of the usage text. */
const PORT_FAULTS: Record<string, string> = {
  EADDRINUSE:
    'The port is taken (EADDRINUSE). Choose another one with --port, or omit --port to use a free one.',
  EACCES: 'This user may not use the port (EACCES). Choose one above 1023 with --port.',
}

main().catch((error: NodeJS.ErrnoException) => {
  process.stderr.write(`${PORT_FAULTS[error.code ?? ''] ?? `${error.message}\n\n${USAGE.trimEnd()}`}\n`)
  process.exitCode = 1
})
