/** Rows of a list that stay the same elements as long as what they show is in the list. */
export class KeyedRows<Row extends { item: HTMLElement }> {
  readonly #rows = new Map<string, Row>()

  /** @param onFocusLost a row that had the focus was removed */
  constructor(private readonly onFocusLost: () => void) {}

  get(key: string): Row | undefined {
    return this.#rows.get(key)
  }

  set(key: string, row: Row): Row {
    this.#rows.set(key, row)
    return row
  }

  /** Removes what is not among these any more. */
  keep(keys: string[]): void {
    for (const [key, { item }] of this.#rows) {
      if (keys.includes(key)) continue
      // The user goes on from where the focus was.
      if (item.contains(document.activeElement)) this.onFocusLost()
      item.remove()
      this.#rows.delete(key)
    }
  }
}
