// How long texts and objects hold the event loop: for each, the longest time between two turns while it is worked on,
// and how long all of it takes. Nothing of ours should hold the loop above 50 ms.
//
//   npm run build && node --expose-gc bench/turns.mjs [part of a name]
import { plainProperties } from '../dist/nodes/lib/deliver.js'
import { takeFile } from '../dist/src/file/file.js'
import { copyJson } from '../dist/src/message/json.js'

const [, , only = ''] = process.argv
const MB = 1_000_000
const most = 30 * MB
const hints = { where: 'msg.payload', filename: 'a.pdf', most }
const pdf = (size) => Buffer.alloc(size, '%PDF-1.7\n')
const repeated = (text, length) => Buffer.alloc(length, text).toString('latin1')
const percent = (size) => `data:application/pdf,%25PDF-1.7${repeated('%0A', size * 3)}`
const keys = (count) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`key${at}`, at]))
const lists = (count) => ({ list: Array.from({ length: count / 10 }, () => keys(9)) })

const FILES = {
  'data: URI, percent-encoded, 5 MB': () => percent((5 * MB) / 3),
  'data: URI, percent-encoded, 90 MB': () => percent(29.9 * MB),
  'data: URI, percent-encoded, 100 MB': () => percent((100 * MB) / 3),
  'data: URI, base64, 40 MB': () => `data:application/pdf;base64,${pdf(30 * MB).toString('base64')}`,
  'base64, 40 MB': () => pdf(30 * MB).toString('base64'),
  'base64 in lines, 40 MB': () =>
    pdf(30 * MB)
      .toString('base64')
      .replace(/.{76}/g, '$&\n'),
  'Buffer of base64, 40 MB': () => Buffer.from(pdf(30 * MB).toString('base64')),
  'hex, 60 MB': () => pdf(30 * MB).toString('hex'),
  'words with blanks, 5 MB': () => repeated('words and ', 5 * MB),
  'words with blanks, 80 MB': () => repeated('words and ', 80 * MB),
  'base64 in lines of 16, then words, 80 MB': () =>
    `${repeated('JVBERi0xLjcKJVBE\n', 80 * MB)}words and words`,
  'blanks, 80 MB': () => repeated(' ', 80 * MB),
  'text note, 30 MB': () => repeated('words and ', 30 * MB),
  'Buffer as JSON, 30 MB': () => ({ type: 'Buffer', data: Array.from({ length: 30 * MB }, () => 37) }),
  'PNG of empty chunks, 30 MB': () =>
    Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(30 * MB, '\0\0\0\0IDATcrc_')]),
  'JPEG of fill bytes, 30 MB': () => Buffer.concat([Buffer.from([0xff, 0xd8]), Buffer.alloc(30 * MB, 0xff)]),
}
const OBJECTS = {
  'object of 99 000 keys': () => keys(99_000),
  'object of 99 000 values in lists': () => lists(99_000),
  'object of a million keys': () => keys(MB),
  'object of a million values in lists': () => lists(MB),
}

const noName = ['JPEG', 'PNG', 'text']
const hintsFor = (name) => ({
  ...hints,
  ...(noName.some((start) => name.startsWith(start)) && { filename: undefined }),
  ...(name.startsWith('text') && { isText: true }),
})

for (const [name, make] of Object.entries(FILES).filter(([name]) => name.includes(only)))
  await measure(name, flat(make()), (value) => takeFile(value, hintsFor(name)))
for (const [name, make] of Object.entries(OBJECTS).filter(([name]) => name.includes(only))) {
  await measure(`copied: ${name}`, make(), async (value) => copyJson(value, ''))
  await measure(`kept: ${name}`, { _msgid: '1', data: make() }, plainProperties)
}

/** What was put together is one piece to V8 only when it is read: that is not ours. */
function flat(value) {
  return typeof value === 'string' ? Buffer.from(value, 'latin1').toString('latin1') : value
}

async function measure(name, value, work) {
  globalThis.gc?.()
  let longest = 0
  let last = performance.now()
  const look = () => {
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
  }
  const timer = setInterval(look, 0)
  let turning = true
  const turn = () => (look(), turning && setImmediate(turn))
  await new Promise(setImmediate)
  last = performance.now()
  setImmediate(turn)
  const began = performance.now()
  const end = await work(value).then(
    (result) => (result.file ? `${result.file.size} bytes` : 'taken'),
    ({ code }) => code,
  )
  look()
  turning = false
  clearInterval(timer)
  const all = performance.now() - began
  console.log(
    `${name.padEnd(44)} ${longest.toFixed(0).padStart(5)} ms of ${all.toFixed(0).padStart(5)} ms  ${end}`,
  )
}
