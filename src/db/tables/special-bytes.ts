const LINE_FEED = 0x0a
const DELETE = 0x7f
const BACKSLASH = 0x5c
const FIRST_PRINTABLE = 0x20

/**
 * True when the lines of a listing hold a byte that has to be escaped: a control character, DEL, or a
 * backslash (which may look like an escape). Exactly `lineCount` line feeds are the ends of lines. Looks at
 * four bytes at a time: the listing of a million entries passes through here.
 */
export function hasSpecialBytes(bytes: Buffer, lineCount: number): boolean {
  if (bytes.includes(BACKSLASH) || bytes.includes(DELETE)) return true
  let lineFeedCount = 0
  const isAligned = bytes.byteOffset % 4 === 0
  const wordCount = isAligned ? bytes.length >>> 2 : 0
  const words = isAligned ? new Uint32Array(bytes.buffer, bytes.byteOffset, wordCount) : new Uint32Array(0)
  for (let index = 0; index < wordCount; index += 1) {
    const word = words[index]!
    // A byte below 0x20 borrows into its top bit; bytes from 0x80 have that bit set before and do not count.
    if (((word - 0x20202020) & ~word & 0x80808080) === 0) continue
    for (let at = index * 4; at < index * 4 + 4; at += 1) {
      if (bytes[at]! >= FIRST_PRINTABLE) continue
      if (bytes[at] !== LINE_FEED) return true
      lineFeedCount += 1
    }
  }
  for (let at = wordCount * 4; at < bytes.length; at += 1) {
    if (bytes[at]! >= FIRST_PRINTABLE) continue
    if (bytes[at] !== LINE_FEED) return true
    lineFeedCount += 1
  }
  return lineFeedCount !== lineCount
}
