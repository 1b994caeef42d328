/** Reads the start of an input of unknown length: a short input is stored differently. */

/** The whole input if it is short; otherwise all of it from the start. */
export type FewOrAll<Item> =
  | { few: Item[]; all?: undefined }
  | { few?: undefined; all: AsyncIterable<readonly Item[]> }

/** Reads `batches` to their end, or until more than `maxCount` items have come. */
export async function readFew<Item>(
  batches: AsyncIterable<readonly Item[]> | Iterable<readonly Item[]>,
  maxCount: number,
): Promise<FewOrAll<Item>> {
  const iterator = iterate(batches)
  const few: Item[] = []
  for (;;) {
    const step = await iterator.next()
    if (step.done === true) return { few }
    for (const item of step.value) few.push(item)
    if (few.length > maxCount) return { all: joined(few, iterator) }
  }
}

async function* iterate<Item>(
  batches: AsyncIterable<readonly Item[]> | Iterable<readonly Item[]>,
): AsyncGenerator<readonly Item[], undefined, undefined> {
  yield* batches
}

async function* joined<Item>(
  first: readonly Item[],
  rest: AsyncGenerator<readonly Item[], undefined, undefined>,
): AsyncGenerator<readonly Item[], undefined, undefined> {
  yield first
  yield* rest
}
