/**
 * `spamdctl allow`: each command stores first, and then fills the packet filter's table from the database.
 */
import { type AllowSource, allowStateOf, isAllowedNetwork, MAX_ALLOW_SOURCES } from '../../domain/allow.js'
import type { Firewall } from '../../firewall/backend.js'
import { AppError } from '../../platform/app-error.js'
import type { DnsClient } from '../../platform/dns-client.js'
import { useDatabase } from '../database/open-database.js'
import { type AllowStore, editsOf, fillAllowTable, planSync, type SourceChange } from './sync-sources.js'
import { walkDomain } from './walk-domain.js'

export interface AllowParts {
  dbPath: string
  nowSec: number
  /** Who gave the command, for the history. */
  actor: string | undefined
  /** Undefined when there is no table to fill. */
  firewall: Firewall | undefined
  /** Queried for networks of domains. */
  dns: Pick<DnsClient, 'run'>
}

export interface AllowRun {
  changes: SourceChange[]
  /** Networks in the table now; undefined when it was not changed. */
  tableCount: number | undefined
}

/**
 * Adds a source, or replaces one of the same name, with its networks; a dry run stores nothing. A domain that cannot be looked up at
 * the moment is stored anyway; one that names too many networks, or none, is refused: `ERR_ALLOW`.
 */
export async function addAllowed(
  wanted: Pick<AllowSource, 'name' | 'expire' | 'comment'>,
  parts: AllowParts,
  { isDryRun }: { isDryRun: boolean },
): Promise<AllowRun> {
  const { dbPath, nowSec, actor, dns } = parts
  const { changes, sources } = await useDatabase(dbPath, isDryRun ? 'read' : 'write', async (store) => {
    const known = await store.readAllowed()
    const before = known.find(({ name }) => name === wanted.name)
    if (before === undefined && known.length >= MAX_ALLOW_SOURCES) {
      throw new AppError('ERR_ALLOW', `${MAX_ALLOW_SOURCES} exceptions are stored; no more can be added`, {
        hint: 'remove one with "spamdctl allow remove"',
      })
    }
    const source = sourceOf(wanted, before, nowSec)
    const [change] = await planSync([source], (domain) => walkDomain(dns, domain), nowSec)
    if (change!.failure !== undefined && !change!.isPassing) {
      throw new AppError('ERR_ALLOW', `cannot allow ${wanted.name}: ${change!.failure}`, {
        hint: 'name its networks instead, such as spamdctl allow add 192.0.2.0/24',
      })
    }
    if (before === undefined && isAllowedNetwork(wanted.name)) change!.added.push(wanted.name)
    if (!isDryRun) await store.editAllowed([{ operation: 'put', source: change!.source }], nowSec, actor)
    return { changes: [change!], sources: await store.readAllowed() }
  })
  return { changes, tableCount: isDryRun ? undefined : await fillAllowTable(parts.firewall, sources, nowSec) }
}

/** The source as stored before its domain is looked up; values that are not given keep their old value. */
function sourceOf(
  wanted: Pick<AllowSource, 'name' | 'expire' | 'comment'>,
  before: AllowSource | undefined,
  nowSec: number,
): AllowSource {
  const comment = wanted.comment ?? before?.comment
  const { first, checked, networks } = before ?? { first: nowSec, checked: 0, networks: [] }
  const isNetwork = isAllowedNetwork(wanted.name)
  return {
    first,
    checked: isNetwork ? nowSec : checked,
    networks: isNetwork ? [wanted.name] : networks,
    ...wanted,
    ...(comment === undefined ? {} : { comment }),
  }
}

/** Removes sources; unknown names are returned, and nothing is removed then. */
export async function removeAllowed(
  names: readonly string[],
  parts: AllowParts,
): Promise<AllowRun & { missing: string[] }> {
  const { dbPath, nowSec, actor } = parts
  const { missing, changes, sources } = await useDatabase(dbPath, 'write', async (store) => {
    const known = await store.readAllowed()
    const unknown = names.filter((name) => !known.some((source) => source.name === name))
    if (unknown.length > 0) return { missing: unknown, changes: [], sources: known }
    const gone = known.filter(({ name }) => names.includes(name))
    await store.editAllowed(
      gone.map(({ name }) => ({ operation: 'remove', name })),
      nowSec,
      actor,
    )
    return { missing: [], changes: gone.map(asRemoved), sources: await store.readAllowed() }
  })
  if (missing.length > 0) return { missing, changes, tableCount: undefined }
  return { missing, changes, tableCount: await fillAllowTable(parts.firewall, sources, nowSec) }
}

function asRemoved(source: AllowSource): SourceChange {
  return {
    source,
    added: [],
    removed: [...source.networks],
    failure: undefined,
    isPassing: false,
    isEnded: true,
    hasClientTerms: false,
  }
}

/** Looks all domains up again, unless `isOffline`, and fills the table. */
export async function syncAllowed(
  { isDryRun, isOffline }: { isDryRun: boolean; isOffline: boolean },
  parts: AllowParts,
): Promise<AllowRun> {
  const { dbPath, nowSec, dns } = parts
  const walk = isOffline ? undefined : (domain: string) => walkDomain(dns, domain)
  const { changes, sources } = await useDatabase(dbPath, isDryRun ? 'read' : 'write', async (store) => {
    const planned = await planSync(await store.readAllowed(), walk, nowSec)
    if (!isDryRun) await storePlan(store, planned, parts)
    return { changes: planned, sources: await store.readAllowed() }
  })
  return { changes, tableCount: isDryRun ? undefined : await fillAllowTable(parts.firewall, sources, nowSec) }
}

/** A source that was removed during the DNS queries stays removed; a new end or note is kept too. */
async function storePlan(
  store: AllowStore,
  changes: readonly SourceChange[],
  { nowSec, actor }: AllowParts,
): Promise<void> {
  const stored = new Map((await store.readAllowed()).map((source) => [source.name, source]))
  const edits = editsOf(
    changes.flatMap((change) => {
      const source = stored.get(change.source.name)
      if (source === undefined || change.isEnded !== (allowStateOf(source, nowSec) === 'ended')) return []
      const { networks, checked } = change.source
      return [{ ...change, source: { ...source, networks, checked } }]
    }),
  )
  if (edits.length > 0) await store.editAllowed(edits, nowSec, actor)
}
