import { readLoadedLines } from '../app/loaded-lists.js'
import { ConfigLineDecoder } from '../codec/config-line-decoder.js'
import { setOfPrefixes } from '../ip/prefix-ranges.js'
import type { SavedList } from './spamd-service.js'

/**
 * The block lists that spamd-setup delivered last, in their order, from its state folder: what spamd has again
 * after a restart. None when nothing was ever delivered. Rejects when the folder cannot be read.
 */
export async function loadSavedLists(stateDir: string): Promise<SavedList[]> {
  const lists: SavedList[] = []
  const decoder = new ConfigLineDecoder((line) => {
    if (line.kind !== 'replace') return
    const { name, message, entryCount } = line
    lists.push({ name, message, entryCount, set: setOfPrefixes(line.ipv4, line.ipv6) })
  })
  for await (const chunk of readLoadedLines(stateDir)) decoder.push(chunk)
  decoder.end()
  return lists
}
