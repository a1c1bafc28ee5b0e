import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { skip } from './lib/skip'

/** Folder in which this package and a Node-RED are installed. */
const FOLDER = process.env['REDOX_TEST_BOOT']
/** Path of the Node.js executable that runs Node-RED. */
const NODE = process.env['REDOX_TEST_NODE'] ?? process.execPath

describe('other Node.js and Node-RED versions', () => {
  before(function () {
    if (FOLDER !== undefined) return
    skip(
      this,
      'other Node versions: .ci/run boots them, or set REDOX_TEST_BOOT (a folder with this package and ' +
        'node-red installed) and REDOX_TEST_NODE (a node binary)',
    )
  })

  it('load every node type, icon, text and example', () => {
    const boot = path.join(__dirname, '../../scripts/boot.mjs')
    const { status, stdout, stderr } = spawnSync(NODE, ['--unhandled-rejections=strict', boot, FOLDER!], {
      encoding: 'utf8',
      timeout: 120_000,
    })
    assert.equal(status, 0, stdout + stderr)
  }).timeout(130_000)
})
