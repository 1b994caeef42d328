/** What the readers of import text share. */
import type { EntryLine } from './spamdb-text.js'

/** The current time and the lifetimes that text of other software does not contain, in seconds. */
export interface ImportTimes {
  nowSec: number
  passSec: number
  greySec: number
  whiteSec: number
}

export type ImportedLine =
  | { type: 'entry'; entry: EntryLine }
  /** The comment of the preceding entry, escaped. */
  | { type: 'comment'; text: string }
  /** A domain to be added to the file of allowed domains. */
  | { type: 'domain'; domain: string }
  /** Well-formed but not imported: already expired, or never let through. */
  | { type: 'skipped' }
  | { type: 'nothing' }
  | { type: 'bad'; reason: string }
