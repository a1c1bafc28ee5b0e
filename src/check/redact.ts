import { redactMessageValues, redactSecretsInText, REDACTED } from '../redox/redaction'
import { PATIENT_VALUES } from './samples'
import { FHIR_SANDBOX, type CheckSettings } from './settings'

/** Words that may be ids, tokens or base64: with a digit, or very long. */
const WORD = /[A-Za-z0-9_+/=-]{5,}/g
const isId = (word: string): boolean =>
  (/\d/.test(word) && !TERMS.has(word.toLowerCase())) || word.length >= 24
const TERMS: ReadonlySet<string> = new Set(['base64', 'rs384', 'es384', 'utf-8', 'hl7v2', 'oauth2'])
/** Mail addresses and URLs. */
const ADDRESS = /\S+@\S+|https?:\/\/\S+|urn:\S+/gi

/** Returns a function that removes secrets, identifiers and values of the patient from a text of Redox. */
export function redactor(settings: CheckSettings): (text: string) => string {
  const { oauth, legacy, sourceId = '', destination = '', slug, hosts } = settings
  const hostNames = Object.values(hosts).map((url: string) => new URL(url).hostname)
  const known = [
    ...(oauth === undefined ? [] : [oauth.clientId, oauth.keyId ?? '', oauth.privateKey]),
    ...(legacy === undefined ? [] : [legacy.apiKey, legacy.secret]),
    ...[sourceId, destination, slug === FHIR_SANDBOX ? '' : slug],
    ...PATIENT_VALUES,
    ...hostNames.filter((name) => !name.endsWith('.redoxengine.com')),
  ].filter((value) => value !== '')
  return (text) => {
    const [hidden = ''] = redactMessageValues([text], undefined, known)
    const plain = hidden.replace(ADDRESS, REDACTED).replace(WORD, (word) => (isId(word) ? REDACTED : word))
    return redactSecretsInText(plain, known).replace(/\s+/g, ' ').slice(0, 160)
  }
}
