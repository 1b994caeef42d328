import { compareWords, WORDS_PER_ADDRESS } from './ipv6-words.js'
import { sortPairs } from './radix-sort.js'

/** Runs of equal upper halves up to this long are sorted by insertion, longer ones by their lower halves. */
const INSERTION_LIMIT = 64

/**
 * The order of `count` addresses (four words each): `order[0]` is the place of the lowest. Undefined when
 * they are ascending as they stand. The upper halves are sorted first, and the lower ones only where the
 * upper ones are equal, which in lists are few.
 */
export function sortIpv6Order(addresses: Uint32Array, count: number): Uint32Array | undefined {
  if (isAscending(addresses, count)) return undefined
  const order = new Uint32Array(count)
  for (let index = 0; index < count; index += 1) order[index] = index
  sortHalf(addresses, order, 0)
  return order
}

function isAscending(addresses: Uint32Array, count: number): boolean {
  for (let at = WORDS_PER_ADDRESS; at < count * WORDS_PER_ADDRESS; at += WORDS_PER_ADDRESS) {
    if (compareWords(addresses, at - WORDS_PER_ADDRESS, addresses, at) > 0) return false
  }
  return true
}

/** Sorts `order` in place, given that the words before `word` of its addresses are all equal. */
function sortHalf(addresses: Uint32Array, order: Uint32Array, word: number): void {
  const count = order.length
  sortByWord(addresses, order, word + 1)
  sortByWord(addresses, order, word)
  if (word > 0) return
  let runStart = 0
  for (let index = 1; index <= count; index += 1) {
    if (index < count && hasSameHalf(addresses, order[index]!, order[runStart]!)) continue
    const run = index - runStart
    if (run > INSERTION_LIMIT) sortHalf(addresses, order.subarray(runStart, index), 2)
    else if (run > 1) sortByInsertion(addresses, order, runStart, index)
    runStart = index
  }
}

/** Sorts `order` by one word, keeping the order of equal ones. */
function sortByWord(addresses: Uint32Array, order: Uint32Array, word: number): void {
  const keys = new Uint32Array(order.length)
  for (let index = 0; index < keys.length; index += 1) {
    keys[index] = addresses[order[index]! * WORDS_PER_ADDRESS + word]!
  }
  const sorted = sortPairs(keys, order, order.length)
  if (sorted.values !== order) order.set(sorted.values!.subarray(0, order.length))
}

function hasSameHalf(addresses: Uint32Array, left: number, right: number): boolean {
  const leftAt = left * WORDS_PER_ADDRESS
  const rightAt = right * WORDS_PER_ADDRESS
  return addresses[leftAt] === addresses[rightAt] && addresses[leftAt + 1] === addresses[rightAt + 1]
}

function sortByInsertion(addresses: Uint32Array, order: Uint32Array, start: number, end: number): void {
  for (let index = start + 1; index < end; index += 1) {
    const item = order[index]!
    let place = index
    while (
      place > start &&
      compareWords(addresses, order[place - 1]! * WORDS_PER_ADDRESS, addresses, item * WORDS_PER_ADDRESS) > 0
    ) {
      order[place] = order[place - 1]!
      place -= 1
    }
    order[place] = item
  }
}
