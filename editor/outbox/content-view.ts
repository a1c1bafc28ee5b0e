import { element } from '../tab/elements'
import { linkButton, save, showFile } from '../tab/file-view'
import { size } from '../tab/formats'
import { tab, text } from './tab'

/** Place in the details of a message where its content or one of its files is shown: patient data. */
export class ContentView {
  readonly element = element('div', 'redox-outbox-content')
  readonly #urls: string[] = []

  get isFilled(): boolean {
    return this.element.childElementCount > 0
  }

  /** Shows an element in place of what was shown before. */
  show(content: HTMLElement): void {
    this.clear()
    this.element.append(content)
  }

  async showFile(file: File): Promise<void> {
    // The message was closed while the file was loading. An object URL that is created now would never be released.
    if (!this.element.isConnected) return
    const shown = element('div', 'redox-tab-file-shown')
    const buttons = element('div', 'redox-tab-buttons')
    const box = element('section', 'redox-tab-file')
    box.setAttribute('aria-label', file.name)
    box.append(
      element('div', 'redox-tab-file-name redox-tab-strong', file.name),
      element('div', 'redox-tab-small', size(file.size)),
      ...[shown, buttons],
    )
    buttons.append(downloadLink(file))
    this.show(box)
    await showFile(file, { ...{ tab, shown, buttons }, name: file.name, urls: this.#urls })
  }

  clear(): void {
    for (const url of this.#urls.splice(0)) URL.revokeObjectURL(url)
    this.element.replaceChildren()
  }
}

/** Returns a link that saves a file. The browser has all of it, so that it is not requested a second time. */
function downloadLink(file: File): HTMLElement {
  const link = linkButton('download', text('download'))
  link.href = '#'
  link.addEventListener('click', (event) => {
    event.preventDefault()
    save(file, file.name)
  })
  return link
}
