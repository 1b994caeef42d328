import { resolve } from 'node:path'

/** Which locations name a PostgreSQL server, and how one is shown. The server itself is the matter of src/db/postgres. */
const SCHEME = /^postgres(?:ql)?:\/\//
const WITH_PASSWORD = /^(postgres(?:ql)?:\/\/[^@/?#:]*):[^@]*@/
const PASSWORD_OPTION = /([?&](?:ssl)?password=)[^&#]*/gi

/** True for `postgres://…` and `postgresql://…`; everything else is the path of a SQLite file. */
export function isPostgresLocation(location: string): boolean {
  return SCHEME.test(location)
}

/** A location as messages may show it: a password in it becomes three stars. */
export function shownLocation(location: string): string {
  return isPostgresLocation(location)
    ? location.replace(WITH_PASSWORD, '$1:***@').replace(PASSWORD_OPTION, '$1***')
    : location
}

/** A path made absolute; a location of a server as it is. */
export function resolveLocation(location: string): string {
  return isPostgresLocation(location) ? location : resolve(location)
}

/** The SQLite file of a gateway: the database itself, or the one on which it goes on alone. */
export function databaseFileOf({ db, localDb }: { db: string; localDb: string }): string {
  return isPostgresLocation(db) ? localDb : db
}

/** True when a location holds a password, which every user of the machine could then read in the list of processes. */
export function hasPassword(location: string): boolean {
  return shownLocation(location) !== location
}
