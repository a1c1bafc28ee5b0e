// Node-RED is one event loop: hashing, encoding and encrypting a MB take 1 to 2 ms in which nothing else happens.
const BYTES_PER_TURN = 512 * 1024

interface Waiting {
  bytes: number
  go: () => void
}

const waiting: Waiting[] = []
let left = BYTES_PER_TURN
let isCounting = false

/**
 * Waits, first in, first out, until so many bytes may be worked on: all who send share what one turn of the event
 * loop allows. Needed although every write waits for its socket: one that is drained answers without a turn, so that
 * a large body would hold the loop to its end.
 * @returns undefined when they may be worked on at once
 */
export function turn(bytes: number): Promise<void> | undefined {
  if (!isCounting) {
    isCounting = true
    setImmediate(nextTurn)
  }
  if (waiting.length === 0 && left > 0) {
    left -= bytes
    return undefined
  }
  return new Promise((go) => waiting.push({ bytes, go }))
}

function nextTurn(): void {
  left = BYTES_PER_TURN
  isCounting = waiting.length > 0
  if (isCounting) setImmediate(nextTurn)
  while (left > 0 && waiting.length > 0) {
    const { bytes, go } = waiting.shift()!
    left -= bytes
    go()
  }
}
