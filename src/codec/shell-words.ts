/** An argument vector as it would be typed into sh(1): words that a shell would change are in single quotes. */
export function shellWords(argv: readonly string[]): string {
  return argv
    .map((word) => (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ')
}
