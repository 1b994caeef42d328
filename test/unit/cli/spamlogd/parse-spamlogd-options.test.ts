import { describe, expect, test } from 'vitest'
import {
  MAX_REPEATED_VALUES,
  parseSpamlogdOptions,
} from '../../../../src/cli/spamlogd/parse-spamlogd-options.js'
import { runSpamlogdCall, type SpamlogdCallParts } from '../../../../src/cli/spamlogd/spamlogd-main.js'
import { SPAMLOGD_USAGE } from '../../../../src/cli/spamlogd/spamlogd-options.js'

const parse = (argv: string[], platform = 'linux') =>
  parseSpamlogdOptions(argv, { SPAMD_DB: '/db' }, platform)
const options = (...argv: string[]) => {
  const parsed = parse(argv)
  if (!parsed.ok) throw new Error(parsed.stderr)
  return parsed.options
}
const problem = (...argv: string[]) => {
  const parsed = parse(argv)
  return parsed.ok ? undefined : parsed.stderr
}

describe('options of the original', () => {
  test('defaults', () => {
    expect(options()).toMatchObject({
      isDebug: false,
      device: 'nflog:25',
      whiteExpireSec: 864 * 3600,
      untrap: false,
      dbPath: '/db',
      rules: { ports: [25], direction: 'both', excludedNetworks: [] },
    })
    const onBsd = parse([], 'openbsd')
    expect(onBsd.ok && onBsd.options.device).toBe('pflog0')
  })

  test('a cluster with a joined value', () => {
    expect(options('-DIiem0', '-l', 'pflog1', '-W', '1', '-Y', 'a', '-Yb')).toMatchObject({
      isDebug: true,
      device: 'pflog1',
      whiteExpireSec: 3600,
      syncTargets: ['a', 'b'],
      rules: { direction: 'in', interfaceName: 'em0' },
    })
  })

  test.each(['0', '2161', '-1', '', 'x', '1h', '1.5', '0x10'])('-W %s is told before the usage', (value) => {
    expect(problem('-W', value)).toBe(
      `spamlogd: -W: ${JSON.stringify(value)} is not a number of hours from 1 to 2160\n${SPAMLOGD_USAGE}`,
    )
  })

  test.each([[['start']], [['-D', '--', '-x']], [['-', '-D']]])('%j has a word that is no option', (argv) => {
    const word = argv.findLast((one) => one !== '-D')!
    expect(problem(...argv)).toBe(`spamlogd: unexpected argument ${JSON.stringify(word)}\n${SPAMLOGD_USAGE}`)
  })

  test('sources and rate of outbound connections', () => {
    const given = options(
      '--outbound-source',
      '192.0.2.25',
      '--outbound-source',
      '2001:db8::/64',
      '--outbound-rate',
      '0',
    )
    expect(given.rules.outboundSources).toHaveLength(2)
    expect(given.outboundPerMinute).toBe(Infinity)
    expect(options().rules.outboundSources).toBeUndefined()
    expect(options().outboundPerMinute).toBe(600)
    expect(options('--outbound-rate', '5').outboundPerMinute).toBe(5)
    expect(problem('--outbound-source', 'mail')).toContain('"mail" is not an address, a network or "self"')
    const self = options('--outbound-source', 'self').rules
    expect([self.isOutboundSelf, self.outboundSources]).toEqual([true, []])
    const both = options('--outbound-source', '192.0.2.1', '--outbound-source', 'self').rules
    expect([both.isOutboundSelf, both.outboundSources?.length]).toEqual([true, 1])
  })

  test.each(['1', '2160', ' 5', '+7'])('-W %s is taken, as by strtonum(3)', (value) => {
    expect(options('-W', value).whiteExpireSec).toBe(Number(value) * 3600)
  })

  test.each([
    [['-Z'], `spamlogd: unknown option -- Z\n${SPAMLOGD_USAGE}`],
    [['-i'], `spamlogd: option requires an argument -- i\n${SPAMLOGD_USAGE}`],
    [['-W', '0', '-Z'], `spamlogd: -W: "0" is not a number of hours from 1 to 2160\n${SPAMLOGD_USAGE}`],
    [['-\u001b'], `spamlogd: unknown option -- \\x1b\n${SPAMLOGD_USAGE}`],
  ])('%j is a wrong call', (argv, stderr) => {
    expect(problem(...argv)).toBe(stderr)
  })

  test.each(['em0 or', '', 'a/b', 'sixteen-letters-', 'em0\u0007'])('-i %j is no interface', (name) => {
    expect(problem('-i', name)).toMatch(/^spamlogd: -i: ".*" is not an interface name\n$/)
  })
})

describe('our own options', () => {
  test('repeatable ones gather, prefix words replace the known ones', () => {
    const given = options(
      ...['--port', '25', '--port=587', '--exclude', '192.0.2.7/24', '--exclude', '2001:db8::/32'],
      ...['--in-group', '155', '--out-group', '255', '--in-prefix', 'a', '--in-prefix', 'b'],
    )
    expect(given.rules).toMatchObject({
      ports: [25, 587],
      inboundGroups: [155],
      outboundGroups: [255],
      inboundPrefixes: ['a', 'b'],
      outboundPrefixes: ['spamlogd-out', 'spamd-out'],
    })
    expect(given.rules.excludedNetworks.map((network) => network.address)).toEqual([
      '192.0.2.0',
      '2001:db8::',
    ])
  })

  test('switches, files and times', () => {
    expect(
      options(
        ...['-r', '-', '--use-capture-time', '--untrap', '--json', '--foreground', '--stats-interval', '1h'],
        ...[
          '--metrics-textfile',
          '/m.prom',
          '--pid-file',
          '/p',
          '--user',
          'me',
          '--db',
          '/other',
          '--key',
          '/k',
          '--sync-port',
          '9',
          '--direction',
          'out',
        ],
      ),
    ).toMatchObject({
      replayPath: '-',
      useCaptureTime: true,
      untrap: true,
      isJson: true,
      isForeground: true,
      statsIntervalSec: 3600,
      metricsFile: '/m.prom',
      pidFile: '/p',
      user: 'me',
      isUserGiven: true,
      dbPath: '/other',
      key: '/k',
      syncPort: 9,
      rules: { direction: 'out' },
    })
  })

  test.each([
    [['--port', '0'], '--port: "0" is not a number from 1 to 65535'],
    [['--port', '65536'], '--port: "65536" is not a number from 1 to 65535'],
    [['--direction', 'up'], '--direction: "up" is not one of in, out, both'],
    [['--exclude', '10/8'], '--exclude: "10/8" is not an address or network'],
    [['--in-group', '65536'], '--in-group: "65536" is not a number from 0 to 65535'],
    [['--in-prefix', ''], '--in-prefix: "" is not a word of 1 to 127 bytes'],
    [['--out-prefix', 'x'.repeat(128)], `--out-prefix: "${'x'.repeat(128)}" is not a word of 1 to 127 bytes`],
    [['--stats-interval', '0'], '--stats-interval: "0" is not a duration from 1s to 1d'],
    [['--stats-interval', '25h'], '--stats-interval: "25h" is not a duration from 1s to 1d'],
  ])('%j is told', (argv, message) => {
    expect(problem(...argv)).toBe(`spamlogd: ${message}\n`)
  })

  test('--use-capture-time goes with -r only, wherever that stands', () => {
    expect(parse(['--use-capture-time', '-D'])).toEqual({
      ok: false,
      isReplay: true,
      stderr:
        'spamlogd: --use-capture-time requires -r\nspamlogd: hint: name the capture with -r FILE, or -r - for standard input\n',
    })
    expect(options('--use-capture-time', '-r', 'file')).toMatchObject({ useCaptureTime: true })
    expect(parse(['--use-capture-time', '--help'])).toMatchObject({ ok: true, asks: 'help' })
  })

  test('a repeatable option has its limit', () => {
    const many = (count: number) => Array.from({ length: count }, () => ['--exclude', '192.0.2.1']).flat()
    expect(options(...many(MAX_REPEATED_VALUES)).rules.excludedNetworks).toHaveLength(MAX_REPEATED_VALUES)
    expect(problem(...many(MAX_REPEATED_VALUES + 1))).toBe('spamlogd: --exclude: more than 256 times\n')
  })
})

describe('the call', () => {
  function io(changes: Partial<SpamlogdCallParts> = {}) {
    const written: string[] = []
    return {
      written,
      writeOut: (text: string) => void written.push(`out ${text}`),
      writeError: (text: string) => void written.push(`err ${text}`),
      showHelp: async () => void written.push('help'),
      mayCapture: () => true,
      run: async () => 7,
      ...changes,
    }
  }

  test.each<[string[], boolean, number, string[]]>([
    [['-D'], true, 7, []],
    [['-D'], false, 1, [expect.stringMatching(/^err spamlogd: need root privileges\nspamlogd: hint: /)]],
    [['-Z'], false, 1, [expect.stringMatching(/^err spamlogd: need root privileges\nspamlogd: hint: /)]],
    [['-r', 'x', '-Z'], false, 1, [`err spamlogd: unknown option -- Z\n${SPAMLOGD_USAGE}`]],
    [['-r', 'x'], false, 7, []],
    [['--help'], false, 0, ['help']],
    [['--version'], false, 0, [expect.stringMatching(/^out spamlogd \(spamdctl\) [0-9.]+\n$/)]],
  ])('%j, may capture: %s', async (argv, mayCapture, exitCode, written) => {
    const call = io({ mayCapture: () => mayCapture })
    expect(await runSpamlogdCall(argv, call)).toBe(exitCode)
    expect(call.written).toEqual(written)
  })
})
