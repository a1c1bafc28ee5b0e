import type { Request, Response } from 'express'
import type { NodeAPI } from 'node-red'
import type { QuestionName } from './editor-answers'

// For all of them: with a form of one's own, variables of the environment can be read and hosts be called. Only who
// may deploy can do that anyway.
const PERMISSIONS = ['redox.write', 'flows.write']

/** What the dialogs ask the runtime: `POST redox/test`, `redox/key-pair`, `redox/preview`. */
export function registerEditorRoutes(RED: NodeAPI): void {
  // Node-RED takes a list and asks for each; its types say otherwise.
  const guard = RED.auth.needsPermission(PERMISSIONS as unknown as string)
  const route = (path: string, name: QuestionName): void => {
    RED.httpAdmin.post(path, guard, (request: Request, response: Response) => {
      response.set('cache-control', 'no-store')
      reply(RED, name, request, response).catch(() =>
        // What went wrong inside may quote anything: only that it did is told.
        response.status(500).json({ code: 'unexpected' }),
      )
    })
  }
  route('/redox/test', 'test')
  route('/redox/key-pair', 'key-pair')
  route('/redox/preview', 'preview')
}

async function reply(RED: NodeAPI, name: QuestionName, request: Request, response: Response): Promise<void> {
  // Loaded when somebody asks: without the editor nobody does.
  const { answerTo } = await import('./editor-answers.js')
  // Other types are what a page of a stranger can post without asking the browser first.
  const answer = await answerTo(RED, name, request.is('application/json') ? request.body : undefined)
  if (answer === undefined) response.status(400).json({ code: 'bad_request' })
  else response.json(answer)
}
