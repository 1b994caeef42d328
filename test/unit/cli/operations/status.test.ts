/** `spamdctl status`: what it gathers, its screen, its JSON and its form for monitors. */
import { rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { readStatus, type SuiteStatus } from '../../../../src/app/status.js'
import { checkForm, parseThresholds } from '../../../../src/cli/operations/check-form.js'
import { doctorJson, renderDoctor } from '../../../../src/cli/operations/render-doctor.js'
import { renderStatus, statusJson } from '../../../../src/cli/operations/render-status.js'
import { standardTerminal } from '../../../../src/cli/operations/terminal.js'
import { addExceptions, exceptionOf } from '../../../support/doctor-exceptions.js'
import { type DoctorScene, healthyScene } from '../../../support/doctor-scene.js'
import { temporaryFolder } from '../../../support/program-run.js'

const parent = temporaryFolder('status')
const PLAIN = { width: undefined, hasColour: false }
const NO_LIMITS = { warning: new Map(), critical: new Map() }

/** The status of a scene whose spamd answers on a real socket. */
async function statusOf(scene: DoctorScene): Promise<SuiteStatus> {
  const server = createServer((socket) => {
    socket.once('data', () => socket.end(`${JSON.stringify({ ok: true, result: scene.status })}\n`))
  })
  await new Promise<void>((resolve) => server.listen(scene.settings.controlSocket, resolve))
  try {
    return await readStatus(scene.probe, scene.settings)
  } finally {
    server.close()
  }
}

describe('the screen', () => {
  test('of a healthy gateway', async () => {
    const scene = await healthyScene('linux', parent)
    const text = renderStatus(await statusOf(scene), PLAIN)
    const shown = text.replaceAll(scene.folder, '/scene').replace(/\([0-9.]+ MiB\)/, '(N MiB)')
    expect(shown).toBe(`spamd      running since 2023-11-13 22:13:20Z (1d), pid 51209, greylisting
           listens on 0.0.0.0 port 8025, :: port 8025; configuration port 8026
           3 connections, 1 of them from block lists or traps
spamlogd   running since 2023-11-13 13:00:12Z (1d 9h), pid 1301, watches nflog:25
database   /scene/db/spamd.sqlite (N MiB)
entries    3 WHITE, 0 TRAPPED, 0 SPAMTRAP, 0 GREY
last scan  20s ago: 0 promoted, 0 expired, took 4 ms
tables     spamd-white 3 (of 3 WHITE), spamd 0, nospamd 1
lists      drop (black), 1 entry, 10m old
           own (black)
peers      172.16.0.2 heard 30s ago
warnings   none
`)
  })

  test('tells of exceptions: how many, how old, and what the packet filter lacks of them', async () => {
    const scene = await healthyScene('linux', parent)
    await addExceptions(scene)
    const status = await statusOf(scene)
    const lines = renderStatus(status, PLAIN).split('\n')
    expect(lines).toContain('allow      1 exception, 2 networks, oldest DNS answer 1h old')
    expect(lines).toContain('warnings   none')
    expect(JSON.parse(statusJson(status))).toMatchObject({
      database: { allowed: { sourceCount: 1, networkCount: 2, troubles: [] } },
    })
    await addExceptions(scene, exceptionOf({ networks: [], checked: 0 }))
    expect(renderStatus(await statusOf(scene), PLAIN)).toContain(
      `warnings   warning: exception bulk.example lets nobody through: DNS has not named its networks yet
           warning: table spamd-allow holds 2 networks, but 0 are allowed
`,
    )
  })

  test('tells what DNS is asked about senders, and whether it answers', async () => {
    const scene = await healthyScene('linux', parent)
    scene.status.greyPrefix4 = 24
    scene.status.senders = {
      spf: 'file',
      dnswl: ['good.example'],
      dnsbl: ['bad.example'],
      answered: 12,
      failed: 3,
    }
    const lines = renderStatus(await statusOf(scene), PLAIN).split('\n')
    expect(lines).toContain('pools      known by /24 of IPv4 and SPF, networks open: 0, each for 7d')
    expect(lines).toContain(
      'dns        SPF of the domains of a file, dnswl good.example, dnsbl bad.example; 12 queries answered, 3 failed',
    )
  })

  test('fits into 80 columns and into 200, except words that are longer', async () => {
    const scene = await healthyScene('openbsd', parent)
    scene.status.listen = Array.from({ length: 12 }, (_, index) => ({
      address: `192.0.2.${index}`,
      port: 8025,
    }))
    const status = await statusOf(scene)
    for (const width of [80, 200]) {
      const lines = renderStatus(status, { width, hasColour: false }).split('\n')
      for (const line of lines.filter((text) => !text.includes(scene.folder)))
        expect(line.length).toBeLessThanOrEqual(width)
    }
    // Piped, each fact is one line.
    expect(
      renderStatus(status, PLAIN)
        .split('\n')
        .filter((line) => line.includes('listens on')),
    ).toHaveLength(1)
  })

  test('of a gateway where nothing runs says what is wrong, worst first', async () => {
    const scene = await healthyScene('linux', parent)
    scene.probe.edit('ps', /^.*spam.*\n/gm, '')
    scene.probe.edit('nft -j list set inet spamd spamd-white', /, "elem": .*\]\}\}/, '}}')
    rmSync(scene.settings.db)
    const status = await readStatus(scene.probe, scene.settings)
    expect(status.troubles.map(({ level, message }) => `${level} ${message}`)).toEqual([
      'critical spamd is not running',
      expect.stringContaining('critical cannot open'),
      'warning spamlogd is not running: WHITE entries will expire',
    ])
    expect(JSON.parse(statusJson(status))).toMatchObject({
      spamd: { state: 'stopped' },
      spamlogd: { state: 'stopped' },
      tables: { 'spamd-white': 1, spamd: 0, nospamd: 1 },
    })
  })

  test('escapes what a list server said', async () => {
    const scene = await healthyScene('linux', parent)
    const state = { method: 'https', location: 'x', failure: { sec: 1, reason: 'bad \u001b[31mred' } }
    writeFileSync(`${scene.settings.stateDir}/drop.state`, JSON.stringify(state))
    const text = renderStatus(await statusOf(scene), PLAIN)
    expect(text).toContain('bad \\x1b[31mred')
    expect(text).not.toContain('\u001b')
  })
})

describe('for monitors', () => {
  test('all is well', async () => {
    const status = await statusOf(await healthyScene('linux', parent))
    expect(checkForm(status, NO_LIMITS)).toEqual({
      exitCode: 0,
      text: 'SPAMD OK - 3 connections, 0 grey, table holds 3 of 3 white hosts | connections=3;;;0 black=1;;;0 scan-age=20s;;;0 peer-age=30s;;;0 white=3;;;0 grey=0;;;0 trapped=0;;;0 list-age=600s;;;0\n',
    })
  })

  test.each([
    ['--warning', 'connections=2', 1, 'SPAMD WARNING - connections is 3 | connections=3;2;;0'],
    ['--critical', 'connections=2', 2, 'SPAMD CRITICAL - connections is 3 | connections=3;;2;0'],
    ['--critical', 'white=10:', 2, 'SPAMD CRITICAL - white is 3'],
    ['--warning', 'white=@1:5', 1, 'SPAMD WARNING - white is 3'],
    ['--warning', 'list-age=5m', 1, 'SPAMD WARNING - list-age is 600s'],
    ['--warning', 'list-age=~:2d,grey=5', 0, 'SPAMD OK - '],
  ] as const)('%s %s ends with %i', async (option, text, exitCode, start) => {
    const status = await statusOf(await healthyScene('linux', parent))
    const limits = parseThresholds(option, [text])
    const result = checkForm(status, { ...NO_LIMITS, [option.slice(2)]: limits })
    expect(result.exitCode).toBe(exitCode)
    expect(result.text.startsWith(start)).toBe(true)
  })

  test('trouble needs no limits', async () => {
    const scene = await healthyScene('linux', parent)
    scene.status.lastScan!.isComplete = false
    const result = checkForm(await statusOf(scene), NO_LIMITS)
    expect(result.exitCode).toBe(2)
    expect(result.text).toMatch(/^SPAMD CRITICAL - the last scan of the database failed \| /)
  })

  test('a clock in doubt is a warning, not a failed scan', async () => {
    const scene = await healthyScene('linux', parent)
    scene.status.clockDoubt = 'the clock jumped forward by 5184000 seconds'
    Object.assign(scene.status.lastScan!, { isComplete: false, isWaiting: true })
    const result = checkForm(await statusOf(scene), NO_LIMITS)
    expect(result.exitCode).toBe(1)
    expect(result.text).toMatch(
      /^SPAMD WARNING - the clock jumped forward by 5184000 seconds: .*spamdctl accept-clock \| /,
    )
  })

  test('what cannot be read is unknown', async () => {
    const scene = await healthyScene('linux', parent)
    scene.status.sync = undefined
    const limits = { ...NO_LIMITS, warning: parseThresholds('--warning', ['peer-age=1h']) }
    expect(checkForm(await statusOf(scene), limits)).toMatchObject({
      exitCode: 3,
      text: expect.stringMatching(/^SPAMD UNKNOWN - peer-age is not known/),
    })
  })

  test('what is unknown is said once, although it has both limits', async () => {
    const scene = await healthyScene('linux', parent)
    scene.status.sync = undefined
    const warning = parseThresholds('--warning', ['peer-age=1h'])
    const critical = parseThresholds('--critical', ['peer-age=2h'])
    const { text } = checkForm(await statusOf(scene), { warning, critical })
    expect(text.match(/peer-age is not known/g)).toHaveLength(1)
  })

  test.each(['connections', 'nosuch=1', 'white=', 'white=5:1', 'white=1x', '=1', 'white=@', 'white=:'])(
    'refuses the limit %j',
    (text) => {
      expect(() => parseThresholds('--warning', [text])).toThrow('is not NAME=RANGE')
    },
  )
})

describe('doctor on a terminal', () => {
  test('lines fit, the command stands below, levels have colours', async () => {
    const scene = await healthyScene('openbsd', parent)
    scene.probe.edit('pfctl -s info', 'Enabled', 'Disabled')
    const report = await scene.run()
    const narrow = renderDoctor(report, { width: 80, hasColour: false }, { isQuiet: true })
    expect(narrow).toBe(`error    pf: pf is disabled: no host is sent to spamd
         > pfctl -e
${report.counts.ok} ok, ${report.counts.info} info, 0 warnings, 1 error
`)
    expect(renderDoctor(report, { width: 80, hasColour: true }, { isQuiet: true })).toContain(
      '\u001b[31merror\u001b[0m',
    )
    for (const width of [80, 200]) {
      for (const line of renderDoctor(report, { width, hasColour: false }, { isQuiet: false }).split('\n')) {
        expect(line.length).toBeLessThanOrEqual(width)
      }
    }
    expect(renderDoctor(report, PLAIN, { isQuiet: false })).not.toContain('\u001b')
  })

  test('--quiet is silent when all is well', async () => {
    const report = await (await healthyScene('freebsd', parent)).run()
    expect(renderDoctor(report, PLAIN, { isQuiet: true })).toBe('')
  })

  test('--json holds what the doctor of the other gateway needs', async () => {
    const report = await (await healthyScene('openbsd', parent)).run()
    const value = JSON.parse(doctorJson(report)) as { node: { carp: unknown[]; preempt: boolean } }
    expect(value.node.preempt).toBe(true)
    expect(value.node.carp).toHaveLength(2)
  })

  test('standard output that is no terminal has neither width nor colours', () => {
    const isTty = process.stdout.isTTY
    process.stdout.isTTY = false
    expect(standardTerminal({})).toEqual({ width: undefined, hasColour: false })
    process.stdout.isTTY = true
    expect(standardTerminal({ NO_COLOR: '1' }).hasColour).toBe(false)
    expect(standardTerminal({ TERM: 'dumb' }).hasColour).toBe(false)
    expect(standardTerminal({}).hasColour).toBe(true)
    process.stdout.isTTY = isTty
  })
})
