/**
 * The connection of one store: opened on first use, again after a loss, always to a writable server. Calls
 * run one after the other; the statements of a transaction are sent without waiting for each other's answers.
 */
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { shownLocation } from '../../platform/postgres-location.js'
import { openError } from '../db-error.js'
import { arrayText } from './array-text.js'
import { NOTIFY, PgAlarm } from './pg-alarm.js'
import { connectTo, type PgClient, type PgQuery } from './pg-driver.js'
import { isForgotten, isLost, isTransient, toPgError } from './pg-error.js'
import { StatementNames } from './statement-names.js'
import { parseTarget, type Target, type TargetHost } from './target.js'

/** Values of one row in the order of the statement. */
export type Row = readonly unknown[]

/** Statements of one connection; what they reject with is what the driver throws. */
export interface Statements {
  rows(sql: string, values?: readonly unknown[]): Promise<Row[]>
  /** The same for one of few statements that are repeated for each page: kept prepared if possible. */
  pages(sql: string, values: readonly unknown[]): Promise<Row[]>
  /** Several statements in one text, without values or answers. */
  run(sql: string): Promise<void>
}

export interface LinkOptions {
  mode: 'read' | 'write'
  /** Longest wait for an answer. */
  queryTimeoutMs: number
  /** Receives messages for the administrator about the server: a wrong clock, another server than before. */
  onNotice?: ((text: string) => void) | undefined
  /** Told that another connection may have changed addresses. */
  onAlarm?: (() => void) | undefined
  slowCallMs: number
  onSlowCall?: ((slow: { call: string; durationMs: number }) => void) | undefined
}

/** A transaction that lost against another is retried this many times, after growing pauses up to this. */
const MAX_TRIES = 8
const LONGEST_PAUSE_MS = 100
const IN_ORDER = `BEGIN READ ONLY; SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off; SET LOCAL jit = off;
  SET LOCAL plan_cache_mode = force_generic_plan`
/**
 * Several server processes, each making a whole part: if all made one part, its rows would have to be merged again.
 * The process that serves us makes none: while it made a part, the others could not hand over theirs.
 */
const IN_PARALLEL = `${IN_ORDER}; SET LOCAL parallel_setup_cost = 0; SET LOCAL enable_gathermerge = off;
  SET LOCAL parallel_leader_participation = off`
/** Maximum time that a gateway which stopped in the middle of a transaction may block others. */
const IDLE_TIMEOUT = 'idle_in_transaction_session_timeout = 5000'
/** Clocks that differ by less are one. */
const SKEW_SEC = 2

const WHO_ARE_YOU = `SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean,
  extract(epoch FROM clock_timestamp())::float8::text,
  (SELECT system_identifier::text FROM pg_control_system()),
  CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END, pg_backend_pid()`

/** The server behind a connection. */
export interface ServerIdentity {
  /** Number of the database cluster and of its timeline: after a fail-over or a restore another one. */
  timeline: string
  /** Seconds to add to this machine's clock to get the server's; 0 within two seconds. */
  skewSec: number
  shownHost: string
}

/** The connection to one of the servers of a location. */
export class PgLink {
  /** As messages show it. */
  readonly location: string
  readonly #target: Target
  readonly #options: LinkOptions
  #client: PgClient | undefined
  /** Undefined if statements cannot be kept prepared. */
  #names: StatementNames | undefined
  /** Prepared statements were lost once. */
  #isForgetful = false
  #server: ServerIdentity | undefined
  #lastHost = 0
  readonly #heard: PgAlarm | undefined
  readonly #told = new PgAlarm(() => {
    this.read('notify', (statements) => statements.rows(NOTIFY)).catch(() => undefined)
  })
  #last: Promise<unknown> = Promise.resolve()
  #isClosed = false

  /** Does not connect yet. Throws `ERR_DB_OPEN` for a location that is none. */
  constructor(location: string, options: LinkOptions) {
    this.location = shownLocation(location)
    this.#target = parseTarget(location)
    this.#options = options
    this.#heard = options.onAlarm === undefined ? undefined : new PgAlarm(options.onAlarm)
  }

  /** Runs statements outside a transaction, each one on its own. */
  read<Result>(call: string, body: (statements: Statements, server: ServerIdentity) => Promise<Result>) {
    return this.#exclusive(call, async () => {
      for (;;) {
        const client = await this.#connected()
        try {
          return await body(statementsOf(client, this.#names), this.#server!)
        } catch (error) {
          if (!this.#forget(error)) throw error
        }
      }
    })
  }

  /**
   * Rows of a query in the order of an index: the server sorts nothing, even without statistics of a new table, when it
   * would otherwise sort the whole table for each page. A query repeated for each page (`isPage`) is planned once. Parts of
   * a union (`isParallel`) are made at the same time.
   */
  readInOrder(
    call: string,
    sql: string,
    values: readonly unknown[],
    { isPage, isParallel = false }: { isPage: boolean; isParallel?: boolean },
  ): Promise<Row[]> {
    return this.read(call, async (statements) => {
      const begun = quiet(statements.run(isParallel ? IN_PARALLEL : IN_ORDER))
      const rows = quiet((isPage ? statements.pages : statements.rows)(sql, values))
      // Ends the transaction even after an error.
      const ended = quiet(statements.run('COMMIT'))
      await Promise.allSettled([begun, rows, ended])
      await begun
      return rows
    })
  }

  /**
   * Runs `body` as one transaction, again from its start when it lost against another one unless it is not repeatable.
   * It is committed when `body` returns; `commit`, called after the last statement, spares a round trip.
   */
  write<Result>(
    call: string,
    body: (
      statements: Statements,
      commit: () => void,
      server: ServerIdentity,
      tries: number,
    ) => Promise<Result>,
    { isRepeatable = true }: { isRepeatable?: boolean } = {},
  ): Promise<Result> {
    if (this.#options.mode === 'read') {
      return Promise.reject(new AppError('ERR_DB_READONLY', 'the database is open read-only'))
    }
    return this.#exclusive(call, async () => {
      for (let tries = 1; ; tries += 1) {
        try {
          return await this.#transaction((statements, commit, server) =>
            body(statements, commit, server, tries),
          )
        } catch (error) {
          if (!isRepeatable) throw error
          if (this.#forget(error)) continue
          if (!isTransient(error) || tries === MAX_TRIES) throw error
          await pause(Math.random() * Math.min(LONGEST_PAUSE_MS, 4 * 2 ** tries))
        }
      }
    })
  }

  /**
   * Notifies other gateways that addresses may have changed, after the current statements; soon, and at most
   * a few times per second.
   */
  tellOthers(): void {
    this.#told.ring()
  }

  async close(): Promise<void> {
    this.#told.stop()
    this.#heard?.stop()
    this.#isClosed = true
    await this.#last.catch(() => {})
    const client = this.#client
    this.#client = undefined
    await client?.end().catch(() => {})
  }

  async #transaction<Result>(
    body: (statements: Statements, commit: () => void, server: ServerIdentity) => Promise<Result>,
  ): Promise<Result> {
    const client = await this.#connected()
    // On a connection of our own the time-out was set when it was opened.
    const begun = quiet(
      client.query(this.#names === undefined ? `BEGIN; SET LOCAL ${IDLE_TIMEOUT}` : 'BEGIN'),
    )
    let committed: Promise<{ command: string }[] | { command: string }> | undefined
    const commit = (): void => {
      committed ??= quiet(client.query('COMMIT'))
    }
    // Statements after a failed one fail too, and their callers learn of that first.
    let first: unknown
    const statements = statementsOf(client, this.#names, (error) => {
      first ??= error
    })
    try {
      const result = await body(statements, commit, this.#server!)
      await begun
      commit()
      const answer = await committed!
      if (!Array.isArray(answer) && answer.command !== 'COMMIT') {
        throw new AppError('ERR_DB_IO', 'the server rolled the transaction back')
      }
      return result
    } catch (error) {
      // A COMMIT on its way behind what failed has ended the transaction already, as a roll-back.
      if (committed === undefined) await client.query('ROLLBACK').catch(() => {})
      else await committed.catch(() => {})
      throw first ?? error
    }
  }

  /** One call at a time: its statements must not get into the transaction of another. */
  #exclusive<Result>(call: string, run: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(async () => {
      if (this.#isClosed) throw new AppError('ERR_DB_GONE', 'the database is closed')
      const startMs = performance.now()
      try {
        return await run()
      } catch (error) {
        const known = toPgError(error)
        if (isLost(known)) this.#drop()
        throw known
      } finally {
        const durationMs = performance.now() - startMs
        if (durationMs > this.#options.slowCallMs) this.#options.onSlowCall?.({ call, durationMs })
      }
    })
    this.#last = result.catch(() => {})
    return result
  }

  /** If a prepared statement is missing, drops the connection and stops preparing statements; true if that was the cause. */
  #forget(error: unknown): boolean {
    if (this.#names === undefined || !isForgotten(error)) return false
    this.#isForgetful = true
    this.#drop()
    return true
  }

  #drop(): void {
    const client = this.#client
    this.#client = undefined
    void client?.end().catch(() => {})
  }

  async #connected(): Promise<PgClient> {
    if (this.#client !== undefined) return this.#client
    const { hosts } = this.#target
    const failures: { host: TargetHost; error: unknown }[] = []
    for (let step = 0; step < hosts.length; step += 1) {
      const index = (this.#lastHost + step) % hosts.length
      const host = hosts[index]!
      try {
        const client = await this.#connectTo(host)
        this.#client = client
        this.#lastHost = index
        client.once('end', () => {
          if (this.#client === client) this.#client = undefined
        })
        return client
      } catch (error) {
        failures.push({ host, error: toPgError(error) })
      }
    }
    throw noServerError(failures)
  }

  async #connectTo(host: TargetHost): Promise<PgClient> {
    const client = await connectTo(this.#target, host, this.#options.queryTimeoutMs)
    try {
      const beforeSec = Date.now() / 1000
      const [row] = await statementsOf(client).rows(WHO_ARE_YOU)
      const nowSec = (beforeSec + Date.now() / 1000) / 2
      const [isReadOnly, serverSec, system, timeline, pid] = row as [string, string, string, string, number]
      if (isReadOnly === 't' && this.#options.mode === 'write') {
        throw new AppError('ERR_DB_READONLY', 'the server is a standby or read-only')
      }
      await this.#heard?.listenOn(client)
      // A pooler such as pgbouncer announces its own number, and may use another connection for each transaction.
      const isDirect = !this.#isForgetful && (client as PgClient & { processID?: number }).processID === pid
      if (isDirect) await client.query(`SET ${IDLE_TIMEOUT}`)
      this.#names = isDirect ? new StatementNames() : undefined
      this.#meet(host, { timeline: `${system}/${timeline}`, skewSec: Number(serverSec) - nowSec })
      return client
    } catch (error) {
      void client.end().catch(() => {})
      throw error
    }
  }

  /** Records which server answered, and reports what changed. */
  #meet(
    { host, port }: TargetHost,
    { timeline, skewSec }: Pick<ServerIdentity, 'timeline' | 'skewSec'>,
  ): void {
    const known = this.#server
    const shownHost = host.startsWith('/') ? host : `${host}:${port}`
    const isOff = Math.abs(skewSec) > SKEW_SEC
    this.#server = { timeline, skewSec: isOff ? Math.round(skewSec) : 0, shownHost }
    if (known !== undefined && known.timeline !== timeline) {
      this.#options.onNotice?.(`${shownHost} is not the same server or timeline as ${known.shownHost}`)
    }
    if (isOff && known?.skewSec !== this.#server.skewSec) {
      const by = `${Math.abs(Math.round(skewSec))} s ${skewSec > 0 ? 'behind' : 'ahead of'}`
      this.#options.onNotice?.(
        `the clock of this machine is ${by} that of ${shownHost}: times of entries follow the server`,
      )
    }
  }
}

/** One reason for each host; with a single host its own error. */
function noServerError(failures: readonly { host: TargetHost; error: unknown }[]): unknown {
  const [first] = failures
  if (failures.length === 1 || !failures.every(({ error }) => error instanceof AppError)) return first?.error
  const reasons = failures.map(({ host, error }) => `${host.host}:${host.port}: ${reasonOf(error)}`)
  // What would not go away by waiting decides how the caller takes it.
  const worst = failures.find(({ error }) => (error as AppError).code === 'ERR_DB_OPEN')?.error as
    | AppError
    | undefined
  const reason = `no server accepts writes (${reasons.join('; ')})`
  return worst === undefined
    ? new AppError('ERR_DB_AWAY', reason, { cause: first?.error })
    : openError(reason, { ...(worst.hint !== undefined && { hint: worst.hint }), cause: worst })
}

function statementsOf(
  client: PgClient,
  names?: StatementNames,
  onError: (error: unknown) => void = () => {},
): Statements {
  const watched = <Value>(promise: Promise<Value>): Promise<Value> => {
    promise.catch(onError)
    return promise
  }
  const rowsOf = (name: string | undefined, text: string, values: readonly unknown[]): Promise<Row[]> =>
    watched(
      client
        .query({ name, text, values: values.map(arrayText), rowMode: 'array' } as PgQuery)
        .then(({ rows }) => rows as Row[]),
    )
  return {
    rows: (text, values = []) => rowsOf(names?.of(text), text, values),
    pages: (text, values) => rowsOf(names?.ofPages(text), text, values),
    run: (text) => watched(client.query(text).then(() => undefined)),
  }
}

/** A caller that gives up early awaits no further answers: they must not count as unhandled. */
function quiet<Value>(promise: Promise<Value>): Promise<Value> {
  promise.catch(() => {})
  return promise
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds)
  })
}
