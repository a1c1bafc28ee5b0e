/** Validators for the credentials of a connection, and for fields that depend on them. */
import type { Field, SecretField, Table } from '../../nodes/lib/fields/types'
import { isLastOpened, reader, type Read } from '../forms'
import { sentence, type ValidationError } from './validation-error'
import { privateJwksOf, STORED } from './key-shape'
import { isBlank, RULES } from './rules'
import { isChecked } from './when'

/**
 * Returns a secret as far as the editor knows it: the typed value, the placeholder of a stored secret, `''` for a
 * missing secret, or undefined before the dialog was opened.
 */
function secretOf(node: EditorApi.EditorNode, read: Read, name: string): string | undefined {
  const typed = read(name)
  if (typed !== '' || isLastOpened(node)) return typed
  if (node.credentials === undefined) return undefined
  return (node.credentials[name] as string | undefined) || (node.credentials[`has_${name}`] ? STORED : '')
}

/** Returns the validator of a credential field, which the editor calls only while the form is open. */
export function validSecret(table: Table, field: SecretField): EditorApi.Validator {
  return function (_value, _options) {
    return secretSentence(this, table, field)
  }
}

function secretSentence(node: EditorApi.EditorNode, table: Table, field: SecretField): true | string {
  const read = reader(node)
  const { name, checks = [] } = field
  const secret = secretOf(node, read, name)?.trim()
  if (secret === undefined || !isChecked(table, field, read)) return true
  const faults = checks.map((check) => RULES[check](secret, read, name))
  return sentence(
    name,
    faults.find((fault) => fault !== undefined),
  )
}

/**
 * Returns the validator of a choice that decides which secrets are needed. It also validates these secrets, so that the
 * node's red triangle shows their errors: the editor validates credentials only in the open form.
 */
export function validSecretsOf(table: Table, choice: string): EditorApi.Validator {
  const asked = table.fields.filter(
    (field): field is SecretField => field.kind === 'secret' && field.when?.[choice] !== undefined,
  )
  return function (_value, _options) {
    const found = asked.map((field) => secretSentence(this, table, field)).filter((one) => one !== true)
    return found.length === 0 || found
  }
}

/** Returns the validator of the field *Key ID*. A private key in JWK format may contain its own key ID. */
export function validKeyId(table: Table, field: Field): EditorApi.Validator {
  return function (_value, _options) {
    const read = reader(this)
    return !isChecked(table, field, read) || sentence(field.name, keyIdFault(this, read))
  }
}

function keyIdFault(node: EditorApi.EditorNode, read: Read): ValidationError | undefined {
  const key = secretOf(node, read, 'privateKey') ?? ''
  const jwks = privateJwksOf(key)
  const namesItself = jwks.length === 1 && typeof jwks[0]?.kid === 'string'
  return key !== '' && !namesItself && isBlank(read('keyId')) ? ['idWithoutKey'] : undefined
}
