/** The answering side of a pull: the content of this gateway, read without changing anything. */
import {
  encodePullEnd,
  encodePullRecords,
  encodePullStart,
  MAX_REQUEST_BYTES,
  type PullRequest,
  parsePullRequest,
} from '../../codec/pull-stream.js'
import type { Store } from '../../db/store.js'
import { type ChangeKey, keyText } from '../../domain/change.js'
import { datedNow } from '../../domain/dated-ahead.js'
import type { MergeRecord } from '../../domain/decide-merge.js'
import { AppError } from '../../platform/app-error.js'

const JOURNAL_ROWS = 2000
const RECORDS = 1000
/** With more changes than this everything is sent: it takes no longer, and no list of keys is kept in memory. */
const MAX_CHANGED = 200_000

type ReadStore = Pick<Store, 'syncState' | 'readJournal' | 'readRecords' | 'listRecords' | 'stampsAhead'>

/** Reads the one line that the other side sends. `AppError` `ERR_PULL_REQUEST` for anything else. */
export async function readPullRequest(input: AsyncIterable<Uint8Array>): Promise<PullRequest> {
  let text = ''
  for await (const chunk of input) {
    text += Buffer.from(chunk).toString('latin1')
    if (text.includes('\n') || text.length > MAX_REQUEST_BYTES) break
  }
  const request = text.length > MAX_REQUEST_BYTES ? undefined : parsePullRequest(text.split('\n')[0]!)
  if (request !== undefined) return request
  throw new AppError('ERR_PULL_REQUEST', 'no request of "spamdctl pull" on standard input', {
    hint: 'this command is run by sshd for "spamdctl pull HOST"',
  })
}

/** Everything requested, as bytes for the other side. */
export async function* servePull(
  store: ReadStore,
  { positions }: PullRequest,
  nowSec: number,
): AsyncGenerator<Buffer> {
  const { node, newest } = await store.syncState()
  const position = positions.find(([known]) => known === node)?.[1]
  const keys = position === undefined ? undefined : await changedKeys(store, position)
  yield encodePullStart({ node: node ?? null, newest, nowSec, isWhole: keys === undefined })
  // While stamps do not follow the clock, it may be the one that is wrong.
  const isRight = (await store.stampsAhead('stay', nowSec)) === 0
  const told = (record: MergeRecord): MergeRecord[] => {
    const dated = isRight ? datedNow(record, nowSec, node ?? 0) : record
    return dated === undefined ? [] : [dated]
  }
  let count = 0
  for await (const records of keys === undefined ? allRecords(store) : recordsOf(store, keys)) {
    count += yield* encodePullRecords(records.flatMap(told))
  }
  yield encodePullEnd(count)
}

/** Keys that changed after a position; undefined when the journal cannot tell them one by one. */
async function changedKeys(store: ReadStore, position: number): Promise<ChangeKey[] | undefined> {
  const keys = new Map<string, ChangeKey>()
  for (let at = position; ; ) {
    const { rows, newest, isBehind } = await store.readJournal(at, JOURNAL_ROWS)
    if (isBehind) return undefined
    for (const { key } of rows) {
      if (key === undefined) return undefined
      keys.set(keyText(key), key)
    }
    at = rows.at(-1)?.seq ?? newest
    if (at >= newest) return [...keys.values()]
    if (keys.size > MAX_CHANGED) return undefined
  }
}

async function* recordsOf(store: ReadStore, keys: readonly ChangeKey[]): AsyncGenerator<MergeRecord[]> {
  for (let at = 0; at < keys.length; at += RECORDS)
    yield await store.readRecords(keys.slice(at, at + RECORDS))
}

async function* allRecords(store: ReadStore): AsyncGenerator<MergeRecord[]> {
  let cursor: string | undefined
  do {
    const { records, next } = await store.listRecords(cursor, RECORDS)
    yield records
    cursor = next
  } while (cursor !== undefined)
}
