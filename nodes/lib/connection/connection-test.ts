import { randomUUID } from 'node:crypto'
import type { Node, NodeAPI } from 'node-red'
import { present } from '../../../src/shared/present'
import { diagnose, type DiagnosisReason } from '../../../src/auth/diagnosis'
import { RedoxError } from '../../../src/errors'
import type {
  ConnectionTestRequest,
  ConnectionTestResponse,
  PlatformTestResponse,
} from '../../../src/shared/dialog-api'
import { environmentOf, secretTargets, type ConnectionConfig, type ConnectionSecrets } from './connection'
import type { TargetEnvironment } from '../../../src/shared/values'
import type { PlatformAccess } from './platform-access'
import { variable, withConnection, withVariables } from './form-connection'

/** Values in the dialog of a redox-config node, which may not be deployed yet. */
export interface ConnectionForm extends ConnectionTestRequest {
  secrets: { [name in keyof ConnectionSecrets]?: string | undefined }
}

export interface ConnectionTestResult extends ConnectionTestResponse {
  environment?: TargetEnvironment
  reason?: DiagnosisReason | 'secretElsewhere'
}

const SECRETS = {
  oauth: ['platformPrivateKey', 'privateKey'],
  legacy: ['platformPrivateKey', 'apiKey', 'secret'],
} as const

/**
 * Fetches a token with the current values of the form. A secret that the user did not type is sent only to known hosts:
 * a stored secret to the hosts of the deployed node, a secret from an environment variable also to Redox's standard
 * hosts.
 */
export async function testConnection(RED: NodeAPI, form: ConnectionForm): Promise<ConnectionTestResult> {
  const node = RED.nodes.getNode(form.id)
  const config: ConnectionConfig = withVariables(RED, node, form.config)
  const kind = config.auth === 'legacy' ? 'legacy' : 'oauth'
  try {
    const target = environmentOf(config.environment)
    const secrets = secretsOf(RED, node, form, kind)
    if (target !== 'Sandbox' && !maySendSecrets(secrets, deployedConfig(RED, form.id), config)) {
      return { ok: false, reason: 'secretElsewhere', field: present(SECRETS[kind].at(-1), 'a secret') }
    }
    // A single attempt to fetch the token, because a person waits for the result.
    const once = { ...config, attempts: 1 }
    const tested = { config: once, secrets: secrets.values, target }
    const platform = await withConnection(RED, tested, async (connection) => {
      await connection.client.authenticate()
      return target === 'Sandbox' ? undefined : testPlatform(connection.platform)
    })
    return { ok: true, environment: target, ...(platform && { platform }) }
  } catch (error) {
    if (!(error instanceof RedoxError)) throw error
    const skew = error.cause.clockSkewSeconds
    const host = hostOf(config)
    return {
      ok: false,
      ...diagnose(error, kind),
      message: error.message,
      ...(host !== undefined && { host }),
      ...(skew !== undefined && { clockSkewSeconds: skew }),
    }
  }
}

/**
 * Tries what the user-level key is for: a token, the log of an id that no log has, and, with an environment ID, a search
 * that finds nothing. Returns undefined if there is no such key.
 */
async function testPlatform(access: PlatformAccess): Promise<PlatformTestResponse | undefined> {
  const { settings } = access
  if (settings === undefined) return undefined
  const signal = AbortSignal.timeout(PLATFORM_TEST_MS)
  try {
    const client = await access.client()
    await client.logById(randomUUID(), signal)
    const searched = settings.environmentId.trim() !== ''
    if (searched) await client.search({ createdAfter: new Date() }, { signal, count: 1 })
    return { ok: true, searched }
  } catch (error) {
    if (!(error instanceof RedoxError)) throw error
    const { field } = error.cause
    return { ok: false, message: error.message, ...(field !== undefined && { field }) }
  }
}

const PLATFORM_TEST_MS = 120_000

/** Returns the host of the token URL; undefined if a URL in the form is invalid. */
function hostOf(config: ConnectionConfig): string | undefined {
  const [url = ''] = targetsOf(config) ?? []
  return URL.canParse(url) ? new URL(url).host : undefined
}

/**
 * Returns the saved configuration of a connection. Reads the flows, because Node-RED creates no node for a config node
 * that no other node uses yet.
 */
function deployedConfig(RED: NodeAPI, id: string): ConnectionConfig | undefined {
  let found: ConnectionConfig | undefined
  RED.nodes.eachNode((definition) => {
    if (definition.id === id) found = withVariables(RED, RED.nodes.getNode(id), { ...definition })
  })
  return found
}

interface Secrets {
  values: ConnectionSecrets
  /** true if a secret is stored in the deployed node */
  stored: boolean
  /** true if a secret comes from an environment variable */
  fromVariable: boolean
}

function secretsOf(
  RED: NodeAPI,
  node: Node | null,
  { id, secrets }: ConnectionForm,
  kind: keyof typeof SECRETS,
): Secrets {
  const stored = (RED.nodes.getCredentials(id) ?? {}) as ConnectionSecrets
  const found: Secrets = { values: {}, stored: false, fromVariable: false }
  for (const name of SECRETS[kind]) {
    const typed = secrets[name]
    const value = variable(RED, node, typed ?? stored[name])
    if (typeof value !== 'string') continue
    found.values[name] = value
    found.stored ||= typed === undefined
    found.fromVariable ||= typed !== undefined && value !== typed
  }
  return found
}

function maySendSecrets(
  secrets: Secrets,
  deployed: ConnectionConfig | undefined,
  config: ConnectionConfig,
): boolean {
  if (!secrets.stored && !secrets.fromVariable) return true
  const target = secretTargets(config).join()
  const { auth = 'oauth', region = 'US' } = config
  if (deployed && deployedTarget({ ...deployed, auth }) === target) return true
  return !secrets.stored && secretTargets({ auth, region }).join() === target
}

// Returns where the deployed connection sends its secrets; undefined if one of its URLs is invalid. The connection test
// reports only errors in the form.
const deployedTarget = (deployed: ConnectionConfig): string | undefined => targetsOf(deployed)?.join()

function targetsOf(config: ConnectionConfig): string[] | undefined {
  try {
    return secretTargets(config)
  } catch {
    return undefined
  }
}
