/** Reports at startup, not at the first scan, that the packet filter will refuse access. */
import type { SpamdConfig } from '../../app/spamd-config.js'
import { AppError } from '../../platform/app-error.js'
import type { ProcessRights } from '../../platform/privileges.js'

/**
 * Throws `ERR_SPAMD_ROOT` (the original's text) when greylisting would fail because there is no access to the
 * packet filter. Without a packet filter, or with -b, spamd needs no privileges.
 */
export function checkPrivileges(config: SpamdConfig, rights: ProcessRights): void {
  const { firewall } = config.settings
  if (rights.isRoot || config.isBlackOnly || firewall === 'none') return
  if (firewall !== 'pf' && rights.hasNetAdmin) return
  throw new AppError('ERR_SPAMD_ROOT', 'need root privileges', {
    hint:
      firewall === 'pf'
        ? 'start it as root: it becomes the user of --user by itself'
        : 'start it as root, or with the capability CAP_NET_ADMIN, or with --firewall none',
  })
}
