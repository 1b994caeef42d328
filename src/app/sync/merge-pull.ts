/** The requesting side of a pull: merges what another gateway knows into this database. */
import { PullDecoder, type PullHeader, type PullRequest } from '../../codec/pull-stream.js'
import type { MergePolicy, Store, SyncPeer } from '../../db/store.js'
import { isAhead, type MergeRecord } from '../../domain/decide-merge.js'
import { KEEP_RESET_SEC } from '../../domain/times.js'
import { AppError } from '../../platform/app-error.js'

/** Number of records per transaction: large enough to be fast, small enough that mail does not wait. */
const BATCH_RECORDS = 2000

export interface PullReport {
  host: string
  /** False: only what changed since the last time. */
  isWhole: boolean
  /** Records that came. */
  read: number
  /** Of these, what was new here. */
  changed: number
  /** Skipped, because they are dated more than five minutes in our future. */
  ahead: number
  /** Of kinds unknown to this version. */
  unknown: number
}

type MergeStore = Pick<Store, 'syncState' | 'merge' | 'readClock'>

/** What to ask the other side for; with `isSince` only what is not known yet. */
export async function pullRequestOf(
  store: Pick<Store, 'syncState'>,
  { isSince }: { isSince: boolean },
): Promise<PullRequest> {
  const { node, peers } = await store.syncState()
  if (!isSince) return { positions: [] }
  const others = peers.filter((peer) => peer.node !== node)
  return { positions: others.map((peer) => [peer.node, peer.position]) }
}

/**
 * Merges an answer as it comes. What was merged is kept if the answer is incomplete, but counts as not
 * received; then rejects with `ERR_PULL_ANSWER`. `ERR_PULL_OLD`: this database was away for longer than marks
 * of deletions are kept.
 */
export async function mergePull(
  store: MergeStore,
  answer: AsyncIterable<Uint8Array>,
  options: { host: string; policy: MergePolicy; now: () => number },
): Promise<PullReport> {
  const { host, policy, now } = options
  const decoder = new PullDecoder()
  const report: PullReport = { host, isWhole: true, read: 0, changed: 0, ahead: 0, unknown: 0 }
  let header: PullHeader | undefined
  let waiting: MergeRecord[] = []
  const flush = async (peer?: SyncPeer): Promise<void> => {
    const { outcomes } = await store.merge(waiting, { policy, actor: host, peer }, now())
    report.changed += outcomes.filter((outcome) => outcome === 'applied').length
    waiting = []
  }
  for await (const chunk of answer) {
    const decoded = decoder.take(chunk)
    if (!decoded.ok) throw answerError(host, decoded.reason)
    for (const part of decoded.value) {
      if (part.kind === 'header') {
        header = part.header
        report.isWhole = header.isWhole
        await refuseOld(store, header, now())
      } else if (part.kind === 'records') {
        report.read += part.records.length
        report.unknown += part.unknownCount
        for (const record of part.records) {
          if (isAhead(record, now())) report.ahead += 1
          else waiting.push(record)
        }
        if (waiting.length >= BATCH_RECORDS) await flush()
      } else if (part.count !== report.read + report.unknown) throw answerError(host, 'cut')
    }
  }
  if (!decoder.isComplete || header === undefined) throw answerError(host, 'cut')
  await flush(reachedBy(header, report, now()))
  return report
}

/** Skipped records must be requested again: the position is not advanced then. */
function reachedBy(
  { node, newest }: PullHeader,
  { ahead, unknown }: PullReport,
  now: number,
): SyncPeer | undefined {
  if (node === null || ahead + unknown > 0) return undefined
  return { node, name: '', position: newest, newest, number: 0, heard: now }
}

/** Deletions are kept for this long: entries of an older database may have been deleted and forgotten. */
async function refuseOld(store: MergeStore, { node }: PullHeader, now: number): Promise<void> {
  const { newestSec } = await store.readClock(now)
  const { peers } = await store.syncState()
  const known = peers.find((peer) => peer.node === node)
  const seenSec = known === undefined || known.heard === 0 ? newestSec : known.heard
  if (newestSec === 0 || seenSec + KEEP_RESET_SEC > now) return
  const days = Math.floor((now - seenSec) / 86_400)
  throw new AppError(
    'ERR_PULL_OLD',
    `this database was last synchronised ${days} days ago: it can no longer be merged`,
    {
      hint: 'stop spamd, move the database away, run "spamdctl init-db" and pull again',
    },
  )
}

const REASONS: Readonly<Record<string, string>> = {
  format: 'the answer is not from "spamdctl serve-pull"',
  cut: 'the answer is incomplete',
  frame: 'the answer is damaged',
  records: 'the answer contains unreadable records',
}

function answerError(host: string, reason: string): AppError {
  return new AppError('ERR_PULL_ANSWER', `${host}: ${REASONS[reason] ?? reason}`, {
    hint:
      reason === 'format'
        ? `the ssh key of this host must run "spamdctl serve-pull" there, without a greeting; try: ssh ${host}`
        : undefined,
  })
}
