import type { Request, Response } from 'express'
import type { NodeAPI } from 'node-red'
import { z } from 'zod'
import { generateKeys } from '../../src/auth/key-pair'
import { testConnection } from './connection-test'
import { preview } from './preview'

// One permission for all: whoever may ask for these may deploy anyway, and nobody else gets anything.
const PERMISSION = 'redox.write'

const properties = z.record(z.string(), z.unknown())
const secret = z.string().max(100_000).optional()
const TEST = z.strictObject({
  id: z.string().max(100),
  config: properties,
  /** what was typed; a secret that is left out is the stored one */
  secrets: z.strictObject({ privateKey: secret, apiKey: secret, secret }),
})
const PREVIEW = z.strictObject({
  id: z.string().max(100),
  type: z.string().max(100),
  config: properties,
  connectionId: z.string().max(100),
  connection: properties,
})

/** What the dialogs ask the runtime: `POST redox/test`, `redox/key-pair`, `redox/preview`. */
export function registerEditorRoutes(RED: NodeAPI): void {
  const route = <T>(path: string, schema: z.ZodType<T>, answer: (input: T) => Promise<unknown>): void => {
    RED.httpAdmin.post(path, RED.auth.needsPermission(PERMISSION), (request: Request, response: Response) => {
      const input = schema.safeParse(request.body)
      response.set('cache-control', 'no-store')
      if (!input.success) {
        response.status(400).json({ code: 'bad_request' })
        return
      }
      answer(input.data).then(
        (result) => response.json(result),
        // What went wrong inside may quote anything: only that it did is told.
        () => response.status(500).json({ code: 'unexpected' }),
      )
    })
  }
  route('/redox/test', TEST, (input) => testConnection(RED, input))
  route('/redox/key-pair', z.strictObject({}), () => generateKeys())
  route('/redox/preview', PREVIEW, (input) => preview(RED, input))
}
