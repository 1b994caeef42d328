/** Counted since the start, for the statistics line and `spamdctl connections`. */
export interface GreylisterCounters {
  submitted: number
  recorded: number
  created: number
  repeated: number
  promoted: number
  /** Networks that pools opened or extended. */
  opened: number
  trapped: number
  /** Tuples without HELO: never recorded. */
  refused: number
  /** Attempts lost because the queue was full. */
  dropped: number
  /** Attempts whose client was answered before they were stored. */
  unstored: number
  /** Tuples removed to stay within the limits of the policy. */
  evicted: number
}

/** All zero. */
export function newGreylisterCounters(): GreylisterCounters {
  return {
    submitted: 0,
    recorded: 0,
    created: 0,
    repeated: 0,
    promoted: 0,
    opened: 0,
    trapped: 0,
    refused: 0,
    dropped: 0,
    unstored: 0,
    evicted: 0,
  }
}
