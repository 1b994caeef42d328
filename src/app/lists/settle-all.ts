import type { ConfiguredList } from './configured-list.js'
import type { SettleOptions } from './settle-options.js'
import { settleSource } from './settle-source.js'
import type { SettledSource } from './settled-source.js'

/** Sources asked at the same time: more than any catalogue offers, and few enough for a small gateway. */
const MAX_PARALLEL = 32

/** Settles each source once, however often its list is named, many at a time; lists without a source are left out. */
export async function settleAll(
  lists: readonly ConfiguredList[],
  options: SettleOptions,
): Promise<Map<ConfiguredList, SettledSource>> {
  const byName = new Map<string, Promise<SettledSource>>()
  const waiting: (() => void)[] = []
  let startedAtOnce = 0
  const limited = async (list: ConfiguredList): Promise<SettledSource> => {
    // All sources get here before the first one ends; each one that ends lets the next begin.
    if (startedAtOnce === MAX_PARALLEL) await new Promise<void>((resolve) => waiting.push(resolve))
    else startedAtOnce += 1
    try {
      return await settleSource(list.source!, options)
    } finally {
      waiting.shift()?.()
    }
  }
  for (const list of lists) {
    if (list.source !== undefined && !byName.has(list.name)) byName.set(list.name, limited(list))
  }
  const settled = new Map<ConfiguredList, SettledSource>()
  for (const list of lists) {
    const source = await byName.get(list.name)
    if (source !== undefined) settled.set(list, source)
  }
  return settled
}
