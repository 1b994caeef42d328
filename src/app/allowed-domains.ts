/**
 * The allowed domains file: recipients outside of the domains listed there are spamtraps. One suffix per
 * line, surrounding white space removed, empty lines and lines that start with `#` skipped. Source: spamd(8),
 * "GREYTRAPPING"; a suffix without `@` or `.` in front matches at a label boundary only (the original lets
 * `example.org` allow `notexample.org` as well).
 */
import type { WireText } from '../domain/entry.js'
import { MAX_FIELD_BYTES } from '../domain/times.js'
import { AppError } from '../platform/app-error.js'

/** The suffixes in force. */
export interface AllowedDomains {
  /** As written, in the order of the file: what is logged. */
  readonly suffixes: readonly string[]
  /** True when a suffix matches the recipient, which is in the form returned by `trapKeyOf`. */
  allows(recipient: WireText): boolean
}

/**
 * Suffixes of a file's content, or undefined when it has no usable line (no restriction). `path` is for the
 * error: `AppError` `ERR_ALLOWED_DOMAINS_LINE`, with the original's text, when a suffix is longer than an
 * address can be; the whole file is then ignored.
 */
export function parseAllowedDomains(content: Uint8Array, path: string): AllowedDomains | undefined {
  const suffixes: string[] = []
  const lines = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
    .toString('latin1')
    .split('\n')
  for (const [index, line] of lines.entries()) {
    const suffix = line.replace(/^[ \t\r\v\f]+|[ \t\r\v\f]+$/g, '')
    if (suffix === '' || suffix.startsWith('#')) continue
    if (suffix.length > MAX_FIELD_BYTES) {
      throw new AppError('ERR_ALLOWED_DOMAINS_LINE', `line too long in ${path} - file ignored`, {
        hint: `line ${index + 1} has more than ${MAX_FIELD_BYTES} bytes: write one domain per line`,
      })
    }
    suffixes.push(suffix)
  }
  return suffixes.length === 0 ? undefined : new SuffixSet(suffixes)
}

const LABEL_BORDERS = '@.'

/** Looks up the suffixes of an address in a set, so that the cost does not grow with the list. */
class SuffixSet implements AllowedDomains {
  readonly suffixes: readonly string[]
  readonly #folded: ReadonlySet<string>

  constructor(suffixes: readonly string[]) {
    this.suffixes = suffixes
    this.#folded = new Set(
      suffixes.map((suffix) => suffix.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())),
    )
  }

  allows(recipient: WireText): boolean {
    for (let start = 0; start < recipient.length; start += 1) {
      const isBorder = LABEL_BORDERS.includes(recipient[start]!)
      const isAfterBorder = start === 0 || LABEL_BORDERS.includes(recipient[start - 1]!)
      if ((isBorder || isAfterBorder) && this.#folded.has(recipient.slice(start))) return true
    }
    return false
  }
}
