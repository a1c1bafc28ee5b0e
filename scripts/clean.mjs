// Removes what is built, so that a deleted source file never lives on in a build.
import { rm } from 'node:fs/promises'

for (const folder of ['dist', 'resources'])
  await rm(new URL(`../${folder}/`, import.meta.url), { recursive: true, force: true })
