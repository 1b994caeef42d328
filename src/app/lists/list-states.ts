/** `spamdctl lists`: what is known of every list of spamd.conf. */

import { ListStore } from '../../feeds/list-store.js'
import { notBefore, pastSec } from '../../feeds/pace.js'
import type { UnixSec } from '../../platform/clock.js'
import type { Configuration } from './configured-list.js'
import type { ListSource } from './list-source.js'

/** The state of one list; times are undefined where nothing is known. */
export interface ListState {
  name: string
  colour: 'black' | 'white' | 'unknown'
  /** Undefined when its record is broken. */
  source: ListSource | undefined
  /** Of the last good copy. */
  entries: number | undefined
  /** When the content was last known to be current. */
  lastSuccessSec: UnixSec | undefined
  lastTrySec: UnixSec | undefined
  /** Error of the last attempt, if it failed. */
  lastError: string | undefined
  /** When the source may be requested again; undefined: now. */
  nextFetchSec: UnixSec | undefined
}

/** The state of every list, in the order of `all`, each name once. Reads only. */
export async function readListStates(
  configuration: Configuration,
  stateDir: string,
  nowSec: UnixSec,
): Promise<ListState[]> {
  const store = new ListStore(stateDir)
  const states = new Map<string, ListState>()
  for (const { name, colour, source } of configuration.lists) {
    if (states.has(name)) continue
    const facts = await store.readCopyFacts(name)
    const state = await store.readState(name)
    states.set(name, {
      name,
      colour,
      source,
      entries: facts?.entries,
      lastSuccessSec: pastSec(state?.lastSuccessSec, nowSec) ?? pastSec(facts?.fetchedSec, nowSec),
      lastTrySec: pastSec(state?.lastTrySec, nowSec),
      lastError: state?.failure?.reason,
      nextFetchSec: source === undefined ? undefined : notBefore(source, state, nowSec),
    })
  }
  return [...states.values()]
}
