/** Validators for the credentials of a connection. */
import { isDatabaseUrl, VARIABLE } from '../../src/shared/formats'
import { MIN_STORE_KEY_LENGTH, PUBLISHED_KEYS } from '../../src/shared/values'
import { holds, isLastOpened, reader, type Read } from '../forms'
import { sentence, type Fault } from './fault'
import { keyShape, privateJwksOf, STORED } from './key-shape'
import { isBlank, needed } from './rules'

type EditorNode = EditorApi.EditorNode
type Validator = EditorApi.Validator

/**
 * Returns a secret as far as the editor knows it: the typed text, the mark of a stored secret, `''` for a missing one,
 * or undefined before the form was opened.
 */
function secretOf(node: EditorNode, read: Read, name: string): string | undefined {
  const typed = read(name)
  if (typed !== '' || isLastOpened(node)) return typed
  if (node.credentials === undefined) return undefined
  return (node.credentials[name] as string | undefined) || (node.credentials[`has_${name}`] ? STORED : '')
}

// Only the runtime knows the value of an environment variable.
const mayBeSandbox = (read: Read): boolean =>
  read('environmentType') === 'env' ||
  VARIABLE.test(read('environment')) ||
  ['', 'Sandbox'].includes(read('environment'))

type Auth = 'oauth' | 'legacy'

// The built-in sandbox has keys of its own, so no key is required.
const asksFor = (auth: Auth, read: Read): boolean =>
  (read('auth') === 'legacy' ? 'legacy' : 'oauth') === auth && !mayBeSandbox(read)

export const SECRETS: Record<Auth, string[]> = { oauth: ['privateKey'], legacy: ['apiKey', 'secret'] }

function secretFault(node: EditorNode, read: Read, name: string): Fault | undefined {
  const secret = secretOf(node, read, name)?.trim()
  if (secret === '') return name === 'privateKey' && !isBlank(read('keyId')) ? ['keyWithoutId'] : ['needed']
  return name === 'privateKey' && secret !== undefined ? keyShape(secret, read('keyId').trim()) : undefined
}

function keyIdFault(node: EditorNode, read: Read): Fault | undefined {
  const key = secretOf(node, read, 'privateKey') ?? ''
  const jwks = privateJwksOf(key)
  const namesItself = jwks.length === 1 && typeof jwks[0]?.kid === 'string'
  return key !== '' && !namesItself && isBlank(read('keyId')) ? ['idWithoutKey'] : undefined
}

/** Returns a validator for the Client ID or the Key ID. */
export function validId(name: string): Validator {
  return function (value, _options) {
    const read = reader(this)
    if (!asksFor('oauth', read)) return true
    return sentence(name, name === 'keyId' ? keyIdFault(this, read) : needed(String(value ?? '')))
  }
}

// Conditions for required secrets of the store. Other conditions are known only to the runtime.
const STORE_SECRETS: Record<string, string> = {
  storeKey: 'delivery=durable',
  storeUrl: 'delivery=durable;store=postgresql',
}

function storeFault(node: EditorNode, read: Read, name: string): Fault | undefined {
  const secret = secretOf(node, read, name)?.trim()
  if (secret === '') return ['needed']
  if (secret === undefined || secret === STORED || VARIABLE.test(secret)) return undefined
  if (PUBLISHED_KEYS.has(secret) && !mayBeSandbox(read)) return ['publishedKey']
  const isRight = name === 'storeKey' ? secret.length >= MIN_STORE_KEY_LENGTH : isDatabaseUrl(secret)
  return isRight ? undefined : [name]
}

/** Returns a validator for a credential. The editor marks the field while the form is open. */
export function validSecret(name: string): Validator {
  return function (_value, _options) {
    return secretSentence(this, name)
  }
}

function secretSentence(node: EditorNode, name: string): true | string {
  const read = reader(node)
  const when = STORE_SECRETS[name]
  if (when !== undefined) return !holds(when, read) || sentence(name, storeFault(node, read, name))
  const auth = SECRETS.legacy.includes(name) ? 'legacy' : 'oauth'
  return !asksFor(auth, read) || sentence(name, secretFault(node, read, name))
}

// Validators that combine several secrets for the red triangle, because the editor validates credentials only in an
// open form.
const together = (names: string[]): Validator =>
  function (_value, _options) {
    const found = names.map((name) => secretSentence(this, name)).filter((result) => result !== true)
    return found.length === 0 || found
  }
export const validSecrets = together(Object.values(SECRETS).flat())
export const validStore = together(Object.keys(STORE_SECRETS))
