/** What the readers of import text share. */
import type { EntryLine } from './spamdb-text.js'

/** Now and the life times that foreign text does not hold, in seconds. */
export interface ImportTimes {
  nowSec: number
  passSec: number
  greySec: number
  whiteSec: number
}

export type ImportedLine =
  | { type: 'entry'; entry: EntryLine }
  /** The comment of the entry before it, escaped. */
  | { type: 'comment'; text: string }
  /** A domain for the file of allowed domains. */
  | { type: 'domain'; domain: string }
  /** Well-formed, and not worth keeping: already expired, or never let through. */
  | { type: 'skipped' }
  | { type: 'nothing' }
  | { type: 'bad'; reason: string }
