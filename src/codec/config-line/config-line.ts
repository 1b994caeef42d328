/**
 * The lines that send block lists to the running spamd (service spamd-cfg), one line per list:
 *
 *     line    = name ";" [ message 1*( ";" family ) [ ";" ] ] LF
 *     message = DQUOTE text DQUOTE
 *     family  = ( "inet" / "inet6" ) ";" count *( ";" cidr )
 *
 * `name;` alone clears the list. This module writes them; `config-line-decoder.ts` reads them.
 * Source: spamd(8), CONFIGURATION CONNECTIONS, and the lines that spamd-setup(8) sends.
 */

/** True for a name that a config line can carry: not empty, one byte a character, no `;`, CR, LF or NUL. */
export function isConfigListName(name: string): boolean {
  return /^[\u0001-\u0009\u000b\u000c\u000e-\u003a\u003c-\u00ff]+$/.test(name)
}

/** The line that empties a list, LF included. Throws RangeError for a name that `isConfigListName` refuses. */
export function encodeClearLine(name: string): Uint8Array {
  return Buffer.from(`${checkedName(name)};\n`, 'latin1')
}

/**
 * The message as it stands between the quotes of a config line. spamd reads a backslash or percent sign together with
 * the next character. A single one before a quote, a line break, the end, or the other of the two would be lost or
 * change what follows, so it is doubled. Everything else is sent as it is, as spamd-setup does. NUL, which ends a
 * line for spamd, is dropped.
 *
 * Example: `100%` LF `say "no"` gives `100%%\nsay \"no\"`.
 */
export function encodeConfigMessage(message: string): string {
  // Read as spamd reads: a complete pair is passed on whole; a single character is judged with the one after it.
  return message.replaceAll('\0', '').replace(/\\[\\n"]|%[%A]|[\\%](?=[\\%\n"]|$)|["\n]/g, (token) => {
    if (token === '"') return '\\"'
    if (token === '\n') return '\\n'
    return token.length === 1 ? token + token : token
  })
}

function checkedName(name: string): string {
  if (!isConfigListName(name))
    throw new RangeError(`list name ${JSON.stringify(name)} cannot stand in a config line`)
  return name
}
