/**
 * The same items in the same order; the next one is asked for before the current one is used, so that whoever
 * makes them works while the reader does. One item at most waits. What fails is thrown in its turn.
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
