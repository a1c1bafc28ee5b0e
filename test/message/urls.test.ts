import assert from 'node:assert/strict'
import type { JsonObject } from '../../src/message/json'
import { assertKnownHost } from '../../src/message/prepared'
import { attachmentProblems, contentProblems } from '../../src/message/urls'
import { assertReferenceKind } from '../../src/redox/uploads'
import { failing } from '../lib/redox'

describe('references in a message', () => {
  const reference = (url: string) => ({ kind: 'reference' as const, url, contentType: 'a/b', name: 'a' })
  const origins = ['https://blob.redoxengine.com', 'https://api.redoxengine.com']
  const strangers = [
    'https://evil.example/1',
    'http://blob.redoxengine.com/1',
    'https://blob.redoxengine.com.evil.example/1',
    'https://blob.redoxengine.com@evil.example/1',
    'https://blob.redoxengine.com:444/1',
    'https://blob.redoxengine.com/1\r\nX: 1',
    'https://blob.redoxengine.com\\@evil.example/1',
    'https:\\\\blob.redoxengine.com/1',
    'https:/\\blob.redoxengine.com\\evil.example/1',
    'https:blob.redoxengine.com/1',
    'https:/blob.redoxengine.com/1',
    'https:///blob.redoxengine.com/1',
    'https://blob.redoxengine.com',
    'https://blob.redoxengine.com/a/../1',
    'https://blob.redoxengine.com/%2e%2e/1',
    'https://BLOB.redoxengine.com/1',
    'HTTPS://blob.redoxengine.com/1',
    'https://blob.redoxengine.com:443/1',
    'https://blob.redoxengine.com./1',
    'https://user@blob.redoxengine.com/1',
    'https://:secret@blob.redoxengine.com/1',
    'https://@blob.redoxengine.com/1',
    'https://evil.example%40blob.redoxengine.com/1',
    'https://blob.redoxengine%2ecom/1',
    'https://bl\u00adob.redoxengine.com/1',
    'https://blob\u3002redoxengine\u3002com/1',
    'https://\uff42lob.redoxengine.com/1',
    'https://blob.redoxengine.com/\ufeff1',
    'https://blob.redoxengine.com/1\t',
    'https://blob.redoxengine.com\t@evil.example/1',
    'https://blob.redoxengine.com/1\n',
    ' https://blob.redoxengine.com/1',
    'https://blob.redoxengine.com/1 2',
    'https://blob.redoxengine.com/\u202e1',
    'https://blob.redoxengine.com\0/1',
    `https://blob.redoxengine.com/${'1'.repeat(3000)}`,
    'blob:https://blob.redoxengine.com/1',
    'data:,1',
    'file:///etc/passwd',
    '/1',
  ]

  it('are accepted for the configured hosts only', async () => {
    for (const url of [
      'https://blob.redoxengine.com/1',
      'https://api.redoxengine.com/fhir/R4/Binary/1?a=b%20c#d',
    ])
      assertKnownHost(reference(url), 'x', origins)
    // If the response to an upload contains a URL without a host, the list of known origins contains "null".
    origins.push('null')
    for (const url of strangers)
      await failing(
        'REDOX_BAD_INPUT',
        () => assertKnownHost(reference(url), 'x', origins),
        /File reference of another host/,
      )
  })

  const FORMS = /^\W*https?:|^\s*h/i

  it('are accepted in Data Model data for these hosts only, in elements for files', () => {
    const places: [string, (text: string) => JsonObject][] = [
      ['Note.FileContents', (FileContents) => ({ Note: { FileContents } })],
      ['Note.FileContents', (text) => ({ Note: { ContentType: 'Base64 Encoded', FileContents: text } })],
      ['Media.FileContents', (FileContents) => ({ Media: { FileContents } })],
      [
        'Orders[1].Results[1].Value',
        (Value) => ({
          Orders: [{}, { Results: [{ Value: 'JVBERi0x' }, { ValueType: 'Encapsulated Data', Value }] }],
        }),
      ],
    ]
    const known = ['https://blob.redoxengine.com/1', 'JVBERi0xLjcK', '//uQxAAA', 'http', '']
    for (const [path, body] of places) {
      for (const text of known) assert.deepEqual(contentProblems(body(text), origins), [], text)
      for (const text of [...strangers.filter((one) => FORMS.test(one)), 'ht\ntps://evil.example/1'])
        assert.deepEqual(
          contentProblems(body(text), origins).map((problem) => problem.path),
          [path],
          text,
        )
    }
  })

  it('are refused in texts of Data Model data if they contain a Redox host in an unclear form', () => {
    const texts = [
      (FileContents: string) => ({ Note: { ContentType: 'Plain Text', FileContents } }),
      (FileContents: string) => ({ Note: { ContentType: 'Rich Text', FileContents } }),
      (Value: string) => ({ Orders: [{ Results: [{ ValueType: 'String', Value }] }] }),
    ]
    for (const body of texts) {
      for (const text of [
        'https://blob.redoxengine.com/1',
        'https://viewer.example/?of=https://blob.redoxengine.com/1',
        'https://viewer.example',
        'see https://blob.redoxengine.com\\@evil.example/1',
        'https://blob.redoxengine.com\\@evil.example/1 shows it',
      ])
        assert.deepEqual(contentProblems(body(text), origins), [], text)
      for (const text of [
        'https://blob.redoxengine.com\\@evil.example/1',
        'https://blob.redoxengine.com@evil.example/1',
        'HTTPS://BLOB.redoxengine.com/1',
        ' https://blob.redoxengine.com/1',
      ])
        assert.equal(contentProblems(body(text), origins).length, 1, text)
    }
  })

  it('are accepted in FHIR data for any host, as relative reference or URN, but not if parsers read them differently', () => {
    const problemsOf = (...resources: JsonObject[]): string[] =>
      attachmentProblems(resources.map((resource) => ({ resource }))).map(({ path }) => path)
    const report = (url: string): JsonObject => ({
      resourceType: 'DiagnosticReport',
      presentedForm: [{ url }],
    })
    for (const url of [
      'https://files.example/1?a=b%20c#d',
      'https://files.example:8443/1',
      ...[
        'urn:uuid:0b9f0b9f-0b9f-4b9f-8b9f-0b9f0b9f0b9f',
        'urn:oid:1.2.3',
        'Binary/1',
        '/Binary/1',
        '#1',
        '',
      ],
    ])
      assert.deepEqual(problemsOf(report(url)), [], url)
    const origin = /^https?:\/\/(blob\.redoxengine\.com(:444|\.evil\.example|\.)?|evil\.example)\/1$/
    for (const url of [
      ...strangers.filter((one) => FORMS.test(one) && !origin.test(one)),
      ...[
        '//evil.example/1',
        '\\\\evil.example\\1',
        '/\\evil.example/1',
        'Binary\\1',
        'Binary/1\t',
        'Bin\0ary/1',
      ],
    ])
      assert.deepEqual(problemsOf(report(url)), ['entry[0].resource.presentedForm[0].url'], url)
  })

  it('are checked in FHIR data in every Attachment, and not in names of resources and extensions', () => {
    const url = 'HTTP://a b'
    const named = { resourceType: 'Library', url, extension: [{ url, valueAttachment: { url } }] }
    const report = { resourceType: 'DiagnosticReport', modifierExtension: [{ url }], contained: [named] }
    const document = { resourceType: 'DocumentReference', content: [{}, { attachment: { url } }] }
    const parameters = {
      resourceType: 'Parameters',
      parameter: [{ resource: { ...named, content: { url } } }],
    }
    const found = attachmentProblems([report, document, parameters].map((resource) => ({ resource })))
    assert.deepEqual(
      found.map(({ path }) => path),
      [
        'entry[0].resource.contained[0].extension[0].valueAttachment.url',
        'entry[1].resource.content[1].attachment.url',
        'entry[2].resource.parameter[0].resource.extension[0].valueAttachment.url',
        'entry[2].resource.parameter[0].resource.content.url',
      ],
    )
    for (const { problem, fix } of found) assert.ok(!`${problem} ${fix}`.includes('a b'))
  })

  it('belong to the API that made them', async () => {
    const blob = { ...reference('https://blob.redoxengine.com/1'), upload: 'blob' as const }
    assertReferenceKind(blob, 'datamodel', 'x')
    assertReferenceKind(reference('https://x'), 'fhir', 'x')
    await failing('REDOX_BAD_INPUT', () => assertReferenceKind(blob, 'fhir', 'x'), /blob upload/)
  })
})
