/** The two clocks of this process: the one on the wall, as an operator or a time server sets it, and the monotonic one. */
const Real = globalThis.Date
const realNow = performance.now.bind(performance)

/** Sets the clock by so many hours from what it really is; 0: it is right again. */
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

/** So many seconds go by at once on the monotonic clock, by which our code measures; timers take as long as before. */
export function skipSeconds(seconds: number): void {
  skipped += seconds * 1000
  performance.now = () => realNow() + skipped
}
