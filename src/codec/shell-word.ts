/**
 * Words that need no quoting in any shell. A leading `-` would be an option; `=` and `~` are special in some shells.
 */
const PLAIN = /^[A-Za-z0-9_@%+:,./][A-Za-z0-9_@%+:,./=-]*$/

/**
 * Characters that cannot be copied from a terminal: control characters, separators, those that change the
 * direction of text, and the replacement character, which stands for invalid bytes.
 */
const NOT_COPIED = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\ufffd]/u

/**
 * Text as one word of a command line that can be copied into sh, ksh, bash, zsh, csh or tcsh: as it is, or in single
 * quotes, with `!` outside them and escaped by a backslash (csh expands it inside quotes, too). undefined if no word
 * that a terminal can show would give the same text. A word that begins with a dash is quoted, but is still an option
 * to the program: callers put it after an option or `--`.
 */
export function shellWord(text: string): string | undefined {
  if (NOT_COPIED.test(text) || /[^\S ]/u.test(text)) return undefined
  if (PLAIN.test(text)) return text
  return text
    .split(/(['!])/)
    .map((part) => (part === "'" || part === '!' ? `\\${part}` : part === '' ? '' : `'${part}'`))
    .join('')
    .replace(/^$/, "''")
}
