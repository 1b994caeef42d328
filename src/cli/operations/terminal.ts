/** The terminal for the operation commands: its width and whether it shows colours. */

export interface Terminal {
  /** Columns available; undefined when the output goes to a file or a program. */
  width: number | undefined
  hasColour: boolean
}

/** The terminal behind standard output. NO_COLOR and TERM=dumb switch colours off. Source: no-color.org. */
export function standardTerminal(environment: NodeJS.ProcessEnv = process.env): Terminal {
  const isTerminal = process.stdout.isTTY === true
  const isPlain = (environment.NO_COLOR ?? '') !== '' || environment.TERM === 'dumb'
  return {
    width: isTerminal ? process.stdout.columns || 80 : undefined,
    hasColour: isTerminal && !isPlain,
  }
}

const CODES = { red: 31, green: 32, yellow: 33, blue: 34, bold: 1, dim: 2 } as const
export type Style = keyof typeof CODES

/** The text in a colour, if colours are on. */
export function styled(terminal: Terminal, style: Style, text: string): string {
  return terminal.hasColour ? `\x1b[${CODES[style]}m${text}\x1b[0m` : text
}

/** A narrower terminal is not fitted into: every word would get its own line. */
const MIN_WIDTH = 40

/**
 * `text` after `lead`, broken between words so that no line is wider than the terminal; further lines begin
 * below the start of the text. Words longer than a line stay whole, so that commands can be copied.
 */
export function wrapped(terminal: Terminal, lead: string, text: string, leadWidth = lead.length): string {
  if (terminal.width === undefined) return `${lead}${text}\n`
  const room = Math.max(terminal.width, MIN_WIDTH) - leadWidth
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  lines.push(line)
  return `${lead}${lines.join(`\n${' '.repeat(leadWidth)}`)}\n`
}
