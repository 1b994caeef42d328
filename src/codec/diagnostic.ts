/** A finding about a file that people write. */
export interface Diagnostic {
  fileName: string
  /** From 1. */
  line: number
  /** From 1, in bytes. */
  column: number
  /** `error` means that the list or file cannot be used. */
  severity: 'error' | 'warning'
  /** What is wrong: lower case, no full stop, safe for a terminal. */
  message: string
  /** What to write instead, in the same form. */
  fix: string
}
