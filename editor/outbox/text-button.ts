import { element } from '../tab/elements'

/** Returns a button that looks like a link in a text: it shows the message or the destination that the text names. */
export function textButton(label: string, onClick: () => void): HTMLButtonElement {
  const made = element('button', 'redox-outbox-link', label)
  made.type = 'button'
  made.addEventListener('click', onClick)
  return made
}
