/** Outbox tab on a narrow screen, by keyboard, and for a screen reader (judged by axe-core), in both themes. */
import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { eventually } from '../lib/eventually'
import type { OutboxClient } from '../lib/outbox'
import { reply, type ScriptedServer } from '../lib/scripted-server'
import { skip } from '../lib/skip'
import type { Editor } from './editor'
import { count, details, filter, line, many, REFUSED, tab, useOutbox } from './outbox'
import { checkByAxe, checkFits, NARROW } from './accessibility'
import { checkEveryContrast, setWidth, showTab } from './tabs'

const AGAIN = 'Send again'

describe('accessibility of the outbox', function () {
  this.timeout(240_000)
  const opened = useOutbox()
  let editor: Editor
  let page: Page
  let client: OutboxClient
  let redox: ScriptedServer
  let parked: string
  let second: string

  before(async () => {
    ;({ editor, page, client, redox } = opened())
    await client.deploy(redox.url)
    await editor.reload()
    redox.script('send', REFUSED)
    parked = (await client.accept({ documentId: 'first' })).id
    await client.until(parked, 'parked')
    second = (await client.accept({ documentId: 'second' })).id
  })

  /** Reloads the editor in a theme, opens a message and every form and block of the tab. */
  async function openAll(theme: 'light' | 'dark'): Promise<void> {
    await editor.reload({ theme })
    await showTab(page, 'outbox')
    await line(page, parked).click()
    await details(page).getByRole('button', { name: AGAIN }).click()
    await many(page).getByRole('button').first().click()
    await many(page).getByText('1 matching message').waitFor()
    await tab(page).getByText('Time accepted, error code').click()
    await tab(page)
      .getByRole('button', { name: /^Pause/ })
      .click()
    await tab(page).getByText('Audit log', { exact: true }).click()
  }

  for (const theme of ['light', 'dark'] as const) {
    describe(`in theme ${theme}, with everything open`, () => {
      before(async function () {
        await openAll(theme)
        const isDark = await page.evaluate(() => document.documentElement.classList.contains('nr-theme-dark'))
        if (isDark !== (theme === 'dark')) skip(this, 'this Node-RED has no dark theme')
      })

      it('has no violation that axe finds', async () => {
        const checked = await checkByAxe(page, 'outbox')
        for (const rule of ['color-contrast', 'button-name', 'label', 'list', 'aria-allowed-attr'])
          assert.ok(checked.includes(rule), `${rule} was not checked: ${checked.join()}`)
      })

      it('has readable texts everywhere', () => checkEveryContrast(tab(page)))

      it(`fits on a screen of ${NARROW} px`, async () => {
        for (const width of [undefined, 280, 500]) {
          if (width !== undefined) await setWidth(page, width)
          await checkFits(page, 'outbox')
          await editor.screenshot(`outbox-${NARROW}-${theme}-${width ?? 'default'}`)
        }
      })
    })
  }

  describe('by keyboard', () => {
    it('is used with the keyboard alone, from the list to the result', async () => {
      await editor.reload()
      await showTab(page, 'outbox')
      await count(page, 1)
      await filter(page, 'Parked').focus()
      // Before its row comes the link to it from the destination that it holds back.
      await tabTo(page, (name) => name.includes(parked.slice(0, 8)) && !name.startsWith('Held back'))
      await page.keyboard.press('Enter')
      await details(page).getByRole('button', { name: AGAIN }).waitFor()
      assert.equal(await line(page, parked).getAttribute('aria-expanded'), 'true')
      await tabTo(page, (name) => name === AGAIN)
      await page.keyboard.press('Space')
      assert.match(await focused(page), /^Reason/)
      await tabTo(page, (name) => name === 'Cancel')
      await page.keyboard.press('Enter')
      assert.equal(await focused(page), AGAIN)
      await page.keyboard.press('Space')
      await page.keyboard.press('Escape')
      assert.equal(await focused(page), AGAIN)
      await page.keyboard.press('Enter')
      await page.keyboard.type('the patient is known now')
      redox.script('send', reply(200, { Meta: { Logs: [{ ID: 'log-2' }] } }), REFUSED)
      await page.keyboard.press('Enter')
      await page.locator('#red-ui-notifications[aria-live=polite]').getByText('will be sent again').waitFor()
      // The open row stays, and has the focus, so the next key is not lost.
      await line(page, parked).getByText('Delivered').waitFor()
      // The details, whose button had the focus, are loaded after the line.
      await eventually('the row has the focus', () =>
        line(page, parked).evaluate((row) => row === document.activeElement),
      )
      await page.keyboard.press('Enter')
      await line(page, parked).waitFor({ state: 'detached' })
      // The row is gone. The focus is where the row was.
      assert.equal(await focused(page), 'Messages')
    })

    it('keeps the focus while the list is loaded again', async () => {
      await client.until(second, 'parked')
      await filter(page, 'Parked').click()
      await line(page, second).focus()
      const loaded = (): Promise<unknown> =>
        page.waitForResponse((answer) => answer.url().includes('/messages?'))
      await loaded()
      await loaded()
      assert.match(await focused(page), new RegExp(second.slice(0, 8)))
      await page.keyboard.press('Enter')
      await details(page).getByRole('button', { name: AGAIN }).waitFor()
      await tabTo(page, (name) => name === AGAIN)
      await loaded()
      await loaded()
      assert.equal(await focused(page), AGAIN)
    })

    it('has a screen reader read the risk of a decision with its reason', async () => {
      await details(page).getByRole('button', { name: 'Discard' }).click()
      const reason = details(page).getByLabel('Reason (kept in the audit log)')
      const described = await reason.evaluate(
        (one) => document.getElementById(one.getAttribute('aria-describedby') ?? '')?.textContent,
      )
      assert.ok(described, 'the reason has no description')
      assert.equal(await details(page).getByRole('form', { name: 'Discard' }).count(), 1)
    })
  })
})

/** Name of the element with the focus: its label or text. */
const focused = (page: Page): Promise<string> =>
  page.evaluate(() => {
    const one = document.activeElement as HTMLInputElement
    return one.getAttribute('aria-label') ?? one.labels?.[0]?.textContent ?? one.textContent.trim()
  })

/** Presses Tab until the wanted element has the focus. Each element on the way must show that it has it. */
async function tabTo(page: Page, isWanted: (name: string) => boolean): Promise<void> {
  const passed: string[] = []
  for (let presses = 0; presses < 60; presses++) {
    await page.keyboard.press('Tab')
    const name = await focused(page)
    passed.push(name)
    assert.ok(await showsFocus(page), `${name} does not show the focus`)
    if (isWanted(name)) return
  }
  assert.fail(`not reached: ${passed.join(' | ')}`)
}

/** Returns true if the element with the focus looks different without it. */
const showsFocus = (page: Page): Promise<boolean> =>
  page.evaluate(() => {
    const one = document.activeElement as HTMLElement
    const look = (): string => {
      const { outlineStyle, outlineWidth, boxShadow, borderColor } = getComputedStyle(one)
      return [outlineStyle === 'none' ? '' : outlineWidth, boxShadow, borderColor].join()
    }
    const withFocus = look()
    one.blur()
    const without = look()
    one.focus({ preventScroll: true })
    return withFocus !== without
  })
