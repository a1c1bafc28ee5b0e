/**
 * Functions that create elements of the sidebar tabs. External data is inserted only as text nodes, because it may
 * contain a script.
 */

export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  className?: string,
  content?: string,
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag)
  if (className) made.className = className
  if (content !== undefined) put(made, content)
  return made
}

/**
 * Sets the text of an element. A code such as REDOX_OUTCOME_UNKNOWN may wrap after an underscore in a narrow sidebar.
 */
function put(place: HTMLElement, content: string): void {
  const parts = content.split(/(?<=[A-Z]_)(?=[A-Z])/)
  place.replaceChildren(...parts.flatMap((part, index) => (index > 0 ? [element('wbr'), part] : [part])))
}

/**
 * Sets the text of an element only if the text changed: otherwise a screen reader would read it again, and a selection
 * would be lost.
 */
export function write(place: HTMLElement, content: string): void {
  if (place.textContent !== content) put(place, content)
}

/**
 * Returns an icon.
 * @param name of the Font Awesome icon, without `fa-`
 */
export function icon(name: string): HTMLElement {
  const made = element('i', `fa fa-${name}`)
  made.setAttribute('aria-hidden', 'true')
  return made
}

export function button(label: string, onClick: () => void, iconName?: string): HTMLButtonElement {
  const made = element('button', 'red-ui-button red-ui-button-small')
  made.type = 'button'
  if (iconName) made.append(icon(iconName), ' ')
  made.append(label)
  made.addEventListener('click', onClick)
  return made
}

export interface Folded {
  block: HTMLDetailsElement
  heading: HTMLElement
}

/** Returns a collapsible block, which a click on its heading opens and closes. */
export function folded(className: string, label: string, ...content: Node[]): Folded {
  const block = element('details', className)
  const heading = element('summary', '', label)
  block.append(heading, ...content)
  return { block, heading }
}

/** Returns a code block that is focusable, so that it can be scrolled with the keyboard. */
export function code(content: string): HTMLElement {
  const shown = element('pre', '', content)
  shown.tabIndex = 0
  return shown
}
