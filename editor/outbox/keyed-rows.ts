/** Rows of a list, each with a key. While its key is in the list, a row keeps its DOM element. */
export class KeyedRows<Row extends { item: HTMLElement; close?(): void }> {
  readonly #rows = new Map<string, Row>()

  get keys(): string[] {
    return [...this.#rows.keys()]
  }

  get(key: string): Row | undefined {
    return this.#rows.get(key)
  }

  set(key: string, row: Row): Row {
    this.#rows.set(key, row)
    return row
  }

  /** Removes the rows whose keys are not in the list. */
  keep(keys: string[]): void {
    for (const [key, row] of this.#rows) {
      if (keys.includes(key)) continue
      row.close?.()
      row.item.remove()
      this.#rows.delete(key)
    }
  }
}
