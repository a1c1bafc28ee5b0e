/** The two clocks of this process: the wall clock, which an operator or a time server sets, and the monotonic clock. */
const Real = globalThis.Date
const realNow = performance.now.bind(performance)

/** Sets the wall clock off by this many hours; 0 restores the correct time. */
export function setClock(hours: number): void {
  const shift = hours * 3_600_000
  if (shift === 0) {
    globalThis.Date = Real
    return
  }
  globalThis.Date = new Proxy(Real, {
    construct: (target, args: unknown[]) =>
      Reflect.construct(target, args.length === 0 ? [Real.now() + shift] : args) as object,
    get: (target, name): unknown => (name === 'now' ? () => Real.now() + shift : Reflect.get(target, name)),
  })
}

let skipped = 0

/** Advances the monotonic clock, which our code measures with, by this many seconds. Timers are not affected. */
export function skipSeconds(seconds: number): void {
  skipped += seconds * 1000
  performance.now = () => realNow() + skipped
}
