/** Node-RED with `adminAuth`, and the users of its admin API. */
import assert from 'node:assert/strict'
import { startNodeRed, type NodeRed } from './node-red'

const PASSWORD = 'open sesame'
const HASH = '$2b$04$8ddg.lNXEu9rQdjQlw4B1.I7Nd5X7w.VlQzeh4G74GcuXCb9MefIO'

export interface GuardedNodeRed<Name extends string> extends NodeRed {
  /** access tokens for the admin API, by user */
  tokens: Record<Name, string>
}

/**
 * Starts a Node-RED with these users.
 * @param permissions by user, e.g. `*`, `redox-inbox.read`, or several
 * @param settings further settings of Node-RED
 * @param visitor permissions of a user who has not logged in
 */
export async function startWithUsers<Name extends string>(
  permissions: Record<Name, string | readonly string[]>,
  settings: object = {},
  visitor?: { permissions: string },
): Promise<GuardedNodeRed<Name>> {
  const names = Object.keys(permissions) as Name[]
  const users = names.map((username) => ({
    ...{ username, permissions: permissions[username], password: HASH },
  }))
  const nodeRed = await startNodeRed({
    ...settings,
    adminAuth: { type: 'credentials', users, default: visitor },
  })
  const tokens = {} as Record<Name, string>
  for (const name of names) tokens[name] = await login(nodeRed.url, name)
  return { ...nodeRed, tokens }
}

async function login(url: string, username: string): Promise<string> {
  const fields = {
    client_id: 'node-red-admin',
    grant_type: 'password',
    scope: '',
    username,
    password: PASSWORD,
  }
  const answer = await fetch(`${url}auth/token`, { method: 'POST', body: new URLSearchParams(fields) })
  assert.equal(answer.status, 200)
  return ((await answer.json()) as { access_token: string }).access_token
}
