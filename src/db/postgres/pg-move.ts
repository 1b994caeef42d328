/** Addresses of a database that is moved to a server without entries: they are inserted without a lookup. */
import { type MergeRecord, type MovedHost, splitMoved } from '../../domain/decide-merge.js'
import type { Stamp } from '../../domain/stamp.js'
import { packStamp } from '../tables/marks-codec.js'
import { isForgotten, isTransient } from './pg-error.js'
import { appendEverything } from './pg-journal.js'
import { netOf, wireText } from './pg-rows.js'
import { HOST_COLUMNS } from './pg-schema.js'
import type { PgTransactions } from './pg-transactions.js'

/** The `HOST_COLUMNS`, besides the kind, of an address that is only WHITE. */
const WHITE_COLUMNS = /^(?:first|pass|expire|bcount|pcount|(?:reset|grant|white)_(?:at|node))$/
/** Columns with the types of their arrays, in the order of `arraysOf`. */
const COLUMNS = [
  ['net', 'text'],
  ['ip', 'text'],
  ...HOST_COLUMNS.filter(([name]) => WHITE_COLUMNS.test(name)),
] as const
const INSERT = `INSERT INTO spamd.hosts (kind, ${COLUMNS.map(([name]) => name).join(', ')})
  SELECT 'WHITE', ${COLUMNS.map(([, type], index) => `unnest($${index + 1}::${type}[])`).join(', ')}`

/**
 * Inserts the records of addresses that are only WHITE; returns for each record whether it is one of the others, which
 * are left to the caller. Undefined if nothing was inserted because one of the addresses exists.
 */
export async function addMovedHosts(
  { link, clock }: PgTransactions,
  records: readonly MergeRecord[],
  now: number,
): Promise<boolean[] | undefined> {
  try {
    return await link.write(
      'merge',
      async (statements, commit, { skewSec }) => {
        const { hosts, isOther, newest } = splitMoved(records, now + skewSec)
        if (newest === undefined) return isOther
        clock.observe(newest)
        const sent: Promise<unknown>[] = [statements.pages(INSERT, arraysOf(hosts))]
        appendEverything('import', clock.next(now + skewSec), (sql, values) =>
          sent.push(statements.rows(sql, values)),
        )
        commit()
        await Promise.all(sent)
        link.tellOthers()
        return isOther
      },
      { isRepeatable: false },
    )
  } catch (error) {
    if (isTransient(error) || isForgotten(error)) return undefined
    throw error
  }
}

/** In the order of their keys, as every gateway inserts. */
function arraysOf(hosts: readonly MovedHost[]): unknown[] {
  const ordered = hosts.toSorted((one, other) => (one.entry.ip < other.entry.ip ? -1 : 1))
  const numbers = (read: (host: MovedHost) => number): string => `{${ordered.map(read).join()}}`
  const stamps = (read: (host: MovedHost) => Stamp | undefined): string[] =>
    ordered.every((host) => read(host) === undefined)
      ? ['{}', '{}']
      : [(stamp: Stamp) => packStamp(stamp), (stamp: Stamp) => stamp.node].map(
          (cell) =>
            `{${ordered
              .map((host) => {
                const stamp = read(host)
                return stamp === undefined ? 'NULL' : cell(stamp)
              })
              .join()}}`,
        )
  return [
    ordered.map(({ entry }) => netOf(entry.ip)),
    ordered.map(({ entry }) => wireText(entry.ip)),
    numbers(({ entry }) => entry.first),
    numbers(({ entry }) => entry.pass),
    numbers(({ entry }) => entry.expire),
    numbers(({ entry }) => entry.bcount),
    numbers(({ entry }) => entry.pcount),
    ...stamps(({ marks }) => marks.reset),
    ...stamps(({ marks }) => marks.white?.grant),
    ...stamps(({ marks }) => marks.white?.stamp),
  ]
}
