import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readText, sha256Of, takePath } from '../../src/file/file'
import { fixturePath, sha256, sizedFile } from '../lib/fixtures'
import { bytesOf, failing } from '../lib/redox'
import { HINTS, PDF } from './support'
import { eventually } from '../lib/eventually'

describe('path on this machine', () => {
  let folder: string
  let outside: string
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'redox-'))
    outside = mkdtempSync(path.join(tmpdir(), 'redox-outside-'))
    mkdirSync(path.join(folder, 'sub'))
  })
  after(() => [folder, outside].forEach((one) => rmSync(one, { recursive: true })))

  const write = (name: string, content = PDF): string => {
    writeFileSync(path.join(folder, name), content)
    return path.join(folder, name)
  }

  it('is absolute or relative to a folder, and names the file', async () => {
    write('sub/report.pdf')
    for (const name of [path.join(folder, 'sub/report.pdf'), 'sub/report.pdf', 'sub/../sub/report.pdf']) {
      const { file } = await takePath(name, HINTS, ['/does/not/exist', folder])
      assert.deepEqual(
        [file.name, file.size, file.contentType],
        ['report.pdf', PDF.length, 'application/pdf'],
      )
      assert.equal(sha256(await bytesOf(file.read())), sha256(PDF))
    }
  })

  it('may contain a name that begins with two dots', async () => {
    mkdirSync(path.join(folder, '..scans'))
    for (const name of ['..report.pdf', '...', '..scans/a.pdf']) {
      const absolute = write(name)
      for (const one of [name, absolute])
        assert.equal((await takePath(one, HINTS, [folder])).file.size, PDF.length, one)
    }
  })

  it('is refused when the file is an encoding of another file, unless a text is wanted', async () => {
    const contents: [content: string, words: RegExp][] = [
      [PDF.toString('base64'), /holds base64 text/],
      [PDF.toString('base64').replace(/.{76}/g, '$&\n'), /holds base64 text/],
      [`data:application/pdf;base64,${PDF.toString('base64')}`, /holds a data: URI/],
      [PDF.toString('hex'), /holds hex text/],
      ['Content-Type: application/pdf\r\n\r\n', /part of a MIME/],
    ]
    for (const [content, words] of contents) {
      write('encoded.pdf', Buffer.from(content))
      await failing('REDOX_BAD_INPUT', () => takePath('encoded.pdf', HINTS, [folder]), words)
      const { file } = await takePath('encoded.pdf', { ...HINTS, isText: true }, [folder])
      assert.equal(await readText(file, 'x'), content)
    }
  })

  it('matches names in the other Unicode normalization form, in each part of the path', async () => {
    const [whole, parts] = ['B\u00fc', 'Bu\u0308']
    mkdirSync(path.join(folder, parts))
    write(`${parts}/${whole}.pdf`)
    write(`${whole}.pdf`)
    write(`${parts}.jpg`)
    for (const name of [`${parts}.pdf`, `${whole}.jpg`, `${whole}/${parts}.pdf`, `${parts}/${parts}.pdf`])
      for (const one of [name, path.join(folder, name)])
        assert.equal((await takePath(one, HINTS, [folder])).file.size, PDF.length, one)
    await failing('REDOX_BAD_INPUT', () => takePath(`../${whole}`, HINTS, [folder]), /^File not found/)
  })

  describe('file that is still being written', () => {
    const settling = (settleMs: number, signal?: AbortSignal) => ({ settleMs, ...(signal && { signal }) })
    const take = (name: string, settleMs: number, signal?: AbortSignal) =>
      takePath(name, HINTS, [folder], settling(settleMs, signal))

    it('is accepted as a whole once it no longer changes', async () => {
      const name = write('growing.pdf', PDF.subarray(0, 100_000))
      const taking = take(name, 600)
      for (let at = 100_000; at < PDF.length; at += 200_000) {
        await sleep(100)
        appendFileSync(name, PDF.subarray(at, at + 200_000))
      }
      const written = Date.now()
      const { file, cutShort } = await taking
      assert.ok(Date.now() - written >= 550)
      assert.deepEqual([file.size, cutShort], [PDF.length, undefined])
      assert.equal(sha256(await bytesOf(file.read())), sha256(PDF))
    })

    it('is accepted once it no longer changes, also if it was empty at first', async () => {
      const name = write('empty-first.pdf', Buffer.alloc(0))
      const taking = take(name, 300)
      await sleep(100)
      writeFileSync(name, PDF)
      assert.equal((await taking).file.size, PDF.length)
      await failing('REDOX_BAD_INPUT', () => take(write('stays.pdf', Buffer.alloc(0)), 100), /empty/)
    })

    it('is waited for also when only one of its two times is old, or when its time is in the future', async () => {
      for (const time of [1, Date.now() / 1000 + 3600]) {
        const name = write('copied.pdf')
        utimesSync(name, time, time)
        const began = Date.now()
        await take(name, 300)
        assert.ok(Date.now() - began >= 250)
      }
    })

    it('is not waited for when it is old enough', async () => {
      const name = write('old.pdf')
      await eventually('it is old', () => Date.now() - statSync(name).ctimeMs > 100)
      // With an aborted signal, a wait for the file would reject. This call resolves, so there is no wait.
      await take(name, 100, AbortSignal.abort())
      await assert.rejects(take(name, 60_000, AbortSignal.abort()), { name: 'AbortError' })
    })

    it('ends the wait when the signal is aborted', async () => {
      const stop = new AbortController()
      const taking = take(write('unwanted.pdf'), 60_000, stop.signal)
      stop.abort()
      await assert.rejects(taking, { name: 'AbortError' })
    })
  })

  it('is accepted only for regular files inside the allowed folders', async () => {
    symlinkSync(fixturePath('photo.jpg'), path.join(folder, 'link.jpg'))
    symlinkSync(fixturePath('.'), path.join(folder, 'linked'))
    const paths = [
      'link.jpg',
      'linked/photo.jpg',
      fixturePath('photo.jpg'),
      '../x',
      '..',
      '.',
      'none',
      'a\0b',
    ]
    const texts = new Set<string>()
    for (const one of paths) {
      const { message } = await failing('REDOX_BAD_INPUT', () => takePath(one, HINTS, [folder]))
      texts.add(message)
    }
    assert.equal(texts.size, 1, 'the texts tell what is on the disk')
    await failing('REDOX_BAD_INPUT', () => takePath('sub', HINTS, [folder]), /not a regular file/)
    await failing('REDOX_BAD_INPUT', () => takePath('sub', HINTS, []), /^No folder is allowed/)
    await failing('REDOX_BAD_INPUT', () => takePath(PDF, HINTS, [folder]), /^Path is missing in/)
  })

  it('is refused at once when it is a FIFO or a socket', async () => {
    const fifo = path.join(folder, 'fifo.pdf')
    execFileSync('mkfifo', [fifo])
    const server = createServer().listen(path.join(folder, 'socket.pdf'))
    await once(server, 'listening')
    for (const name of ['fifo.pdf', 'socket.pdf'])
      await failing('REDOX_BAD_INPUT', () => takePath(name, HINTS, [folder]), /not a regular file/)
    server.close()
  })

  it('may be a symbolic link, or contain one, if the target is inside the folder', async () => {
    write('sub/linked.pdf')
    symlinkSync(path.join(folder, 'sub/linked.pdf'), path.join(folder, 'link.pdf'))
    symlinkSync(path.join(folder, 'sub'), path.join(folder, 'linked-inside'))
    symlinkSync(folder, path.join(outside, 'linked-folder'))
    for (const [name, base] of [
      ['link.pdf', folder],
      ['linked-inside/linked.pdf', folder],
      ['linked-inside/linked.pdf', path.join(outside, 'linked-folder')],
      ['linked.pdf', path.join(folder, 'linked-inside')],
    ] as const) {
      const { file } = await takePath(name, HINTS, [base])
      assert.equal(sha256(await bytesOf(file.read())), sha256(PDF), name)
    }
  })

  it('never yields a file outside the folder, however often its directory is replaced by a link', async function () {
    this.timeout(180_000)
    mkdirSync(path.join(folder, 'turning'))
    write('turning/report.pdf')
    const secret = path.join(outside, 'report.pdf')
    writeFileSync(secret, sizedFile(PDF.length))
    const other = path.join(folder, 'other')
    symlinkSync(outside, other)
    const exchange = `
      const { renameSync } = require('node:fs')
      const [one, other, third] = process.argv.slice(1)
      process.stdout.write('begun')
      for (;;) {
        for (const [from, to] of [[one, third], [other, one], [one, other], [third, one]]) renameSync(from, to)
      }`
    const turning = path.join(folder, 'turning')
    const child = spawn(process.execPath, ['-e', exchange, turning, other, path.join(folder, 'third')])
    await once(child.stdout, 'data')
    let inside = 0
    try {
      for (let count = 0; count < 2000; count++) {
        const digest = await takePath('turning/report.pdf', HINTS, [folder])
          .then(({ file }) => sha256Of(file))
          .catch(() => undefined)
        assert.notEqual(digest, sha256(sizedFile(PDF.length)), 'a file from outside was read')
        if (digest !== undefined) inside++
      }
    } finally {
      child.kill()
      await once(child, 'exit')
    }
    assert.ok(inside > 0, 'no reading came through at all')
  })

  /** Returns a function that moves a file away and then calls `make` to create something else at the file's path. */
  const exchanged =
    (make: (file: string) => void) =>
    (file: string): void => {
      renameSync(file, `${file}.away`)
      make(file)
    }
  /** Writes a file at path `place` with the size and the times of another file, and returns `place`. */
  const twin = (file: string, place: string): string => {
    const { size, atime, mtime } = statSync(file)
    writeFileSync(place, sizedFile(size))
    utimesSync(place, atime, mtime)
    return place
  }
  const changes: [string, (file: string) => void][] = [
    ['shrinks', (file) => truncateSync(file, 1000)],
    ['grows', (file) => appendFileSync(file, 'more')],
    ['changes', (file) => (writeFileSync(file, sizedFile(statSync(file).size)), utimesSync(file, 1, 1))],
    ['changes, and its times are set back,', (file) => void twin(file, file)],
  ]
  const exchanges: [string, (file: string) => void][] = [
    ['vanishes', (file) => rmSync(file)],
    ['becomes a FIFO', exchanged((file) => execFileSync('mkfifo', [file]))],
    ['becomes a directory', exchanged((file) => mkdirSync(file))],
    ['becomes a link to itself', exchanged((file) => symlinkSync(`${file}.away`, file))],
    [
      'becomes a link out of the folder',
      (file) => {
        const secret = twin(file, path.join(outside, 'secret.pdf'))
        exchanged(() => symlinkSync(secret, file))(file)
      },
    ],
    [
      'becomes a hard link to a file outside',
      (file) => {
        const secret = twin(file, path.join(outside, 'hard.pdf'))
        exchanged(() => linkSync(secret, file))(file)
      },
    ],
    [
      'is in a directory that becomes a link out of the folder',
      (file) => {
        const directory = path.dirname(file)
        const elsewhere = path.join(outside, path.basename(directory))
        renameSync(directory, elsewhere)
        symlinkSync(elsewhere, directory)
      },
    ],
    ['becomes another of the same size and times', (file) => renameSync(twin(file, `${file}.twin`), file)],
  ]
  const places = new Map<string, string>()
  /** Creates a file in a new directory and returns the file's path. */
  const place = (what: string): string => {
    const directory = `${what.replace(/\W+/g, '-')}-${places.size}`
    places.set(directory, what)
    mkdirSync(path.join(folder, directory))
    return write(`${directory}/file.pdf`, sizedFile(1_300_000))
  }
  for (const [what, change] of [...changes, ...exchanges]) {
    it(`is refused when the file ${what} before it is read`, async () => {
      const name = place(what)
      const { file } = await takePath(name, HINTS, [folder])
      change(name)
      await failing('REDOX_BAD_INPUT', () => bytesOf(file.read()), /^File changed while it was read/)
    })

    it(`is refused when the file ${what} between two readings`, async () => {
      const name = place(what)
      const { file } = await takePath(name, HINTS, [folder])
      await sha256Of(file)
      change(name)
      await failing('REDOX_BAD_INPUT', () => sha256Of(file), /^File changed while it was read/)
    })
  }
  for (const [what, change] of changes) {
    it(`is refused when the file ${what} while it is read`, async () => {
      const name = place(what)
      const { file } = await takePath(name, HINTS, [folder])
      const reading = file.read()[Symbol.asyncIterator]()
      await reading.next()
      change(name)
      const rest = { [Symbol.asyncIterator]: () => reading }
      await failing('REDOX_BAD_INPUT', () => bytesOf(rest), /^File changed while it was read/)
    })
  }
})
