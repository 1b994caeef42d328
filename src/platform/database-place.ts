/** Where the database may be: SQLite creates files beside it, so it needs a folder of its own. */
import { dirname, parse, resolve } from 'node:path'

/**
 * Default place on the BSDs: not the original's file /var/db/spamd, but a folder that only the daemons write
 * to.
 */
export const BSD_DATABASE = '/var/db/spamdctl/spamd.sqlite'
/** The local file, beside it, that a gateway uses while its database server is unreachable. */
export const LOCAL_BSD_DATABASE = '/var/db/spamdctl/local.sqlite'
/** Default place on the BSDs in version 0.1.0, which did not work: the daemons' user cannot write /var/db. */
export const FORMER_BSD_DATABASE = '/var/db/spamd.sqlite'

/** Folders that programs of the system share: a hint must never suggest changing their owner. */
const SHARED_PARENTS = ['/', '/usr', '/usr/local', '/var', '/private', '/private/var']

/**
 * True for a folder of the system, such as /, /var, /var/db, /tmp, /usr/local/etc: their owner must never be
 * changed. Source: hier(7) of OpenBSD and FreeBSD, the Filesystem Hierarchy Standard.
 */
function isSystemFolder(folder: string): boolean {
  const path = resolve(folder)
  return path === parse(path).root || SHARED_PARENTS.includes(dirname(path))
}

/**
 * The hint for a database that the daemons' user cannot write; never one that changes the owner of a system
 * folder.
 */
export function databaseOwnerHint(user: string, database: string): string {
  const folder = dirname(resolve(database))
  if (!isSystemFolder(folder)) {
    return `the user ${user} must be able to write the file and its folder: chown -h ${user} ${folder} ${database}`
  }
  return `SQLite writes beside the database, which therefore needs a folder of its own: set SPAMD_DB, for example to ${resolve(folder, 'spamdctl', 'spamd.sqlite')}, and run "spamdctl init-db"`
}
