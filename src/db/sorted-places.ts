/** Bits of a sorted number that hold the place of its text; the rest of 53 holds the start of the text. */
const PLACES = 2 ** 20
const TEXT_BITS = 33

/**
 * Places of texts, sorted by the first characters after their common prefix, equal ones in their original order: as many
 * characters as fit into a number together with the place, seven for addresses.
 */
export function sortedPlaces(texts: readonly string[]): Uint32Array {
  const places = new Uint32Array(texts.length)
  for (let place = 0; place < places.length; place += 1) places[place] = place
  if (texts.length >= PLACES) return places
  const start = commonLength(texts)
  const { ranks, base } = rankCharacters(texts, start)
  const end = start + Math.floor(TEXT_BITS / Math.log2(base))
  const numbers = new Float64Array(texts.length)
  for (const place of places)
    numbers[place] = beginning(texts[place]!, start, end, ranks, base) * PLACES + place
  numbers.sort()
  for (let index = 0; index < places.length; index += 1) places[index] = numbers[index]! % PLACES
  return places
}

function beginning(text: string, start: number, end: number, ranks: Uint16Array, base: number): number {
  let number = 0
  for (let at = start; at < end; at += 1) {
    number = number * base + (at < text.length ? ranks[text.charCodeAt(at) & 0xff]! : 0)
  }
  return number
}

/** The characters that occur, numbered from 1 in their order, and how many numbers there are with 0. */
function rankCharacters(texts: readonly string[], start: number): { ranks: Uint16Array; base: number } {
  const ranks = new Uint16Array(256)
  for (const text of texts) {
    for (let at = start; at < text.length; at += 1) ranks[text.charCodeAt(at) & 0xff] = 1
  }
  let base = 1
  for (let code = 0; code < ranks.length; code += 1) {
    if (ranks[code] === 0) continue
    ranks[code] = base
    base += 1
  }
  return { ranks, base: Math.max(base, 2) }
}

function commonLength(texts: readonly string[]): number {
  const [first = ''] = texts
  let length = first.length
  for (const text of texts) while (!text.startsWith(first.slice(0, length))) length -= 1
  return length
}
