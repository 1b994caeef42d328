/**
 * The page of `spamdctl report` in a real browser: hostile text stays text, no request leaves, nothing is wider than the
 * window, and it is the same page without JavaScript. It also makes the pictures of docs/pictures.
 */
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { renderReport } from '../../../src/cli/report/render-report.js'
import { NO_CHROMIUM, startChromium } from '../../support/chromium.js'
import { HOSTILE, hostileReport, madeReport } from '../../support/report-data.js'

const PICTURES = new URL('../../../docs/pictures/', import.meta.url).pathname
const WIDTHS = [360, 800, 1600]
/** What the browser is asked: the text, elements that could act, and what is wider than the window. */
const LOOK = `({
  text: document.body.textContent,
  foreign: document.querySelectorAll('script, img, a, iframe, object, [onload], [onerror], [onmouseover]').length,
  width: document.documentElement.scrollWidth,
  wide: [...document.querySelectorAll('body *')]
    .filter((element) => element.getBoundingClientRect().right > window.innerWidth + 1)
    .map((element) => element.outerHTML.slice(0, 80)),
})`

describe.skipIf(NO_CHROMIUM !== '')(`the report in a browser${NO_CHROMIUM}`, () => {
  let browser: Browser | undefined
  let folder: string
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'report-story-'))
    browser = await startChromium()
  })
  afterAll(async () => {
    await browser?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  /** Opens the page and notes whatever it asks for or complains of. */
  async function open(
    html: string,
    options: BrowserContextOptions,
  ): Promise<{ page: Page; events: string[] }> {
    const file = join(folder, `page-${Math.random().toString(36).slice(2)}.html`)
    writeFileSync(file, html)
    const context = await browser!.newContext(options)
    const page = await context.newPage()
    const events: string[] = []
    const own = pathToFileURL(file).href
    page.on('request', (request) => {
      if (request.url() !== own && !request.url().startsWith('data:')) events.push(`request ${request.url()}`)
    })
    page.on('console', (message) => events.push(`console ${message.text()}`))
    page.on('pageerror', (error) => events.push(`error ${error.message}`))
    page.on('dialog', (dialog) => events.push(`dialog ${dialog.message()}`))
    await page.goto(own, { waitUntil: 'load' })
    return { page, events }
  }

  test.each(WIDTHS)('hostile text stays text at %i pixels', async (width) => {
    const { page, events } = await open(renderReport(hostileReport()), {
      viewport: { width, height: 900 },
    })
    const title = await page.title()
    const seen = (await page.evaluate(LOOK)) as {
      text: string
      foreign: number
      width: number
      wide: string[]
    }
    expect(title).toBe(`spamd on ${HOSTILE[0]}`)
    expect(seen.foreign).toBe(0)
    for (const text of HOSTILE.slice(0, 7)) expect(seen.text.includes(text), text).toBe(true)
    expect(seen.text).not.toContain('\u202e')
    expect(seen.wide).toEqual([])
    expect(seen.width).toBeLessThanOrEqual(width)
    expect(events).toEqual([])
    await page.context().close()
  })

  test.each([
    ['light', 1600],
    ['dark', 800],
    ['light', 360],
  ] as const)('%s at %i pixels, without JavaScript: a picture for the manual', async (colorScheme, width) => {
    const { page, events } = await open(renderReport(madeReport()), {
      viewport: { width, height: 900 },
      colorScheme,
      javaScriptEnabled: false,
    })
    mkdirSync(PICTURES, { recursive: true })
    const picture = join(PICTURES, `report-${colorScheme}-${width}.png`)
    await page.screenshot({ path: picture, fullPage: true })
    expect(statSync(picture).size).toBeGreaterThan(20_000)
    expect(events).toEqual([])
    await page.context().close()
  })

  test('on paper nothing is cut', async () => {
    const { page, events } = await open(renderReport(madeReport()), { colorScheme: 'dark' })
    const pdf = await page.pdf({ format: 'A4' })
    const pages = pdf.toString('latin1').match(/\/Type\s*\/Page\b/g)?.length ?? 0
    expect(pages).toBeGreaterThan(1)
    expect(pages).toBeLessThan(8)
    await page.emulateMedia({ media: 'print' })
    // Paper is white, whatever the screen is.
    expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe('rgb(255, 255, 255)')
    expect(events).toEqual([])
    await page.context().close()
  })
})
