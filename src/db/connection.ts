import { statSync } from 'node:fs'
import { AppError } from '../platform/app-error.js'
import { sqliteCodeOf, toDbError } from './db-error.js'
import { type FileIdentity, isSameFile } from './file/database-file.js'
import { homeOf } from './home.js'
import type { SqliteDatabase, SqliteStatement } from './sqlite-driver.js'

/** A call that held the event loop for longer than the threshold. */
export interface SlowCall {
  /** Name of the `Store` method. */
  call: string
  durationMs: number
}

/** How a connection behaves; `file` is the file to which its path led when it was opened. */
export interface ConnectionOptions {
  file: FileIdentity & { realPath: string }
  mode: 'read' | 'write'
  busyTimeoutMs: number
  /** `user_version` of the file; older than ours only for reading. */
  schemaVersion: number
  onSlowCall: ((slow: SlowCall) => void) | undefined
  slowCallMs: number
}

/**
 * Size of the write-ahead log at which a writer takes time to empty it. SQLite's own checkpoints do not wait,
 * so they never restart the log while several programs write continuously: it grew to 844 MB in six seconds.
 * @internal A test compares the size of a log with it.
 */
export const WAL_LIMIT_BYTES = 32 * 1024 * 1024
/**
 * How long such a writer waits for readers and other writers, and how far the log grows before it tries
 * again. For each further multiple of the limit it waits twice as long and tries at each commit, so that
 * other writers yield.
 */
const CHECKPOINT_WAIT_MS = 100
const LONGEST_CHECKPOINT_WAIT_MS = 1600
const CHECKPOINT_RETRY_BYTES = 4 * 1024 * 1024
/** Maximum number of consecutive waits without success; then the log is treated as small. */
const MAX_PATIENT_CHECKPOINTS = 12

/**
 * A clock that never goes back. The first use of `performance` would load a module, which is noticeable in
 * `spamdb KEY`.
 */
const uptimeMs = (): number => process.uptime() * 1000

/**
 * One open database with its prepared statements. `read` and `write` run one call of the store: they notice
 * a file that was removed or replaced, time the call, and turn SQLite's errors into ours.
 */
export class Connection {
  readonly location: string
  readonly database: SqliteDatabase
  readonly #options: ConnectionOptions
  readonly #statements = new Map<string, SqliteStatement>()
  readonly #rawStatements = new Map<string, SqliteStatement>()
  #home: string | undefined
  #checkpointAtBytes = WAL_LIMIT_BYTES
  /** Consecutive attempts to empty the log that another program prevented. */
  #blockedCount = 0
  #temporaryCount = 0

  constructor(location: string, database: SqliteDatabase, options: ConnectionOptions) {
    this.location = location
    this.database = database
    this.#options = options
  }

  /** False for a database whose schema a writer must first upgrade with marks and journal. */
  get hasMarks(): boolean {
    return this.#options.schemaVersion >= 2
  }

  /**
   * Distinguishes this database from copies of it. Needed only for writing: a lookup does not read the host's
   * name.
   */
  get home(): string {
    this.#home ??= homeOf(this.#options.file)
    return this.#home
  }

  /** True for the file of this database, however it was named. */
  isSameFile({ dev, ino }: FileIdentity): boolean {
    const { file } = this.#options
    return file.dev === dev && file.ino === ino
  }

  /** The prepared statement of an SQL text, prepared on first use. */
  prepare(sql: string): SqliteStatement {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.database.prepare<unknown[], unknown>(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  /** The same, its rows as arrays: half the time of objects. */
  prepareRaw(sql: string): SqliteStatement {
    let statement = this.#rawStatements.get(sql)
    if (statement === undefined) {
      statement = this.database.prepare<unknown[], unknown>(sql).raw()
      this.#rawStatements.set(sql, statement)
    }
    return statement
  }

  /** A number for a temporary table, not used before. */
  nextTemporaryNumber(): number {
    this.#temporaryCount += 1
    return this.#temporaryCount
  }

  /** Runs a call that only reads; each statement in it sees its own snapshot. */
  read<Result>(call: string, body: () => Result): Result {
    return this.#timed(call, body)
  }

  /** Runs a call as one transaction that holds the write lock from its start. */
  write<Result>(call: string, body: () => Result): Result {
    return this.#timed(call, () => {
      if (this.#options.mode === 'read') {
        throw new AppError('ERR_DB_READONLY', 'the database is open read-only')
      }
      this.prepare('BEGIN IMMEDIATE').run()
      let result: Result
      try {
        result = body()
        this.prepare('COMMIT').run()
      } catch (error) {
        if (this.database.inTransaction) this.prepare('ROLLBACK').run()
        throw error
      }
      this.#boundLog()
      return result
    })
  }

  close(): void {
    this.database.close()
  }

  #timed<Result>(call: string, body: () => Result): Result {
    const startMs = uptimeMs()
    try {
      this.#refuseOtherFile()
      return body()
    } catch (error) {
      throw toDbError(error)
    } finally {
      const durationMs = uptimeMs() - startMs
      if (durationMs > this.#options.slowCallMs) this.#options.onSlowCall?.({ call, durationMs })
    }
  }

  #refuseOtherFile(): void {
    if (!isSameFile(this.location, this.#options.file)) {
      throw new AppError('ERR_DB_GONE', 'the database file was removed or replaced')
    }
  }

  #boundLog(): void {
    const logBytes = this.#logBytes() ?? 0
    if (logBytes < this.#checkpointAtBytes) {
      if (logBytes < WAL_LIMIT_BYTES) this.#checkpointAtBytes = WAL_LIMIT_BYTES
      return
    }
    // What blocks for this long is a reader, not a writer: waiting for it would only delay mail.
    const isHopeless = this.#blockedCount >= MAX_PATIENT_CHECKPOINTS
    const limitsOver = isHopeless ? 0 : Math.floor(logBytes / WAL_LIMIT_BYTES) - 1
    this.#checkpointAtBytes = limitsOver > 0 ? WAL_LIMIT_BYTES : logBytes + CHECKPOINT_RETRY_BYTES
    const waitMs = Math.min(LONGEST_CHECKPOINT_WAIT_MS, CHECKPOINT_WAIT_MS * 2 ** Math.max(0, limitsOver))
    this.database.pragma(`busy_timeout = ${waitMs}`)
    let isBlocked = false
    try {
      isBlocked = this.database.pragma('wal_checkpoint(TRUNCATE)', { simple: true }) !== 0
      if (!isBlocked) this.#checkpointAtBytes = WAL_LIMIT_BYTES
      this.#blockedCount = isBlocked ? this.#blockedCount + 1 : 0
    } catch (error) {
      // The call itself is committed: a failed checkpoint is tried again when the log has grown.
      if (sqliteCodeOf(error) === undefined) throw error
    } finally {
      this.database.pragma(`busy_timeout = ${this.#options.busyTimeoutMs}`)
    }
    // SQLite refuses at once while another program tries the same: it gets its turn only when we retry later.
    if (isBlocked && limitsOver > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, waitMs)
  }

  #logBytes(): number | undefined {
    return statSync(`${this.#options.file.realPath}-wal`, { throwIfNoEntry: false })?.size
  }
}
