/** Rows of a list, by key. A row stays the same element as long as its key is in the list. */
export class KeyedRows<Row extends { item: HTMLElement }> {
  readonly #rows = new Map<string, Row>()

  /** @param onFocusLost called before a row with the focus is removed */
  constructor(private readonly onFocusLost: () => void) {}

  get(key: string): Row | undefined {
    return this.#rows.get(key)
  }

  set(key: string, row: Row): Row {
    this.#rows.set(key, row)
    return row
  }

  /** Removes the rows whose keys are not in the list. */
  keep(keys: string[]): void {
    for (const [key, { item }] of this.#rows) {
      if (keys.includes(key)) continue
      // Without this call, the focus would be lost together with the removed row.
      if (item.contains(document.activeElement)) this.onFocusLost()
      item.remove()
      this.#rows.delete(key)
    }
  }
}
