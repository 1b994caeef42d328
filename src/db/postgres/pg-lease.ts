/**
 * Which gateway does the work that one must do for all: a row that another one takes over when it was not
 * renewed.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { ScanScope } from '../store.js'
import type { PgHistory } from './pg-history.js'
import type { PgJournal } from './pg-journal.js'
import type { PgLink } from './pg-link.js'

/** Locks of a session do not survive pgbouncer; a row does. `$3` seconds are a little more than the time between two scans. */
const TAKE = `INSERT INTO spamd.leases AS l VALUES ($1, $2, now() + make_interval(secs => $3), now())
  ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until, done = now()
  WHERE l.holder = excluded.holder OR l.until < now() RETURNING 1`
const GIVE_BACK = 'UPDATE spamd.leases SET until = now() WHERE name = $1 AND holder = $2'
const SCAN_LEASE_SEC = 60
/** So often a gateway that does not hold the lease compares its tables with all addresses. */
const COMPARE_MS = 600_000
/** Partitions, trimming and old counters: the holder's work, so often. */
const UPKEEP_MS = 60_000
const DROP_COUNTS = 'DELETE FROM spamd.hourly_counts WHERE hour < $1'
const KEEP_COUNTS_SEC = 396 * 86_400

/** The turns of one store. */
export class PgLease {
  readonly #link: PgLink
  readonly #history: PgHistory
  readonly #journal: PgJournal
  readonly #holder = `${hostname()} ${randomUUID()}`
  #scope: ScanScope = 'all'
  #isHeld = false
  #beganMs = Number.NEGATIVE_INFINITY
  /** When the last walk over all addresses that reached its end began. */
  #comparedMs = Number.NEGATIVE_INFINITY
  /** When there were changes last that the journal did not tell one by one. */
  #missedMs = Number.NEGATIVE_INFINITY
  #keptUpMs = Number.NEGATIVE_INFINITY

  constructor(link: PgLink, history: PgHistory, journal: PgJournal) {
    this.#link = link
    this.#history = history
    this.#journal = journal
  }

  /** What the scan that began last may do. */
  get scope(): ScanScope {
    return this.#scope
  }

  /** See `Store.beginScan`. */
  async beginScan({ isAsked = false }: { isAsked?: boolean }): Promise<ScanScope> {
    this.#isHeld = await this.renew()
    const nowMs = performance.now()
    this.#beganMs = nowMs
    const isDue = isAsked || nowMs - this.#comparedMs >= COMPARE_MS || this.#missedMs >= this.#comparedMs
    this.#scope = this.#isHeld ? 'all' : isDue ? 'hosts' : 'nothing'
    // Nobody waits for it; what fails is done with the next scan.
    if (this.#isHeld && nowMs - this.#keptUpMs > UPKEEP_MS) this.#keepUp(nowMs).catch(() => undefined)
    return this.#scope
  }

  /** The walk that began last has seen every address. */
  noteCompared(): void {
    this.#comparedMs = this.#beganMs
  }

  /** Something changed that only a walk over all addresses can find: the next scan is one, with or without the lease. */
  noteMissed(): void {
    this.#missedMs = performance.now()
  }

  /** Takes the lease or keeps it; false while another gateway has it. */
  renew(): Promise<boolean> {
    return this.#link.read('beginScan', async (statements) => {
      const rows = await statements.rows(TAKE, ['scan', this.#holder, SCAN_LEASE_SEC])
      return rows.length > 0
    })
  }

  /** Lets another gateway continue at once. */
  async giveBack(): Promise<void> {
    if (!this.#isHeld) return
    this.#isHeld = false
    await this.#link
      .read('giveBackLease', (statements) => statements.rows(GIVE_BACK, ['scan', this.#holder]))
      .catch(() => undefined)
  }

  async #keepUp(nowMs: number): Promise<void> {
    this.#keptUpMs = nowMs
    await this.#history.keepUp()
    await this.#journal.trim()
    await this.#link.read('dropCounts', (statements, { skewSec }) =>
      statements.rows(DROP_COUNTS, [Math.floor(Date.now() / 1000) + skewSec - KEEP_COUNTS_SEC]),
    )
  }
}
