import { ConfigLineDecoder, type ReceivedList } from '../../codec/config-line/config-line-decoder.js'
import type { WireText } from '../../domain/entry.js'
import type { IpRangeSet } from '../../ip/ip-range-set.js'
import { setOfPrefixesInSteps } from '../../ip/prefix-ranges.js'
import { readLoadedLines } from './loaded-lists.js'

/** A list as spamd-setup last delivered it. */
export interface DeliveredList {
  name: WireText
  message: WireText
  set: IpRangeSet
  entryCount: number
}

/**
 * The block lists that spamd-setup delivered last, in their order, from its state folder: what spamd loads
 * after a restart. None when nothing was ever delivered. Rejects when the folder cannot be read. `drive` runs
 * a step of the work to its end: a daemon processes other events in between.
 */
export async function readDeliveredLists(
  stateDir: string,
  drive: <Result>(work: Iterator<unknown, Result>) => Result | Promise<Result> = runToEnd,
): Promise<DeliveredList[]> {
  const lists: DeliveredList[] = []
  let received: ReceivedList[] = []
  const decoder = new ConfigLineDecoder((line) => {
    if (line.kind === 'replace') received.push(line)
  })
  const takeReceived = async (): Promise<void> => {
    for (const { name, message, entryCount, ipv4, ipv6 } of received) {
      lists.push({ name, message, entryCount, set: await drive(setOfPrefixesInSteps(ipv4, ipv6)) })
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

function runToEnd<Result>(work: Iterator<unknown, Result>): Result {
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
  }
}
