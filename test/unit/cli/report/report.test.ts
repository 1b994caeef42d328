/** The page of `spamdctl report`: text stays text, numbers are right, the file is replaced whole. */
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { adviseSenders } from '../../../../src/app/losing/advise-senders.js'
import { gatherReport } from '../../../../src/app/report/report-data.js'
import { getoptAnywhere } from '../../../../src/cli/getopt.js'
import { OptionValues } from '../../../../src/cli/option-reader.js'
import { html } from '../../../../src/cli/report/html.js'
import { renderReport } from '../../../../src/cli/report/render-report.js'
import { reportJson } from '../../../../src/cli/report/report-json.js'
import { REPORT_OPTIONS, runReport } from '../../../../src/cli/report/run-report.js'
import { createDatabase, openStore } from '../../../../src/db/open-store.js'
import { resolveSettings, type Settings } from '../../../../src/platform/settings.js'
import { LiveSystem } from '../../../../src/platform/system-probe.js'
import { HOSTILE, hostileReport, MADE, madeReport } from '../../../support/report-data.js'
import { NOW, POLICY } from '../../../support/scratch-database.js'
import { waitFor } from '../../../support/spamd/wait-for.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spamd-report-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const settings = (): Settings =>
  resolveSettings({
    db: join(folder, 'db'),
    conf: join(folder, 'spamd.conf'),
    stateDir: join(folder, 'state'),
    key: join(folder, 'key'),
    controlSocket: join(folder, 'socket'),
    firewall: 'none',
  })

function optionsOf(...argv: string[]): OptionValues {
  const parsed = getoptAnywhere(argv, REPORT_OPTIONS)
  if (!parsed.ok) throw new Error(parsed.message)
  return new OptionValues(parsed)
}

/** The real machine at the time of the entries. */
class SystemAt extends LiveSystem {
  override nowSec(): number {
    return NOW
  }
}

function parts() {
  const out: string[] = []
  const errors: string[] = []
  return {
    out,
    errors,
    parts: {
      probe: new SystemAt(),
      settings: settings(),
      write: (text: string) => void out.push(text),
      writeError: (text: string) => void errors.push(text),
    },
  }
}

describe('whatever is put into html, it is text', () => {
  test('in text and in attributes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const made = html`<p title="${text}">${text}</p>`.text
        expect(made).toMatch(/^<p title="[^"<>]*">[^<>]*<\/p>$/)
        expect(made).not.toMatch(/[\u0000-\u001f\u202a-\u202e\u2066-\u2069]/)
      }),
    )
  })

  test('only what html made is taken as it is', () => {
    expect(html`<b>${html`<i>${'<'}</i>`}${[html`1`, html`2`]}${undefined}${3}</b>`.text).toBe(
      '<b><i>&lt;</i>123</b>',
    )
  })
})

describe('the page', () => {
  test('holds no tag but its own, however hostile the texts', () => {
    const tags = (page: string): Set<string> => new Set(page.match(/<\/?[a-z0-9]+/g))
    const page = renderReport(hostileReport())
    expect(tags(page)).toEqual(tags(renderReport(madeReport())))
    for (const text of HOSTILE.slice(0, 6)) expect(page).not.toContain(text)
  })

  test('asks nobody for anything: its policy allows its own style alone', () => {
    const page = renderReport(madeReport())
    const style = /<style>([\s\S]*?)<\/style>/.exec(page)![1]!
    const hash = createHash('sha256').update(style).digest('base64')
    expect(page).toContain(`default-src &#39;none&#39;; style-src &#39;sha256-${hash}&#39;`)
    expect(page).not.toMatch(/<script|https?:|url\(|@import|style="|\son[a-z]+=/)
  })

  test('shows numbers with units and times with their zone', () => {
    const page = renderReport(madeReport())
    for (const text of [
      'spamd on mx1.example.org',
      'Generated 2026-11-18 11:06 UTC',
      '25m to 1h',
      'passtime 25m',
      'Half within 31 minutes, 90 % within 62, 99 % within 180.',
      '42 % in nixspam',
      'no hits',
      'last attempt failed: connection refused',
      '<code>pfctl -f /etc/pf.conf</code>',
      'heard 40s ago',
      'not heard',
      '40 of 12 mails from 17 addresses in 1 network, the first 2d ago, the last 20m ago',
      'new tuples, since 2026-11-08 11:06 UTC: older changes were not read',
      'SPF: all 17 addresses pass SPF of bigmail.example',
      '<code>spamdctl allow add bigmail.example</code>',
      'SPF: not usable: no SPF record',
      '<code>spamdctl release --from shop.example --to ann@example.org --for 1d --pool</code>',
      'none is needed: release k3v9x2ab covers this mail',
    ]) {
      expect(page.includes(text), text).toBe(true)
    }
    // Errors come first.
    expect(page.indexOf('does not log')).toBeLessThan(page.indexOf('nixspam is 3d'))
    expect(Buffer.byteLength(page)).toBeLessThan(1024 * 1024)
  })

  test('--json has the data behind every picture', () => {
    const value = JSON.parse(reportJson(madeReport())) as Record<string, unknown>
    expect(value).toMatchObject({
      made: new Date(MADE * 1000).toISOString().replace('.000', ''),
      entries: { GREY: 18_400 },
      funnel: { grey: expect.any(Number) as number },
      delays: { p50: 31 },
    })
    expect(Object.values(value).every((part) => part !== null)).toBe(true)
  })
})

describe('gathering', () => {
  async function fill(): Promise<void> {
    createDatabase(settings().db)
    const store = await openStore(settings().db, { mode: 'write' })
    const attempt = (ip: string, at: number) =>
      store.recordAttempts(
        [
          {
            tuple: { ip, helo: '<b>', from: '<a@sender.example>', to: '<u@example.org>' },
            clientIp: ip,
            trapKey: 'u@example.org',
            isDomainTrap: false,
            isLowPriorityMx: false,
            mayPromote: true,
          },
        ],
        POLICY,
        at,
      )
    await attempt('192.0.2.1', NOW - 7200)
    await attempt('192.0.2.1', NOW - 5000)
    await attempt('192.0.2.2', NOW - 2000)
    await attempt('192.0.2.3', NOW - 100)
    await attempt('192.0.2.4', NOW - 90)
    await store.addCounts(
      [
        { name: 'tarpit-seconds', label: 'bl', count: 60 },
        { name: 'listed', label: 'bl', count: 2 },
      ],
      NOW - 3600,
    )
    await store.close()
  }

  test('reads what waits, what passed, what lists did', async () => {
    await fill()
    const data = await gatherReport(new SystemAt(), settings(), {
      spanSec: 86_400,
      advise: (found) => adviseSenders(found, { identify: undefined, minAddresses: 3 }),
    })
    const { database, lists, stepSec } = data
    expect(stepSec).toBe(3600)
    expect(database?.waiting.map(({ fromSec, count }) => [fromSec, count])).toEqual([
      [0, 2],
      [300, 0],
      [900, 0],
      [1500, 1],
      [3600, 0],
      [7200, 0],
      [14_400, 0],
    ])
    expect(database?.stats.funnel).toMatchObject({ grey: 4, white: 1 })
    expect(database?.tarpit.map(({ seconds }) => seconds)).toEqual([60])
    expect(database?.losing.senders).toMatchObject([
      {
        domain: 'sender.example',
        networks: ['192.0.2.0/24'],
        addressCount: 4,
        command: expect.stringContaining('spamdctl release --from sender.example '),
      },
    ])
    expect(lists).toMatchObject([{ name: 'bl', hits: 2, tarpitSec: 60 }])
  })

  test('without a database, spamd.conf and daemons there is a page that says so', async () => {
    const { parts: world } = parts()
    const file = join(folder, 'r.html')
    expect(await runReport(optionsOf('--output', file), world)).toBe(0)
    const page = readFileSync(file, 'utf8')
    expect(page).toContain('The database cannot be read.')
    expect(page).toContain('class="level error"')
    expect(existsSync(settings().db)).toBe(false)
  })

  test('--json goes to standard output, or into the file', async () => {
    await fill()
    const { parts: world, out } = parts()
    await runReport(optionsOf('--json', '--since', '2d'), world)
    expect(JSON.parse(out.join(''))).toMatchObject({ stepSec: 3600, entries: { WHITE: 1 } })
    const file = join(folder, 'r.json')
    await runReport(optionsOf('--json', '--output', file), world)
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ stepSec: 86_400 })
  })

  test('--output - prints the page and makes no file of that name', async () => {
    await fill()
    const { parts: world, out } = parts()
    await runReport(optionsOf('--output', '-'), world)
    expect(out.join('')).toMatch(/^<!doctype html>/i)
    expect(existsSync('-')).toBe(false)
  })
})

describe('the file', () => {
  test('is replaced whole, readable by a web server, with nothing left beside it', async () => {
    const { parts: world } = parts()
    const file = join(folder, 'r.html')
    writeFileSync(file, 'old')
    const before = statSync(file).ino
    await runReport(optionsOf('--output', file), world)
    expect(statSync(file).ino).not.toBe(before)
    expect(statSync(file).mode & 0o777).toBe(0o644)
    expect(readdirSync(folder).filter((name) => name.includes('r.html'))).toEqual(['r.html'])
  })

  test('--watch makes it again, also after a failure, until it is stopped', async () => {
    const { parts: world, errors } = parts()
    const ending = new AbortController()
    const place = join(folder, 'web')
    const { mkdirSync } = await import('node:fs')
    mkdirSync(place)
    const file = join(place, 'r.html')
    const running = runReport(optionsOf('--output', file, '--watch', '5'), {
      ...world,
      signal: ending.signal,
    })
    await waitFor(
      () => existsSync(file),
      () => 'the first page',
    )
    rmSync(place, { recursive: true })
    await waitFor(
      () => errors.length > 0,
      () => 'word of the missing folder',
    )
    expect(errors[0]).toContain(`spamdctl: cannot write ${file}: No such file or directory`)
    mkdirSync(place)
    await waitFor(
      () => existsSync(file),
      () => 'the page again',
    )
    ending.abort()
    expect(await running).toBe(0)
  })

  test.each([
    [[], 'no file for the page'],
    [['--watch', '60'], 'no file for the page'],
    [['--json', '--watch', '60'], '--watch needs --output FILE'],
    [['--output', '-', '--watch', '60'], '--watch needs --output FILE'],
    [['--output', 'x', '--watch', '1'], '--watch: "1" is not a number of seconds from 5 to 604800'],
    [['--output', 'x', '--since', 'x'], '--since: "x" is not a duration'],
  ])('%j is refused', async (argv, message) => {
    await expect(runReport(optionsOf(...argv), parts().parts)).rejects.toMatchObject({
      code: 'ERR_USAGE',
      message,
    })
  })
})
