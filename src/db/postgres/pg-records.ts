/** Entries with their stamps on a server, as gateways tell them to one another: for the hand-over and for moving a database. */
import { type ChangeKey, keyText, tupleText } from '../../domain/change.js'
import { selectKey } from '../../domain/decide-edits.js'
import {
  type MergeRecord,
  recordOfHost,
  recordOfPool,
  recordOfRelease,
  recordOfSpamtrap,
  recordOfTuple,
} from '../../domain/decide-merge.js'
import { Draft, emptySelection } from '../../domain/draft.js'
import { type MarkLives, oldMarkSec } from '../../domain/old-marks.js'
import type { RecordSlice, ScanCursor } from '../store.js'
import type { Row } from './pg-link.js'
import { readReleases } from './pg-releases.js'
import { heldHostOfRow, heldPoolOfRow, heldSpamtrapOfRow, heldTupleOfRow } from './pg-rows.js'
import { HOST_COLUMNS, names, POOL_COLUMNS, SPAMTRAP_COLUMNS, TUPLE_COLUMNS } from './pg-schema.js'
import type { PgTransactions } from './pg-transactions.js'

const TEXTS = ['helo', 'sender', 'recipient'].map((column) => `convert_from(${column}, 'LATIN1')`).join(', ')
/** In this order, so that what an address is comes before its tuples. */
const PARTS = {
  hosts: `SELECT ip, ${names(HOST_COLUMNS)} FROM spamd.hosts WHERE ip > $1 ORDER BY ip LIMIT $2`,
  spamtraps: `SELECT convert_from(address, 'LATIN1'), ${names(SPAMTRAP_COLUMNS)} FROM spamd.spamtraps
    WHERE address > convert_to($1, 'LATIN1') ORDER BY address LIMIT $2`,
  pools: `SELECT network, ${names(POOL_COLUMNS)} FROM spamd.pools WHERE network > $1 ORDER BY network LIMIT $2`,
  tuples: `SELECT ip, digest, ${TEXTS}, ${names(TUPLE_COLUMNS)} FROM spamd.tuples
    WHERE ip >= $1 AND (ip, digest) > ($1, $2::uuid) ORDER BY ip, digest LIMIT $3`,
} as const
type Part = keyof typeof PARTS
/** Releases, which are few, come with the last pools, so that a reader without need of tuples can stop before them. */
const ORDER: readonly Part[] = ['hosts', 'spamtraps', 'pools', 'tuples']
const NO_DIGEST = '00000000-0000-0000-0000-000000000000'

/** See `Store.readRecords`. */
export async function readRecords(
  transactions: PgTransactions,
  keys: readonly ChangeKey[],
): Promise<MergeRecord[]> {
  const draft = new Draft(transactions.clock, 0)
  const selection = emptySelection()
  const wanted = new Map<string, ChangeKey>()
  for (const key of keys) {
    wanted.set(keyText(key), key)
    if (key.kind === 'release') selection.releases = true
    else selectKey(selection, key)
  }
  await transactions.link.read('readRecords', (statements) =>
    transactions.load(statements, selection, draft, { hosts: false, spamtraps: false }),
  )
  const records = [...wanted.values()].map((key) => recordOf(draft, key, transactions.node))
  return records.filter((record) => record !== undefined)
}

function recordOf(draft: Draft, key: ChangeKey, node: number): MergeRecord | undefined {
  switch (key.kind) {
    case 'host':
      return recordOfHost(key.ip, draft.host(key.ip))
    case 'pool':
      return recordOfPool(key.ip, draft.pool(key.ip))
    case 'release':
      return recordOfRelease(key.id, draft.release(key.id))
    case 'spamtrap':
      return recordOfSpamtrap(key.address, draft.spamtrap(key.address))
    case 'tuple':
      return recordOfTuple(key, draft.tuple(tupleText(key)), node)
  }
}

/** See `Store.listRecords`. */
export async function listRecords(
  transactions: PgTransactions,
  after: ScanCursor | undefined,
  limit: number,
): Promise<RecordSlice> {
  const [part, ...key] = after === undefined ? ['hosts'] : after.split(',')
  const name = ORDER.find((candidate) => candidate === part)
  if (name === undefined) throw new TypeError(`not a cursor of records: ${after}`)
  const texts = key.map((text) => Buffer.from(text, 'base64').toString('latin1'))
  const start = texts.length > 0 ? texts : name === 'tuples' ? ['', NO_DIGEST] : ['']
  const rows = await transactions.link.readInOrder('listRecords', PARTS[name], [...start, limit], {
    isPage: true,
  })
  const records = rows
    .map((row) => recordOfRow(name, row, transactions.node))
    .filter((one) => one !== undefined)
  const last = rows.length < limit ? undefined : rows.at(-1)
  if (last !== undefined) {
    const end = last.slice(0, start.length) as string[]
    return {
      records,
      next: [name, ...end.map((text) => Buffer.from(text, 'latin1').toString('base64'))].join(','),
    }
  }
  const next = ORDER[ORDER.indexOf(name) + 1]
  if (name === 'pools') {
    const releases = await transactions.link.read('listRecords', readReleases)
    for (const held of releases) records.push(recordOfRelease(held.entry.id, held)!)
  }
  return { records, next }
}

function recordOfRow(part: Part, row: Row, node: number): MergeRecord | undefined {
  switch (part) {
    case 'hosts':
      return recordOfHost(row[0] as string, heldHostOfRow(row[0] as string, row, 1))
    case 'spamtraps':
      return recordOfSpamtrap(row[0] as string, heldSpamtrapOfRow(row[0] as string, row, 1))
    case 'pools':
      return recordOfPool(row[0] as string, heldPoolOfRow(row[0] as string, row, 1))
    case 'tuples': {
      const [ip, , helo, from, to] = row as [string, string, string, string, string]
      const tuple = { ip, helo, from, to }
      return recordOfTuple(tuple, heldTupleOfRow(tuple, row, 5), node)
    }
  }
}

const DROP_OLD_MARKS = {
  host: "DELETE FROM spamd.hosts WHERE (ip, net) IN (SELECT ip, net FROM spamd.hosts WHERE kind = '-' AND reset_at <= $1 LIMIT $2)",
  spamtrap:
    'DELETE FROM spamd.spamtraps WHERE address IN (SELECT address FROM spamd.spamtraps WHERE is_removed AND stamp_at <= $1 LIMIT $2)',
  tuple: `DELETE FROM spamd.tuples WHERE (ip, digest, net) IN
    (SELECT ip, digest, net FROM spamd.tuples WHERE is_removed AND epoch_at <= $1 LIMIT $2)`,
  pool: 'DELETE FROM spamd.pools WHERE network IN (SELECT network FROM spamd.pools WHERE is_removed AND reset_at <= $1 LIMIT $2)',
} as const

/** See `Store.dropOldMarks`; what is due is found by index, so that the cursor only says that there may be more. */
export async function dropOldMarks(
  transactions: PgTransactions,
  limit: number,
  lives: MarkLives,
  now: number,
): Promise<{ droppedCount: number; next: ScanCursor | undefined }> {
  return transactions.link.write('dropOldMarks', async (statements, _commit, { skewSec }) => {
    let droppedCount = 0
    for (const kind of ['host', 'spamtrap', 'tuple', 'pool'] as const) {
      const before = oldMarkSec(kind, lives, now + skewSec)
      const counting = `WITH gone AS (${DROP_OLD_MARKS[kind]} RETURNING 1) SELECT count(*) FROM gone`
      const [row] = await statements.rows(counting, [before * 1000 * 2048, limit])
      droppedCount += row![0] as number
    }
    return { droppedCount, next: droppedCount >= limit ? 'more' : undefined }
  })
}
