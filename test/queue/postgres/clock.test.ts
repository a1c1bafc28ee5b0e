/** Tests of the PostgreSQL store: changes of the database server's clock. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { never, message, hold, queue, usePostgres, open, sql, emptyDatabase } from './database'

describe('PostgreSQL store: clock', function () {
  this.timeout(60_000)
  usePostgres()

  it('does not go back when the clock of the database server is set back', async () => {
    const url = await emptyDatabase()
    const database = new URL(url).pathname.slice(1)
    const store = await open({ url })
    const setBack = (hours: number): Promise<unknown> =>
      sql(
        `CREATE OR REPLACE FUNCTION redox.now() RETURNS bigint LANGUAGE sql VOLATILE AS $$
           SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint - ${hours * 3_600_000} $$`,
        database,
      )
    await store.accept(message('held', 'a'))
    await store.accept(message('rests', 'b'))
    const short = { ...hold('gone'), leaseMs: 500 }
    const taken = await store.claim(short)
    assert.equal(taken.length, 2)
    const dueAt = store.clock.now() + 500
    await store.settle('rests', 'gone', { state: 'waiting', dueAt, reason: 'x' }, store.clock.now())
    store.rateLimiter(0).pause(500)
    await sleep(50)
    const before = store.clock.now()
    await setBack(5)
    const near = (time: number): boolean => Math.abs(time - before) < 60_000
    await store.nextDue(0, [])
    assert.ok(near(store.clock.now()), 'before anything has seen the change')
    const claimed: string[] = []
    while (claimed.length < 2) {
      claimed.push(...(await store.claim(hold('me'))).map(({ id }) => id))
      await store.nextDue(0, [])
    }
    assert.ok(near(store.clock.now()))
    const told = async (): Promise<number> =>
      Number((await sql(`SELECT redox.now('${queue}') AS now`, database))[0]!['now'])
    const first = await told()
    while ((await told()) === first);
    const other = await open({ url })
    assert.equal(await other.rateLimiter(0).acquire(never, performance.now() + 10_000), 0)
    assert.equal(await other.rateLimiter(9).acquire(never, performance.now() + 10_000), 0)
    store.rateLimiter(0).pause(60_000)
    while ((await other.rateLimiter(0).acquire(never, performance.now())) === 0);
    const [line] = await other.find({ id: 'held', limit: 1 })
    assert.ok(line!.acceptedAt <= other.clock.now())
  })
})
