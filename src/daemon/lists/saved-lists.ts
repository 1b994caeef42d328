import { readLoadedLines } from '../../app/lists/loaded-lists.js'
import { ConfigLineDecoder, type ReceivedList } from '../../codec/config-line/config-line-decoder.js'
import type { WireText } from '../../domain/entry.js'
import type { IpRangeSet } from '../../ip/ip-range-set.js'
import { setOfPrefixesInSteps } from '../../ip/prefix-ranges.js'
import { runInSlices } from '../run-in-slices.js'

/** A list as spamd-setup last delivered it. */
export interface SavedList {
  name: WireText
  message: WireText
  set: IpRangeSet
  entryCount: number
}

/**
 * The block lists that spamd-setup delivered last, in their order, from its state folder: what spamd has again
 * after a restart. None when nothing was ever delivered. Rejects when the folder cannot be read.
 */
export async function loadSavedLists(stateDir: string): Promise<SavedList[]> {
  const lists: SavedList[] = []
  let received: ReceivedList[] = []
  const decoder = new ConfigLineDecoder((line) => {
    if (line.kind === 'replace') received.push(line)
  })
  const takeReceived = async (): Promise<void> => {
    for (const { name, message, entryCount, ipv4, ipv6 } of received) {
      lists.push({ name, message, entryCount, set: await runInSlices(setOfPrefixesInSteps(ipv4, ipv6)) })
    }
    received = []
  }
  for await (const chunk of readLoadedLines(stateDir)) {
    decoder.push(chunk)
    await takeReceived()
  }
  decoder.end()
  await takeReceived()
  return lists
}
