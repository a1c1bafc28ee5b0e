/** Keyboard focus of a sidebar tab, which removes, moves and hides elements when it shows new data. */

const FOCUSABLE = 'a[href], button, input, select, textarea, summary, [tabindex]'

/**
 * Moves the focus to an element nearby when the element that has it is removed, moved or hidden. Otherwise the browser
 * moves it to the page, where the next key has no effect
 * (https://www.w3.org/TR/WCAG22/#focus-order).
 */
export function keepFocus(content: HTMLElement): void {
  /** The element that has the focus, and the elements around it, from the inside out; empty without the focus. */
  let path: HTMLElement[] = []

  document.addEventListener('focusin', ({ target }) => {
    path = target instanceof HTMLElement && content.contains(target) ? pathOf(target, content) : []
  })
  // After a click on a part of the page that takes no focus, no element has it, as the user wants.
  document.addEventListener('pointerup', () => {
    if (!content.contains(document.activeElement)) path = []
  })
  new MutationObserver((records) => {
    const [focused] = path
    if (focused === undefined) return
    const isMoved = records.some(({ addedNodes }) => [...addedNodes].some((node) => node.contains(focused)))
    if (isUsable(focused) && !isMoved) return
    nextTo(path, content)?.focus({ preventScroll: true })
  }).observe(content, { attributeFilter: ['hidden'], childList: true, subtree: true })
}

function pathOf(element: HTMLElement, content: HTMLElement): HTMLElement[] {
  const parent = element.parentElement
  return element === content || parent === null ? [element] : [element, ...pathOf(parent, content)]
}

const isUsable = (element: HTMLElement): boolean =>
  element.isConnected && element.checkVisibility() && !element.matches(':disabled')

/**
 * Returns the innermost remaining element of the path if it can have the focus; otherwise the element that comes before
 * it, preferably in the same row; otherwise the first element that can have the focus.
 */
function nextTo(path: HTMLElement[], content: HTMLElement): HTMLElement | undefined {
  const place = path.find((element) => element.isConnected) ?? content
  const all = [...content.querySelectorAll<HTMLElement>(FOCUSABLE)].filter(isUsable)
  const isBefore = (element: HTMLElement): boolean =>
    Boolean(place.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_PRECEDING)
  const row = place.closest('li')
  const inRow = all.filter((element) => row?.contains(element))
  if (all.includes(place)) return place
  return inRow.findLast(isBefore) ?? inRow[0] ?? all.findLast(isBefore) ?? all[0]
}
