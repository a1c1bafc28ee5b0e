/** Tests of the embedded store: the files that belong to messages. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Seal } from '../../../src/queue/seal'
import { folder, useFolder, open, message, chunksOf, read, fails } from './folder'

describe('embedded store: files', () => {
  useFolder()

  it('a missing file ends the read with REDOX_STORE_LOST, and other messages are not touched', async () => {
    const first = await open()
    await first.putFile('f', chunksOf(Buffer.from('1')))
    await first.accept(message(undefined, ['f']))
    await rename(path.join(folder, 'files/f'), path.join(folder, 'moved'))
    await fails(read(first.readFile('f')), 'REDOX_STORE_LOST')
    await first.accept(message())
  })

  it('refuses a message whose file is not stored: REDOX_STORE_LOST', async () => {
    const first = await open()
    await fails(first.accept(message(undefined, ['never'])), 'REDOX_STORE_LOST')
    assert.equal((await first.counts()).waiting, 0)
  })

  it('does not send a file that was cut short or changed on disk', async () => {
    const first = await open()
    const seal = new Seal('the key of a test')
    const file = randomBytes(600_000)
    await first.putFile('f', seal.encryptFile(chunksOf(file), 'file f'))
    assert.deepEqual(await read(seal.decryptFile(first.readFile('f'), 'file f')), file)
    const stored = path.join(folder, 'files/f')
    const whole = await readFile(stored)
    const changed = Buffer.from(whole)
    changed[300_000]! ^= 1
    // Bytes of a full chunk in the stored file: 4 for its length, 255 KiB of content, 28 of encryption overhead.
    const chunk = 4 + 255 * 1024 + 28
    for (const wrong of [
      whole.subarray(0, 2),
      whole.subarray(0, 1000),
      whole.subarray(0, 2 * chunk),
      changed,
    ]) {
      await writeFile(stored, wrong)
      await fails(read(seal.decryptFile(first.readFile('f'), 'file f')), 'REDOX_STORE_UNREADABLE')
    }
  })
})
