import assert from 'node:assert/strict'
import { attachmentPaths, parsePlace } from '../../src/message/attachment-place'
import { formatPath } from '../../src/message/json'
import type { JsonObject } from '../../src/message/json'
import { failing } from '../lib/redox'

describe('paths for Attachments', () => {
  const list = { before: ['content'], after: ['attachment'] }
  const places: [string, unknown][] = [
    ['presentedForm[]', { entry: { kind: 'main' }, list: { before: ['presentedForm'], after: [] } }],
    ['DocumentReference.content[].attachment', { entry: { kind: 'type', type: 'DocumentReference' }, list }],
    ['Media[1].content', { entry: { kind: 'type', type: 'Media', nth: 1 }, element: ['content'] }],
    [
      'entry[3].resource.a[0].b[].c',
      { entry: { kind: 'index', index: 3 }, list: { before: ['a', 0, 'b'], after: ['c'] } },
    ],
  ]
  for (const [text, place] of places) it(`include ${text}`, () => assert.deepEqual(parsePlace(text), place))

  const bads = '[] a[].b[].c a[]b a[]..b Patient. a.__proto__[] entry[1].resource.'.split(' ')
  for (const bad of ['', 'a b[]', ...bads])
    it(`exclude "${bad}"`, () => failing('REDOX_BAD_INPUT', () => parsePlace(bad)))

  it('free elements are filled first, filled ones are never replaced', async () => {
    const paths = (resource: JsonObject, place: string, count: number) =>
      attachmentPaths(resource, parsePlace(place), count).map(formatPath)
    const forms = { form: [{ data: 'x' }, { title: 'free' }, { url: 'y' }] }
    assert.deepEqual(paths(forms, 'form[]', 3), ['form[1]', 'form[3]', 'form[4]'])
    assert.deepEqual(paths({}, 'content[].attachment', 1), ['content[0].attachment'])
    const one = (resource: JsonObject, count: number) => () => paths(resource, 'content', count)
    await failing('REDOX_BAD_INPUT', one({ content: { url: 'x' } }, 1), /^Attachment is already filled/)
    await failing('REDOX_BAD_INPUT', one({}, 2), /^Attachment takes one file/)
  })
})
