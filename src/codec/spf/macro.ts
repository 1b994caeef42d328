/**
 * Macro strings of SPF records: `%{ir}.%{v}._spf.%{d2}`.
 *
 * macro-string  = *( macro-expand / macro-literal )
 * macro-expand  = ( "%{" macro-letter transformers *delimiter "}" ) / "%%" / "%_" / "%-"
 * transformers  = *DIGIT [ "r" ]
 * delimiter     = "." / "-" / "+" / "," / "/" / "_" / "="
 *
 * The letters `c`, `r` and `t`, which only the text that `exp=` names may contain, are errors here: that text is not
 * read. Source: RFC 7208 section 7.
 */
import { fitName } from '../dns/dns-name.js'

/** Letters that may follow `%{`. Source: RFC 7208 section 7.2. */
export type MacroLetter = 's' | 'l' | 'o' | 'd' | 'i' | 'p' | 'v' | 'h'

/** A part of a macro string: literal text, or a placeholder for a value. */
export type MacroPart =
  | {
      kind: 'text'
      text: string
      /** True for an escape (`%%`), with which a domain may end, as with a value. */
      isEscape: boolean
    }
  | {
      kind: 'value'
      letter: MacroLetter
      /** In the value, all but unreserved characters are written as `%XX`. */
      isEscaped: boolean
      /** Number of rightmost parts to keep; undefined: all. */
      keep: number | undefined
      isReversed: boolean
      /** Characters that separate the parts of the value. */
      delimiters: string
    }

/** A parsed macro string, in order. */
export type MacroString = readonly MacroPart[]

/** The values of all letters but `p`, which needs its own look-ups. */
export type MacroValues = Readonly<Record<MacroLetter, string>>

const EXPANSION = /^\{([slodipvh])([0-9]*)(r?)([.\-+,/_=]*)\}/i
const LITERAL_ESCAPES: Readonly<Record<string, string>> = { '%': '%', _: ' ', '-': '%20' }
/** `%{d}` and `%{o}` of a walk are the same for every client, and `v` is not. */
const LETTERS_OF_DOMAIN: ReadonlySet<MacroLetter> = new Set(['d', 'o'])
/** Longer than any name; text further left would be cut off anyway. */
const KEPT_LENGTH = 1024

/**
 * Parses a macro string; undefined if it contains a character that is not visible ASCII, or a `%` that begins no
 * macro.
 */
export function parseMacroString(text: string): MacroString | undefined {
  const parts: MacroPart[] = []
  let literal = ''
  const addLiteral = (): void => {
    if (literal !== '') parts.push({ kind: 'text', text: literal, isEscape: false })
    literal = ''
  }
  let at = 0
  while (at < text.length) {
    const percent = text.indexOf('%', at)
    const end = percent < 0 ? text.length : percent
    literal += text.slice(at, end)
    if (percent < 0) break
    const literalEscape = LITERAL_ESCAPES[text[percent + 1] ?? '']
    if (literalEscape !== undefined) {
      addLiteral()
      parts.push({ kind: 'text', text: literalEscape, isEscape: true })
      at = percent + 2
      continue
    }
    const expansion = EXPANSION.exec(text.slice(percent + 1, percent + 1 + KEPT_LENGTH))
    const keep = expansion === null ? 0 : keptParts(expansion[2]!)
    if (expansion === null || keep === 0) return undefined
    addLiteral()
    const [whole, letter, , reverse, delimiters] = expansion
    parts.push({
      kind: 'value',
      letter: letter!.toLowerCase() as MacroLetter,
      isEscaped: letter! !== letter!.toLowerCase(),
      keep,
      isReversed: reverse !== '',
      delimiters: delimiters === '' ? '.' : delimiters!,
    })
    at = percent + 1 + whole.length
  }
  addLiteral()
  return /^[\x21-\x7e]*$/.test(text) ? parts : undefined
}

/** undefined: all parts. Source: RFC 7208 section 7.3: a number must not be zero. */
function keptParts(digits: string): number | undefined {
  if (digits === '') return undefined
  return Math.min(Number(digits), 255)
}

/**
 * A macro string whose end can be a domain: a value or an escape, or a dot and a label that is no number.
 * undefined for anything else. Source: `domain-spec` of RFC 7208 section 7.1.
 */
export function parseDomainSpec(text: string): MacroString | undefined {
  const parts = parseMacroString(text)
  const last = parts?.at(-1)
  if (last === undefined) return undefined
  if (last.kind === 'value' || last.isEscape) return parts
  const label = /\.([a-z0-9]+(?:-+[a-z0-9]+)*)\.?$/i.exec(last.text)?.[1]
  return label === undefined || /^[0-9]+$/.test(label) ? undefined : parts
}

/** True if it gives the same name for every client and every sender of a domain. */
export function isOfDomainAlone(parts: MacroString): boolean {
  return parts.every((part) => part.kind === 'text' || LETTERS_OF_DOMAIN.has(part.letter))
}

/** True if a macro string contains `%{p}`. */
export function usesValidatedName(parts: MacroString): boolean {
  return parts.some((part) => part.kind === 'value' && part.letter === 'p')
}

/** The name that a domain-spec gives, shortened to the maximum length; it may be one that cannot be looked up in DNS. */
export function expandDomain(parts: MacroString, values: MacroValues): string {
  let expanded = ''
  for (const part of parts) {
    expanded += part.kind === 'text' ? part.text : transform(part, values[part.letter])
    if (expanded.length > 2 * KEPT_LENGTH) expanded = expanded.slice(-KEPT_LENGTH)
  }
  return fitName(expanded)
}

function transform(part: MacroPart & { kind: 'value' }, value: string): string {
  const { keep, isReversed, delimiters, isEscaped } = part
  let text = value
  if (keep !== undefined || isReversed || delimiters !== '.') {
    const pieces: string[] = []
    let start = 0
    for (let at = 0; at < value.length; at += 1) {
      if (!delimiters.includes(value[at]!)) continue
      pieces.push(value.slice(start, at))
      start = at + 1
    }
    pieces.push(value.slice(start))
    if (isReversed) pieces.reverse()
    text = (keep === undefined ? pieces : pieces.slice(-keep)).join('.')
  }
  return isEscaped ? escapeReserved(text) : text
}

/** Source: RFC 7208 section 7.3, RFC 3986 section 2.3. */
function escapeReserved(text: string): string {
  return text.replace(
    /[^A-Za-z0-9._~-]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}
