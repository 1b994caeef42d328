/**
 * Splits what an SMTP client sends into lines, in bounded memory.
 *
 * A line ends at LF or, without one, after 8191 bytes: the rest counts as the next line. Trailing CR and LF
 * are removed; CR alone does not end a line. Bytes become latin-1 text, one character each.
 * Source: spamd.c of OpenBSD (input buffer of 8192 bytes); RFC 5321 section 4.5.3.1 asks for 512 only.
 */

/**
 * Maximum length of a line in bytes: the input buffer of the original without its terminator.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_LINE_BYTES = 8191

/**
 * Pending text up to this length is kept as it is; longer text is copied, so that it does not keep a large chunk in
 * memory.
 */
const SMALL_TEXT_LENGTH = 1024

const LF = '\n'

/** Bytes in, lines out. Push a chunk, then call `next` until it returns undefined. */
export class SmtpLineReader {
  #pending = ''
  #start = 0

  /** Bytes that were pushed and not yet returned as lines. */
  get pendingBytes(): number {
    return this.#pending.length - this.#start
  }

  /**
   * Adds received bytes. The caller limits them: it pushes one read at a time and calls `next` until it returns
   * undefined.
   */
  push(chunk: Uint8Array): void {
    const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1')
    this.#pending = this.pendingBytes === 0 ? text : this.#pending.slice(this.#start) + text
    this.#start = 0
  }

  /** The next complete line without its end, or undefined when more bytes are needed. */
  next(): string | undefined {
    const available = this.pendingBytes
    if (available === 0) return undefined
    const lineFeed = this.#pending.indexOf(LF, this.#start)
    const untilLineFeed = lineFeed < 0 ? available : lineFeed - this.#start + 1
    if (lineFeed < 0 && available < MAX_LINE_BYTES) {
      this.#release()
      return undefined
    }
    const lengthBytes = Math.min(untilLineFeed, MAX_LINE_BYTES)
    const next = this.#start + lengthBytes
    let end = next
    while (end > this.#start && isLineEnd(this.#pending.charCodeAt(end - 1))) end -= 1
    const text = this.#pending.slice(this.#start, end)
    this.#start = next
    if (this.#start === this.#pending.length) this.clear()
    return text
  }

  /** Discards everything pending: bytes sent before a TLS handshake must not count as sent inside it. */
  clear(): void {
    this.#pending = ''
    this.#start = 0
  }

  /** Discards what is pending beyond the first `maxBytes`. */
  truncate(maxBytes: number): void {
    if (this.pendingBytes <= maxBytes) return
    this.#pending = detachText(this.#pending.slice(this.#start, this.#start + maxBytes))
    this.#start = 0
  }

  #release(): void {
    if (this.#start === 0) return
    const rest = this.#pending.slice(this.#start)
    this.#pending = this.#pending.length > SMALL_TEXT_LENGTH ? detachText(rest) : rest
    this.#start = 0
  }
}

/** A copy of latin-1 text that shares no memory with a longer text it was cut from. */
export function detachText(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}

function isLineEnd(code: number): boolean {
  return code === 10 || code === 13
}
