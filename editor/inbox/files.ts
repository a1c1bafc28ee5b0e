/** Files of a message that the sandbox received. */
import { present } from '../../src/shared/present'
import type { InboxFile, InboxMessage } from '../../src/shared/inbox-api'
import { OCTET_STREAM } from '../../src/shared/values'
import { code, element, icon } from '../tab/elements'
import { size } from '../tab/formats'
import { ask, notice, text } from './tab'

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

/**
 * File of a message. `urls` contains the object URLs of file contents; they are released when the message is closed.
 */
interface ShownFile {
  message: InboxMessage
  index: number
  name: string
  urls: string[]
}

/** Returns true for the text of a Notes message: a content without file name and type. */
const isNoteText = ({ api }: InboxMessage, { name, contentType, fileType }: InboxFile): boolean =>
  api === 'datamodel' && !name && !contentType && !fileType

export function filesText(message: InboxMessage): string {
  const count = message.files.filter((file) => !isNoteText(message, file)).length
  return count === 0 && message.files.length > 0 ? text('noteText') : text('files', { count })
}

export function fileBox(message: InboxMessage, index: number, urls: string[]): HTMLElement {
  const file = present(message.files[index], 'a file')
  const name = file.name || (isNoteText(message, file) ? text('noteText') : text('unnamed'))
  const about = [file.contentType || file.fileType, size(file.size), text(`way.${file.way}`)]
  const hash = element('div', 'redox-tab-small', `sha256 ${file.sha256.slice(0, 12)}…`)
  hash.title = file.sha256
  const shown = element('div', 'redox-inbox-shown')
  const buttons = element('div', 'redox-tab-buttons')
  const own = { message, index, name, urls }
  buttons.append(downloadLink(own))
  const box = element('section', 'redox-inbox-file')
  box.setAttribute('aria-label', name)
  box.append(
    element('div', 'redox-inbox-name redox-tab-strong', name),
    element('div', 'redox-tab-small', about.filter(Boolean).join(' · ')),
    ...[hash, shown, buttons],
  )
  if (file.shown !== null && KINDS[file.shown]) void showFile(own, shown, buttons)
  else shown.append(notice('downloadOnly'))
  return box
}

/**
 * Fetches a file. Whatever type the server reports, the returned Blob has a type in KINDS, or a type that browsers do
 * not display.
 */
async function fetchFile({ message, index }: ShownFile): Promise<Blob> {
  const blob = await ask<Blob>(`/${message.id}/files/${index}`, { answer: 'blob' })
  const [type = ''] = blob.type.split(';')
  return new Blob([blob], { type: KINDS[type] ? type : OCTET_STREAM })
}

async function showFile(file: ShownFile, shown: HTMLElement, buttons: HTMLElement): Promise<void> {
  try {
    const blob = await fetchFile(file)
    // The message was closed while the file was loading. An object URL that is created now would never be released.
    if (!shown.isConnected) return
    const kind = KINDS[blob.type]
    if (!kind) return shown.append(notice('downloadOnly'))
    if (kind === 'text') return shown.append(await textOf(blob))
    const url = URL.createObjectURL(blob)
    file.urls.push(url)
    shown.append(kind === 'pdf' ? frameOf(url, file.name) : imageOf(url, file.name))
    buttons.append(openLink(url))
  } catch {
    shown.append(notice('fileFailed'))
  }
}

function frameOf(url: string, name: string): HTMLElement {
  const frame = element('iframe')
  frame.src = `${url}#toolbar=0&navpanes=0&view=FitH`
  // Accessible name of the element, in place of the URL that a screen reader would read.
  frame.title = name
  return frame
}

function imageOf(url: string, name: string): HTMLElement {
  const image = element('img')
  image.onerror = () => image.replaceWith(notice('imageBroken'))
  image.src = url
  image.alt = name
  return image
}

async function textOf(blob: Blob): Promise<HTMLElement> {
  const all = await blob.text()
  const shown = code(all.slice(0, MAX_CHARACTERS))
  if (all.length <= MAX_CHARACTERS) return shown
  const both = element('div')
  both.append(shown, notice('shortened'))
  return both
}

function linkButton(iconName: string, label: string): HTMLAnchorElement {
  const link = element('a', 'red-ui-button red-ui-button-small')
  link.append(icon(iconName), ` ${label}`)
  return link
}

function openLink(url: string): HTMLElement {
  const link = linkButton('external-link', text('open'))
  link.href = url
  link.target = '_blank'
  return link
}

/**
 * Returns a link that downloads a file. The file is fetched with the editor's access token, which a normal link would
 * not send.
 */
function downloadLink(file: ShownFile): HTMLElement {
  const link = linkButton('download', text('download'))
  link.href = `redox/inbox/${file.message.id}/files/${file.index}`
  link.download = file.name
  link.addEventListener('click', (event) => {
    event.preventDefault()
    fetchFile(file).then(
      (blob) => save(blob, file.name),
      () => RED.notify(text('notice.fileFailed'), 'error'),
    )
  })
  return link
}

function save(blob: Blob, name: string): void {
  const link = element('a')
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), SAVED_AFTER_MS)
}
