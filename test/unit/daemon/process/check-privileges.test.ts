import { expect, test } from 'vitest'
import type { SpamdConfig } from '../../../../src/app/spamd-config.js'
import { checkPrivileges } from '../../../../src/daemon/process/check-privileges.js'

test.each([
  { firewall: 'pf', may: { root: true, netAdmin: false, nobody: false } },
  { firewall: 'nft', may: { root: true, netAdmin: true, nobody: false } },
  { firewall: 'ipset', may: { root: true, netAdmin: true, nobody: false } },
  { firewall: 'none', may: { root: true, netAdmin: true, nobody: true } },
])('$firewall', ({ firewall, may }) => {
  const start = (isRoot: boolean, hasNetAdmin: boolean, isBlackOnly = false) =>
    checkPrivileges({ settings: { firewall }, isBlackOnly } as SpamdConfig, { isRoot, hasNetAdmin })
  const isAllowed = (isRoot: boolean, hasNetAdmin: boolean): boolean => {
    try {
      start(isRoot, hasNetAdmin)
      return true
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_SPAMD_ROOT', message: 'need root privileges' })
      expect((error as { hint: string }).hint.includes('CAP_NET_ADMIN')).toBe(firewall !== 'pf')
      return false
    }
  }
  expect({
    root: isAllowed(true, false),
    netAdmin: isAllowed(false, true),
    nobody: isAllowed(false, false),
  }).toEqual(may)
  // With -b the packet filter is not touched.
  expect(() => start(false, false, true)).not.toThrow()
})
