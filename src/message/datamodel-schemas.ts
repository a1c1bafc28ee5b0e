import { z } from 'zod'
import { isRealDate, NO_SUCH_DATE } from '../shared/dates'
import { DAY, UUID } from '../shared/formats'
import { NOTE_CONTENT_TYPES } from '../shared/values'
import { nonEmptyList, nonEmptyText } from './non-empty'

// Field names, types and required flags: docs/redox-api.md#data-models. Enums are used only where two sources agree;
// other value sets are suggestions in the editor. Unknown fields are allowed.

const text = z.string().nullish()
const texts = z.array(z.string()).optional()
// Redox's documentation allows omitting the seconds, and the colon in the UTC offset (docs/redox-api.md#leniency).
const dateTime = z
  .string()
  .regex(
    /^\d{4}-\d{2}-\d{2}T([01]\d|2[0-3]):[0-5]\d(:([0-5]\d|60)([.,]\d+)?)?(Z|[+-]([01]\d|2[0-3]):?[0-5]\d)$/,
    {
      message: 'Use a format such as 2026-01-31T10:00:00.000Z.',
      abort: true,
    },
  )
  .refine(isRealDate, NO_SUCH_DATE)
  .nullish()
const uuid = z.string().regex(UUID, 'Enter the ID (a UUID) from the Redox dashboard, not the slug.')

const address = z
  .looseObject({ StreetAddress: text, City: text, State: text, ZIP: text, County: text, Country: text })
  .optional()
const identifier = z.looseObject({ ID: text, IDType: text })
const providerLocation = z.looseObject({
  Type: text,
  Facility: text,
  FacilityIdentifiers: z.array(identifier).optional(),
  Department: text,
  DepartmentIdentifiers: z.array(identifier).optional(),
  Room: text,
})
const provider = z.looseObject({
  ID: text,
  IDType: text,
  FirstName: text,
  LastName: text,
  Credentials: texts,
  Address: address,
  EmailAddresses: texts,
  PhoneNumber: z.looseObject({ Office: text }).optional(),
  Location: providerLocation.optional(),
})
const providerWithId = provider.extend({ ID: nonEmptyText })
const providerWithNpi = provider.extend({ NPI: text })
const codeset = z.looseObject({ Code: text, Codeset: text, Description: text })

const meta = (dataModel: string, eventType: string) =>
  z.looseObject({
    DataModel: z.literal(dataModel),
    EventType: z.literal(eventType),
    EventDateTime: dateTime,
    Test: z.boolean().nullish(),
    Source: z.looseObject({ ID: text, Name: text }).optional(),
    Destinations: nonEmptyList(z.looseObject({ ID: uuid, Name: text })),
    FacilityCode: text,
  })

const phones = z.looseObject({ Home: text, Office: text, Mobile: text }).optional()
const patient = z.looseObject({
  Identifiers: nonEmptyList(z.looseObject({ ID: nonEmptyText, IDType: nonEmptyText })),
  Demographics: z
    .looseObject({
      FirstName: text,
      MiddleName: text,
      LastName: text,
      DOB: z
        .string()
        .regex(DAY, { message: 'Use the format YYYY-MM-DD.', abort: true })
        .refine(isRealDate, NO_SUCH_DATE)
        .nullish(),
      SSN: text,
      Sex: text,
      Race: text,
      IsHispanic: z.boolean().nullish(),
      Religion: text,
      MaritalStatus: text,
      IsDeceased: z.boolean().nullish(),
      DeathDateTime: dateTime,
      PhoneNumber: phones,
      EmailAddresses: texts,
      Language: text,
      Citizenship: texts,
      Address: address,
    })
    .optional(),
  Notes: texts,
  Contacts: z
    .array(
      z.looseObject({
        FirstName: text,
        MiddleName: text,
        LastName: text,
        Address: address,
        PhoneNumber: phones,
        RelationToPatient: text,
        EmailAddresses: texts,
        Roles: texts,
      }),
    )
    .optional(),
})

const visit = z
  .looseObject({
    VisitNumber: text,
    AccountNumber: text,
    VisitDateTime: text,
    PatientClass: text,
    Location: providerLocation.extend({ Bed: text }).optional(),
    AdditionalStaff: z.array(provider.extend({ Role: codeset.optional() })).optional(),
    AttendingProvider: provider.optional(),
    ReferringProvider: provider.optional(),
  })
  .optional()
const orderNames = z.array(z.looseObject({ ID: text, Name: text })).optional()

const note = z.looseObject({
  ContentType: z.enum(NOTE_CONTENT_TYPES),
  FileContents: nonEmptyText,
  FileName: text,
  FileType: text,
  DocumentType: nonEmptyText,
  DocumentID: nonEmptyText,
  DocumentDescription: text,
  ServiceDateTime: dateTime,
  DocumentationDateTime: dateTime,
  Status: text,
  Availability: text,
  Provider: providerWithId,
  Authenticator: provider.optional(),
  Notifications: z.array(provider).optional(),
  Components: z.array(z.looseObject({ ID: text, Name: text, Value: text, Comments: text })).optional(),
})

const media = z.looseObject({
  FileType: nonEmptyText,
  FileName: nonEmptyText,
  FileContents: nonEmptyText,
  DocumentType: nonEmptyText,
  DocumentID: nonEmptyText,
  DocumentDescription: text,
  CreationDateTime: dateTime,
  ServiceDateTime: dateTime,
  DirectAddressFrom: text,
  DirectAddressTo: text,
  Provider: providerWithId,
  Authenticated: text,
  Authenticator: provider.optional(),
  // No enum, because the pages of Redox's documentation contain different value sets (docs/redox-api.md#media).
  Availability: nonEmptyText,
  Notifications: z.array(provider).optional(),
})

const result = z
  .looseObject({
    Code: nonEmptyText,
    Codeset: text,
    Description: text,
    RelatedGroupID: text,
    Specimen: z.looseObject({ Source: text, BodySite: text, ID: text }).optional(),
    Value: nonEmptyText,
    ValueType: nonEmptyText,
    FileType: text,
    CompletionDateTime: text,
    Units: text,
    Notes: texts,
    AbnormalFlag: text,
    Status: text,
    PrimaryResultsInterpreter: providerWithNpi.optional(),
    Producer: z.looseObject({ ID: text, IDType: text, Name: text, Address: address }).optional(),
    Performer: provider.optional(),
    ReferenceRange: z
      .looseObject({ Low: z.number().nullish(), High: z.number().nullish(), Text: text })
      .optional(),
    ObservationMethod: codeset.optional(),
  })
  .refine(({ ValueType, FileType }) => ValueType !== 'Encapsulated Data' || !!FileType, {
    path: ['FileType'],
    message: 'Provide the file type, e.g. PDF. Encapsulated Data needs one.',
  })

const order = z.looseObject({
  ID: nonEmptyText,
  ApplicationOrderID: text,
  TransactionDateTime: text,
  CollectionDateTime: text,
  CompletionDateTime: text,
  Notes: texts,
  ResultsStatus: text,
  Procedure: codeset.optional(),
  Provider: providerWithNpi.optional(),
  ResultCopyProviders: z.array(provider).optional(),
  Status: nonEmptyText,
  ResponseFlag: text,
  Priority: text,
  Results: nonEmptyList(result),
})

const notesMessage = (eventType: string, content: z.ZodType) =>
  z.looseObject({
    Meta: meta('Notes', eventType),
    Patient: patient,
    Visit: visit,
    Note: content,
    Orders: orderNames,
  })
const mediaMessage = (eventType: string, content: z.ZodType) =>
  z.looseObject({
    Meta: meta('Media', eventType),
    Patient: patient,
    Visit: visit,
    Media: content,
    Orders: orderNames,
  })
const resultsMessage = (eventType: string, one: z.ZodType) =>
  z.looseObject({
    Meta: meta('Results', eventType),
    Patient: patient,
    Visit: visit,
    Orders: nonEmptyList(one),
  })

/**
 * Schemas of the messages that can contain files, by data model and event type (docs/redox-api.md#endpoint, #notes,
 * #media, #results).
 */
export const DATA_MODEL_SCHEMAS = {
  Notes: {
    New: notesMessage('New', note),
    Replace: notesMessage('Replace', note.extend({ OriginalDocumentID: nonEmptyText })),
    Delete: notesMessage('Delete', note.omit({ FileContents: true })),
  },
  Results: {
    New: resultsMessage('New', order),
    NewUnsolicited: resultsMessage(
      'NewUnsolicited',
      order.extend({ ID: text, ApplicationOrderID: nonEmptyText }),
    ),
  },
  Media: {
    New: mediaMessage('New', media),
    Replace: mediaMessage('Replace', media.extend({ OriginalDocumentID: nonEmptyText })),
    Delete: mediaMessage('Delete', media.omit({ FileContents: true })),
  },
} satisfies Record<string, Record<string, z.ZodType>>
