import type { ListNote } from '../../codec/lists/list-lines.js'
import type { UnixSec } from '../../platform/clock.js'
import type { Problem } from './configured-list.js'
import type { ListSource } from './list-source.js'
import type { SettledStatus, SourceFailure } from './settled-source.js'

/** What a run did with one list of `all`. */
export interface ListReport {
  name: string
  colour: 'black' | 'white' | 'unknown'
  /** Undefined when its record is broken. */
  source: ListSource | undefined
  status: SettledStatus
  wasAsked: boolean
  /** Accepted lines of the content in use; undefined when there is none. */
  entries: number | undefined
  unknownLines: number
  firstUnknown: { line: number; excerpt: string } | undefined
  notes: readonly ListNote[]
  /** When the content in use was last known to be current. */
  currentSec: UnixSec | undefined
  failure: SourceFailure | undefined
  problems: Problem[]
}

/** How many networks come, go and stay. */
export interface Change {
  added: number
  removed: number
  unchanged: number
}

/** What becomes of a black list, exceptions taken out. */
export interface CombinedReport {
  name: string
  /** `held`: left as it was, because of the lists named in `heldBy`. */
  outcome: 'sent' | 'cleared' | 'held' | 'not sent'
  heldBy: string[]
  cidrs: { ipv4: number; ipv6: number } | undefined
  /** With -n: against what was last sent. */
  change: Change | undefined
}

/** A list that is no longer in spamd.conf. */
export interface ListToClear {
  name: string
  /** Networks that it has; undefined when that is not known. */
  networks: number | undefined
}

/** What happened to the table of the packet filter. */
export interface TableReport {
  /** `the firewall in words`. */
  firewall: string
  outcome: 'replaced' | 'as wanted' | 'left alone' | 'failed'
  cidrs: { ipv4: number; ipv6: number } | undefined
  change: Change | undefined
}

/** What a run did, for people and for `--json`. */
export interface RefreshReport {
  lists: ListReport[]
  combined: CombinedReport[]
  /** Lists that vanished from spamd.conf and were cleared. */
  cleared: string[]
  /** With -n: lists that vanished from spamd.conf and would be cleared. */
  toClear: ListToClear[]
  table: TableReport | undefined
  /** Everything that was told, in order. */
  problems: Problem[]
  startedSec: UnixSec
  exitCode: 0 | 1
}

/**
 * Receives what happens during a run, for progress and messages; all in the order of `all` except
 * `onProgress`.
 */
export interface RefreshObserver {
  onProgress(list: { name: string }, receivedBytes: number): void
  onList(report: ListReport): void
  onProblem(problem: Problem): void
  /** What a command that succeeded wrote to standard error, one character a byte. */
  onMessages(text: string): void
}
