// Makes one measurement in a fresh process: sends the messages of a cell with one of the senders that the benchmark
// compares (contestant), measures this process, and sends the figures to the parent process.
import { measured, timed } from './measure.mjs'
import { fileOf } from './file.mjs'
import { flowSender } from './node-red.mjs'
import { rawSender } from './raw.mjs'
import { sendToParent } from '../scripts/lib/process.mjs'

/** @type {import('./bench.mjs').RunSpec} */
const spec = JSON.parse(process.argv[2] ?? '')
const { cell, contestant } = spec
const isRaw = contestant === 'raw' || contestant.startsWith('lean')
// For a file on the disk, a contestant does not need the bytes, unless it sends a body that was built beforehand.
const file = cell.from === 'disk' && contestant !== 'raw' ? undefined : fileOf(cell.size)
const sendOne = await (isRaw ? rawSender : flowSender)({ ...spec, file })
const result = await (spec.isTimed ? timed : measured)(cell, sendOne)
sendToParent(result, () => process.exit())
