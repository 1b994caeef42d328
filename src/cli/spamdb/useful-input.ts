import type { KeyFailure } from '../../app/database/edit-entries.js'
import type { WireText } from '../../domain/entry.js'
import { canonicalPaddedIp } from '../../ip/padded-address.js'

/** Input of at least so many lines of which none is a key is no list of keys, but perhaps a device without end. */
const MAX_USELESS_LINES = 1000

/** Keys until it is plain that there are none among them. Those of the command line are all tried, as in the original. */
export class UsefulInput {
  /** The rest was not read. */
  isStopped = false
  readonly #batches: AsyncIterable<WireText[]>
  readonly #isFromInput: boolean
  #keyCount = 0
  #unreadableCount = 0

  constructor(batches: AsyncIterable<WireText[]>, isFromInput: boolean) {
    this.#batches = batches
    this.#isFromInput = isFromInput
  }

  /** Call for every failure of a key. */
  noteFailure(failure: KeyFailure): void {
    const isUnreadable =
      failure.reason === 'invalid-ip' || (failure.reason === 'no-entry' && !isPlausible(failure.key))
    if (isUnreadable) this.#unreadableCount += 1
  }

  /** The batches, each of which is to be edited before the next is asked for. */
  async *read(): AsyncGenerator<WireText[]> {
    for await (const batch of this.#batches) {
      let rest = batch
      while (rest.length > 0) {
        const isTrying = this.#isFromInput && this.#unreadableCount === this.#keyCount
        const keys = isTrying ? rest.slice(0, MAX_USELESS_LINES) : rest
        rest = isTrying ? rest.slice(MAX_USELESS_LINES) : []
        this.#keyCount += keys.length
        yield keys
        this.isStopped =
          isTrying && this.#keyCount >= MAX_USELESS_LINES && this.#unreadableCount === this.#keyCount
        if (this.isStopped) return
      }
    }
  }
}

/** A spamtrap of the original may be any text on record; one that is not on record is an address with an at sign. */
function isPlausible(key: WireText): boolean {
  return key.includes('@') || canonicalPaddedIp(key) !== undefined
}
