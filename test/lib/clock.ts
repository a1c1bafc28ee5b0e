/** The clock on the wall, as an operator or a time server sets it: for all code of this process. */
const Real = globalThis.Date

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
