/** Tests of the PostgreSQL store: errors that an operator has to resolve. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { server } from '../stores'
import { message, hold, chunksOf, noise, failureOf, usePostgres, open, sql, emptyDatabase } from './database'
import { NO_MOUNT, skip } from '../../lib/skip'

describe('PostgreSQL store: errors for an operator', function () {
  this.timeout(60_000)
  usePostgres()

  it('say what to check when the database cannot be used, without the password', async () => {
    const failing = async (url: string, words: RegExp) =>
      assert.match((await failureOf(open({ url }), 'REDOX_STORE_UNAVAILABLE')).message, words)
    await failing('postgres://user:secret@127.0.0.1:1/db', /127\.0\.0\.1:1\/db.*ECONNREFUSED.*host and port/)
    await failing('postgres://user:1/secret@127.0.0.1:1/db', /check/)
    await failing('postgres://user:x@secret/y@127.0.0.1:1/db', /check/)
    await failing('postgres://user:secret@[', /percent-encoded/)
    await failing(server().url('postgres', 'wrong'), /the user and the password/)
    await failing(server().url('nowhere'), /no database with that name/)
    const url = await emptyDatabase()
    await sql(`CREATE ROLE guest LOGIN PASSWORD 'secret'`)
    const guest = new URL(url)
    guest.username = 'guest'
    guest.password = 'secret'
    await failing(guest.href, /GRANT|grant/)
  })

  it('list all rights that the user lacks, at once', async () => {
    const url = await emptyDatabase()
    await open({ url })
    const database = new URL(url).pathname.slice(1)
    const role = `r${randomUUID().replaceAll('-', '')}`
    await sql(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
    const user = new URL(url)
    user.username = role
    user.password = 'secret'
    const words = async (): Promise<string> =>
      (await failureOf(open({ url: user.href }), 'REDOX_STORE_UNAVAILABLE')).message
    const RIGHTS =
      /GRANT USAGE ON SCHEMA redox, SELECT, INSERT, UPDATE, DELETE ON ALL TABLES, USAGE ON ALL SEQUENCES/
    assert.match(await words(), RIGHTS, 'none')
    await sql(`GRANT USAGE ON SCHEMA redox TO ${role}`, database)
    assert.match(await words(), RIGHTS, 'the schema alone')
    await sql(`GRANT SELECT ON ALL TABLES IN SCHEMA redox TO ${role}`, database)
    assert.match(await words(), RIGHTS, 'may read')
    await sql(`GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA redox TO ${role}`, database)
    assert.match(await words(), RIGHTS, 'no sequences')
    await sql(`GRANT USAGE ON ALL SEQUENCES IN SCHEMA redox TO ${role}`, database)
    const store = await open({ url: user.href })
    await store.accept(message('m1', 'a'))
    assert.equal((await store.claim(hold('me'))).length, 1)
    await store.putFile('f', chunksOf('a'))
    await store.purge(1, 1)
    await store.sweep(1)
    // A database administrator revokes a privilege while the store is open.
    await sql(`REVOKE INSERT ON redox.message FROM ${role}`, database)
    const { message: later } = await failureOf(store.accept(message('m2', 'a')), 'REDOX_STORE_UNAVAILABLE')
    assert.match(later, RIGHTS)
  })

  it('ask for the primary server when the database is read-only', async () => {
    const url = await emptyDatabase()
    await open({ url })
    await sql(`ALTER DATABASE ${new URL(url).pathname.slice(1)} SET default_transaction_read_only = on`)
    assert.match((await failureOf(open({ url }), 'REDOX_STORE_UNAVAILABLE')).message, /primary server/)
  })

  it('report a full disk as REDOX_STORE_FULL, and the store goes on when there is space', async function () {
    const disk = path.join(server().folder, 'disk')
    await mkdir(disk)
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m,mode=777', 'tmpfs', disk], { stdio: 'ignore' })
    } catch {
      skip(this, NO_MOUNT)
    }
    try {
      const space = path.join(disk, 'space')
      await mkdir(space)
      await server().give(space)
      await sql(`CREATE TABLESPACE small LOCATION '${space}'`)
      await sql('CREATE DATABASE small TABLESPACE small')
      const store = await open({ url: server().url('small') })
      await store.accept(message('m1', 'a'))
      const ballast = path.join(disk, 'ballast')
      await writeFile(ballast, Buffer.alloc(10_000_000))
      await failureOf(store.putFile('large', noise(200)), 'REDOX_STORE_FULL')
      assert.equal(await store.hasFile('large'), false)
      const fill = async (): Promise<void> => {
        for (let index = 0; index < 500; index++)
          await store.accept({ ...message(`fill ${index}`, 'b'), content: randomBytes(100_000) })
      }
      await failureOf(fill(), 'REDOX_STORE_FULL')
      await rm(ballast)
      await store.accept(message('m2', 'a'))
      assert.deepEqual(
        (await store.find({ destination: 'a', limit: 9 })).map(({ id }) => id),
        ['m1', 'm2'],
      )
      await store.close()
    } finally {
      await sql('DROP DATABASE IF EXISTS small WITH (FORCE)')
      await sql('DROP TABLESPACE IF EXISTS small')
      execFileSync('umount', ['-l', disk])
    }
  })

  it('contain none of the written data when the database refuses them', async () => {
    const store = await open()
    await failureOf(store.accept(message('secret\0', 'a')), 'REDOX_BAD_INPUT')
    await store.accept(message('m1', 'a'))
  })
})
