import { AppError } from '../../platform/app-error.js'

/** Maximum number of bytes without a line feed: an endless input, such as a device, must not be read forever. */
const MAX_UNENDED_BYTES = 1_073_741_824

/** Stops reading when a line has no end. */
export class LineGuard {
  #unendedBytes = 0

  /** `lineCount` lines ended in a part of the input. Throws `AppError` `ERR_ENDLESS_LINE`. */
  pass(sizeBytes: number, lineCount: number): void {
    this.#unendedBytes = lineCount === 0 ? this.#unendedBytes + sizeBytes : 0
    if (this.#unendedBytes > MAX_UNENDED_BYTES)
      throw new AppError('ERR_ENDLESS_LINE', `a line of more than ${MAX_UNENDED_BYTES} bytes`)
  }
}
