// Access to the outbox of a durable connection over the admin API: counts, and decisions on parked messages.

/** @typedef {import('./instance.mjs').Instance} Instance */
/** @typedef {import('../dist/src/shared/outbox-api.js').OverviewResponse} OverviewResponse */
/** @typedef {{ messages: { id: string }[] }} MessageList */

const OUTBOX = 'redox/outbox/connection'
/** Form of the ids that the soaks give to their documents. */
const DOCUMENT_ID = /^L\d+-\d{6}$/

/**
 * Returns the counts of the connection; undefined while its store is not open or the Node-RED process does not run.
 * @param {Instance} instance
 */
export async function countsOf(instance) {
  const overview = await /** @type {Promise<OverviewResponse>} */ (instance.json('redox/outbox')).catch(
    () => undefined,
  )
  return overview?.connections[0]?.counts
}

/**
 * Returns the number of messages that are not done; undefined while the store of the connection is not open, or the
 * Node-RED process does not run.
 * @param {Instance} instance
 */
export async function depthOf(instance) {
  const counts = await countsOf(instance)
  return counts && counts.waiting + counts.sending + counts.parked
}

/**
 * Decides on every parked message as a person would: checks if the message has arrived; if so, marks it as delivered,
 * otherwise sends it again.
 * @param {Instance} instance
 * @param {(id: string) => boolean} hasArrived
 * @param {(id: string, action: 'mark-delivered' | 'resend') => void} [deciding] called before a decision is sent: a
 *   Node-RED that is killed at this moment may have carried out the decision without sending an HTTP response
 * @returns {AsyncGenerator<string>} ids of the messages whose decision was confirmed by an HTTP response
 */
export async function* decideAll(instance, hasArrived, deciding) {
  const { messages } = /** @type {MessageList} */ (
    await instance.json(`${OUTBOX}/messages?state=parked&limit=50`)
  )
  for (const { id } of messages) {
    const { identifiers } = /** @type {{ identifiers: Record<string, string> }} */ (
      await instance.json(`${OUTBOX}/messages/${id}/identifiers`)
    )
    const documentId = Object.values(identifiers).find((one) => DOCUMENT_ID.test(one))
    if (documentId === undefined) throw new Error(`The message ${id} has no document ID`)
    const action = hasArrived(documentId) ? 'mark-delivered' : 'resend'
    deciding?.(documentId, action)
    await instance.send(`${OUTBOX}/messages/${id}`, { action, reason: 'looked up' })
    yield documentId
  }
}
