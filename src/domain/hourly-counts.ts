/**
 * What is counted of changes for each hour, so that statistics of months cost nothing. Counters have a name and a
 * label; they hold no address of anybody.
 *
 * | name | label | counts |
 * |---|---|---|
 * | `new` | | tuples that began |
 * | `passed` | | tuples whose address became WHITE |
 * | `lost` | `once`, `retried` | tuples that ended by time |
 * | `trapped` | rule | addresses that became TRAPPED |
 * | `expired` | kind | addresses whose time was over |
 * | `sighted` | | addresses that became WHITE by the log watcher |
 * | `blocked` | | WHITE addresses that a block list took |
 * | `evicted` | | tuples removed for lack of room |
 * | `pool` | kind of the key | networks that a pool opened |
 * | `by-hand` | rule | entries changed by people |
 * | `delay` | minutes | delays of the tuples that passed, rounded up; 240 is more than that |
 * | `reach`, `reach-seconds` | candidate | tuples that a passtime of this many minutes would have let pass at this try, and how long they had waited |
 * | `lost-reach` | candidate | tuples that expired although they were retried after this many minutes |
 *
 * A tuple whose client is on a block list when it passes is counted nowhere: it neither passed nor was lost.
 *
 * What no change of an entry tells is added by spamd once a minute:
 *
 * | name | label | counts |
 * |---|---|---|
 * | `listed` | block list | connections of clients that the list held |
 * | `tarpit-seconds` | block list, empty: none | time for which clients waited for single bytes; of a client on several lists, with each |
 * | `refused` | reason | connections that were turned away before a dialogue, and attempts that were no tuple |
 */
import type { Change, TupleChange } from './change.js'
import { isPoolTuple, parsePoolKey } from './pool-key.js'

/** Passtimes that are compared, in minutes. */
export const CANDIDATE_MINUTES = [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60] as const

/** Later retries are counted with those of this time. */
export const MAX_DELAY_MINUTES = 240
const MINUTE = 60
/** Seconds covered by one counter. */
export const HOUR_SEC = 3600

/** One counter of one hour. */
export interface HourlyCount {
  /** Start of the hour, seconds since the Epoch. */
  hour: number
  name: string
  label: string
  count: number
}

type Rule = Change['cause']['rule']

/** What a change that does not concern a tuple is counted as, by its cause. */
const COUNTED_OF_OTHERS: Partial<Record<Rule, (counter: ChangeCounter, change: Change) => void>> = {
  manual: countByHand,
  import: countByHand,
  undo: countByHand,
  trap: countTrapped,
  'low-priority-mx': countTrapped,
  'spf-fail': countTrapped,
  expiry: (counter, { key, before }) => {
    if (key.kind === 'host') counter.count('expired', before.entry?.kind)
  },
  sighting: (counter, { before }) => {
    if (before.entry === undefined) counter.count('sighted')
  },
  pool: (counter, { before, after }) => {
    if (after.entry?.kind === 'POOL' && before.entry === undefined)
      counter.count('pool', parsePoolKey(after.entry.pool)?.kind)
  },
  'block-list': (counter, { after }) => {
    if (after.entry === undefined) counter.count('blocked')
  },
}

function countByHand(counter: ChangeCounter, { cause }: Change): void {
  counter.count('by-hand', cause.rule)
}

function countTrapped(counter: ChangeCounter, { before, cause }: Change): void {
  if (before.entry?.kind !== 'TRAPPED') counter.count('trapped', cause.rule)
}

/** Adds up changes; keys are name and label with a blank between. */
export class ChangeCounter {
  readonly counts = new Map<string, number>()

  /** `nowSec`: when they were made, seconds since the Epoch. */
  add(changes: readonly Change[], nowSec: number): void {
    for (const change of changes) {
      // The key of a pool counts attempts that are also counted by their own tuples.
      if (change.key.kind === 'tuple' && isPoolTuple(change.key)) continue
      if (change.key.kind === 'tuple') this.#addTuple(change as TupleChange, nowSec)
      else COUNTED_OF_OTHERS[change.cause.rule]?.(this, change)
    }
  }

  /** Adds to one counter. */
  count(name: string, label: string | number = '', by = 1): void {
    const key = `${name} ${label}`
    this.counts.set(key, (this.counts.get(key) ?? 0) + by)
  }

  #addTuple(change: TupleChange, nowSec: number): void {
    const { before, after, cause } = change
    switch (cause.rule) {
      case 'attempt':
        this.#addAttempt(change, nowSec)
        return
      case 'promotion':
        this.#addPromotion(change, nowSec)
        return
      case 'expiry':
        if (before.entry !== undefined && after.entry === undefined) {
          const { first } = before.entry
          this.#addLost(first, before.marks?.last ?? first)
        }
        return
      case 'limit':
        this.count('evicted')
        return
      case 'manual':
      case 'import':
      case 'undo':
        countByHand(this, change)
        return
      default:
    }
  }

  #addAttempt({ before: { entry, marks }, after }: TupleChange, nowSec: number): void {
    const isAgain = entry !== undefined && after.entry !== undefined && entry.first !== after.entry.first
    if (entry === undefined || isAgain) this.count('new')
    else this.#addRetry(entry.first, marks?.last ?? entry.first, nowSec)
  }

  #addPromotion({ before: { entry, marks } }: TupleChange, nowSec: number): void {
    if (entry === undefined) return
    this.count('passed')
    this.count('delay', Math.min(MAX_DELAY_MINUTES, Math.ceil((nowSec - entry.first) / MINUTE)))
    this.#addRetry(entry.first, marks?.last ?? entry.first, nowSec)
  }

  /** A try is the first that a passtime would let pass if the previous one came too early for it. */
  #addRetry(firstSec: number, lastSec: number, nowSec: number): void {
    const delaySec = nowSec - firstSec
    for (const minutes of CANDIDATE_MINUTES) {
      const passSec = minutes * MINUTE
      if (delaySec < passSec) return
      if (lastSec - firstSec >= passSec) continue
      this.count('reach', minutes)
      this.count('reach-seconds', minutes, delaySec)
    }
  }

  #addLost(firstSec: number, lastSec: number): void {
    this.count('lost', lastSec > firstSec ? 'retried' : 'once')
    for (const minutes of CANDIDATE_MINUTES) {
      if (lastSec - firstSec >= minutes * MINUTE) this.count('lost-reach', minutes)
    }
  }
}
