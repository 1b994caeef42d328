import { expect, test } from 'vitest'
import { parseSpamdOptions } from '../../../../src/cli/spamd/parse-spamd-options.js'
import { listeningPlaces, startWarnings } from '../../../../src/daemon/process/start-warnings.js'

const HOST = { platform: 'linux', ownAddresses: ['192.0.2.1', '2001:db8::1'] }

function config(...argv: string[]) {
  const result = parseSpamdOptions(argv, {
    hostname: 'h',
    maxFiles: undefined,
    environment: { SPAMD_PORT: '8025', SPAMD_FIREWALL: 'nft' },
  })
  if (!result.ok) throw new Error(result.stderr)
  return result.config
}

test('an ordinary start has nothing to warn of', () => {
  expect(startWarnings(config(), HOST)).toEqual([])
  expect(startWarnings(config('-l', '0.0.0.0', '-G', '25:4:864'), HOST)).toEqual([])
})

test('a port below 1024 that nobody named', () => {
  const given = { ...config(), isPortFromServices: true }
  const low = { ...given, settings: { ...given.settings, port: 783 } }
  expect(startWarnings(low, HOST)).toEqual([
    'port 783 comes from the service "spamd" in services(5), which some systems assign to another program: set SPAMD_PORT=8025',
  ])
  expect(startWarnings({ ...low, isPortFromServices: false }, HOST)).toEqual([])
  expect(startWarnings(given, HOST)).toEqual([])
})

test.each([
  ['5h:4h:36d', true],
  ['4h:4h:36d', true],
  ['239:4:864', false],
  ['25:0:864', true],
  ['25:-4:864', true],
  ['0:0:864', true],
  ['25:4:0', true],
  ['25:4:-1', true],
  ['25:4:1', false],
  ['-5:-4:-3', false],
  ['0:4:864', false],
])('-G %s: that no retry can pass is told: %s', (times, isTold) => {
  const warnings = startWarnings(config('-G', times), HOST)
  expect(warnings.some((line) => line.endsWith('so no client can ever pass'))).toBe(isTold)
  expect(startWarnings(config('-b', '-G', times), HOST)).toEqual([])
})

test('a passtime below zero by however little is no passtime', () => {
  expect(startWarnings({ ...config(), passSec: -1, whiteExpireSec: 0 }, HOST)).toEqual([])
  expect(startWarnings({ ...config(), passSec: 0, whiteExpireSec: 0 }, HOST)).toHaveLength(1)
})

test.each([
  [['-M', '192.0.2.1', '-l', '0.0.0.0'], /^-M 192\.0\.2\.1: .* every client would be trapped/],
  [['-M', '198.51.100.9', '-l', '0.0.0.0'], /^-M: .* no client will be trapped/],
  [['-M', '192.0.2.1', '--listen-fd', '3'], undefined],
  [['-M', '192.0.2.1', '-l', '192.0.2.1'], undefined],
  [['-M', '192.0.2.1', '--firewall', 'none'], undefined],
  [['-M', '192.0.2.1', '-b'], undefined],
])('%j', (argv, expected) => {
  const warnings = startWarnings(config(...argv), HOST)
  if (expected === undefined) expect(warnings).toEqual([])
  else expect(warnings).toEqual([expect.stringMatching(expected)])
  expect(startWarnings(config(...argv), { ...HOST, platform: 'openbsd' })).toEqual([])
})

test.each([
  { words: ['--grey-prefix4', '20', '--grey-prefix6', '48'], told: [] },
  {
    words: ['--grey-prefix4', '19'],
    told: ['--grey-prefix4 19: a /19 contains many customers of a provider'],
  },
  {
    words: ['--grey-prefix6', '47'],
    told: ['--grey-prefix6 47: a /47 contains many customers of a provider'],
  },
  { words: ['--grey-prefix4', '8', '-b'], told: [] },
  { words: ['--learn'], told: ['--learn: every client that retries passes'] },
])('keys of pools: $words', ({ words, told }) => {
  const warnings = startWarnings(config(...words), HOST)
  expect(warnings).toHaveLength(told.length)
  for (const [index, text] of told.entries()) expect(warnings[index]).toContain(text)
})

test('every address with its port', () => {
  expect(listeningPlaces(config('-l', '0.0.0.0', '-l', '::', '--listen-fd', '3'))).toBe(
    'inherited socket 3, 0.0.0.0 port 8025, :: port 8025',
  )
})
