import { cidrChunks, countCidrs } from '../../ip/cidr-text.js'
import { type IpRangeSet, isEmptySet } from '../../ip/ip-range-set.js'
import { EMPTY_IPV4_SET } from '../../ip/ipv4-range-set.js'
import { EMPTY_IPV6_SET } from '../../ip/ipv6-range-set.js'
import { encodeClearLine, encodeConfigMessage, isConfigListName } from './config-line.js'

/**
 * The config line of a set, as `encodeConfigLine` writes it, in pieces of up to half a megabyte, so that a list of
 * millions is never in memory as text. An empty set gives the line that clears the list. A piece is overwritten by
 * the next one. Throws RangeError for a name that `isConfigListName` refuses.
 */
export function* configLineChunks(list: {
  name: string
  message: string
  set: IpRangeSet
}): Generator<Uint8Array> {
  const { name, message, set } = list
  if (isEmptySet(set) || !isConfigListName(name)) {
    yield encodeClearLine(name)
    return
  }
  const counts = countCidrs(set)
  yield Buffer.from(`${name};"${encodeConfigMessage(message)}"`, 'latin1')
  for (const [keyword, count, family] of [
    ['inet', counts.ipv4, { ipv4: set.ipv4, ipv6: EMPTY_IPV6_SET }],
    ['inet6', counts.ipv6, { ipv4: EMPTY_IPV4_SET, ipv6: set.ipv6 }],
  ] as const) {
    if (count === 0) continue
    yield Buffer.from(`;${keyword};${count};`)
    let leftBlocks = count
    for (const chunk of cidrChunks(family, ';')) {
      leftBlocks -= countSeparators(chunk)
      // Every block is followed by a separator; after the last one the next keyword or the line end provides
      // it.
      yield leftBlocks === 0 ? chunk.subarray(0, chunk.length - 1) : chunk
    }
  }
  yield Buffer.from('\n')
}

function countSeparators(chunk: Uint8Array): number {
  let count = 0
  for (let at = chunk.indexOf(0x3b); at >= 0; at = chunk.indexOf(0x3b, at + 1)) count += 1
  return count
}
