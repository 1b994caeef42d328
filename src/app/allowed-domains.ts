/**
 * The allowed domains file: recipients outside of the domains listed there are spamtraps.
 * One suffix a line, surrounding white space removed, empty lines and lines that start with `#` skipped.
 * Source: spamd(8), "GREYTRAPPING"; a suffix without `@` or `.` in front matches at a label boundary only
 * (the original lets `example.org` allow `notexample.org` as well).
 */
import { readFileSync } from 'node:fs'
import type { WireText } from '../domain/entry.js'
import { MAX_FIELD_BYTES } from '../domain/times.js'
import { AppError, isSystemError } from '../platform/app-error.js'
import { reasonOf } from '../platform/errno-text.js'

/** A hundred times the largest list that a busy host was seen to use; more is a wrong file. */
export const MAX_ALLOWED_DOMAINS_BYTES = 64 * 1024 * 1024

/** The suffixes in force. */
export interface AllowedDomains {
  /** As written, in the order of the file: what is logged. */
  readonly suffixes: readonly string[]
  /** True when a suffix fits the recipient, which is in the form that `trapKeyOf` returns. */
  allows(recipient: WireText): boolean
}

/**
 * Suffixes of a file's content, or undefined when it holds no usable line (no restriction).
 * Throws `AppError` `ERR_ALLOWED_DOMAINS_LINE` when a line is longer than an address can be: the whole file
 * is then ignored, as in the original.
 */
export function parseAllowedDomains(content: Uint8Array): AllowedDomains | undefined {
  const suffixes: string[] = []
  const lines = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
    .toString('latin1')
    .split('\n')
  for (const [index, line] of lines.entries()) {
    const suffix = line.replace(/^[ \t\r\v\f]+|[ \t\r\v\f]+$/g, '')
    if (line.length > MAX_FIELD_BYTES) {
      throw new AppError(
        'ERR_ALLOWED_DOMAINS_LINE',
        `line ${index + 1} is longer than ${MAX_FIELD_BYTES} bytes`,
        { hint: 'write one domain a line' },
      )
    }
    if (suffix !== '' && !suffix.startsWith('#')) suffixes.push(suffix)
  }
  return suffixes.length === 0 ? undefined : new SuffixSet(suffixes)
}

/**
 * Reads the file. Undefined when it does not exist or lists nothing. Throws `AppError`
 * `ERR_ALLOWED_DOMAINS_READ` (no permission, a directory, too large) or `ERR_ALLOWED_DOMAINS_LINE`; the caller
 * then keeps what was in force.
 */
export function loadAllowedDomains(path: string): AllowedDomains | undefined {
  let content: Buffer
  try {
    content = readFileSync(path)
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return undefined
    throw new AppError('ERR_ALLOWED_DOMAINS_READ', `cannot read ${path}: ${reasonOf(error)}`, {
      cause: error,
    })
  }
  if (content.length > MAX_ALLOWED_DOMAINS_BYTES) {
    throw new AppError(
      'ERR_ALLOWED_DOMAINS_READ',
      `cannot read ${path}: larger than ${MAX_ALLOWED_DOMAINS_BYTES} bytes`,
    )
  }
  try {
    return parseAllowedDomains(content)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    throw new AppError(error.code, `${path}: ${error.message}`, { hint: error.hint, cause: error })
  }
}

const LABEL_BORDERS = '@.'

/** Looks the tails of an address up in a set, so that the cost does not grow with the list. */
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
