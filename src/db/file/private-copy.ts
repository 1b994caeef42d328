import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError } from '../../platform/app-error.js'
import { openSqlite, type SqliteDatabase } from '../sqlite-driver.js'
import { JOURNAL_VERSIONS_OFFSET, ROLLBACK_JOURNAL_VERSIONS } from './database-file.js'

/** Maximum number of attempts to copy while another program writes. */
const MAX_ATTEMPTS = 5

/**
 * Opens a copy of a database that is in WAL mode but has no log, for a reader who may not create one. SQLite
 * cannot open such a file in place, nor can the build in better-sqlite3 be told that nobody writes it. The
 * copy is deleted at once and lives as long as it is open; it is marked to need no log.
 */
export function openCopy(path: string): SqliteDatabase {
  const folder = mkdtempSync(join(tmpdir(), 'spamdctl-'))
  try {
    const copy = join(folder, 'copy.sqlite')
    copyUnchanged(path, copy)
    // The copy has the mode of the original, which may be read-only.
    chmodSync(copy, 0o600)
    const file = openSync(copy, 'r+')
    try {
      writeSync(file, ROLLBACK_JOURNAL_VERSIONS, 0, ROLLBACK_JOURNAL_VERSIONS.length, JOURNAL_VERSIONS_OFFSET)
    } finally {
      closeSync(file)
    }
    return openSqlite(copy, { readonly: true })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function copyUnchanged(path: string, copy: string): void {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const before = statSync(path)
    copyFileSync(path, copy)
    const after = statSync(path)
    const hasLog = statSync(`${path}-wal`, { throwIfNoEntry: false }) !== undefined
    if (!hasLog && before.ino === after.ino && before.mtimeMs === after.mtimeMs) return
  }
  throw new AppError('ERR_DB_BUSY', 'another program keeps writing the database', { hint: 'try again' })
}
