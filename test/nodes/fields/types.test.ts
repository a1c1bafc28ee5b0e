/** Mistakes that must not compile: a `@ts-expect-error` is itself an error when its line compiles. */
import assert from 'node:assert/strict'
import { fileRows } from '../../../nodes/lib/fields/file'
import { section, table, type Field } from '../../../nodes/lib/fields/types'

const EVENT = { name: 'event', kind: 'choice', icon: 'list', options: ['New', 'Delete'] } as const
const typed = { name: 'id', kind: 'typed', icon: 'tag' } as const

describe('table of fields', () => {
  it('compiles with existing checks, conditions and companions', () => {
    const { fields } = table('good', 1, [
      EVENT,
      { ...typed, when: { event: ['New'] }, checks: ['required'], path: 'Note.ID' },
      ...section('file', fileRows({ event: ['New', 'Delete'] })),
      { ...typed, name: 'idType', with: 'id', checksWhen: { event: ['Delete'], fileFrom: ['path'] } },
    ])
    assert.deepEqual(
      fields.map(({ name }) => name),
      ['event', 'id', 'fileFrom', 'file', 'idType'],
    )
  })

  it('does not compile with an unknown condition, check, companion or setter', () => {
    const wrong = [
      // @ts-expect-error unknown property in a condition
      table('wrong', 1, [EVENT, { ...typed, when: { evnt: ['New'] } }]),
      // @ts-expect-error unknown option in a condition
      table('wrong', 1, [EVENT, { ...typed, when: { event: ['Nwe'] } }]),
      // @ts-expect-error unknown option in the condition of checks
      table('wrong', 1, [EVENT, { ...typed, checksWhen: { event: ['New', 'Deleted'] } }]),
      // @ts-expect-error unknown property in the condition of a section
      table('wrong', 1, [EVENT, ...section('file', fileRows({ evnt: ['New'] }))]),
      // @ts-expect-error not a property with options
      table('wrong', 1, [EVENT, typed, { ...typed, name: 'other', when: { id: ['New'] } }]),
      // @ts-expect-error unknown companion field
      table('wrong', 1, [EVENT, { ...typed, with: 'di' }]),
      // @ts-expect-error unknown check
      table('wrong', 1, [EVENT, { ...typed, checks: ['requird'] }]),
      // @ts-expect-error unknown setter
      table('wrong', 1, [EVENT, { ...typed, set: 'patient' }]),
      // @ts-expect-error unknown field as an upper limit
      table('wrong', 1, [{ name: 'size', kind: 'text', icon: 'tag', notAbove: ['other'] }]),
      // @ts-expect-error unknown check of a secret
      table('wrong', 1, [{ name: 'key', kind: 'secret', icon: 'lock', checks: ['storeKye'] }]),
      // @ts-expect-error unknown option in the condition of a secret
      table('wrong', 1, [EVENT, { name: 'key', kind: 'secret', icon: 'lock', when: { event: ['Nwe'] } }]),
      // @ts-expect-error unknown type of a typed input
      table('wrong', 1, [EVENT, { ...typed, types: ['string'] }]),
    ]
    assert.equal(wrong.length, 12)
    // @ts-expect-error a choice without options
    const choice: Field = { name: 'choice', kind: 'choice', icon: 'list', options: [] }
    assert.ok(choice)
  })
})
