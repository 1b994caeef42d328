import { ENTRY_KINDS, type Entry, type EntryKind } from '../../domain/entry.js'
import { AppError } from '../../platform/app-error.js'
import type { Connection } from '../connection.js'
import type { SqlValue } from '../sqlite-driver.js'
import type { DamagedGap } from '../store.js'
import { entriesOfRange } from '../tables/entry-rows.js'
import { findRange, findRangeBefore, firstKey, type KeyRange, RANGE_ROWS } from './key-ranges.js'

/**
 * Everything readable of whole kinds, in chunks that are never empty: WHITE, TRAPPED, SPAMTRAP, GREY, each by
 * key. If a kind is damaged it is also read from its end, down to the damage; the gap is reported to `onGap`.
 */
export function* listReadable(
  connection: Connection,
  kinds: readonly EntryKind[],
  onGap: (gap: DamagedGap) => void,
): Generator<Entry[]> {
  for (const kind of ENTRY_KINDS) {
    if (!kinds.includes(kind)) continue
    const upwards = yield* readUntilDamage(connection, kind, (after, rowCount) =>
      findRange(connection, kind, after ?? firstKey(kind), rowCount),
    )
    if (!upwards.isDamaged) continue
    const downwards = yield* readUntilDamage(connection, kind, (before, rowCount) =>
      findRangeBefore(connection, kind, before, rowCount),
    )
    onGap({ kind, after: upwards.last?.at(-1), before: downwards.last?.at(0) })
  }
}

interface Reach {
  isDamaged: boolean
  /** What was read last, in the order of the key. */
  last: Entry[] | undefined
}

/** Reads range after range; at damage smaller and smaller ones, until the next row itself cannot be read. */
function* readUntilDamage(
  connection: Connection,
  kind: EntryKind,
  find: (from: SqlValue[] | undefined, rowCount: number) => KeyRange,
): Generator<Entry[], Reach> {
  let rowCount = RANGE_ROWS
  let from: SqlValue[] | undefined
  let last: Entry[] | undefined
  while (rowCount >= 1) {
    const start = from
    let read: { entries: Entry[]; end: SqlValue[] | undefined }
    try {
      read = connection.read('listReadable', () => {
        const range = find(start, rowCount)
        return { entries: entriesOfRange(kind, range), end: range.end }
      })
    } catch (error) {
      if (!(error instanceof AppError && error.code === 'ERR_DB_CORRUPT')) throw error
      rowCount = Math.floor(rowCount / 2)
      continue
    }
    if (read.entries.length > 0) {
      last = read.entries
      yield read.entries
    }
    if (read.end === undefined) return { isDamaged: false, last }
    from = read.end
  }
  return { isDamaged: true, last }
}
