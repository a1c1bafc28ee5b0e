import type { Node, NodeAPI } from 'node-red'
import { present } from '../../../src/shared/present'
import { diagnose, type DiagnosisReason } from '../../../src/auth/diagnosis'
import { RedoxError } from '../../../src/errors'
import type { ConnectionTestRequest, ConnectionTestResponse } from '../../../src/shared/dialog-api'
import { environmentOf, tokenTarget, type ConnectionConfig, type ConnectionSecrets } from './connection'
import type { TargetEnvironment } from '../../../src/shared/values'
import { variable, withConnection, withVariables } from './form-connection'

/** What stands in the form of a redox-config node, deployed or not. */
export interface ConnectionForm extends ConnectionTestRequest {
  secrets: { [name in keyof ConnectionSecrets]?: string | undefined }
}

export interface ConnectionTestResult extends ConnectionTestResponse {
  environment?: TargetEnvironment
  reason?: DiagnosisReason | 'secretElsewhere'
}

const SECRETS = { oauth: ['privateKey'], legacy: ['apiKey', 'secret'] } as const

/**
 * Fetches a token with what is in the form now. A secret that was not typed, because it is stored or comes from
 * an environment variable, goes to no other place than the deployed node or Redox itself.
 */
export async function testConnection(RED: NodeAPI, form: ConnectionForm): Promise<ConnectionTestResult> {
  const node = RED.nodes.getNode(form.id)
  const config: ConnectionConfig = withVariables(RED, node, form.config)
  const kind = config.auth === 'legacy' ? 'legacy' : 'oauth'
  try {
    const target = environmentOf(config.environment)
    const secrets = secretsOf(RED, node, form, kind)
    if (target !== 'Sandbox' && !mayGo(secrets, deployedConfig(RED, form.id), config)) {
      return { ok: false, reason: 'secretElsewhere', field: present(SECRETS[kind].at(-1), 'a secret') }
    }
    // A person waits in front of the dialog: one attempt.
    const once = { ...config, attempts: 1 }
    await withConnection(RED, { config: once, secrets: secrets.values, target }, ({ client }) =>
      client.authenticate(),
    )
    return { ok: true, environment: target }
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

/** Unknown when a URL of the form is wrong, which the reason says. */
function hostOf(config: ConnectionConfig): string | undefined {
  const [url = ''] = targetsOf(config) ?? []
  return URL.canParse(url) ? new URL(url).host : undefined
}

/** As it is in the flows: Node-RED makes no node of a connection that no node uses yet. */
function deployedConfig(RED: NodeAPI, id: string): ConnectionConfig | undefined {
  let found: ConnectionConfig | undefined
  RED.nodes.eachNode((definition) => {
    if (definition.id === id) found = withVariables(RED, RED.nodes.getNode(id), { ...definition })
  })
  return found
}

interface Secrets {
  values: ConnectionSecrets
  /** one is stored in the deployed node */
  stored: boolean
  /** one comes from an environment variable */
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

function mayGo(secrets: Secrets, deployed: ConnectionConfig | undefined, config: ConnectionConfig): boolean {
  if (!secrets.stored && !secrets.fromVariable) return true
  const target = tokenTarget(config).join()
  const { auth = 'oauth', region = 'US' } = config
  if (deployed && deployedTarget({ ...deployed, auth }) === target) return true
  return !secrets.stored && tokenTarget({ auth, region }).join() === target
}

// A deployed connection with a wrong URL leads nowhere; it is the form's own faults that are told.
const deployedTarget = (deployed: ConnectionConfig): string | undefined => targetsOf(deployed)?.join()

function targetsOf(config: ConnectionConfig): string[] | undefined {
  try {
    return tokenTarget(config)
  } catch {
    return undefined
  }
}
