import type { Sighting, SightingOutcome } from '../db/store.js'

/** What the database thread is asked, one at a time. */
export type StoreWorkerRequest =
  | { call: 'open'; path: string; busyTimeoutMs: number }
  | {
      call: 'recordSightings'
      sightings: readonly Sighting[]
      options: { whiteExpireSec: number; untrap: boolean }
      now: number
    }
  | { call: 'close' }

/** Its answer; errors lose their class on the way between threads. */
export type StoreWorkerAnswer =
  | { ok: true; outcomes: SightingOutcome[] }
  | { ok: false; error: { code: string; message: string; hint: string | undefined } }
