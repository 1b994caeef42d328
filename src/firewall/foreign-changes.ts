/** The generation of a ruleset, which goes up by one with each transaction; undefined if it cannot be read. */
export type ReadGeneration = () => number | undefined

/** Counts changes of a ruleset that are not ours, by its generation. */
export class ForeignChanges {
  readonly readGeneration: ReadGeneration
  #expected: number | undefined
  #count = 0
  /** Our transactions in progress, and those that ended since the last one that began alone. */
  #runningCount = 0
  #endedCount = 0

  constructor(readGeneration: ReadGeneration) {
    this.readGeneration = readGeneration
  }

  /** Changes seen until now; undefined if the generation cannot be read. */
  count(): number | undefined {
    if (this.#runningCount === 0) this.#compare()
    return this.#expected === undefined ? undefined : this.#count
  }

  /** Runs one transaction of our own, which is not counted. One that the program refused (status not 0) changed nothing. */
  async duringOwn<Result extends { exitCode: number | null }>(
    transaction: () => Promise<Result>,
  ): Promise<Result> {
    if (this.#runningCount === 0) this.#compare()
    this.#runningCount += 1
    let wasRefused = false
    try {
      const result = await transaction()
      wasRefused = (result.exitCode ?? 0) !== 0
      return result
    } finally {
      this.#runningCount -= 1
      if (!wasRefused) this.#endedCount += 1
      if (this.#runningCount === 0) this.#compare()
    }
  }

  /** Each of ours increases the generation by one, or not at all if it was killed early or changed nothing. */
  #compare(): void {
    const generation = this.readGeneration()
    const ownCount = this.#endedCount
    this.#endedCount = 0
    if (generation !== undefined && this.#expected !== undefined) {
      const isOurs = generation >= this.#expected && generation <= this.#expected + ownCount
      if (!isOurs) this.#count += 1
    }
    this.#expected = generation
  }
}
