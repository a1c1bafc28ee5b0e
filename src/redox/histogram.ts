/** Numbers of observed values by bucket, and their sum. */
export class Histogram {
  /** numbers of values up to each limit and above the limit before it; the last one: above all limits */
  readonly #counts: number[]
  sum = 0

  /** @param limits upper limits of the buckets, ascending */
  constructor(readonly limits: readonly number[]) {
    this.#counts = new Array<number>(limits.length + 1).fill(0)
  }

  observe(value: number): void {
    let bucket = 0
    while (bucket < this.limits.length && value > (this.limits[bucket] ?? Infinity)) bucket++
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.sum += value
  }

  /** Returns the number of values up to each limit, and up to infinity. */
  cumulative(): number[] {
    let total = 0
    return this.#counts.map((count) => (total += count))
  }
}
