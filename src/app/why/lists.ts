/** Which lists of spamd.conf contain an address, where in their last good copies, and what excludes it. */

import { ListStore } from '../../feeds/list-store.js'
import { AppError } from '../../platform/app-error.js'
import type { UnixSec } from '../../platform/clock.js'
import type { Settings } from '../../platform/settings.js'
import { type CopyLine, findCopyLines } from '../lists/line-index.js'
import type { ListSource } from '../lists/list-source.js'
import { readConfiguration } from '../lists/read-configuration.js'

export interface ListReason {
  source: ListSource
  /** When the copy was received. */
  fetchedSec: UnixSec
  /** Lines that name the address, in their order; those marked as exclusions take it out. */
  lines: CopyLine[]
  /** White lists behind this black one that hold the address, so that it is not blocked. */
  cutOutBy: string[]
  /** The address is in the black list, and nothing takes it out. */
  isBlocking: boolean
}

/** Black and white lists that name the canonical address, in the order of `all`. Damaged copies are left out. */
export async function findListReasons(settings: Settings, canonicalIp: string): Promise<ListReason[]> {
  const configuration = await readConfiguration(settings.conf)
  const store = new ListStore(settings.stateDir)
  const reasons: ListReason[] = []
  let black: ListReason | undefined
  for (const { source } of configuration.lists) {
    if (source === undefined) continue
    if (source.colour === 'black') black = undefined
    const lines = await linesOf(source, settings.stateDir, canonicalIp)
    if (lines.length === 0) continue
    const fetchedSec = (await store.readCopyFacts(source.name))?.fetchedSec ?? 0
    const holds = !lines.some(({ isExclusion }) => isExclusion)
    const reason: ListReason = {
      source,
      fetchedSec,
      lines,
      cutOutBy: [],
      isBlocking: source.colour === 'black' && holds,
    }
    reasons.push(reason)
    if (source.colour === 'black') black = reason
    else if (black !== undefined && holds) {
      black.cutOutBy.push(source.name)
      black.isBlocking = false
    }
  }
  return reasons
}

async function linesOf(source: ListSource, stateDir: string, canonicalIp: string): Promise<CopyLine[]> {
  try {
    return (await findCopyLines(source, stateDir, canonicalIp)) ?? []
  } catch (error) {
    if (error instanceof AppError) return []
    throw error
  }
}
