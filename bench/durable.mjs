// Measures the embedded store: messages accepted per second, and time and memory for opening a store with many waiting
// messages.
//
//   npm run build && node bench/durable.mjs [100000]
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { LevelStore } from '../dist/src/queue/level/store.js'

const CONTENT = Buffer.alloc(2000, 'x')
const DESTINATIONS = 20

/** @param {number} index */
const message = (index) => ({
  ...{ id: randomUUID(), destination: `destination ${index % DESTINATIONS}`, ordered: true, owner: 'node' },
  ...{ acceptedAt: Date.now(), deadline: 1e15, files: [], tags: [randomUUID()], content: CONTENT },
})

const [count = '100000', folder] = process.argv.slice(2)
if (folder === undefined) await parent(Number(count))
else await recover(folder)

/**
 * Fills a store, and opens the store in another process.
 * @param {number} messages
 */
async function parent(messages) {
  const store = mkdtempSync(path.join(os.tmpdir(), 'redox-bench-'))
  try {
    const full = await LevelStore.open(store)
    const began = performance.now()
    for (let index = 0; index < messages; index++) await full.accept(message(index))
    const perSecond = Math.round((messages / (performance.now() - began)) * 1000)
    await full.close()
    console.log(`accepted one after the other, each on the disk: ${perSecond}/s`)
    // Opened in another process, because this one still uses the memory that was needed for filling.
    const script = fileURLToPath(import.meta.url)
    process.stdout.write(execFileSync(process.execPath, [script, String(messages), store]))
  } finally {
    rmSync(store, { recursive: true, force: true })
  }
}

/**
 * Opens a filled store, and prints time and memory.
 * @param {string} store folder
 */
async function recover(store) {
  const idle = process.memoryUsage.rss()
  const began = performance.now()
  const again = await LevelStore.open(store)
  const opened = performance.now()
  const claimed = await again.claim({ holder: 'bench', leaseMs: 1000, limit: 8, except: [] })
  const milliseconds = (/** @type {number} */ from, /** @type {number} */ to) => `${Math.round(to - from)} ms`
  console.log(
    `${(await again.counts()).waiting + claimed.length} waiting: open ${milliseconds(began, opened)}, first claim ` +
      `${milliseconds(opened, performance.now())}, ${Math.round((process.memoryUsage.rss() - idle) / 1e6)} MB more`,
  )
  await again.close()
}
