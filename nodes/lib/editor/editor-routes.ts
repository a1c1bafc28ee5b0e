import type { Request, Response } from 'express'
import type { NodeAPI } from 'node-red'
import { adminRoutes } from '../runtime/admin-routes'
import type { QuestionName } from './editor-answers'

// For all of them: with a form of one's own, variables of the environment can be read and hosts be called. Only who
// may deploy can do that anyway.
const PERMISSIONS = ['redox.write', 'flows.write']

/** What the dialogs ask the runtime: `POST redox/test`, `redox/key-pair`, `redox/preview`. */
export function registerEditorRoutes(RED: NodeAPI): void {
  const routes = adminRoutes(RED)
  const route = (path: string, name: QuestionName): void =>
    routes.post(path, PERMISSIONS, (request: Request, response: Response) => {
      reply(RED, name, request, response).catch(() =>
        // What went wrong inside may quote anything: only that it did is told.
        response.status(500).json({ code: 'unexpected' }),
      )
    })
  route('/redox/test', 'test')
  route('/redox/key-pair', 'key-pair')
  route('/redox/preview', 'preview')
}

async function reply(RED: NodeAPI, name: QuestionName, request: Request, response: Response): Promise<void> {
  // Loaded with the first request: without the editor there is none.
  const { answerTo } = await import('./editor-answers.js')
  const answer = await answerTo(RED, name, request.body)
  if (answer === undefined) response.status(400).json({ code: 'bad_request' })
  else response.json(answer)
}
