/** Says at the start, not at the first scan, that the packet filter will refuse us. */
import { readFileSync } from 'node:fs'
import type { SpamdConfig } from '../../app/spamd-config.js'
import { AppError } from '../../platform/app-error.js'

/** CAP_NET_ADMIN. Source: linux/capability.h. */
const NET_ADMIN_BIT = 12n

/** What the process may do. */
export interface ProcessRights {
  isRoot: boolean
  /** May change the packet filter of Linux without being root. */
  hasNetAdmin: boolean
}

/** The rights of this process. */
export function ownRights(statusPath = '/proc/self/status'): ProcessRights {
  let hasNetAdmin = false
  try {
    const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync(statusPath, 'latin1'))
    hasNetAdmin = mask !== null && ((BigInt(`0x${mask[1]!}`) >> NET_ADMIN_BIT) & 1n) === 1n
  } catch {
    // Not Linux: only root may.
  }
  return { isRoot: process.geteuid?.() === 0, hasNetAdmin }
}

/**
 * Throws `ERR_SPAMD_ROOT` (the original's text) when greylisting would fail for want of rights on the packet
 * filter. Without a packet filter, or with -b, spamd needs no rights.
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
