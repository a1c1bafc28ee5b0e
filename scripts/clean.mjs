// Deletes the output of the build, so that no output of a deleted source file remains.
import { rm } from 'node:fs/promises'

for (const folder of ['dist', 'resources'])
  await rm(new URL(`../${folder}/`, import.meta.url), { recursive: true, force: true })
