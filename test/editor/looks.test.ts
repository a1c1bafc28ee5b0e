/** Layout of the dialogs in both themes, in German and in a narrow tray; and nodes that an earlier release saved. */
import assert from 'node:assert/strict'
import {
  form,
  nodeOf,
  openConfig,
  openNode,
  openSections,
  RAW_KEY,
  SENDERS,
  setValues,
  TYPES,
} from './dialogs'
import { useEditor, type Editor } from './editor'
import { skip } from '../lib/skip'

/** Lowest contrast between text and background for WCAG 2 level AA, which Node-RED's own hints do not reach. */
const CONTRAST = 4.5
const OTHERS = ['redox-log', 'redox-outbox']
const NARROW = 400
/**
 * Fonts for the layout tests, because other machines have other fonts. With the text spacing of WCAG 2 (1.4.12), all
 * text is much wider than with any installed font.
 */
const TYPEFACES = [
  '',
  'font-family: serif !important',
  'font-family: monospace !important',
  'font-family: sans-serif !important; font-size: 18px !important',
  'font-family: monospace !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important',
]

describe('looks of the dialogs', function () {
  this.timeout(240_000)
  const editor = useEditor()
  const page = (): Editor['page'] => editor().page
  const flows = [
    { id: 'tab', type: 'tab', label: 'Looks' },
    { id: 'redox-config', type: 'redox-config', name: '', environment: 'Production', auth: 'oauth' },
    ...[...SENDERS, ...OTHERS].map((type, index) => ({
      ...{ id: type, type, z: 'tab', x: 200, y: 60 + 60 * index, wires: [[]], name: '' },
      ...{ connection: 'redox-config', fileFrom: 'message', eventType: 'New', api: 'fhir', way: 'auto' },
      operation: 'DiagnosticReport/$diagnosticreport-create',
    })),
  ]

  for (const [theme, language] of [
    ['light', 'en-US'],
    ['dark', 'en-US'],
    ['light', 'de'],
    ['dark', 'de'],
  ] as const) {
    describe(`in theme ${theme}, ${language}`, () => {
      before(async function () {
        await editor().reload({ flows, language, theme })
        const isDark = await page().evaluate(() =>
          document.documentElement.classList.contains('nr-theme-dark'),
        )
        if (isDark === (theme === 'dark')) return
        skip(this, 'this Node-RED has no dark theme')
      })
      after(() => editor().reload({ flows: [] }))

      for (const type of [...TYPES, ...OTHERS]) {
        it(`${type}: no text is cut off, and hints are readable`, async () => {
          if (type === 'redox-config') await openConfig(page(), type)
          else await openNode(page(), type)
          await editor().screenshot(`${type}-${theme}-${language}`)
          await openSections(page())
          await checkTypefaces(editor())
          await setWidth(editor(), NARROW)
          await checkTypefaces(editor())
          await editor().screenshot(`${type}-${theme}-${language}-narrow`)
          if (type === 'redox-config') {
            await setValues(page(), { auth: 'legacy', delivery: 'durable', store: 'postgresql' })
            await checkTypefaces(editor())
          }
          await checkContrast(editor())
          assert.doesNotMatch(await form(page()).innerText(), RAW_KEY)
          if (language === 'de') assert.match(await form(page()).innerText(), /Umgebung|Verbindung/)
        })
      }
    })
  }

  it('nodes of version 1 and of none are migrated, and a new node has the current version', async () => {
    await editor().reload({ flows: [] })
    await page().evaluate(() => {
      RedoxEditor.migrations['redox-upload'] = [
        (saved) => ({ ...saved, name: `${saved['name'] as string} migrated` }),
      ]
    })
    await page().evaluate(() => {
      const old = {
        type: 'redox-upload',
        x: 100,
        y: 100,
        z: 'old',
        wires: [],
        connection: '',
        file: 'payload',
      }
      RED.view.importNodes(
        [
          { id: 'old', type: 'tab', label: 'Old' },
          { ...old, id: 'one', name: 'one', version: 1 },
          { ...old, id: 'none', name: 'none' },
          { ...old, id: 'two', name: 'two', version: 2 },
        ],
        { addFlow: false },
      )
    })
    const found = await page().evaluate(() =>
      RED.nodes
        .filterNodes({ type: 'redox-upload' })
        .map((node) => `${node['name'] as string}: ${node['version'] as number}`)
        .sort(),
    )
    assert.deepEqual(found, ['none migrated: 2', 'one migrated: 2', 'two: 2'])
    await page()
      .locator('.red-ui-palette-node[data-palette-type="redox-upload"]')
      .dragTo(page().locator('#red-ui-workspace-chart'), { targetPosition: { x: 400, y: 300 } })
    const ids = await page().evaluate(() =>
      RED.nodes.filterNodes({ type: 'redox-upload' }).map(({ id }) => id),
    )
    const versions = await Promise.all(
      ids.map(async (id) => (await nodeOf(page(), id))['version'] as unknown),
    )
    assert.deepEqual(versions, [2, 2, 2, 2])
  })
})

/** Sets the width of the tray, which its handle limits, and waits until the editor has laid out the dialog. */
async function setWidth({ page }: Editor, width: number): Promise<void> {
  await page.locator('.red-ui-tray').evaluate((tray, wanted) => {
    tray.style.width = `${wanted}px`
    window.dispatchEvent(new Event('resize'))
  }, width)
}

async function checkTypefaces(editor: Editor): Promise<void> {
  const { page } = editor
  for (const typeface of TYPEFACES) {
    await page.evaluate((rules) => {
      document.getElementById('redox-typeface')?.remove()
      const style = document.createElement('style')
      style.id = 'redox-typeface'
      // Icons keep their font, because they are characters of an icon font.
      style.textContent = `.red-ui-tray, .red-ui-tray :not(.fa) { ${rules} }`
      document.head.append(style)
      window.dispatchEvent(new Event('resize'))
    }, typeface)
    await checkWidths(editor, typeface)
  }
  await page.evaluate(() => document.getElementById('redox-typeface')?.remove())
}

/** Checks that no label, hint or banner is cut off and no control leaves its row. */
async function checkWidths({ page }: Editor, typeface: string): Promise<void> {
  const wrong = await form(page).evaluate((element) => {
    const shown = (selector: string): HTMLElement[] =>
      [...element.querySelectorAll<HTMLElement>(selector)].filter((one) => one.checkVisibility())
    const cut = shown('label, .redox-hint, summary, .redox-banner, .form-tips, button.red-ui-button')
      .filter((one) => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== 'inline')
      .map((one) => `cut: ${one.textContent.trim()} ${one.scrollWidth} > ${one.clientWidth}`)
    const out = shown('.form-row').flatMap((row) => {
      const { left, right } = row.getBoundingClientRect()
      return [...row.children]
        .filter((one) => (one as HTMLElement).checkVisibility())
        .filter(
          (one) =>
            one.getBoundingClientRect().right > right + 1 || one.getBoundingClientRect().left < left - 1,
        )
        .map((one) => `leaves its row: ${row.textContent.trim().slice(0, 60)} ${one.outerHTML.slice(0, 60)}`)
    })
    const { scrollWidth, clientWidth } = element
    return [
      ...cut,
      ...out,
      ...(scrollWidth > clientWidth + 1 ? [`the form: ${scrollWidth} > ${clientWidth}`] : []),
    ]
  })
  assert.deepEqual(
    wrong.map((one) => `${typeface}: ${one}`),
    [],
  )
}

async function checkContrast({ page }: Editor): Promise<void> {
  const ratios = await form(page).evaluate((element) => {
    const channels = (color: string): number[] => color.match(/[\d.]+/g)!.map(Number)
    const light = (color: string): number => {
      const [r, g, b] = channels(color)
        .slice(0, 3)
        .map((value) =>
          value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4,
        )
      return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!
    }
    const behind = (one: Element): string => {
      const { backgroundColor } = getComputedStyle(one)
      return (channels(backgroundColor)[3] ?? 1) > 0 || !one.parentElement
        ? backgroundColor
        : behind(one.parentElement)
    }
    const texts = ['label', '.redox-hint', '.redox-banner', 'summary', '.form-tips']
    return texts.flatMap((selector) => {
      const one = [...element.querySelectorAll(selector)].find((candidate) => candidate.checkVisibility())
      if (!one) return []
      const [high, low] = [light(getComputedStyle(one).color), light(behind(one))].sort((a, b) => b - a)
      return [[selector, (high! + 0.05) / (low! + 0.05)] as const]
    })
  })
  for (const [selector, ratio] of ratios)
    assert.ok(ratio >= CONTRAST, `${selector}: contrast ${ratio.toFixed(2)}`)
}
