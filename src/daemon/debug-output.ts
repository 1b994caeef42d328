/**
 * The output of `-d`: what the original prints on standard output and standard error in the foreground. Lines
 * carry no line end; untrusted parts have passed `escapeControl`.
 */
export interface DebugOutput {
  /** A line on standard output (the SMTP and configuration side). */
  out(line: string): void
  /** A line on standard error (the greylister and the sync side). */
  err(line: string): void
}
