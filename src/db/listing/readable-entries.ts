import { ENTRY_KINDS, type Entry, type EntryKind } from '../../domain/entry.js'
import { AppError } from '../../platform/app-error.js'
import type { Connection } from '../connection.js'
import type { SqlValue } from '../sqlite-driver.js'
import type { DamagedGap, ExactForm } from '../store.js'
import { entriesOfRange } from '../tables/entry-rows.js'
import { hasSpecialBytes } from '../tables/special-bytes.js'
import { findRange, findRangeBefore, firstKey, type KeyRange, RANGE_ROWS } from './key-ranges.js'
import { exactSqlOf, hasBarsInFields } from './line-forms.js'

/**
 * The lines of everything readable of whole kinds, as latin-1 bytes in chunks: WHITE, TRAPPED, SPAMTRAP, GREY, each by
 * key. SQLite makes the lines, so that no row becomes an object; `form` renders the ranges that need more. If a kind
 * is damaged it is also read from its end, down to the damage; the gap is reported to `onGap`.
 */
export function* listReadable(
  connection: Connection,
  kinds: readonly EntryKind[],
  onGap: (gap: DamagedGap) => void,
  form: ExactForm,
): Generator<Uint8Array> {
  for (const kind of ENTRY_KINDS) {
    if (!kinds.includes(kind)) continue
    const upwards = yield* readUntilDamage(connection, kind, form, (after, rowCount) =>
      findRange(connection, kind, after ?? firstKey(kind), rowCount),
    )
    if (!upwards.isDamaged) continue
    const downwards = yield* readUntilDamage(connection, kind, form, (before, rowCount) =>
      findRangeBefore(connection, kind, before, rowCount),
    )
    const entriesOf = ({ last }: Reach): Entry[] =>
      last === undefined ? [] : connection.read('listReadable', () => entriesOfRange(kind, last))
    onGap({ kind, after: entriesOf(upwards).at(-1), before: entriesOf(downwards).at(0) })
  }
}

interface Reach {
  isDamaged: boolean
  /** What was read last. */
  last: KeyRange | undefined
}

/** Reads range after range; at damage smaller and smaller ones, until the next row itself cannot be read. */
function* readUntilDamage(
  connection: Connection,
  kind: EntryKind,
  form: ExactForm,
  find: (from: SqlValue[] | undefined, rowCount: number) => KeyRange,
): Generator<Uint8Array, Reach> {
  let rowCount = RANGE_ROWS
  let from: SqlValue[] | undefined
  let last: KeyRange | undefined
  while (rowCount >= 1) {
    const start = from
    let read: { range: KeyRange; content: Uint8Array | Entry[] }
    try {
      read = connection.read('listReadable', () => {
        const range = find(start, rowCount)
        return { range, content: linesOrEntries(kind, range, form) }
      })
    } catch (error) {
      if (!(error instanceof AppError && error.code === 'ERR_DB_CORRUPT')) throw error
      rowCount = Math.floor(rowCount / 2)
      continue
    }
    const { range, content } = read
    last = range
    const bytes = Array.isArray(content) ? Buffer.from(form.render(content), 'latin1') : content
    if (bytes.length > 0) yield bytes
    if (range.end === undefined) return { isDamaged: false, last }
    from = range.end
  }
  return { isDamaged: true, last }
}

/** The lines of a range, or its entries where a line is not the classic one or depends on what came before. */
function linesOrEntries(kind: EntryKind, range: KeyRange, form: ExactForm): Uint8Array | Entry[] {
  if (form.needsEntries(kind)) return entriesOfRange(kind, range)
  const { line, special } = exactSqlOf(kind)
  const aggregates = `CAST(group_concat(${line}, '') AS BLOB), count(*), ${special}`
  const [lines, count, specialCount] = range.select(aggregates)
  if (lines === null) return new Uint8Array(0)
  const bytes = lines as Buffer
  const lineCount = count as number
  const isPlain =
    specialCount === 0 &&
    !hasSpecialBytes(bytes, lineCount) &&
    (kind !== 'GREY' || !hasBarsInFields(bytes, lineCount))
  return isPlain ? bytes : entriesOfRange(kind, range)
}
