// What a contestant's process measures of itself.
import { monitorEventLoopDelay } from 'node:perf_hooks'

const SAMPLE_MS = 10
const ms = (nanoseconds) => nanoseconds / 1e6

/**
 * Sends `count` messages, `inFlight` at a time, after a warm-up, and tells what it cost this process.
 * @param sendOne resolves when a message was answered
 */
export async function measured({ count, inFlight, warmUp }, sendOne) {
  await settle()
  const idle = process.memoryUsage.rss()
  await pump(warmUp, inFlight, sendOne)
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
    perSecond: count / seconds,
    cpuMs: (user + system) / 1000 / count,
    peakMb: (peak - idle) / 1e6,
    growthMb: (peak - warm) / 1e6,
    delayP99Ms: ms(delay.percentile(99)),
    delayMaxMs: ms(delay.max),
  }
}

/** Each message after the one before it, from the first on: how long the first takes, and the last. */
export async function timed({ count }, sendOne) {
  const times = []
  for (let at = 0; at < count; at++) {
    const began = performance.now()
    await sendOne()
    times.push(performance.now() - began)
  }
  return { firstMs: times[0], lastMs: times.at(-1) }
}

async function pump(count, inFlight, sendOne) {
  let left = count
  const worker = async () => {
    while (left-- > 0) await sendOne()
  }
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, worker))
}

/** Garbage is not growth: the processes are started with --expose-gc. */
async function settle() {
  for (let turn = 0; turn < 3; turn++) {
    globalThis.gc()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
