// Removes dist/ so that a deleted source file never lives on in a build.
import { rm } from 'node:fs/promises'

await rm(new URL('../dist/', import.meta.url), { recursive: true, force: true })
