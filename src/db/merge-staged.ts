/**
 * Merges staged entries into the tables. Where nothing has to be decided, one statement stores them all, in the order of
 * their keys and, for one key, in that of arrival; decide-import.ts decides about the others. A key needs a decision
 * if it was deleted, or if what is on record has stamps that the import would have to keep or be later than.
 */
import { decideImport, importedMarks, selectEntries } from '../domain/decide-import.js'
import type { HostEntry } from '../domain/entry.js'
import type { HostMarks } from '../domain/held.js'
import type { Stamp } from '../domain/stamp.js'
import type { Connection } from './connection.js'
import type { JournalWriter } from './journal.js'
import type { SqlValue } from './sqlite-driver.js'
import type { StagedTable } from './staged-table.js'
import {
  encodeHostMarks,
  encodeStamp,
  hostMarkColumns,
  ONE_STAMP_BYTES,
  STAMP_TIME_BYTES,
} from './tables/marks-codec.js'
import { REMOVED_KEYS, type RemovedKeys } from './tables/removed-table.js'
import type { Transactions } from './transactions.js'

const NEW_TIMES =
  'first = excluded.first, pass = excluded.pass, expire = excluded.expire, bcount = excluded.bcount, pcount = excluded.pcount'
/** Also the comment of an earlier entry with the same key. */
const COMMENT = 'coalesce(excluded.comment, comment)'

interface Merge {
  /** Columns of stamps with their values. */
  marks: Readonly<Record<string, string>>
  update: string
  /** True for a row that the statement may replace: it has no stamps worth keeping, or is of this import itself. */
  isPlain: string
  removed: RemovedKeys
}

/** Marks of an imported address: numbers, but bytes for one that a pin or a comment fixes; see marks-codec.ts. */
function hostMarks(entry: '' | 'excluded.', comment: string): Record<string, string> {
  const isFixed = `${entry}expire = 0 OR ${comment} IS NOT NULL`
  return {
    stamp: `iif(${isFixed}, NULL, @packed)`,
    granted: `iif(${isFixed}, NULL, @granted)`,
    node: `iif(${isFixed}, NULL, @node)`,
    marks: `CASE WHEN ${entry}expire = 0 THEN iif(${entry}pcount = -1, @pinnedTrapped, @pinnedWhite)
      WHEN ${comment} IS NOT NULL THEN iif(${entry}pcount = -1, @notedTrapped, @notedWhite) END`,
  }
}

function assignments(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([column, value]) => `${column} = ${value}`)
    .join(', ')
}

const MERGES: Readonly<Record<StagedTable['columns']['name'], Merge>> = {
  hosts: {
    marks: hostMarks('', 'comment'),
    update: `${NEW_TIMES}, comment = ${COMMENT}, ${assignments(hostMarks('excluded.', COMMENT))}`,
    isPlain: `iif(marks IS NULL,
      coalesce(max(stamp, granted), stamp, 0) < @packed OR (stamp = @packed AND node = @node),
      length(marks) <= ${ONE_STAMP_BYTES} AND substr(marks, 2, ${STAMP_TIME_BYTES}) < @stampTime
        OR marks IN (@notedWhite, @notedTrapped, @pinnedWhite, @pinnedTrapped))`,
    removed: REMOVED_KEYS.host,
  },
  tuples: {
    marks: {},
    update: `${NEW_TIMES}, last = NULL`,
    isPlain: 'marks IS NULL',
    removed: REMOVED_KEYS.tuple,
  },
  spamtraps: {
    marks: { stamp: '@stamp' },
    update: `first = excluded.first, comment = ${COMMENT}, stamp = @stamp`,
    isPlain: '(stamp IS NULL OR stamp < @stampTime OR stamp = @stamp)',
    removed: REMOVED_KEYS.spamtrap,
  },
}

/** One import, within the transaction of `journal`. */
export class StagedMerge {
  readonly #connection: Connection
  readonly #transactions: Transactions
  readonly #journal: JournalWriter
  readonly #now: number
  readonly #ifMissing: boolean
  /** Values that the statements choose from. */
  readonly #values: Record<string, SqlValue>

  constructor(
    connection: Connection,
    transactions: Transactions,
    {
      journal,
      stamp,
      now,
      ifMissing,
    }: { journal: JournalWriter; stamp: Stamp; now: number; ifMissing: boolean },
  ) {
    this.#connection = connection
    this.#transactions = transactions
    this.#journal = journal
    this.#now = now
    this.#ifMissing = ifMissing
    this.#values = marksOf(stamp, transactions)
  }

  /** How many entries are new. */
  merge(staged: StagedTable): number {
    const { name } = staged.columns
    const { isPlain, removed } = MERGES[name]
    const { database } = this.#connection
    const countRows = database.prepare(`SELECT count(*) FROM main.${name}`).pluck()
    const before = countRows.get() as number
    const decidedCount = this.#mergeRemoved(staged, removed)
    const storedCount = this.#mergePlain(staged)
    if (!this.#ifMissing && storedCount < staged.rowCount - decidedCount) {
      const key = staged.columns.key.join(', ')
      this.#decide(staged, `(${key}) IN (SELECT ${key} FROM main.${name} WHERE NOT ${isPlain})`)
    }
    return (countRows.get() as number) - before
  }

  /** Those whose key was deleted; how many there are. */
  #mergeRemoved(staged: StagedTable, { rows, keyOf }: RemovedKeys): number {
    if (!this.#transactions.removed.hasAny(rows)) return 0
    const count = this.#decide(staged, `${keyOf} IN (SELECT key FROM main.removed WHERE ${rows})`)
    if (count > 0) staged.dropChosen()
    return count
  }

  #decide(staged: StagedTable, condition: string): number {
    let count = 0
    for (const entries of staged.chosen(condition, this.#values)) {
      count += entries.length
      this.#transactions.decideUntold(this.#journal, this.#now, selectEntries(entries), (draft) =>
        decideImport(draft, entries, { ifMissing: this.#ifMissing }),
      )
    }
    return count
  }

  /** How many rows it wrote. */
  #mergePlain({ columns: { name, key, others } }: StagedTable): number {
    const { marks, update, isPlain } = MERGES[name]
    const keyColumns = key.join(', ')
    const staged = `${keyColumns}, ${others.join(', ')}`
    const columns = [staged, ...Object.keys(marks)].join(', ')
    const values = [staged, ...Object.values(marks)].join(', ')
    const onConflict = this.#ifMissing
      ? 'DO NOTHING'
      : `(${keyColumns}) DO UPDATE SET ${update} WHERE ${isPlain}`
    const statement = this.#connection.database.prepare(
      `INSERT INTO main.${name} (${columns}) SELECT ${values} FROM staging.staged_${name}
       WHERE true ORDER BY ${keyColumns}, rowid ON CONFLICT ${onConflict}`,
    )
    return statement.run(this.#values).changes
  }
}

/** The marks of everything that one import stores. */
function marksOf(stamp: Stamp, { journal: { nodes } }: Transactions): Record<string, SqlValue> {
  const hostMarksOf = (entry: Pick<HostEntry, 'kind'> & { expire?: number; comment?: string }): HostMarks => {
    const whole = { ip: '', first: 0, pass: 0, expire: 1, bcount: 0, pcount: 0, ...entry }
    return importedMarks(whole, stamp)
  }
  const encode = (entry: Parameters<typeof hostMarksOf>[0]): SqlValue =>
    encodeHostMarks(hostMarksOf(entry), nodes)
  const [packed, granted, node] = hostMarkColumns('WHITE', hostMarksOf({ kind: 'WHITE' }), nodes)
  const encoded = encodeStamp(stamp, nodes)
  return {
    packed,
    granted,
    node,
    notedWhite: encode({ kind: 'WHITE', comment: ' ' }),
    notedTrapped: encode({ kind: 'TRAPPED', comment: ' ' }),
    pinnedWhite: encode({ kind: 'WHITE', expire: 0 }),
    pinnedTrapped: encode({ kind: 'TRAPPED', expire: 0 }),
    stamp: encoded,
    stampTime: encoded.subarray(0, STAMP_TIME_BYTES),
  }
}
