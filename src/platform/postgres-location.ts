import { resolve } from 'node:path'

/**
 * Which locations name a PostgreSQL server, and how they are displayed. The server itself is handled in
 * src/db/postgres.
 */
const SCHEME = /^postgres(?:ql)?:\/\//
const WITH_PASSWORD = /^(postgres(?:ql)?:\/\/[^@/?#:]*):[^@]*@/
const PASSWORD_OPTION = /([?&](?:ssl)?password=)[^&#]*/gi

/** True for `postgres://…` and `postgresql://…`; everything else is the path of a SQLite file. */
export function isPostgresLocation(location: string): boolean {
  return SCHEME.test(location)
}

/** A location for display in messages: a password in it becomes three stars. */
export function shownLocation(location: string): string {
  return isPostgresLocation(location)
    ? location.replace(WITH_PASSWORD, '$1:***@').replace(PASSWORD_OPTION, '$1***')
    : location
}

/** A path made absolute; the location of a server unchanged. */
export function resolveLocation(location: string): string {
  return isPostgresLocation(location) ? location : resolve(location)
}

/**
 * The SQLite file of a gateway: the database itself, or the local one that it uses while the server is
 * unreachable.
 */
export function databaseFileOf({ db, localDb }: { db: string; localDb: string }): string {
  return isPostgresLocation(db) ? localDb : db
}

/**
 * True when a location contains a password, which every user of the machine could then see in the process
 * list.
 */
export function hasPassword(location: string): boolean {
  return shownLocation(location) !== location
}
