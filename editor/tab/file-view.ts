/** Files in the sidebar tabs. PDF, images and plain text are shown; other files can only be downloaded. */
import { OCTET_STREAM } from '../../src/shared/values'
import { code, element, icon } from './elements'
import type { SidebarTab } from './sidebar-tab'

type Kind = 'pdf' | 'image' | 'text'

// MIME types that the browser may display. Files of other types can only be downloaded.
const KINDS: Record<string, Kind> = {
  'application/pdf': 'pdf',
  'image/png': 'image',
  'image/jpeg': 'image',
  'image/gif': 'image',
  'image/webp': 'image',
  'image/bmp': 'image',
  'text/plain': 'text',
}
const MAX_CHARACTERS = 100_000
/** Milliseconds until the object URL of a download is released, because the browser reads the data after the click. */
const SAVED_AFTER_MS = 60_000

export const canBeShown = (type: string): boolean => KINDS[type] !== undefined

/** Returns a received file with a type in KINDS, or with a type that browsers do not display. */
export function safeFile(received: File): File {
  const [type = ''] = received.type.split(';')
  return new File([received], received.name, { type: KINDS[type] ? type : OCTET_STREAM })
}

interface FileView {
  /** provides the texts */
  tab: SidebarTab
  name: string
  /** element in which the file is shown */
  shown: HTMLElement
  buttons: HTMLElement
  /** object URLs of shown files, which the caller releases */
  urls: string[]
}

/** Shows a file, with a link that opens it in a new tab of the browser, or says that it can only be downloaded. */
export async function showFile(file: File, { tab, name, shown, buttons, urls }: FileView): Promise<void> {
  const kind = KINDS[file.type]
  if (!kind) return shown.append(tab.notice('downloadOnly'))
  if (kind === 'text') return shown.append(await textOf(file, tab))
  const url = URL.createObjectURL(file)
  urls.push(url)
  shown.append(kind === 'pdf' ? frameOf(url, name) : imageOf(url, name, tab))
  buttons.append(openLink(url, tab))
}

function frameOf(url: string, name: string): HTMLElement {
  const frame = element('iframe')
  frame.src = `${url}#toolbar=0&navpanes=0&view=FitH`
  // Accessible name of the element, in place of the URL that a screen reader would read.
  frame.title = name
  return frame
}

function imageOf(url: string, name: string, tab: SidebarTab): HTMLElement {
  const image = element('img')
  image.onerror = () => image.replaceWith(tab.notice('imageBroken'))
  image.src = url
  image.alt = name
  return image
}

async function textOf(file: File, tab: SidebarTab): Promise<HTMLElement> {
  const all = await file.text()
  const shown = code(all.slice(0, MAX_CHARACTERS))
  if (all.length <= MAX_CHARACTERS) return shown
  const both = element('div')
  both.append(shown, tab.notice('shortened'))
  return both
}

export function linkButton(iconName: string, label: string): HTMLAnchorElement {
  const link = element('a', 'red-ui-button red-ui-button-small')
  link.append(icon(iconName), ` ${label}`)
  return link
}

function openLink(url: string, tab: SidebarTab): HTMLElement {
  const link = linkButton('external-link', tab.text('open'))
  link.href = url
  link.target = '_blank'
  return link
}

export function save(file: File, name: string): void {
  const link = element('a')
  link.href = URL.createObjectURL(file)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), SAVED_AFTER_MS)
}
