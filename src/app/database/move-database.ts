/** Moving a database between a file and a server, or between two of either: entries with their stamps, compared afterwards. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { readAhead } from '../../db/read-ahead.js'
import type { RecordSlice, Store } from '../../db/store.js'
import type { MergeOutcome, MergeRecord } from '../../domain/decide-merge.js'
import { ENTRY_KINDS } from '../../domain/entry.js'
import { AppError } from '../../platform/app-error.js'
import { RecordDigest } from './record-digest.js'

/** What was moved, and what was left because it has expired. */
export interface MoveReport {
  addresses: number
  tuples: number
  spamtraps: number
  pools: number
  releases: number
  /** Sources of `spamdctl allow`. */
  exceptions: number
  /** Entries and marks of deletions that are no longer needed, and tuples of addresses that are WHITE. */
  left: number
  /** Of what was moved, the same in both databases. */
  digest: string
}

const SLICE = 5000
/** A database being moved has no limits: the daemons enforce theirs later. */
const POLICY = { passSec: 0, maxTuples: 2 ** 40, maxTuplesPerAddress: 2 ** 40, maxTupleBytes: 2 ** 50 }
const NAMES = {
  host: 'addresses',
  tuple: 'tuples',
  spamtrap: 'spamtraps',
  pool: 'pools',
  release: 'releases',
} as const

/**
 * Copies everything from one store into an empty one in slices, and compares the result; of the history only
 * its settings. The first is not changed. Throws `AppError`: `ERR_MOVE_NOT_EMPTY`, `ERR_MOVE_CLOCK` for
 * entries from more than five minutes in the future, `ERR_MOVE_DIFFERS`, and the codes of `Store`.
 */
export async function moveDatabase(from: Store, to: Store, nowSec: number): Promise<MoveReport> {
  const counts = await to.count({ kinds: ENTRY_KINDS })
  const isTaken = Object.values(counts).some((count) => count > 0) || (await to.readAllowed()).length > 0
  if (isTaken) {
    throw new AppError('ERR_MOVE_NOT_EMPTY', `${to.location} holds entries already`, {
      hint: 'use a database that "spamdctl init-db" has just created',
    })
  }
  const report = { addresses: 0, tuples: 0, spamtraps: 0, pools: 0, releases: 0, exceptions: 0, left: 0 }
  const sent = new RecordDigest(nowSec)
  // One slice is read and one is stored while the one before is added to the digest.
  const stored = readAhead(mergedInto(to, readAhead(slicesOf(from)), nowSec))
  for await (const { records, outcomes } of stored) {
    for (const [index, record] of records.entries()) {
      const outcome = outcomes[index]
      if (outcome === 'ahead') throw aheadError(from)
      if (outcome === 'unchanged' || !sent.add(record)) report.left += 1
      else report[NAMES[record.kind]] += 1
    }
  }
  const found = new RecordDigest(nowSec)
  for await (const records of readAhead(slicesOf(to))) for (const record of records) found.add(record)
  if (found.text !== sent.text || found.count !== sent.count) {
    throw new AppError(
      'ERR_MOVE_DIFFERS',
      `${to.location} does not hold the entries that were sent: ${found.count} instead of ${sent.count}, digest ${found.text} instead of ${sent.text}`,
      { hint: 'stop the programs that use either database, empty the second one and start again' },
    )
  }
  report.exceptions = await moveExceptions(from, to, nowSec)
  await to.saveHistorySettings(await from.historySettings())
  return { ...report, digest: sent.text }
}

/** They are not entries and have no stamps: each is stored unchanged. */
async function moveExceptions(from: Store, to: Store, nowSec: number): Promise<number> {
  const sources = await from.readAllowed()
  if (sources.length === 0) return 0
  await to.editAllowed(
    sources.map((source) => ({ operation: 'put', source })),
    nowSec,
  )
  const stored = await to.readAllowed()
  if (JSON.stringify(stored) === JSON.stringify(sources)) return sources.length
  throw new AppError('ERR_MOVE_DIFFERS', `${to.location} does not hold the exceptions that were sent`, {
    hint: 'stop the programs that use either database, empty the second one and start again',
  })
}

async function* mergedInto(
  to: Store,
  slices: AsyncIterable<MergeRecord[]>,
  nowSec: number,
): AsyncGenerator<{ records: MergeRecord[]; outcomes: MergeOutcome[] }, void, undefined> {
  for await (const records of slices) {
    const { outcomes } = await to.merge(records, { policy: POLICY, isMove: true }, nowSec)
    yield { records, outcomes }
  }
}

async function* slicesOf(store: Store): AsyncGenerator<MergeRecord[], void, undefined> {
  let cursor: RecordSlice['next']
  do {
    const { records, next } = await store.listRecords(cursor, SLICE)
    if (records.length > 0) yield records
    await nextTurn()
    cursor = next
  } while (cursor !== undefined)
}

function aheadError({ location }: Store): AppError {
  return new AppError(
    'ERR_MOVE_CLOCK',
    `${location} holds entries dated more than five minutes in the future`,
    {
      hint: 'set the clock of this machine, or wait until then',
    },
  )
}
