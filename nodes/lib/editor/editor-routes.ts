import type { Request, Response } from 'express'
import type { NodeAPI } from 'node-red'
import { adminRoutes } from '../runtime/admin-routes'
import type { QuestionName } from './editor-answers'

// Permissions that each of these routes requires. Through the form values in a request, a user can read environment
// variables and send requests to any host. Users with the permission to deploy can do that anyway.
const PERMISSIONS = ['redox.write', 'flows.write']

/** Registers the routes for requests of the dialogs: `POST redox/test`, `redox/key-pair`, `redox/preview`. */
export function registerEditorRoutes(RED: NodeAPI): void {
  const routes = adminRoutes(RED)
  const route = (path: string, name: QuestionName): void =>
    routes.post(path, PERMISSIONS, (request: Request, response: Response) => {
      reply(RED, name, request, response).catch(() =>
        // An unexpected error may contain any data, so the HTTP response contains no details.
        response.status(500).json({ code: 'unexpected' }),
      )
    })
  route('/redox/test', 'test')
  route('/redox/key-pair', 'key-pair')
  route('/redox/preview', 'preview')
}

async function reply(RED: NodeAPI, name: QuestionName, request: Request, response: Response): Promise<void> {
  // Loaded with the first request: without an open editor there are no requests.
  const { answerTo } = await import('./editor-answers.js')
  const answer = await answerTo(RED, name, request.body)
  if (answer === undefined) response.status(400).json({ code: 'bad_request' })
  else response.json(answer)
}
