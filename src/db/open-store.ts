import { statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { mayWrite } from '../platform/may-write.js'
import { isPostgresLocation } from '../platform/postgres-location.js'
import { Connection } from './connection.js'
import { NOT_OURS, openErrno, sqliteCodeOf, toDbError } from './db-error.js'
import {
  type InspectedFile,
  inspectFile,
  placeNewFile,
  refuseForeignSymlink,
  refuseOtherSchema,
} from './file/database-file.js'
import { openCopy } from './file/private-copy.js'
import { migrate, SCHEMA_VERSION } from './schema.js'
import { openSqlite, type SqliteDatabase } from './sqlite-driver.js'
import { SqliteStore } from './sqlite-store.js'
import type { Store } from './store.js'
import type { OpenStoreOptions } from './store-options.js'

export type { OpenStoreOptions }

/** Long enough for a large import by another program; users should not see lock errors. */
const DEFAULT_BUSY_TIMEOUT_MS = 15_000
const DEFAULT_SLOW_CALL_MS = 50

/**
 * Opens the database at `location`, a path or `postgres://…` (src/db/postgres). A file of zero bytes becomes
 * a database when it is opened for writing.
 *
 * Throws `ERR_DB_OPEN` whose message is only the reason, in the words of strerror(3): no such file, no
 * permission, a directory, a file of another program (which stays as it is), a schema newer than ours.
 */
export async function openStore(location: string, options: OpenStoreOptions): Promise<Store> {
  if (isPostgresLocation(location)) {
    const { openPgStore } = await import('./postgres/open-pg-store.js')
    return openPgStore(location, options)
  }
  const path = resolve(location)
  const { mode, busyTimeoutMs = DEFAULT_BUSY_TIMEOUT_MS, durability = 'full' } = options
  if (mode === 'write') {
    refuseForeignSymlink(path)
    if (options.create === true && statSync(path, { throwIfNoEntry: false }) === undefined) {
      createUnlessThere(path)
    }
  }
  const file = inspectFile(path, mode)
  if (file.isEmpty && mode === 'read') throw openErrno(NOT_OURS)
  let database: SqliteDatabase | undefined
  try {
    if (mode === 'write') {
      database = openSqlite(path, { fileMustExist: true, timeout: busyTimeoutMs })
      prepareForWriting(database, file, durability)
    } else {
      database = openForReading(file, busyTimeoutMs)
      prepareForReading(database)
    }
  } catch (error) {
    database?.close()
    throw asOpenError(error, file)
  }
  const connection = new Connection(path, database, {
    file,
    mode,
    schemaVersion: database.pragma('user_version', { simple: true }) as number,
    busyTimeoutMs,
    onSlowCall: options.onSlowCall,
    slowCallMs: options.slowCallMs ?? DEFAULT_SLOW_CALL_MS,
  })
  return new SqliteStore(connection, options.rights)
}

/** Owner of a new database, the user of the daemons, and who may read it. */
export interface CreateOptions {
  owner?: { uid: number; gid: number }
  mode?: number
}

/**
 * Creates a new, empty database, by default with mode 0640. It appears whole or not at all. Throws
 * `ERR_DB_OPEN`: the file exists, the folder is missing or lets every user replace files, no permission.
 */
export function createDatabase(location: string, options: CreateOptions = {}): void {
  const path = resolve(location)
  refuseForeignSymlink(path)
  const fill = (temporaryPath: string): void => {
    const database = openSqlite(temporaryPath, { fileMustExist: true })
    try {
      migrate(database)
    } finally {
      database.close()
    }
  }
  placeNewFile(path, options.owner, fill, options.mode)
}

/** Another program may create it at the same time: that one is equally good. */
function createUnlessThere(path: string): void {
  try {
    createDatabase(path)
  } catch (error) {
    if (statSync(path, { throwIfNoEntry: false }) === undefined) throw error
  }
}

/**
 * A process that may write opens for writing even to read: only then does SQLite clean up the two files that
 * it shares between programs. Others can use those of a running daemon. Without them, nobody is writing the
 * database, and a copy of it is read.
 */
function openForReading(file: InspectedFile, busyTimeoutMs: number): SqliteDatabase {
  const path = file.realPath
  if (mayWrite(path) && mayWrite(dirname(path))) {
    return openSqlite(path, { fileMustExist: true, timeout: busyTimeoutMs })
  }
  const isShared = statSync(`${path}-wal`, { throwIfNoEntry: false }) !== undefined
  if (isShared || !file.isWal) return openSqlite(path, { readonly: true, timeout: busyTimeoutMs })
  return openCopy(path)
}

/** Readers pass through the file once: caching pages would waste memory. */
const READ_CACHE_KIB = 2048

function prepareForReading(database: SqliteDatabase): void {
  schemaVersionOf(database, false)
  database.pragma(`cache_size = -${READ_CACHE_KIB}`)
}

/**
 * Pages in the log from which a commit copies them into the database: 16 MiB, half of `WAL_LIMIT_BYTES`. With
 * SQLite's own 1000 nearly every batch of scattered keys would write its pages twice; with more, the commit
 * that copies them stands still for longer, some 3 ms a MiB.
 */
const CHECKPOINT_PAGES = 4000

function prepareForWriting(
  database: SqliteDatabase,
  file: InspectedFile,
  durability: 'full' | 'normal',
): void {
  const version = schemaVersionOf(database, file.isEmpty)
  if (version < SCHEMA_VERSION) migrate(database)
  else if (!file.isWal) database.pragma('journal_mode = WAL')
  database.pragma(`synchronous = ${durability}`)
  database.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
}

/** The first look into the database; it may wait for another program that recovers or closes it. */
function schemaVersionOf(database: SqliteDatabase, isEmpty: boolean): number {
  const version = database.pragma('user_version', { simple: true }) as number
  if (!isEmpty || version !== 0) refuseOtherSchema(version)
  return version
}

/** Errors at opening in the words of the original: an SQLite code says less than the rights of the files. */
function asOpenError(error: unknown, file: InspectedFile): unknown {
  const sqliteCode = sqliteCodeOf(error)
  if (sqliteCode === 'SQLITE_NOTADB') return openErrno(NOT_OURS, { cause: error })
  const isRefused =
    sqliteCode?.startsWith('SQLITE_CANTOPEN') === true || sqliteCode?.startsWith('SQLITE_READONLY') === true
  if (!isRefused) return toDbError(error)
  const folder = dirname(file.realPath)
  return openErrno(mayWrite(folder) ? 'EIO' : 'EACCES', {
    cause: error,
    hint: `SQLite keeps two files beside the database: ${folder} and they must be accessible too`,
  })
}
