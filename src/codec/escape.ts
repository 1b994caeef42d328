/**
 * Makes untrusted text (HELO names, addresses, list lines, peers' messages) safe for a terminal, a log line or a
 * message: control characters, DEL and the C1 range become `\xNN`; everything else is unchanged. The result never
 * contains a line break.
 */
export function escapeControl(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

/** The lines of a configuration file or a diff, each safe for a terminal; tabs are kept: such files are full of them. */
export function printableLines(text: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t').map(escapeControl).join('\t'))
}
