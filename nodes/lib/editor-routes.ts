import type { Request, Response } from 'express'
import type { NodeAPI } from 'node-red'
import { z } from 'zod'
import { generateKeys } from '../../src/auth/key-pair'
import { testConnection } from './connection-test'
import { preview } from './preview'

// For all of them: with a form of one's own, variables of the environment can be read and hosts be called. Only who
// may deploy can do that anyway.
const PERMISSIONS = ['redox.write', 'flows.write']

/** What stands in the fields of a form. */
const properties = z.record(
  z.string().max(100),
  z.union([z.string().max(100_000), z.number(), z.boolean(), z.null()]).optional(),
)
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
    // Node-RED takes a list and asks for each; its types say otherwise.
    const guard = RED.auth.needsPermission(PERMISSIONS as unknown as string)
    RED.httpAdmin.post(path, guard, (request: Request, response: Response) => {
      response.set('cache-control', 'no-store')
      // Other types are what a page of a stranger can post without asking the browser first.
      const input = schema.safeParse(request.is('application/json') ? request.body : undefined)
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
