/**
 * The same items in the same order; the next one is requested before the current one is used, so that the
 * source works while the reader does. At most one item waits. An error is thrown when its item is due.
 */
export async function* readAhead<Item>(source: AsyncIterable<Item>): AsyncGenerator<Item, void, undefined> {
  const items = source[Symbol.asyncIterator]()
  const ask = (): Promise<IteratorResult<Item>> => {
    const answer = items.next()
    // A reader that stops early does not wait for it.
    answer.catch(() => {})
    return answer
  }
  let next = ask()
  try {
    for (;;) {
      const { done, value } = await next
      if (done === true) return
      next = ask()
      yield value
    }
  } finally {
    await items.return?.()
  }
}
