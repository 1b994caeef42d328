import { AppError } from '../../platform/app-error.js'

/** An input without end, such as a device, must not be read for ever: bytes without a line feed. */
const MAX_UNENDED_BYTES = 1_073_741_824

/** Ends the reading of lines when one of them has no end. */
export class LineGuard {
  #unendedBytes = 0

  /** `lineCount` lines ended in a part of the input. Throws `AppError` `ERR_ENDLESS_LINE`. */
  pass(sizeBytes: number, lineCount: number): void {
    this.#unendedBytes = lineCount === 0 ? this.#unendedBytes + sizeBytes : 0
    if (this.#unendedBytes > MAX_UNENDED_BYTES)
      throw new AppError('ERR_ENDLESS_LINE', `a line of more than ${MAX_UNENDED_BYTES} bytes`)
  }
}
