/**
 * Which system a gateway runs, recognised by files of each; below a root folder, so that a tree can be
 * prepared.
 */
import { access } from 'node:fs/promises'
import { join } from 'node:path'

/** Systems that `spamdctl init` knows. */
export const SYSTEMS = ['openbsd', 'freebsd', 'pfsense', 'debian'] as const
export type System = (typeof SYSTEMS)[number]

/**
 * Files by which a system is recognised, in this order: pfSense is a FreeBSD as well. Source: hier(7) of
 * OpenBSD and FreeBSD, /etc/platform of pfSense, base-files of Debian.
 */
const MARKS: readonly { system: System; paths: readonly string[] }[] = [
  { system: 'pfsense', paths: ['etc/platform', 'conf.default/config.xml'] },
  { system: 'openbsd', paths: ['etc/rc.subr', 'usr/sbin/rcctl'] },
  { system: 'freebsd', paths: ['usr/sbin/sysrc', 'etc/defaults/rc.conf'] },
  { system: 'debian', paths: ['etc/debian_version'] },
]

/** The system below `root` (`/` for this machine): the first all of whose marks are there; undefined when none is. */
export async function detectSystem(root: string): Promise<System | undefined> {
  for (const { system, paths } of MARKS) {
    const found = await Promise.all(paths.map((path) => isThere(join(root, path))))
    if (found.every(Boolean)) return system
  }
  return undefined
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
