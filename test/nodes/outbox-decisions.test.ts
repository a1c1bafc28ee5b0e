/** Decisions of users about messages and destinations of the outbox, for one message and for many. */
import assert from 'node:assert/strict'
import { eventually } from '../lib/eventually'
import { OTHER_DESTINATION, type Json } from '../lib/outbox'
import { reply, reset, type ScriptedServer } from '../lib/scripted-server'
import {
  AT,
  DESTINATION_NAME,
  DOWN,
  errorOf,
  OTHER_DESTINATION_NAME,
  REFUSED,
  TAKEN,
  UNKNOWN,
  useOutbox,
  type User,
  type Users,
} from './outbox-support'

describe('decisions in the outbox', function () {
  this.timeout(60_000)
  const outbox = useOutbox()
  const { documentId, documentIds, parked, audit, lastLine } = outbox
  let redox: ScriptedServer
  let users: Users

  before(() => ({ redox, users } = outbox))

  it('send a parked message again, and its node emits the answer', async () => {
    for (const answer of [REFUSED, reset]) {
      const { id, reason } = await parked(answer)
      assert.equal(reason, answer === reset ? 'REDOX_OUTCOME_UNKNOWN' : 'REDOX_REJECTED')
      const behind = await users.admin.accept({ documentId: documentId() })
      redox.script('send', TAKEN)
      const sent = redox.of('send').length
      assert.equal((await users.decider.decide(id, 'resend', 'looked it up: not there')).status, 204)
      await users.admin.until(behind.id, 'delivered')
      await eventually('emitted', async () => (await users.admin.emitted()).includes(behind.id))
      assert.equal((await users.admin.emitted()).filter((one) => one === id).length, 1)
      const documents = redox
        .of('send')
        .slice(sent)
        .map(({ body }) => JSON.parse(body.toString()).Note.DocumentID)
      assert.deepEqual(documents, documentIds.slice(-2))
      const { at, ...line } = await lastLine()
      assert.ok(Math.abs(Date.parse(at) - Date.now()) < 20_000)
      assert.deepEqual(line, {
        who: 'decider',
        action: 'resend',
        subject: id,
        reason: 'looked it up: not there',
      })
    }
  })

  it('send a message with another account only if the request allows it', async () => {
    redox.script('send', DOWN)
    const first = await users.admin.accept({ documentId: documentId() })
    const second = await users.admin.accept({ documentId: documentId() })
    await users.admin.deploy(redox.url, { clientId: 'another client' })
    try {
      const { otherAccount, error } = await users.reader.until(first.id, 'parked')
      redox.script('send', TAKEN)
      assert.deepEqual([otherAccount, error.code], [true, 'REDOX_OTHER_ACCOUNT'])
      const plain = await users.decider.decide(first.id, 'resend', 'x')
      assert.deepEqual(await errorOf(plain), [409, 'REDOX_OTHER_ACCOUNT'])
      const sent = redox.of('send').length
      const place = `redox/outbox/outboxconfig/messages/${first.id}`
      const decision = { action: 'resend', reason: 'the client was replaced', otherAccount: true }
      assert.equal((await users.decider.post(place, decision)).status, 204)
      await users.reader.until(first.id, 'delivered')
      assert.equal(redox.of('send').length, sent + 1)
      // The second message stays parked, because the decision applied only to the first message.
      await users.reader.until(second.id, 'parked')
    } finally {
      await users.admin.deploy(redox.url)
    }
    assert.equal((await users.reader.get(`messages/${second.id}`))['otherAccount'], false)
    assert.equal((await users.decider.decide(second.id, 'resend', 'set back')).status, 204)
    await users.reader.until(second.id, 'delivered')
  })

  it('end the wait of later messages at once when the message before them is discarded', async () => {
    redox.script('send', reply(503, {}, { 'retry-after': '100' }))
    const { id } = await users.admin.accept({ documentId: documentId() })
    const behind = await users.admin.accept({ documentId: documentId() })
    await eventually('it failed', async () => (await users.reader.get(`messages/${id}`))['attempts'] === 1)
    const { dueAt } = await users.reader.get(`messages/${id}`)
    assert.ok(Date.parse(dueAt) - Date.now() > 30_000, dueAt)
    redox.script('send', TAKEN)
    assert.equal((await users.decider.decide(id, 'discard', 'not needed')).status, 204)
    await users.reader.until(behind.id, 'delivered')
  })

  for (const [action, state] of [
    ['mark-delivered', 'delivered'],
    ['discard', 'discarded'],
  ] as const)
    it(`${action}: nothing is sent or emitted, and later messages continue`, async () => {
      const { id } = await parked()
      const behind = await users.admin.accept({ documentId: documentId() })
      redox.script('send', TAKEN)
      const sent = redox.of('send').length
      assert.equal((await users.decider.decide(id, action, '  it is there  ')).status, 204)
      assert.deepEqual((await users.reader.get(`messages/${id}`))['state'], state)
      await users.admin.until(behind.id, 'delivered')
      await eventually('emitted', async () => (await users.admin.emitted()).includes(behind.id))
      assert.ok(!(await users.admin.emitted()).includes(id))
      assert.equal(redox.of('send').length, sent + 1)
      const { at: _at, ...line } = await lastLine()
      assert.deepEqual(line, { who: 'decider', action, subject: id, reason: 'it is there' })
      if (action === 'discard') return
      assert.deepEqual(await errorOf(await users.decider.decide(id, 'discard', 'x')), [
        409,
        'REDOX_STORE_LOST',
      ])
    })

  it('pause and resume one destination only', async () => {
    redox.script('send', DOWN)
    const waiting = await users.admin.accept({ documentId: documentId() })
    assert.equal((await users.decider.pause(DESTINATION_NAME, 'pause', 'maintenance')).status, 204)
    const other = await users.admin.accept({ documentId: documentId(), destination: OTHER_DESTINATION })
    redox.script('send', TAKEN)
    await users.reader.until(other.id, 'delivered')
    await eventually('the paused message is due', async () => {
      const { state, dueAt, acceptedAt } = await users.reader.get(`messages/${waiting.id}`)
      return state === 'waiting' && Date.parse(dueAt ?? acceptedAt) < Date.now()
    })
    const later = await users.admin.accept({ documentId: documentId(), destination: OTHER_DESTINATION })
    await users.reader.until(later.id, 'delivered')
    assert.equal((await users.reader.get(`messages/${waiting.id}`))['state'], 'waiting')
    const [listed] = (await users.reader.connection())['destinations']
    assert.deepEqual([listed.destination, listed.paused, listed.open], [DESTINATION_NAME, true, 1])
    assert.equal((await users.decider.pause(DESTINATION_NAME, 'resume', 'over')).status, 204)
    await users.reader.until(waiting.id, 'delivered')
    const lines = (await audit())
      .slice(-2)
      .map(({ who, action, subject, reason }) => [who, action, subject, reason])
    assert.deepEqual(lines, [
      ['decider', 'pause', DESTINATION_NAME, 'maintenance'],
      ['decider', 'resume', DESTINATION_NAME, 'over'],
    ])
  })

  describe('decisions for many at once', () => {
    const post = (body: object, user: User = 'decider'): Promise<Response> =>
      users[user].post(`${AT}/decisions`, { reason: 'long outage', ...body })
    const decideAll = async (body: object): Promise<Json> => {
      const answer = await post(body)
      assert.equal(answer.status, 200, await answer.clone().text())
      return (await answer.json()) as Json
    }
    const linesSince = async (total: number): Promise<Json[]> =>
      (await users.reader.get(`audit?skip=${total}&limit=500`))['lines'] as Json[]
    const total = async (): Promise<number> => (await users.reader.get('audit?limit=1'))['total'] as number
    /** Accepts this number of messages for a paused destination, and returns their ids. */
    async function waiting(number: number): Promise<string[]> {
      redox.script('send', DOWN)
      const first = await users.admin.accept({ documentId: documentId() })
      assert.equal((await users.admin.pause(DESTINATION_NAME, 'pause', 'x')).status, 204)
      const ids = [first['id'] as string]
      while (ids.length < number)
        ids.push((await users.admin.accept({ documentId: documentId() }))['id'] as string)
      await eventually(
        'nothing is being sent',
        async () => (await users.reader.messages('state=sending')).length === 0,
      )
      return ids
    }

    it('change exactly the counted number of messages, with a line of the audit log for each', async () => {
      const ids = await waiting(4)
      const { count, till } = await users.reader.get('count?state=waiting&action=discard')
      assert.equal(count, 4)
      assert.equal(
        (
          await users.reader.get(
            `count?state=waiting&destination=${encodeURIComponent(OTHER_DESTINATION_NAME)}`,
          )
        )['count'],
        0,
      )
      const before = await total()
      // A message that is accepted after the messages were counted must not be part of the decision.
      const later = await users.admin.accept({ documentId: documentId() })
      const asked = { action: 'discard', count, filter: { state: 'waiting' } }
      assert.deepEqual(await errorOf(await post(asked)), [409, 'more_match'])
      assert.equal(await total(), before)
      const filter = { state: 'waiting', till }
      assert.deepEqual(await decideAll({ ...asked, filter }), { decided: 4, left: 0 })
      const lines = await linesSince(before)
      assert.deepEqual(
        lines.map(({ who, action, subject, reason }) => [who, action, subject, reason]),
        ids.map((id) => ['decider', 'discard', id, 'long outage']),
      )
      assert.equal((await users.reader.get(`messages/${later['id']}`))['state'], 'waiting')
    })

    it('continue step by step on request', async () => {
      const ids = await waiting(5)
      const before = await total()
      const step = { action: 'extend', hours: 100, count: 5, filter: { state: 'waiting' }, limit: 2 }
      const first = await decideAll(step)
      assert.deepEqual(first, { decided: 2, left: 0, next: ids[1] })
      const second = await decideAll({ ...step, after: first['next'] })
      assert.deepEqual(second, { decided: 2, left: 0, next: ids[3] })
      assert.deepEqual(await decideAll({ ...step, after: second['next'] }), { decided: 1, left: 0 })
      assert.deepEqual(
        (await linesSince(before)).map(({ subject }) => subject as string),
        ids,
      )
      for (const id of ids) {
        const { deadline, state } = await users.reader.get(`messages/${id}`)
        assert.ok(Date.parse(deadline) - Date.now() > 99 * 3_600_000, deadline)
        assert.equal(state, 'waiting')
      }
      assert.deepEqual(await errorOf(await post({ ...step, after: UNKNOWN })), [409, 'REDOX_STORE_LOST'])
    })

    it('leave the rest when the caller disconnects, and continue with the next request', async () => {
      await waiting(1)
      const many = Array.from({ length: 299 }, () => users.admin.press({ documentId: documentId() }))
      await Promise.all(many)
      const place = 'count?state=waiting'
      await eventually('all are accepted', async () => (await users.reader.get(place))['count'] === 300)
      const before = await total()
      const gone = new AbortController()
      const asked = { action: 'discard', reason: 'long outage', count: 300, filter: { state: 'waiting' } }
      const asking = users.decider.ask(`${AT}/decisions`, {
        ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
        ...{ body: JSON.stringify(asked), signal: gone.signal },
      })
      await eventually('some are decided', async () => (await total()) > before)
      gone.abort()
      await assert.rejects(asking)
      const left = async (): Promise<number> => (await users.reader.get(place))['count'] as number
      let known = -1
      await eventually('it has stopped', async () => known === (known = await left()))
      assert.ok(known > 0, 'all were decided')
      assert.equal(await total(), before + 300 - known)
      assert.deepEqual(await decideAll(asked), { decided: known, left: 0 })
    })

    it('extend the deadline of one message', async () => {
      const [id] = (await waiting(1)) as [string]
      const longer = { action: 'extend', hours: 200, reason: 'long outage' }
      for (const wrong of [
        { ...longer, hours: undefined },
        { ...longer, hours: 721 },
        { ...longer, action: 'discard' },
      ])
        assert.equal((await users.decider.post(`${AT}/messages/${id}`, wrong)).status, 400)
      assert.equal((await users.decider.post(`${AT}/messages/${id}`, longer)).status, 204)
      const { deadline } = await users.reader.get(`messages/${id}`)
      assert.ok(Math.abs(Date.parse(deadline) - Date.now() - 200 * 3_600_000) < 60_000, deadline)
      const { at: _at, ...line } = await lastLine()
      const reason = `long outage (until ${deadline.replace(/\.\d+/, '')})`
      assert.deepEqual(line, { who: 'decider', action: 'extend', subject: id, reason })
      const before = await total()
      const shorter = await users.decider.post(`${AT}/messages/${id}`, { ...longer, hours: 100 })
      const { code, message, deadline: until } = (await shorter.json()) as Json
      assert.deepEqual([shorter.status, code, until], [409, 'unchanged', deadline])
      assert.ok(message.includes(`already retried until ${deadline}`), message)
      assert.equal(await total(), before)
      const many = { action: 'extend', hours: 100, count: 1, filter: { search: id } }
      assert.deepEqual(await decideAll(many), { decided: 0, left: 1, unchanged: 1 })
      assert.equal(await total(), before)
    })

    it('send refused messages again, and those that may have arrived only if the filter contains their code', async () => {
      const refused = await parked(REFUSED)
      const unknown = await parked(reset, OTHER_DESTINATION)
      const idOf = ({ id }: Json): string => id as string
      redox.script('send', TAKEN)
      const all = { action: 'resend', count: 2, filter: {} }
      assert.deepEqual(await decideAll(all), { decided: 1, left: 1 })
      await users.reader.until(idOf(refused), 'delivered')
      assert.equal((await users.reader.get(`messages/${idOf(unknown)}`))['state'], 'parked')
      const found = await users.reader.messages('code=REDOX_OUTCOME_UNKNOWN&state=parked')
      assert.deepEqual(found.map(idOf), [idOf(unknown)])
      const { count } = await users.reader.get('count?code=REDOX_OUTCOME_UNKNOWN&state=parked')
      const named = { action: 'resend', count, filter: { code: 'REDOX_OUTCOME_UNKNOWN' } }
      assert.deepEqual(await decideAll(named), { decided: 1, left: 0 })
      await users.reader.until(idOf(unknown), 'delivered')
    })

    it('use no other account for messages that are parked for another reason', async () => {
      const refused = await parked(REFUSED)
      await users.admin.deploy(redox.url, { clientId: 'another client' })
      try {
        for (const filter of [{ code: 'REDOX_REJECTED' }, {}]) {
          const asked = { action: 'resend', count: 1, filter, otherAccount: true }
          assert.deepEqual(await decideAll(asked), { decided: 0, left: 1 })
        }
        assert.equal((await users.reader.get(`messages/${refused['id']}`))['state'], 'parked')
      } finally {
        await users.admin.deploy(redox.url)
      }
    })

    it('use another account only if filter and request allow it', async () => {
      redox.script('send', DOWN)
      const first = await users.admin.accept({ documentId: documentId() })
      const second = await users.admin.accept({ documentId: documentId(), destination: OTHER_DESTINATION })
      await users.admin.deploy(redox.url, { clientId: 'another client' })
      try {
        for (const { id } of [first, second]) await users.reader.until(id as string, 'parked')
        redox.script('send', TAKEN)
        const sent = redox.of('send').length
        const code = 'REDOX_OTHER_ACCOUNT'
        const left = { decided: 0, left: 2 }
        const resend = { action: 'resend', count: 2 }
        assert.deepEqual(await decideAll({ ...resend, filter: {} }), left)
        assert.deepEqual(await decideAll({ ...resend, filter: {}, otherAccount: true }), left)
        assert.deepEqual(await decideAll({ ...resend, filter: { code } }), left)
        assert.equal(redox.of('send').length, sent)
        const filter = { code, destination: DESTINATION_NAME }
        const allowed = { ...resend, count: 1, filter, otherAccount: true }
        assert.deepEqual(await decideAll(allowed), { decided: 1, left: 0 })
        await users.reader.until(first['id'] as string, 'delivered')
      } finally {
        await users.admin.deploy(redox.url)
      }
      // The connection uses the first account again, so the messages need no permission for another account. But they
      // are still parked with REDOX_OTHER_ACCOUNT, so the filter must name this error code.
      const again = { action: 'resend', count: 1, filter: { state: 'parked' } }
      assert.deepEqual(await decideAll(again), { decided: 0, left: 1 })
      const named = { ...again, filter: { code: 'REDOX_OTHER_ACCOUNT' } }
      assert.deepEqual(await decideAll(named), { decided: 1, left: 0 })
      await users.reader.until(second['id'] as string, 'delivered')
    })

    it('refuse invalid and unauthorized requests without an effect', async () => {
      await waiting(2)
      const before = await total()
      const good = { action: 'discard', count: 9, filter: { state: 'waiting' } }
      for (const wrong of [
        ...[
          { ...good, action: 'delete' },
          { ...good, reason: ' ' },
          { ...good, reason: 'a\nb' },
        ],
        ...[
          { ...good, count: -1 },
          { ...good, count: '9' },
          { ...good, count: undefined },
        ],
        ...[
          { ...good, filter: undefined },
          { ...good, filter: { stat: 'waiting' } },
        ],
        ...[
          { ...good, filter: { code: 'a b' } },
          { ...good, filter: [] },
          { ...good, more: 1 },
        ],
        ...[
          { ...good, hours: 5 },
          { ...good, action: 'extend' },
          { ...good, limit: 0 },
        ],
        ...[0, -1, 720.1, '5', null].map((hours) => ({ ...good, action: 'extend', hours })),
      ])
        assert.deepEqual(await errorOf(await post(wrong)), [400, 'bad_request'], JSON.stringify(wrong))
      for (const query of ['stat=waiting', 'action=delete', 'code=', 'limit=5', 'after=x'])
        assert.equal((await users.admin.ask(`${AT}/count?${query}`)).status, 400, query)
      for (const user of ['reader', 'inboxUser', 'contentReader'] as const)
        assert.equal((await post(good, user)).status, 401, user)
      for (const user of ['inboxUser', 'contentReader'] as const)
        assert.equal((await users[user].ask(`${AT}/count`)).status, 401, user)
      assert.equal((await users.reader.ask('redox/outbox/elsewhere/count')).status, 404)
      assert.equal(await total(), before)
      assert.deepEqual(await decideAll(good), { decided: 2, left: 0 })
    })
  })
})
