/** Runs the command `redox-check` against a sandbox. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Sandbox } from '../../src/sandbox'

export const CLI = path.join(__dirname, '../../src/check/cli.js')
export const DESTINATION = 'af394f14-b34a-464f-8d24-895f370af4c9'

export interface CheckResult {
  code: number
  /** Output of the command, stdout and stderr. */
  said: string
  /** Report file; empty if none was written. */
  report: string
}

/** Settings for the hosts of a sandbox, without a key. */
export const hostsOf = ({ endpoints }: Pick<Sandbox, 'endpoints'>): Record<string, string> => ({
  REDOX_CHECK_ENVIRONMENT: 'Development',
  REDOX_CHECK_API_BASE: endpoints.apiBase,
  REDOX_CHECK_BLOB_UPLOAD_URL: endpoints.blobUploadUrl,
  REDOX_CHECK_DESTINATION: DESTINATION,
})

export const oauthOf = ({ oauthKey }: Sandbox): Record<string, string> => ({
  REDOX_CHECK_CLIENT_ID: oauthKey.clientId,
  REDOX_CHECK_KEY_ID: oauthKey.keyId,
  REDOX_CHECK_PRIVATE_KEY: oauthKey.privateKey,
})

export const legacyOf = ({ legacyKey }: Sandbox): Record<string, string> => ({
  REDOX_CHECK_API_KEY: legacyKey.apiKey,
  REDOX_CHECK_SECRET: legacyKey.secret,
})

/** Runs the command in a folder of its own. No secret may be in its output, and no identifier in its report. */
export async function check(env: Record<string, string>, args: string[] = []): Promise<CheckResult> {
  const folder = await mkdtemp(path.join(tmpdir(), 'redox-check-'))
  try {
    const child = spawn(process.execPath, [CLI, ...args], {
      cwd: folder,
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += String(chunk)))
    const [code] = (await once(child, 'close')) as [number]
    const report = await readFile(path.join(folder, 'redox-check.md'), 'utf8').catch(() => '')
    assertPrivate({ code, said, report }, env)
    return { code, said, report }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const SECRETS = ['REDOX_CHECK_PRIVATE_KEY', 'REDOX_CHECK_SECRET', 'REDOX_CHECK_API_KEY']
const IDENTIFIERS = [
  ...['REDOX_CHECK_CLIENT_ID', 'REDOX_CHECK_KEY_ID', 'REDOX_CHECK_SOURCE', 'REDOX_CHECK_DESTINATION'],
  ...['REDOX_CHECK_FHIR_DESTINATION', 'REDOX_CHECK_API_BASE', 'REDOX_CHECK_BLOB_UPLOAD_URL'],
]
/** Made-up patient of the command. */
const PATIENT = ['0000000001', 'Timothy', 'Bixby', '2008-01-06']
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-/i

function assertPrivate({ said, report }: CheckResult, env: Record<string, string>): void {
  const valuesOf = (names: string[]): string[] => names.flatMap((name) => env[name] || [])
  const secrets = valuesOf(SECRETS)
    .flatMap((secret) => secret.split('\n'))
    .filter(({ length }) => length > 8)
  for (const secret of secrets) assert.ok(!said.includes(secret), 'the output contains a secret')
  for (const value of [...secrets, ...valuesOf(IDENTIFIERS), ...PATIENT])
    assert.ok(!report.toLowerCase().includes(value.toLowerCase()), `the report contains ${value}`)
  assert.doesNotMatch(report, UUID)
}

/** Rows of a report: `what: result, detail`. */
export const rowsOf = ({ report }: CheckResult): string[] =>
  sectionOf(report, 'Results').map(([, what, result, detail]) => `${what}: ${result}, ${detail}`)

/** Settings that a report recommends: `node: field = value`. */
export const adviceOf = ({ report }: CheckResult): string[] =>
  sectionOf(report, 'Settings to make').map(([node, field, value]) => `${node}: ${field} = ${value}`)

function sectionOf(report: string, title: string): string[][] {
  const [, section = ''] = report.split(`## ${title}\n`)
  const [text = ''] = section.split('\n## ')
  const lines = text.split('\n').filter((line) => line.startsWith('| '))
  return lines.slice(2).map((line) =>
    line
      .replace(/\\/g, '')
      .split('|')
      .slice(1, -1)
      .map((one) => one.trim()),
  )
}
