import type { KeyFailure } from '../../app/database/edit-entries.js'
import type { WireText } from '../../domain/entry.js'
import { canonicalPaddedIp } from '../../ip/padded-address.js'

/** Maximum number of lines without any key: such input is not a list of keys, but perhaps an endless device. */
const MAX_USELESS_LINES = 1000

/** Keys, until the input turns out to contain none. Keys on the command line are all tried, as in the original. */
export class UsefulInput {
  /** The rest was not read. */
  isStopped = false
  readonly #batches: AsyncIterable<WireText[]>
  readonly #isFromInput: boolean
  #keyCount = 0
  #unreadableCount = 0

  constructor(batches: AsyncIterable<WireText[]>, { isFromInput }: { isFromInput: boolean }) {
    this.#batches = batches
    this.#isFromInput = isFromInput
  }

  /** To be called for each key that failed. */
  noteFailure(failure: KeyFailure): void {
    const isUnreadable =
      failure.reason === 'invalid-ip' || (failure.reason === 'no-entry' && !isPlausible(failure.key))
    if (isUnreadable) this.#unreadableCount += 1
  }

  /** The batches; edit each one before requesting the next. */
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

/** A spamtrap of the original may be any stored text; a new one is an address with an at sign. */
function isPlausible(key: WireText): boolean {
  return key.includes('@') || canonicalPaddedIp(key) !== undefined
}
