import { describe, expect, test } from 'vitest'
import { findService, resolveSettings } from '../../../src/platform/settings.js'

describe('a setting that cannot be used is named as it was given', () => {
  test.each([
    { overrides: { cfgPort: '0' }, environment: {}, text: '--cfg-port: "0" is not a port number' },
    { overrides: { firewall: 'zz' }, environment: {}, text: '--firewall: "zz" is not one of' },
    { overrides: {}, environment: { SPAMD_CFG_PORT: 'x' }, text: 'SPAMD_CFG_PORT: "x" is not a port number' },
    { overrides: {}, environment: { SPAMD_FIREWALL: 'zz' }, text: 'SPAMD_FIREWALL: "zz" is not one of' },
  ])('$text', ({ overrides, environment, text }) => {
    expect(() => resolveSettings(overrides, environment)).toThrow(text)
  })
})

test('a flag wins over its variable', () => {
  expect(resolveSettings({ cfgPort: '1' }, { SPAMD_CFG_PORT: '2' }).cfgPort).toBe(1)
})

test('a service is found by its name or another one of it, with its protocol, whatever stands behind', () => {
  const services = [
    '# spamd 1/tcp',
    'domain\t53/tcp',
    'spamd-sync\t8025/udp',
    'spamd 783/udp # 25/tcp',
    '  spamd\t8025/tcp  other  last# no-name',
    'bad x25/tcp',
    'spamd 99/tcp',
  ].join('\n')
  const found = (name: string, protocol: 'tcp' | 'udp' = 'tcp') => findService(name, protocol, services)
  expect(['spamd', 'other', 'last', 'domain'].map((name) => found(name))).toEqual([8025, 8025, 8025, 53])
  expect([found('spamd', 'udp'), found('spamd-sync', 'udp')]).toEqual([783, 8025])
  for (const name of ['bad', 'no-name', '8025/tcp', 'spamd-cfg', '']) expect(found(name)).toBeUndefined()
  expect(found('domain', 'udp')).toBeUndefined()
})
