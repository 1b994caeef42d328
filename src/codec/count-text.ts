/** `1 entry`, `2 entries`: a number with its noun, for our own messages; `many` defaults to `one` with an s. */
export function countText(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
