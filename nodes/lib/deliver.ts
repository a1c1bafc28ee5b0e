import { checked } from '../../src/message/prepared'
import { referenceFor, type Delivery, type RedoxClient } from '../../src/redox/client'
import type { Prepared } from './send-node'
import type { Answer, Work } from './work'

type Done = Omit<Answer, 'warnings'>

/** Does what was prepared. */
export function deliver(prepared: Prepared, client: RedoxClient, work: Work): Promise<Done> {
  return prepared.kind === 'upload' ? upload(prepared, client, work) : send(prepared, client, work)
}

async function upload(
  { file, uploadKind }: Extract<Prepared, { kind: 'upload' }>,
  client: RedoxClient,
  { signal, onProgress }: Work,
): Promise<Done> {
  const uploaded = await client.upload(file, uploadKind, signal, onProgress)
  const { status, headers, sha256, url, attempts } = uploaded
  return {
    payload: referenceFor(file, uploaded, uploadKind),
    statusCode: status,
    id: sha256,
    redox: {
      operation: 'upload',
      way: 'upload',
      files: [{ way: 'upload', size: file.size, sha256, url }],
      headers,
      attempts,
    },
  }
}

async function send(
  { draft, files, isText }: Extract<Prepared, { kind: 'message' }>,
  client: RedoxClient,
  { signal, onProgress }: Work,
): Promise<Done> {
  const message = checked(draft)
  const delivery = await client.deliver(message, files, signal, onProgress)
  return answerOf(message.operation, delivery, isText)
}

function answerOf(operation: string, delivery: Delivery, isText: boolean): Done {
  const { status, headers, body, facts, files, attempts } = delivery
  const id = facts.logIds[0] ?? mainId(operation, facts.locations) ?? facts.traceId
  return {
    payload: body,
    statusCode: status,
    ...(id !== undefined && { id }),
    redox: {
      operation,
      way: isText ? 'text' : wayOf(files.map(({ way }) => way)),
      files,
      logIds: facts.logIds,
      locations: facts.locations,
      ...(facts.traceId !== undefined && { traceId: facts.traceId }),
      headers,
      attempts,
    },
  }
}

const wayOf = (ways: string[]): string =>
  ways.length === 0 ? 'none' : new Set(ways).size > 1 ? 'mixed' : ways[0]!

/** The id in `…/DiagnosticReport/0b9f/_history/1`, of the resource that the operation is about and no other. */
function mainId(operation: string, locations: string[]): string | undefined {
  const [type] = operation.split('/')
  const found = locations.map((location) => new RegExp(`/${type}/([^/]+)`).exec(location)?.[1])
  return found.find((id) => id !== undefined)
}
