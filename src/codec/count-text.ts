/** `1 entry`, `2 entries`: a number with its word, for messages of ours; `many` is `one` with an s unless given. */
export function countText(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
