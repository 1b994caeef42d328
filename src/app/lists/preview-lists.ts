/** What a real run of spamd-setup would change, for -n. */
import { countCidrs } from '../../ip/cidr-text.js'
import { EMPTY_SET, type IpRangeSet } from '../../ip/ip-range-set.js'
import type { CombinedList } from './combine-lists.js'
import { countChange } from './count-change.js'
import type { LoadedLists } from './loaded-lists.js'
import type { Change, CombinedReport, ListToClear } from './refresh-report.js'

interface PreviewParts {
  wantsChanges: boolean
  wantsCounts: boolean
  /** Lists that spamd.conf no longer names stay. */
  keepsVanished: boolean
  openLoaded(): Promise<LoadedLists>
}

/** What would be sent. */
export async function previewLists(
  combined: readonly CombinedList[],
  { wantsChanges, wantsCounts, openLoaded }: PreviewParts,
): Promise<CombinedReport[]> {
  const reports: CombinedReport[] = []
  for (const { name, set, heldBy } of combined) {
    const canCount = wantsChanges && set !== undefined
    reports.push({
      name,
      outcome: set === undefined ? 'held' : 'not sent',
      heldBy,
      cidrs: set === undefined || !wantsCounts ? undefined : countCidrs(set),
      change: canCount ? await changeOf(name, set, openLoaded) : undefined,
    })
  }
  return reports
}

/** The lists that a real run would clear because spamd.conf no longer names them. */
export async function previewClearing(
  combined: readonly CombinedList[],
  parts: PreviewParts,
): Promise<ListToClear[]> {
  const { vanishedLists } = await import('./loaded-lists.js')
  const loaded = await parts.openLoaded()
  const named = new Set(combined.map((list) => list.name))
  const toClear: ListToClear[] = []
  for (const name of vanishedLists(loaded.index, named, parts)) {
    const set = await loaded.readSet(name)
    const cidrs = set === undefined ? undefined : countCidrs(set)
    toClear.push({ name, networks: cidrs && cidrs.ipv4 + cidrs.ipv6 })
  }
  return toClear
}

async function changeOf(
  name: string,
  set: IpRangeSet,
  openLoaded: PreviewParts['openLoaded'],
): Promise<Change> {
  const before = await (await openLoaded()).readSet(name)
  return countChange(before ?? EMPTY_SET, set)
}
