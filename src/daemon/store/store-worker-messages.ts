import type { OpenStoreOptions } from '../../db/open-store.js'
import type { MergePolicy, Store } from '../../db/store.js'
import type { ErrorCode } from '../../platform/error-codes.js'

/** Calls of the store that a daemon makes; their arguments and results can be copied between threads. */
export const DAEMON_STORE_CALLS = [
  'get',
  'readJournal',
  'recordSightings',
  'recordAttempts',
  'recordFindings',
  'beginScan',
  'readScanSlice',
  'applyScan',
  'applySync',
  'merge',
  'readRecords',
  'syncState',
  'saveSyncPeers',
  'journalPosition',
  'saveJournalPosition',
  'dropOldMarks',
  'readClock',
  'stampsAhead',
  'tupleCount',
  'addCounts',
] as const
export type DaemonStoreCall = (typeof DAEMON_STORE_CALLS)[number]

/**
 * Calls whose changes stay in the thread: daemons read them from the journal, and copying them costs as much as deciding
 * them.
 */
export const CALLS_WITH_OUTCOMES_ONLY = [
  'recordSightings',
  'recordAttempts',
  'recordFindings',
  'applySync',
] as const satisfies readonly DaemonStoreCall[]
type CallWithOutcomesOnly = (typeof CALLS_WITH_OUTCOMES_ONLY)[number]

/** What the daemons need of the database. */
export type DaemonStore = Pick<
  Store,
  'location' | 'close' | Exclude<DaemonStoreCall, CallWithOutcomesOnly>
> & {
  [Call in CallWithOutcomesOnly]: (
    ...parameters: Parameters<Store[Call]>
  ) => Promise<Pick<Awaited<ReturnType<Store[Call]>>, 'outcomes'>>
}

/** How the daemons open it; `onSlowCall` is called through a message. */
export type WorkerStoreOptions = Omit<OpenStoreOptions, 'onSlowCall' | 'onNotice' | 'onAlarm'> & {
  /** With a database on a server: how the gateway works alone while the server is unreachable. */
  gateway?: { localPath: string; policy: MergePolicy; name: string }
  /** With a file: `onAlarm` is called within half a second after any program made a change that the journal records. */
  tellsChanges?: boolean
}

/** What the database thread is asked, one at a time. */
export type StoreWorkerRequest =
  | { call: 'open'; path: string; options: WorkerStoreOptions }
  | { [Call in DaemonStoreCall]: { call: Call; parameters: Parameters<Store[Call]> } }[DaemonStoreCall]
  | { call: 'close' }

/** Its answer, or word of a slow call in between; errors lose their class on the way between threads. */
export type StoreWorkerMessage =
  | { kind: 'result'; result: unknown }
  | {
      kind: 'error'
      error: { code: ErrorCode; message: string; hint: string | undefined; errno: string | undefined }
    }
  | { kind: 'slow'; call: string; durationMs: number }
  /** What an administrator should know of the server, and since when the gateway is alone. */
  | { kind: 'notice'; text: string }
  /** This program or another one may have changed something. */
  | { kind: 'alarm' }
  | { kind: 'alone'; sinceSec: number | undefined }
