/** The problem with a number, in the words of strtonum(3). */
export type NumberProblem = 'too small' | 'too large' | 'invalid'

/**
 * Reads a decimal number as strtonum(3) does: leading blanks and a sign are allowed, anything after the digits is
 * not. Then checks the limits, both inclusive.
 */
export function strtonum(
  text: string,
  min: number,
  max: number,
): { ok: true; value: number } | { ok: false; problem: NumberProblem } {
  if (!/^[ \t\n\v\f\r]*[+-]?[0-9]+$/.test(text)) return { ok: false, problem: 'invalid' }
  const value = Number(text)
  if (value < min) return { ok: false, problem: 'too small' }
  if (value > max) return { ok: false, problem: 'too large' }
  return { ok: true, value }
}
