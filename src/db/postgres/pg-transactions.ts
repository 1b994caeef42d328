/**
 * Every write to the entries on a server: lock and load all keys of a batch in their order, decide, store what changed. Two
 * round trips; a batch that met another one on a key is done again from its start.
 */
import type { Change } from '../../domain/change.js'
import { Draft, type Selection } from '../../domain/draft.js'
import { ChangeCounter, HOUR_SEC } from '../../domain/hourly-counts.js'
import { HybridClock } from '../../domain/stamp.js'
import { newNode } from '../node-numbers.js'
import type { PgHistory } from './pg-history.js'
import { appendEverything, appendJournal } from './pg-journal.js'
import type { PgTupleLimits } from './pg-limits.js'
import type { PgLink, Statements } from './pg-link.js'
import { type LoadLocks, loadSelection } from './pg-loading.js'
import { sendReleases } from './pg-releases.js'
import { balanceOf, type Send, sendEntries, type TupleBalance } from './pg-writes.js'

/** What a decision said, and what it changed. */
export interface Decided<Outcome> {
  outcomes: Outcome
  changes: Change[]
}

interface DecideOptions {
  /** For decisions that change them: attempts of all gateways read the same spamtraps. */
  locksSpamtraps?: boolean
  /** What else has to be loaded, now that the selection is on hand: a round trip more where there is something. */
  further?: (draft: Draft) => Selection
  /** Sends what else belongs into the transaction. */
  also?: ((send: Send) => void) | undefined
  /** True for the content of a database that is moved: no history of it, and one row of the journal for all. */
  isMove?: boolean | undefined
  /**
   * The keys that the first try loads, if the others most likely do not exist: an existing one makes the insert fail, and
   * the next try loads the whole selection.
   */
  firstSelection?: Selection | undefined
}

/** What a batch reads and writes of the tables on a server. */
export class PgTransactions {
  readonly link: PgLink
  /** Number of the database. */
  readonly node: number
  readonly #history: PgHistory
  readonly #limits: Pick<PgTupleLimits, 'note'>
  readonly #slot: number
  /** Stamps of this process. Its node is its own: no two processes give the same stamp, and none has to ask the server. */
  readonly #clock = new HybridClock(newNode(), { time: 0, counter: 0 })

  /** `slot` distinguishes the counters of this gateway from those of others. */
  constructor(
    link: PgLink,
    history: PgHistory,
    limits: Pick<PgTupleLimits, 'note'>,
    { slot, node }: { slot: number; node: number },
  ) {
    this.link = link
    this.#history = history
    this.#limits = limits
    this.#slot = slot
    this.node = node
  }

  /** The clock of this process. */
  get clock(): HybridClock {
    return this.#clock
  }

  /** A draft for a decision that nobody stores. */
  draftToRead(now: number): Draft {
    return new Draft(new HybridClock(0, { time: 0, counter: 0 }), now, this.node)
  }

  /** See `Transactions.decide` of the SQLite store. */
  decide<Outcome>(
    call: string,
    now: number,
    selection: Selection,
    decision: (draft: Draft) => Outcome,
    { locksSpamtraps = false, also, further, isMove = false, firstSelection }: DecideOptions = {},
  ): Promise<Decided<Outcome>> {
    return this.link.write(call, async (statements, commit, { skewSec }, tries) => {
      const draft = new Draft(this.#clock, now > 0 ? now + skewSec : 0, this.node)
      const loaded = tries === 1 ? (firstSelection ?? selection) : selection
      await this.load(statements, loaded, draft, { hosts: true, spamtraps: locksSpamtraps })
      const more = further?.(draft)
      if (more !== undefined && !isNothing(more)) {
        await this.load(statements, more, draft, { hosts: true, spamtraps: locksSpamtraps })
      }
      const outcomes = decision(draft)
      await this.#store(statements, draft, commit, { also, isMove })
      return { outcomes, changes: draft.changes }
    })
  }

  /** Puts the entries of a selection into a draft; with locks within a transaction only. */
  load(statements: Statements, selection: Selection, draft: Draft, locks: LoadLocks): Promise<void> {
    return loadSelection({ statements, selection, draft, locks })
  }

  /**
   * A decision within a transaction of the caller, who tells the journal, the history and the counters itself.
   */
  async decideUntold(
    statements: Statements,
    now: number,
    selection: Selection,
    decision: (draft: Draft) => void,
  ): Promise<void> {
    const draft = new Draft(this.#clock, now, this.node)
    await this.load(statements, selection, draft, { hosts: true, spamtraps: true })
    decision(draft)
    const sent: Promise<unknown>[] = []
    sendEntries(draft, (sql, values) => {
      sent.push(statements.rows(sql, values))
    })
    await Promise.all(sent)
  }

  /** Stores what a draft changed, and commits with the last statement. */
  async #store(
    statements: Statements,
    draft: Draft,
    commit: () => void,
    { also, isMove }: Pick<DecideOptions, 'also' | 'isMove'>,
  ): Promise<void> {
    const sent: Promise<unknown>[] = []
    const send: Send = (sql, values) => {
      sent.push(statements.rows(sql, values))
    }
    also?.(send)
    sendReleases(draft, send)
    const { added, removed } = sendEntries(draft, send)
    let isTold = isMove === true && draft.changes.length > 0
    if (isTold) appendEverything('import', draft.nextStamp(), send)
    else {
      isTold = appendJournal(draft.changes, send)
      await this.#history.append(draft, send, statements)
    }
    const balance = balanceOf(added, removed)
    this.sendCounts(draft, balance, send)
    commit()
    await Promise.all(sent)
    this.#limits.note(added, removed)
    if (isTold) this.link.tellOthers()
  }

  /** Adds to the counters of the hour and to the totals of tuples. */
  sendCounts(
    { changes, changedSec }: Pick<Draft, 'changes' | 'changedSec'>,
    balance: TupleBalance,
    send: Send,
  ): void {
    const counter = new ChangeCounter()
    counter.add(changes, changedSec)
    if (counter.counts.size === 0 && balance.count === 0 && balance.pools === 0 && balance.bytes === 0) return
    const hour = Math.floor(changedSec / HOUR_SEC) * HOUR_SEC
    const keys = [...counter.counts.keys()]
    send('SELECT spamd.add_counts($1, $2, $3, $4, $5, $6, $7, $8)', [
      this.#slot,
      hour,
      keys.map((key) => key.slice(0, key.indexOf(' '))),
      keys.map((key) => key.slice(key.indexOf(' ') + 1)),
      [...counter.counts.values()],
      balance.count,
      balance.pools,
      balance.bytes,
    ])
  }
}

function isNothing({
  hosts,
  spamtraps,
  tuples,
  tuplesOf,
  pools,
  poolsAround,
  trapsIn,
  poolCounts,
}: Selection): boolean {
  const sizes = [hosts, spamtraps, tuples, tuplesOf, pools, poolsAround, trapsIn, poolCounts].map(
    ({ size }) => size,
  )
  return sizes.every((size) => size === 0)
}
