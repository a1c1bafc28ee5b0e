import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { failed, systemCodeOf } from './errors'
import { RESERVE_FILE } from './disk-reserve'

/** Number of files whose sizes are read at once. */
const AT_ONCE = 32

/** Returns the number of bytes in the files of a store's folder and its subfolders, without the disk reserve. */
export async function folderSize(folder: string): Promise<number> {
  let total = 0
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile() && entry.name !== RESERVE_FILE)
    for (let begin = 0; begin < files.length; begin += AT_ONCE) {
      const group = files.slice(begin, begin + AT_ONCE)
      const sizes = await Promise.all(group.map((file) => sizeOf(path.join(file.parentPath, file.name))))
      total += sizes.reduce((sum, size) => sum + size, 0)
    }
  } catch (error) {
    return failed(error)
  }
  return total
}

/** Returns the size of a file; 0 if LevelDB or the retention has removed the file in the meantime. */
async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return 0
    throw error
  }
}
