import { describe, expect, test } from 'vitest'
import { parseSpamdOptions, type SpamdOptionsResult } from '../../../../src/cli/spamd/parse-spamd-options.js'
import { SPAMD_OPTION_TABLE } from '../../../../src/cli/spamd/spamd-option-table.js'
import { SPAMD_OPTIONS, SPAMD_USAGE } from '../../../../src/cli/spamd/spamd-options.js'

const parse = (argv: string[], maxFiles: number | undefined = 7030): SpamdOptionsResult =>
  parseSpamdOptions(argv, { hostname: 'host.example', maxFiles, environment: {} })
const config = (...argv: string[]) => {
  const result = parse(argv)
  if (!result.ok) throw new Error(result.stderr)
  return result.config
}

test('defaults are those of the original', () => {
  expect(config()).toMatchObject({
    isBlackOnly: false,
    isForeground: false,
    listReplyCode: 450,
    maxConnections: 800,
    maxBlack: 700,
    passSec: 1500,
    greyExpireSec: 14_400,
    whiteExpireSec: 3_110_400,
    trapExpireSec: 86_400,
    scanIntervalSec: 60,
    hostname: 'host.example',
    bannerName: 'spamd IP-based SPAM blocker',
    listenAddresses: ['127.0.0.1'],
    greyStutterSec: 10,
    stutterSec: 1,
    windowBytes: undefined,
    maxPerIp: undefined,
    maxRecipients: 100,
    maxCommands: 500,
    maxSessionSec: 14_400,
    logFormat: 'classic',
  })
})

test('--config-socket is known to be given, even as the default path', () => {
  expect(config().isControlSocketGiven).toBe(false)
  const { settings, isControlSocketGiven } = config('--config-socket', config().settings.controlSocket)
  expect([settings.controlSocket, isControlSocketGiven]).toEqual([config().settings.controlSocket, true])
})

describe('the ends of each range are allowed, and what lies beyond is told', () => {
  const INT_MAX = '2147483647'
  const BEYOND_INT = '2147483648'
  test.each([
    { option: '-p', range: ['1', '65535'], below: '0', above: '65536' },
    { option: '-B', range: ['0', '800'], below: '-1', above: BEYOND_INT },
    { option: '-w', range: ['1', INT_MAX], below: '0', above: BEYOND_INT },
    { option: '-S', range: ['0', '90'], below: '-1', above: '91' },
    { option: '-s', range: ['0', '10'], below: '-1', above: '11' },
    { option: '-c', range: ['1', '6830'], below: '0', above: '6831' },
    { option: '--pool-expire', range: ['1s', '36d'], below: '0s', above: '3110401s' },
    { option: '--scan-interval', range: ['1s', '1d'], below: '0s', above: '86401s' },
    { option: '--max-session', range: ['1s', '36d'], below: '0s', above: undefined },
    { option: '--max-per-ip', range: ['1', '6830'], below: '0', above: '6831' },
    { option: '--listen-fd', range: ['0', INT_MAX], below: '-1', above: BEYOND_INT },
    { option: '--cfg-port', range: ['1', '65535'], below: '0', above: '65536' },
    { option: '--sync-port', range: ['1', '65535'], below: '0', above: '65536' },
    { option: '--grey-prefix4', range: ['1', '32'], below: '0', above: '33' },
    { option: '--grey-prefix6', range: ['1', '128'], below: '0', above: '129' },
    { option: '--max-tuples', range: ['1', INT_MAX], below: '0', above: BEYOND_INT },
    { option: '--max-tuples-per-ip', range: ['1', INT_MAX], below: '0', above: BEYOND_INT },
    { option: '--max-tuple-bytes', range: ['1', String(2 ** 50)], below: '0', above: String(2 ** 50 + 1) },
    { option: '--max-recipients', range: ['1', INT_MAX], below: '0', above: BEYOND_INT },
    { option: '--max-commands', range: ['1', INT_MAX], below: '0', above: BEYOND_INT },
  ])('$option', ({ option, range, below, above }) => {
    for (const value of range) expect(parse([option, value])).toMatchObject({ ok: true })
    const problem = (value: string) => {
      const result = parse([option, value])
      return result.ok ? 'none' : /: (too small|too large)/.exec(result.stderr)?.[1]
    }
    expect(problem(below)).toBe('too small')
    if (above !== undefined) expect(problem(above)).toBe('too large')
  })

  test('of what is no number', () => {
    expect(config('-h', 'h'.repeat(255)).hostname).toHaveLength(255)
    expect(config('--metrics', '127.0.0.1:1024').metrics).toEqual({ host: '127.0.0.1', port: 1024 })
    expect(config('--metrics', '[::1]:65535').metrics).toEqual({ host: '::1', port: 65_535 })
    expect(config('--recipient-delimiter', '+'.repeat(16)).recipientDelimiter).toHaveLength(16)
    expect(parse(['--recipient-delimiter', '+'.repeat(17)]).ok).toBe(false)
  })
})

describe('errors, byte for byte', () => {
  const cases: { argv: string[]; stderr: string }[] = [
    { argv: ['-Z'], stderr: `spamd: unknown option -- Z\n${SPAMD_USAGE}` },
    { argv: ['--bogus'], stderr: `spamd: unknown option -- bogus\n${SPAMD_USAGE}` },
    { argv: ['-p'], stderr: `spamd: option requires an argument -- p\n${SPAMD_USAGE}` },
    { argv: ['-p', '0'], stderr: 'spamd: -p 0: too small\n' },
    { argv: ['-p', '65536'], stderr: 'spamd: -p 65536: too large\n' },
    { argv: ['-p', '25x'], stderr: 'spamd: -p 25x: invalid\n' },
    { argv: ['-p', ''], stderr: 'spamd: -p : invalid\n' },
    { argv: ['-B', '2147483648'], stderr: 'spamd: -B 2147483648: too large\n' },
    { argv: ['-B', '801'], stderr: `spamd: -B 801: more than the connections of -c (800)\n${SPAMD_USAGE}` },
    { argv: ['-c', '0'], stderr: `-c 0: too small\n${SPAMD_USAGE}` },
    { argv: ['-c', '6831'], stderr: `-c 6831: too large\n${SPAMD_USAGE}` },
    {
      argv: ['-G', '1:2'],
      stderr: `spamd: -G 1:2: not three durations, such as 25:4:864 or 90s:4h:36d\n${SPAMD_USAGE}`,
    },
    {
      argv: ['-G', '1:2:'],
      stderr: `spamd: -G 1:2:: not three durations, such as 25:4:864 or 90s:4h:36d\n${SPAMD_USAGE}`,
    },
    {
      argv: ['-G', '25q:4:864'],
      stderr: `spamd: -G 25q:4:864: not three durations, such as 25:4:864 or 90s:4h:36d\n${SPAMD_USAGE}`,
    },
    { argv: ['-S', '91'], stderr: `spamd: -S 91: too large, 0 to 90 is allowed\n${SPAMD_USAGE}` },
    { argv: ['-s', '11'], stderr: `spamd: -s 11: too large, 0 to 10 is allowed\n${SPAMD_USAGE}` },
    { argv: ['-s', '-1'], stderr: `spamd: -s -1: too small, 0 to 10 is allowed\n${SPAMD_USAGE}` },
    { argv: ['-w', '0'], stderr: 'spamd: -w 0: too small\n' },
    { argv: ['-h', 'h'.repeat(256)], stderr: 'spamd: -h arg too long\n' },
    { argv: ['-C', 'cert'], stderr: 'spamd: need key and certificate for TLS\n' },
    { argv: ['-K', 'key'], stderr: 'spamd: need key and certificate for TLS\n' },
    { argv: ['--max-per-ip', '0'], stderr: 'spamd: --max-per-ip 0: too small\n' },
    { argv: ['--max-recipients', '0'], stderr: 'spamd: --max-recipients 0: too small\n' },
    { argv: ['--max-commands', 'x'], stderr: 'spamd: --max-commands x: invalid\n' },
    { argv: ['--max-session', '0'], stderr: 'spamd: --max-session 0: too small\n' },
    { argv: ['--max-session', 'long'], stderr: 'spamd: --max-session long: invalid\n' },
    { argv: ['--grey-prefix4', '33'], stderr: 'spamd: --grey-prefix4 33: too large\n' },
    { argv: ['--grey-prefix6', 'x'], stderr: 'spamd: --grey-prefix6 x: invalid\n' },
    { argv: ['--pool-expire', '0s'], stderr: 'spamd: --pool-expire 0s: too small\n' },
    { argv: ['--pool-expire', '37d'], stderr: 'spamd: --pool-expire 37d: too large\n' },
    {
      argv: ['--trapexp', '36'],
      stderr:
        'spamd: --trapexp 36: no unit\nspamd: hint: write 36d for days, 36h for hours or 36s for seconds\n',
    },
    {
      argv: ['--sync-max-skew', '5'],
      stderr:
        'spamd: --sync-max-skew 5: no unit\nspamd: hint: write 5d for days, 5h for hours or 5s for seconds\n',
    },
    { argv: ['-M', '192.0.2.300'], stderr: 'spamd: -M 192.0.2.300: not an ip address\n' },
    { argv: ['-M', 'mx\x1b[2J'], stderr: 'spamd: -M mx\\x1b[2J: not an ip address\n' },
    { argv: ['-h', '--check'], stderr: `spamd: option requires an argument -- h\n${SPAMD_USAGE}` },
    { argv: ['-dn', '--check'], stderr: `spamd: option requires an argument -- n\n${SPAMD_USAGE}` },
    { argv: ['--trapexp', 'soon'], stderr: 'spamd: --trapexp soon: invalid\n' },
    { argv: ['--scan-interval', '0'], stderr: 'spamd: --scan-interval 0: too small\n' },
    ...['9112', 'localhost:9112', '127.0.0.1:', '127.0.0.1:99999', ':9112', 'unix:'].map((value) => ({
      argv: ['--metrics', value],
      stderr: `spamd: --metrics ${value}: neither ADDRESS:PORT, such as 127.0.0.1:9112 or [::1]:9112, nor unix:PATH\n`,
    })),
    {
      argv: ['--metrics', '127.0.0.1:1023'],
      stderr: 'spamd: --metrics 127.0.0.1:1023: the port must be above 1023\n',
    },
    { argv: ['--scan-interval', '2d'], stderr: 'spamd: --scan-interval 2d: too large\n' },
    { argv: ['--proxy-protocol', '192.0.2'], stderr: 'spamd: --proxy-protocol 192.0.2: invalid\n' },
    { argv: ['--sync-peers', 'x'], stderr: 'spamd: --sync-peers x: invalid\n' },
    { argv: ['--log-format', 'xml'], stderr: 'spamd: --log-format xml: invalid\n' },
    { argv: ['--cfg-port', '70000'], stderr: 'spamd: --cfg-port 70000: too large\n' },
  ]
  test.each(cases)('$argv', ({ argv, stderr }) => {
    expect(parse(argv)).toEqual({ ok: false, stderr })
  })

  test('the first wrong option is reported, whatever follows', () => {
    expect(parse(['-p', '0', '-Z'])).toEqual({ ok: false, stderr: 'spamd: -p 0: too small\n' })
    expect(parse(['-d', '-Z', '-p', '0'])).toEqual({
      ok: false,
      stderr: `spamd: unknown option -- Z\n${SPAMD_USAGE}`,
    })
  })

  test('too few files', () => {
    expect(parse([], 205)).toEqual({
      ok: false,
      stderr: 'spamd: kern.maxfiles is only 205, can not continue\n',
    })
  })
})

describe('limits of connections', () => {
  const cases: { argv: string[]; maxConnections: number; maxBlack: number }[] = [
    { argv: ['-c', '500'], maxConnections: 500, maxBlack: 400 },
    { argv: ['-c', '50'], maxConnections: 50, maxBlack: 0 },
    { argv: ['-c', '2000'], maxConnections: 2000, maxBlack: 1900 },
    { argv: ['-c', '2000', '-B', '1999'], maxConnections: 2000, maxBlack: 1999 },
    { argv: ['-c', '2000', '-B', '2000'], maxConnections: 2000, maxBlack: 1900 },
    { argv: ['-B', '0'], maxConnections: 800, maxBlack: 0 },
    { argv: ['-b', '-B', '900'], maxConnections: 800, maxBlack: 800 },
  ]
  test.each(cases)('$argv', ({ argv, maxConnections, maxBlack }) => {
    expect(config(...argv)).toMatchObject({ maxConnections, maxBlack })
  })

  test('the default follows a small machine', () => {
    expect(parse([], 600)).toMatchObject({ ok: true, config: { maxConnections: 400, maxBlack: 300 } })
  })
})

describe('-G', () => {
  const cases: [string, number[]][] = [
    ['1:2:3', [60, 7200, 10_800]],
    [' 1: 2: 3', [60, 7200, 10_800]],
    ['-1:-1:-1', [-60, -3600, -3600]],
    ['1:2:3x', [60, 7200, 10_800]],
    ['1:2:3:4', [60, 7200, 10_800]],
    ['90s:4h:36d', [90, 14_400, 3_110_400]],
    ['2m:4:864', [120, 14_400, 3_110_400]],
    ['1h30m:1d:5w', [5400, 86_400, 3_024_000]],
  ]
  test.each(cases)('%s', (value, times) => {
    const { passSec, greyExpireSec, whiteExpireSec } = config('-G', value)
    expect([passSec, greyExpireSec, whiteExpireSec]).toEqual(times)
  })
})

test('options may be repeated, joined and long', () => {
  expect(
    config(
      '-45bdv',
      '-l192.0.2.1',
      '-l',
      '2001:db8::1',
      '-M',
      '2001:DB8::2',
      '--max-per-ip=3',
      '--max-recipients=4',
      '--max-commands=5',
      '--max-session=6m',
      '--listen-fd',
      '3',
      '-p2525',
    ),
  ).toMatchObject({
    listReplyCode: 550,
    isBlackOnly: true,
    isDebug: true,
    isForeground: true,
    isVerbose: true,
    listenAddresses: ['192.0.2.1', '2001:db8::1'],
    listenFds: [3],
    lowPriorityMx: ['2001:db8::2'],
    maxPerIp: 3,
    maxRecipients: 4,
    maxCommands: 5,
    maxSessionSec: 360,
    settings: { port: 2525 },
  })
})

test('-4 after -5 wins', () => {
  expect(config('-5', '-4')).toMatchObject({ listReplyCode: 450 })
})

test.each([[['start']], [['junk', '--check']], [['-5', '--', '-x']], [['-']]])(
  '%j: no other words',
  (argv) => {
    const word = argv.find((one) => !/^-[^x]/.test(one))!
    expect(parse(argv)).toEqual({
      ok: false,
      stderr: `spamd: unexpected argument ${JSON.stringify(word)}\n${SPAMD_USAGE}`,
    })
  },
)

test('flags win over the environment', () => {
  const result = parseSpamdOptions(['--db', '/x', '--firewall', 'none'], {
    hostname: 'h',
    maxFiles: undefined,
    environment: { SPAMD_DB: '/y', SPAMD_KEY: '/k', SPAMD_FIREWALL: 'pf' },
  })
  expect(result).toMatchObject({ ok: true, config: { settings: { db: '/x', key: '/k', firewall: 'none' } } })
})

test('--help and --version are told apart from a start', () => {
  expect(parse(['--help'])).toMatchObject({ ok: true, asks: 'help' })
  expect(parse(['--version', '-C', 'x'])).toMatchObject({ ok: true, asks: 'version' })
})

test.each([
  ['127.0.0.1:9112', { host: '127.0.0.1', port: 9112 }],
  ['[::1]:1024', { host: '::1', port: 1024 }],
  ['unix:/run/spamd/metrics.sock', { path: '/run/spamd/metrics.sock' }],
])('--metrics %s', (value, place) => {
  const parsed = parse(['--metrics', value])
  expect(parsed.ok && parsed.config.metrics).toEqual(place)
})

test('every option has its row in the table, and no row is without an option', () => {
  const names = SPAMD_OPTIONS.map(({ short, long }) => short ?? long!)
  expect(Object.keys(SPAMD_OPTION_TABLE).sort()).toEqual([...names].sort())
})
