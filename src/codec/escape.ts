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
