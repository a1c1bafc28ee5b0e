import type { NodeAPI } from 'node-red'
import { z } from 'zod'
import { generateKeys } from '../../../src/auth/key-pair'
import { testConnection } from '../connection/connection-test'
import { preview } from './preview'

/** Values of the fields of a form, by name. */
const properties = z.record(
  z.string().max(100),
  z.union([z.string().max(100_000), z.number(), z.boolean(), z.null()]).optional(),
)
const secret = z.string().max(100_000).optional()
const TEST = z.strictObject({
  id: z.string().max(100),
  config: properties,
  /** secrets that were typed into the form; for a secret that was not typed, the stored secret is used */
  secrets: z.strictObject({ privateKey: secret, apiKey: secret, secret, platformPrivateKey: secret }),
})
const PREVIEW = z.strictObject({
  id: z.string().max(100),
  type: z.string().max(100),
  config: properties,
  connectionId: z.string().max(100),
  connection: properties,
  /**
   * environment variables that the editor can read, from deployed and undeployed flows; null: the value is known only
   * when the flow runs
   */
  variables: z.record(z.string().max(1000), z.string().max(100_000).nullable()).optional(),
})

interface DialogRequest<T> {
  schema: z.ZodType<T>
  answer: (RED: NodeAPI, input: T) => Promise<unknown>
}

const question = <T>(schema: z.ZodType<T>, answer: DialogRequest<T>['answer']): DialogRequest<unknown> =>
  ({ schema, answer }) as DialogRequest<unknown>

const QUESTIONS = {
  test: question(TEST, testConnection),
  'key-pair': question(z.strictObject({}), () => generateKeys()),
  preview: question(PREVIEW, preview),
}

export type QuestionName = keyof typeof QUESTIONS

/** Returns the response body for a request of a dialog; undefined for a malformed request. */
export async function answerTo(RED: NodeAPI, name: QuestionName, body: unknown): Promise<unknown> {
  const { schema, answer } = QUESTIONS[name]
  const input = schema.safeParse(body)
  return input.success ? answer(RED, input.data) : undefined
}
