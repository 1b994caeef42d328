/**
 * The only user of better-sqlite3. It is loaded through `require` with the path of its compiled part, because
 * both the search of its `bindings` package and Node's analysis of a CommonJS package for ESM cost a one-key
 * `spamdb` more than the query itself.
 */
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type BetterSqlite3 from 'better-sqlite3'
import { AppError } from '../platform/app-error.js'

export type SqliteDatabase = BetterSqlite3.Database
export type SqliteStatement = BetterSqlite3.Statement<unknown[], unknown>
/** Values that a statement takes. A Buffer carries the bytes of text that is not plain ASCII. */
export type SqlValue = string | number | null | Buffer

const require = createRequire(import.meta.url)
let load: ((location: string, options: BetterSqlite3.Options) => SqliteDatabase) | undefined

/** Opens a file with SQLite as it is; throws better-sqlite3's `SqliteError`. */
export function openSqlite(location: string, options: BetterSqlite3.Options): SqliteDatabase {
  load ??= findDriver()
  return load(location, options)
}

/** Loads the driver whole: for a process that may not read its own programs later. */
export function loadDriver(): void {
  openSqlite(':memory:', {}).close()
}

function findDriver(): (location: string, options: BetterSqlite3.Options) => SqliteDatabase {
  const entry = require.resolve('better-sqlite3')
  const nativeBinding = join(dirname(entry), '..', 'build', 'Release', 'better_sqlite3.node')
  const Database = require(entry) as typeof BetterSqlite3
  return (location, options) => {
    try {
      return new Database(location, { ...options, nativeBinding })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_DLOPEN_FAILED') throw error
      throw new AppError(
        'ERR_DB_NATIVE',
        `better-sqlite3 was not built for this Node (${process.version}, ${process.arch})`,
        {
          hint: `run "npm rebuild better-sqlite3" in ${join(dirname(entry), '..', '..', '..')}`,
          cause: error,
        },
      )
    }
  }
}
