/** The shipped units: what they may do is no more than what is needed, and systemd agrees. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { skipUnless } from '../../support/skip-unless.js'

const UNITS = fileURLToPath(new URL('../../../docs/examples/systemd/', import.meta.url))
const hasAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0
/** `systemd-analyze security` of each, from 0 (safe) to 10. */
const MOST_EXPOSURE = 2.5

/** The settings of a unit, each with all its values in order. */
function settingsOf(name: string): Map<string, string[]> {
  const settings = new Map<string, string[]>()
  for (const line of readFileSync(join(UNITS, name), 'utf8').split('\n')) {
    const [, key, value] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? []
    if (key !== undefined) settings.set(key, [...(settings.get(key) ?? []), value!])
  }
  return settings
}

const capabilitiesOf = (name: string) =>
  (settingsOf(name).get('CapabilityBoundingSet') ?? []).join(' ').split(' ').sort()

describe.each(['spamd.service', 'spamlogd.service', 'spamd-setup.service'])('%s', (name) => {
  const settings = settingsOf(name)

  test.skipIf(skipUnless(hasAnalyze, 'systemd-analyze'))('is as closed as promised', () => {
    const { stdout } = spawnSync(
      'systemd-analyze',
      ['security', '--offline=true', '--no-pager', join(UNITS, name)],
      { encoding: 'utf8' },
    )
    const [, level] = /Overall exposure level for \S+: ([0-9.]+)/.exec(stdout) ?? []
    expect(Number(level)).toBeLessThanOrEqual(MOST_EXPOSURE)
  })

  test.each([
    ['NoNewPrivileges', 'yes'],
    ['ProtectSystem', 'strict'],
    ['ProtectHome', 'yes'],
    ['SystemCallArchitectures', 'native'],
  ])('%s=%s', (key, value) => {
    expect(settings.get(key)).toEqual([value])
  })

  test('calls of the system, address families and memory are bounded, and the kernel knows whom to end first', () => {
    const calls = settings.get('SystemCallFilter') ?? []
    expect(calls[0]).toBe('@system-service')
    for (const group of ['@debug', '@module', '@mount', '@raw-io', '@reboot'])
      expect(calls[1]).toContain(group)
    expect(settings.get('RestrictAddressFamilies')?.join(' ')).not.toContain('AF_PACKET')
    expect(settings.get('MemoryMax')?.[0]).toMatch(/^[0-9]+[MG]$/)
    expect(settings.get('OOMScoreAdjust')?.[0]).toMatch(/^-?[0-9]+$/)
  })

  test('starts as root and gives it up, so that no process with rights has the user of those without', () => {
    expect(settings.has('User')).toBe(false)
    expect(capabilitiesOf(name)).toEqual(expect.arrayContaining(['CAP_SETUID', 'CAP_SETGID']))
    expect(capabilitiesOf(name)).not.toContain('CAP_SYS_ADMIN')
    expect(capabilitiesOf(name)).not.toContain('CAP_DAC_OVERRIDE')
    expect(capabilitiesOf(name)).not.toContain('CAP_SYS_PTRACE')
  })
})

test('descriptors carry the connections of -c, with half as many again for the rest', () => {
  const settings = settingsOf('spamd.service')
  const [, connections] = / -c ([0-9]+)/.exec(settings.get('ExecStart')![0]!) ?? []
  expect(Number(settings.get('LimitNOFILE')![0])).toBeGreaterThanOrEqual(Number(connections) * 1.5)
})

test('the debugger of a daemon cannot listen, not even before its first line runs', () => {
  for (const name of ['spamd.service', 'spamlogd.service'])
    expect(settingsOf(name).get('Environment')).toContain('NODE_OPTIONS=--inspect-port=[fe80::1]:0')
})

test('spamd-setup loads the table that the rules name', () => {
  expect(settingsOf('spamd-setup.service').get('ExecStart')).toEqual(['/usr/bin/spamd-setup -b'])
})

test('no unit of the examples lacks a bound on what it may become', () => {
  for (const name of readdirSync(UNITS).filter((file) => file.endsWith('.service'))) {
    const settings = settingsOf(name)
    // It only loads the rules, before anything of ours runs.
    if (name === 'spamd-rules.service') continue
    expect([name, settings.get('NoNewPrivileges')]).toEqual([name, ['yes']])
  }
})
