/** Up to this many keys, looking up one after the other is as fast as all at once. */
const FEW_KEYS = 4

/**
 * Keys as one value for json_each(), whose column `key` is then the place of each: one statement takes many keys.
 * undefined when there are only a few, or when one of them is not plain ASCII, because JSON holds text, not bytes.
 */
export function keyListOf(keys: readonly string[]): string | undefined {
  if (keys.length <= FEW_KEYS) return undefined
  const list = JSON.stringify(keys)
  return PLAIN_ASCII.test(list) && !list.includes(ESCAPED_NUL) ? list : undefined
}

const PLAIN_ASCII = /^[\x20-\x7f]*$/
/** wireValue refuses NUL. */
const ESCAPED_NUL = String.raw`\u0000`
