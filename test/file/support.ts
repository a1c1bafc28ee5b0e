import assert from 'node:assert/strict'
import { takeFile, type FileHints, type FileSource } from '../../src/file/file'
import { fixture } from '../lib/fixtures'

export const HINTS: FileHints = { where: 'msg.payload' }
export const PDF = fixture('gingival-mass.pdf')

/** Encodes a base64 string as base64 two more times. */
export const thrice = (text: string): string =>
  Buffer.from(Buffer.from(text).toString('base64')).toString('base64')

/** Text encodings of a file that the nodes do not decode, such as hex or quoted-printable, each with its name. */
export function disguised(file: Buffer): [what: string, text: string][] {
  const base64 = file.toString('base64')
  const bytes = file.toString('hex').match(/../g)!
  const quoted = [...file.subarray(0, 9000)].map((byte) =>
    byte === 10 || (byte > 31 && byte < 127 && byte !== 61)
      ? String.fromCharCode(byte)
      : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`,
  )
  return [
    ['percent-encoded base64', encodeURIComponent(base64)],
    ['base64 in Python', `b'${base64}'`],
    ['base64 behind its name', `base64,${base64}`],
    ['base64 with written line breaks', base64.replace(/.{76}/g, '$&\\n')],
    ['base64 in a row of a table', `${base64.slice(0, 96)};x`],
    ['base64 in armour', `-----BEGIN FILE-----\n${base64}\n-----END FILE-----\n`],
    ['JSON around base64', JSON.stringify({ name: 'x', data: base64 })],
    ['hex with colons', bytes.join(':')],
    ['hex of a programming language', bytes.map((byte) => `0x${byte}`).join(', ')],
    ['hex of SQL', `X'${bytes.join('')}'`],
    ['escaped bytes', bytes.map((byte) => `\\x${byte}`).join('')],
    ['a list of numbers', JSON.stringify([...file])],
    ['quoted-printable', quoted.join('').replace(/.{70}/g, '$&=\n')],
    ['yEnc', '=ybegin line=128 size=5 name=a\n'],
  ]
}

export async function taken(value: unknown, hints: Partial<FileHints> = {}): Promise<FileSource> {
  const { file } = await takeFile(value, { ...HINTS, ...hints })
  assert.ok(file.kind === 'file')
  return file
}
