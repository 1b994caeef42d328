/** Entries with their stamps, in the form in which gateways exchange them. */
import { type ChangeKey, keyText, tupleText } from '../domain/change.js'
import { selectKey } from '../domain/decide-edits.js'
import {
  type MergeRecord,
  recordOfHost,
  recordOfPool,
  recordOfRelease,
  recordOfSpamtrap,
  recordOfTuple,
} from '../domain/decide-merge.js'
import { Draft, emptySelection } from '../domain/draft.js'
import type { EntryKey, Tuple } from '../domain/entry.js'
import { type MarkLives, oldMarkSec } from '../domain/old-marks.js'
import { HybridClock } from '../domain/stamp.js'
import type { Connection } from './connection.js'
import type { RecordSlice, ScanCursor } from './store.js'
import { decodeHostMarks, decodeStamp } from './tables/marks-codec.js'
import { removedKeyOf } from './tables/removed-table.js'
import type { Transactions } from './transactions.js'

/** What is on record under each key; keys without anything to send are left out. */
export function recordsOf(transactions: Transactions, keys: Iterable<ChangeKey>): MergeRecord[] {
  const node = transactions.journal.identity().node ?? 0
  const draft = new Draft(new HybridClock(node, { time: 0, counter: 0 }), 0)
  const selection = emptySelection()
  const wanted = new Map<string, ChangeKey>()
  for (const key of keys) {
    wanted.set(keyText(key), key)
    if (key.kind === 'release') selection.releases = true
    else selectKey(selection, key)
  }
  transactions.load(selection, draft)
  const records: MergeRecord[] = []
  for (const key of wanted.values()) {
    const record = recordOf(draft, key, node)
    if (record !== undefined) records.push(record)
  }
  return records
}

function recordOf(draft: Draft, key: ChangeKey, node: number): MergeRecord | undefined {
  switch (key.kind) {
    case 'host':
      return recordOfHost(key.ip, draft.host(key.ip))
    case 'spamtrap':
      return recordOfSpamtrap(key.address, draft.spamtrap(key.address))
    case 'tuple':
      return recordOfTuple(key, draft.tuple(tupleText(key)), node)
    case 'pool':
      return recordOfPool(key.ip, draft.pool(key.ip))
    case 'release':
      return recordOfRelease(key.id, draft.release(key.id))
  }
}

/** In this order, so that what an address is comes before its tuples. */
const PARTS = ['hosts', 'removed', 'spamtraps', 'pools', 'releases', 'tuples'] as const
type Part = (typeof PARTS)[number]

/** See `Store.listRecords`. */
export function recordSlice(
  transactions: Transactions,
  after: ScanCursor | undefined,
  limit: number,
): RecordSlice {
  const { part, key } = after === undefined ? { part: PARTS[0], key: '' } : parseCursor(after)
  const { records, last } = readPart(transactions, part, key, limit)
  if (last !== undefined) return { records, next: formatCursor(part, last) }
  const nextPart = PARTS[PARTS.indexOf(part) + 1]
  return { records, next: nextPart && formatCursor(nextPart, '') }
}

/** Up to `limit` records of one table after a key; `last` is undefined at its end. */
// eslint-disable-next-line complexity -- one case for each table
function readPart(
  transactions: Transactions,
  part: Part,
  after: string,
  limit: number,
): { records: MergeRecord[]; last: string | undefined } {
  const node = transactions.journal.identity().node ?? 0
  switch (part) {
    case 'hosts': {
      const rows = transactions.hosts.slice(after, limit)
      const last = rows.length < limit ? undefined : rows.at(-1)?.ip
      return { records: compact(rows.map(({ ip, held }) => recordOfHost(ip, held))), last }
    }
    case 'removed': {
      const rows = transactions.removed.slice(after, limit)
      const last = rows.length < limit ? undefined : rows.at(-1)?.key
      const records = rows.map(({ key, marks }) => recordOfRemoved(transactions, removedKeyOf(key), marks))
      return { records: compact(records), last }
    }
    case 'spamtraps': {
      const rows = transactions.spamtraps.slice(after, limit)
      const last = rows.length < limit ? undefined : rows.at(-1)?.address
      return { records: compact(rows.map(({ address, held }) => recordOfSpamtrap(address, held))), last }
    }
    case 'pools': {
      const rows = transactions.pools.slice(after, limit)
      const last = rows.length < limit ? undefined : rows.at(-1)?.ip
      return {
        records: compact(rows.map((entry) => recordOfPool(entry.ip, { entry, reset: undefined }))),
        last,
      }
    }
    case 'releases': {
      // Few by their nature.
      const rows = transactions.releases.all()
      return { records: compact(rows.map((held) => recordOfRelease(held.entry.id, held))), last: undefined }
    }
    case 'tuples': {
      const rows = transactions.tuples.slice(after === '' ? undefined : parseTuple(after), limit)
      const end = rows.length < limit ? undefined : rows.at(-1)?.entry
      const records = rows.map((held) => recordOfTuple(held.entry!, held, node))
      return { records: compact(records), last: end && tupleText(end) }
    }
  }
}

function recordOfRemoved(transactions: Transactions, key: EntryKey, bytes: Buffer): MergeRecord | undefined {
  const { nodes } = transactions.journal
  switch (key.kind) {
    case 'host':
      return recordOfHost(key.ip, { entry: undefined, marks: decodeHostMarks(bytes, nodes) })
    case 'spamtrap':
      return recordOfSpamtrap(key.address, { entry: undefined, stamp: decodeStamp(bytes, nodes) })
    case 'tuple':
      return recordOfTuple(key, { entry: undefined, marks: { epoch: decodeStamp(bytes, nodes) } }, 0)
    case 'pool':
      return recordOfPool(key.ip, { entry: undefined, reset: decodeStamp(bytes, nodes) })
  }
}

function compact(records: readonly (MergeRecord | undefined)[]): MergeRecord[] {
  return records.filter((record) => record !== undefined)
}

function parseTuple(text: string): Tuple {
  const [ip = '', helo = '', from = '', to = ''] = text.split('\0')
  return { ip, helo, from, to }
}

function formatCursor(part: Part, key: string): ScanCursor {
  return `${part},${Buffer.from(key, 'latin1').toString('base64')}`
}

function parseCursor(cursor: ScanCursor): { part: Part; key: string } {
  const [name, key = ''] = cursor.split(',')
  const part = PARTS.find((candidate) => candidate === name)
  if (part === undefined) throw new TypeError(`not a cursor of records: ${cursor}`)
  return { part, key: Buffer.from(key, 'base64').toString('latin1') }
}

/** See `Store.dropOldMarks`. */
export function dropOldMarks(
  connection: Connection,
  transactions: Transactions,
  options: {
    after: ScanCursor | undefined
    limit: number
    lives: MarkLives
    now: number
  },
): { droppedCount: number; next: ScanCursor | undefined } {
  const { after, limit, lives, now } = options
  const { removed, journal } = transactions
  const { rows, old } = connection.read('dropOldMarks', () => {
    const found = removed.slice(after === undefined ? '' : parseCursor(after).key, limit)
    return {
      rows: found,
      old: found.filter(({ key, marks }) => {
        const { kind } = removedKeyOf(key)
        const stamp =
          kind === 'host' ? decodeHostMarks(marks, journal.nodes)?.reset : decodeStamp(marks, journal.nodes)
        return stamp === undefined || stamp.time / 1000 <= oldMarkSec(kind, lives, now)
      }),
    }
  })
  // In between, one of them may have been replaced by a newer one: only unchanged ones are removed.
  if (old.length > 0) {
    connection.write('dropOldMarks', () => {
      for (const { key, marks } of old) {
        if (removed.get(key)?.equals(marks) === true) removed.delete(key)
      }
    })
  }
  const end = rows.length < limit ? undefined : rows.at(-1)?.key
  return { droppedCount: old.length, next: end === undefined ? undefined : formatCursor('removed', end) }
}
