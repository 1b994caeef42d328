/** Updates the networks of all sources, and the packet filter's table with them. */
import type { Store } from '../../db/store.js'
import { type AllowEdit, type AllowSource, allowStateOf, isAllowedNetwork } from '../../domain/allow.js'
import type { Firewall, TableSpec } from '../../firewall/backend.js'
import { allowContent } from './allow-health.js'
import type { DomainNetworks } from './walk-domain.js'

/** The table that the rules let bypass spamd, besides the administrator's own `nospamd`. */
export const ALLOW_TABLE: TableSpec = { name: 'spamd-allow', content: 'networks' }

/** Number of domains looked up at a time. */
const AT_A_TIME = 8

/** What became of one source. */
export interface SourceChange {
  /** As stored from now on; unchanged when it is removed. */
  source: AllowSource
  added: string[]
  removed: string[]
  /** Why its networks were not updated; the previous ones stay in force. Escape it. */
  failure: string | undefined
  /** The failure may be temporary. */
  isPassing: boolean
  /** Its own time is over. */
  isEnded: boolean
  hasClientTerms: boolean
}

/** Looks every domain up; without `walk` only removes expired sources. Stores nothing. */
export async function planSync(
  sources: readonly AllowSource[],
  walk: ((domain: string) => Promise<DomainNetworks>) | undefined,
  nowSec: number,
): Promise<SourceChange[]> {
  const changes: SourceChange[] = []
  for (let at = 0; at < sources.length; at += AT_A_TIME) {
    const few = sources.slice(at, at + AT_A_TIME)
    changes.push(...(await Promise.all(few.map((source) => planSource(source, walk, nowSec)))))
  }
  return changes
}

async function planSource(
  source: AllowSource,
  walk: ((domain: string) => Promise<DomainNetworks>) | undefined,
  nowSec: number,
): Promise<SourceChange> {
  const change = {
    source,
    added: [],
    removed: [],
    failure: undefined,
    isPassing: false,
    isEnded: false,
    hasClientTerms: false,
  }
  if (allowStateOf(source, nowSec) === 'ended') {
    return { ...change, removed: [...source.networks], isEnded: true }
  }
  if (walk === undefined || isAllowedNetwork(source.name)) return change
  const found = await walk(source.name)
  if (!found.ok) return { ...change, failure: found.reason, isPassing: found.isPassing }
  const { networks, hasClientTerms } = found
  const [before, after] = [new Set(source.networks), new Set(networks)]
  return {
    ...change,
    source: { ...source, networks, checked: nowSec },
    added: networks.filter((network) => !before.has(network)),
    removed: source.networks.filter((network) => !after.has(network)),
    hasClientTerms,
  }
}

/** What must be stored from a plan: the networks found, and the end of expired sources. */
export function editsOf(changes: readonly SourceChange[]): AllowEdit[] {
  const edits: AllowEdit[] = []
  for (const { source, failure, isEnded } of changes) {
    if (isEnded) edits.push({ operation: 'remove', name: source.name })
    else if (failure === undefined && !isAllowedNetwork(source.name)) edits.push({ operation: 'put', source })
  }
  return edits
}

/**
 * Fills the table from the database, in one step; returns how many networks it has, undefined without a
 * packet filter.
 */
export async function fillAllowTable(
  firewall: Firewall | undefined,
  sources: readonly AllowSource[],
  nowSec: number,
): Promise<number | undefined> {
  if (firewall === undefined) return undefined
  const content = allowContent(sources, nowSec)
  await firewall.replaceTable(ALLOW_TABLE, content)
  return content.ipv4.count + content.ipv6.count
}

/** The parts of a store that exceptions need. */
export type AllowStore = Pick<Store, 'readAllowed' | 'editAllowed'>
