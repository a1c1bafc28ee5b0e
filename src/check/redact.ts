import { redactMessageValues, redactSecretsInText, REDACTED } from '../redox/redaction'
import { PATIENT_VALUES } from './samples'
import { FHIR_SANDBOX, type CheckSettings } from './settings'

/** Long runs of letters and digits: ids, tokens, base64. */
const LONG = /[A-Za-z0-9+/_=-]*(?:\d[A-Za-z0-9+/_=-]{11,}|[A-Za-z0-9+/_=-]{24,})/g
/** Numbers of five digits and more, dates, mail addresses, and URLs. */
const NUMBERS = /\d{5,}|\d{4}-\d{2}-\d{2}\S*/g
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
    const patterns = [ADDRESS, LONG, NUMBERS]
    const plain = patterns.reduce((rest, pattern) => rest.replace(pattern, REDACTED), hidden)
    return redactSecretsInText(plain, known).replace(/\s+/g, ' ').slice(0, 160)
  }
}
