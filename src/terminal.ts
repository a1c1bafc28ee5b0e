// Questions of the package's commands. They go to stderr, because stdout may be redirected.
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'

/** Asks for a secret without showing the input. Returns an empty string if stdin is no terminal. */
export async function askSecret(label: string): Promise<string> {
  if (!process.stdin.isTTY) return ''
  const output = new Writable({ write: (_chunk, _encoding, done) => done() })
  // The interface turns the echo of the terminal off, so it comes before the question.
  const lines = createInterface({ input: process.stdin, output, terminal: true })
  process.stderr.write(`${label}: `)
  try {
    return await lines.question('')
  } finally {
    lines.close()
    process.stderr.write('\n')
  }
}

/** Asks for a line of text. Returns an empty string if stdin is no terminal. */
export async function askLine(label: string): Promise<string> {
  if (!process.stdin.isTTY) return ''
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return await lines.question(`${label}: `)
  } finally {
    lines.close()
  }
}
