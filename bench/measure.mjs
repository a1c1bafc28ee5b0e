// Measurements that a contestant's process takes of itself.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { collectGarbage, pause } from '../scripts/lib/process.mjs'

/** @typedef {import('./cells.mjs').SizedCell} SizedCell */
/** @typedef {() => Promise<void>} SendOne sends one message; resolves after the HTTP response */

const SAMPLE_MS = 10
/** @param {number} nanoseconds */
const ms = (nanoseconds) => nanoseconds / 1e6

/**
 * Sends `count` messages, `inFlight` at a time, after a warm-up of `warmUpMs`. Returns throughput, CPU time per message
 * (ms), memory (MB) and event loop delay (ms) of this process, and how many messages were sent with those of the
 * warm-up.
 * @param {SizedCell} cell
 * @param {SendOne} sendOne
 */
export async function measured({ count, inFlight, warmUpMs }, sendOne) {
  await settle()
  const idle = process.memoryUsage.rss()
  const warmUp = await pumpFor(warmUpMs, inFlight, sendOne)
  await settle()
  const warm = process.memoryUsage.rss()
  let peak = warm
  const memory = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), SAMPLE_MS)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const cpu = process.cpuUsage()
  const began = process.hrtime.bigint()
  await pump(count, inFlight, sendOne)
  const seconds = Number(process.hrtime.bigint() - began) / 1e9
  const { user, system } = process.cpuUsage(cpu)
  delay.disable()
  clearInterval(memory)
  peak = Math.max(peak, process.memoryUsage.rss())
  return {
    sent: warmUp + count,
    perSecond: count / seconds,
    cpuMs: (user + system) / 1000 / count,
    peakMb: (peak - idle) / 1e6,
    growthMb: (peak - warm) / 1e6,
    delayP99Ms: ms(delay.percentile(99)),
    delayMaxMs: ms(delay.max),
  }
}

/** Milliseconds between a deploy and the first message: nodes load what they need after the deploy. */
const AFTER_DEPLOY_MS = 1000

/**
 * Sends one message after the other, without a warm-up. Returns how long the first and the last message took (ms).
 * @param {SizedCell} cell
 * @param {SendOne} sendOne
 */
export async function timed({ count }, sendOne) {
  /** @type {number[]} */
  const times = []
  await pause(AFTER_DEPLOY_MS)
  for (let at = 0; at < count; at++) {
    const began = performance.now()
    await sendOne()
    times.push(performance.now() - began)
  }
  return { sent: count, firstMs: times[0], lastMs: times.at(-1) }
}

/**
 * @param {number} count
 * @param {number} inFlight
 * @param {SendOne} sendOne
 */
async function pump(count, inFlight, sendOne) {
  let left = count
  const worker = async () => {
    while (left-- > 0) await sendOne()
  }
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, worker))
}

/**
 * Sends messages until the time is over. Returns how many.
 * @param {number} milliseconds
 * @param {number} inFlight
 * @param {SendOne} sendOne
 */
async function pumpFor(milliseconds, inFlight, sendOne) {
  const until = performance.now() + milliseconds
  let sent = 0
  const worker = async () => {
    do {
      sent++
      await sendOne()
    } while (performance.now() < until)
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  return sent
}

/** Collects garbage, so that it is not counted as memory growth. */
async function settle() {
  for (let turn = 0; turn < 3; turn++) {
    collectGarbage()
    await pause(50)
  }
}
