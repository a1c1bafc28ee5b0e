import { z } from 'zod'
import { isRealDate, NO_SUCH_DATE } from '../shared/dates'
import { DOCUMENT_STATUS, GENDERS, OBSERVATION_STATUS, REPORT_STATUS } from '../shared/values'
import { nonEmptyList, nonEmptyText } from './non-empty'

// FHIR R4 (hl7.org/fhir/R4): schemas with the requirements of Redox's operations and of FHIR itself. Redox accepts
// every valid R4 field (docs/redox-api.md#fhir-operations), so unknown elements are allowed. Only value sets with a
// required binding are checked.

const optionalText = nonEmptyText.optional()
const id = z
  .string()
  .regex(/^[A-Za-z0-9\-.]{1,64}$/, 'A FHIR id has 1 to 64 letters, digits, "-" or ".".')
  .optional()
// Patterns of R4 (hl7.org/fhir/R4/datatypes.html): leap seconds, and offsets up to 14 hours, are valid.
const YEAR = '(?!0000)\\d{4}'
const TIME = 'T([01]\\d|2[0-3]):[0-5]\\d:([0-5]\\d|60)(\\.\\d+)?(Z|[+-]((0\\d|1[0-3]):[0-5]\\d|14:00))'
const dated = (expression: string, message: string) =>
  z
    .string()
    .regex(new RegExp(expression), { message, abort: true })
    .refine(isRealDate, NO_SUCH_DATE)
    .optional()
const dateTime = dated(
  `^${YEAR}(-\\d{2}(-\\d{2}(${TIME})?)?)?$`,
  'Use a format such as 2026-01-31 or 2026-01-31T10:00:00Z.',
)
const instant = dated(`^${YEAR}-\\d{2}-\\d{2}${TIME}$`, 'Use a format such as 2026-01-31T10:00:00Z.')
const date = dated(`^${YEAR}(-\\d{2}(-\\d{2})?)?$`, 'Use the format YYYY-MM-DD.')
const reference = z.looseObject({ reference: optionalText }).optional()
const coding = z
  .looseObject({ system: optionalText, code: optionalText, display: optionalText })
  .refine((given) => Object.keys(given).length > 0, { message: 'Provide a code, or leave the coding out.' })
// R4 requires some content in a CodeableConcept: a code, a text, or an extension such as data-absent-reason.
const concept = z
  .looseObject({ coding: nonEmptyList(coding).optional(), text: optionalText })
  .refine((given) => Object.keys(given).length > 0, { message: 'Provide a code (coding[0].code) or text.' })
const identifiers = z.array(z.looseObject({ system: optionalText, value: optionalText })).optional()
const attachment = z.looseObject({
  contentType: optionalText,
  data: optionalText,
  url: optionalText,
  title: optionalText,
})

const base = { id, identifier: identifiers }

/** Schemas of the resource types in Redox's operations. Resources of other types are not validated. */
export const RESOURCE_SCHEMAS: Record<string, z.ZodType> = {
  DiagnosticReport: z.looseObject({
    ...base,
    status: z.enum(REPORT_STATUS),
    category: z.array(concept).optional(),
    code: concept,
    subject: reference,
    effectiveDateTime: dateTime,
    issued: instant,
    presentedForm: z.array(attachment).optional(),
  }),
  Observation: z.looseObject({
    ...base,
    status: z.enum(OBSERVATION_STATUS),
    category: z.array(concept).optional(),
    code: concept,
    subject: reference,
    effectiveDateTime: dateTime,
    issued: instant,
    // `presentedForm` is not in R4, but Redox documents it for the file of an Observation
    // (docs/redox-api.md#attachments).
    presentedForm: z.array(attachment).optional(),
  }),
  DocumentReference: z.looseObject({
    ...base,
    status: z.enum(DOCUMENT_STATUS),
    type: concept.optional(),
    subject: reference,
    date: instant,
    content: nonEmptyList(z.looseObject({ attachment })),
  }),
  Patient: z.looseObject({
    ...base,
    name: z
      .array(z.looseObject({ family: optionalText, given: z.array(nonEmptyText).optional() }))
      .optional(),
    gender: z.enum(GENDERS).optional(),
    birthDate: date,
  }),
  MessageHeader: z.looseObject({
    id,
    eventUri: nonEmptyText,
    source: z.looseObject({ name: optionalText, endpoint: nonEmptyText }),
    focus: nonEmptyList(z.looseObject({ reference: nonEmptyText })),
  }),
}

/** Schema of the Bundle. Each `resource` in its entries is validated by {@link RESOURCE_SCHEMAS}. */
export const BUNDLE_SCHEMA = z.looseObject({
  resourceType: z.literal('Bundle'),
  id,
  type: z.literal('message'),
  timestamp: instant,
  entry: nonEmptyList(
    z.looseObject({ fullUrl: optionalText, resource: z.looseObject({ resourceType: nonEmptyText, id }) }),
  ),
})
