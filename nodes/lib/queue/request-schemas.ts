/**
 * Schemas that commands to the outbox have in common: those of the admin API, and those of the redox-outbox node. Error
 * texts never repeat data of a command.
 */
import { z } from 'zod'
import { STATES } from '../../../src/queue/types'

/** Schema of a time: milliseconds since 1970, or a string that `Date.parse` accepts, such as ISO 8601. */
const time = z
  .union([z.string().max(40), z.number().int().min(0).max(1e15).transform(String)])
  .transform((text) => (/^\d{1,15}$/.test(text) ? Number(text) : Date.parse(text)))
  .refine(Number.isFinite)

/**
 * Schema of a reason: a string without line breaks. A reason is stored permanently, and control characters could forge
 * lines of a report.
 */
export const reason = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^[^\p{C}\p{Zl}\p{Zp}]*$/u)

/** Schema of the reason of a command that changes no message: empty if none is given. */
export const optionalReason = reason.default('')

export const destination = z.string().min(1).max(2000)

export const FILTER = {
  state: z.enum(STATES).optional(),
  destination: destination.optional(),
  search: z.string().trim().min(1).max(200).optional(),
  since: time.optional(),
  till: time.optional(),
  code: z
    .string()
    .regex(/^[\w-]{1,64}$/)
    .optional(),
}

type Given<T> = { [Key in keyof T]: Exclude<T[Key], undefined> }

/**
 * Returns an object without its undefined properties: the types of a schema allow undefined, but the parameters of
 * other functions do not.
 */
export const given = <T extends object>(values: T): Given<T> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never
