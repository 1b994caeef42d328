/**
 * Splits a stream of bytes into lines of wire text (latin-1) without their line feed. A longer line than the limit is
 * truncated to one character more, so that the consumer sees that it is too long while memory stays bounded.
 */
export class LineSplitter {
  readonly #maxLineBytes: number
  #rest = ''

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes
  }

  /** The lines that this chunk completes. `chunk` is latin-1 text. */
  push(chunk: string): string[] {
    const lines = chunk.split('\n')
    const last = lines.pop()!
    if (lines.length === 0) {
      this.#rest = this.#cut(this.#rest + last)
      return lines
    }
    lines[0] = this.#cut(this.#rest + lines[0]!)
    this.#rest = this.#cut(last)
    return lines
  }

  /** The last line when the input does not end in a line feed. */
  end(): string[] {
    const rest = this.#rest
    this.#rest = ''
    return rest === '' ? [] : [rest]
  }

  #cut(line: string): string {
    return line.length > this.#maxLineBytes ? line.slice(0, this.#maxLineBytes + 1) : line
  }
}
