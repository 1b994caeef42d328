import { describe, expect, test } from 'vitest'
import { resolveSettings } from '../../../src/platform/settings.js'

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
