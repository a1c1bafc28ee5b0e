/** Files of a message that the sandbox received. */
import { present } from '../../src/shared/present'
import type { InboxFile, InboxMessage } from '../../src/shared/inbox-api'
import { element } from '../tab/elements'
import { canBeShown, linkButton, safeFile, save, showFile } from '../tab/file-view'
import { size } from '../tab/formats'
import { ask, notice, tab, text } from './tab'

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
  const shown = element('div', 'redox-tab-file-shown')
  const buttons = element('div', 'redox-tab-buttons')
  const own = { message, index, name, urls }
  buttons.append(downloadLink(own))
  const box = element('section', 'redox-tab-file')
  box.setAttribute('aria-label', name)
  box.append(
    element('div', 'redox-tab-file-name redox-tab-strong', name),
    element('div', 'redox-tab-small', about.filter(Boolean).join(' · ')),
    ...[hash, shown, buttons],
  )
  if (file.shown !== null && canBeShown(file.shown)) void fetchAndShow(own, shown, buttons)
  else shown.append(notice('downloadOnly'))
  return box
}

const fetchFile = async ({ message, index }: ShownFile): Promise<File> =>
  safeFile(await ask<File>(`/${message.id}/files/${index}`, { answer: 'file' }))

async function fetchAndShow(file: ShownFile, shown: HTMLElement, buttons: HTMLElement): Promise<void> {
  try {
    const fetched = await fetchFile(file)
    // The message was closed while the file was loading. An object URL that is created now would never be released.
    if (shown.isConnected) await showFile(fetched, { tab, ...file, shown, buttons })
  } catch {
    shown.append(notice('fileFailed'))
  }
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
      (fetched) => save(fetched, file.name),
      () => RED.notify(text('notice.fileFailed'), 'error'),
    )
  })
  return link
}
