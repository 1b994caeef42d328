/**
 * The recipient that a mail server would read from a RCPT command, whatever its spelling: a sender may vary comments,
 * quotes, quoted pairs, folding, source routes, doubled brackets, a trailing dot and case, and the mail still
 * arrives. Lenient: any bytes give an address. Source: RFC 5321 section 4.1.2 for paths, RFC 5322 section 3.2 for
 * comments and quoting, and what Postfix, Exim and OpenBSD's smtpd accept in addition.
 */
import { canonicalIp } from '../../ip/address.js'

/** Parts without quoting, ASCII letters in lower case. */
export interface RecipientAddress {
  /** May contain any character, even `@`. */
  local: string
  /** Empty without an `@`, as in `postmaster` and `<>`. */
  domain: string
}

type Special = '<' | '>' | '@' | ':'
type Token =
  /** The text with quotes and quoted pairs resolved. */
  { kind: 'text'; value: string } | { kind: 'space' } | { kind: 'literal'; value: string } | { kind: Special }

/**
 * A path without special characters, as nearly every client sends it. Parsing it token by token would take five times
 * as long, for each RCPT.
 */
const PLAIN_PATH = /^<([\w!#$%&'*+/=?^`{|}~.-]+)@([\w.-]+)>$/

/** Reads the text after the colon of `RCPT TO:`, including parameters after the path; latin-1 text. */
export function readRecipient(argument: string): RecipientAddress {
  const plain = PLAIN_PATH.exec(argument)
  if (plain !== null) return { local: foldCase(plain[1]!), domain: foldDomain(plain[2]!) }
  const path = withoutRoute(pathOf(tokensOf(argument)))
  const at = path.findLastIndex(({ kind }) => kind === '@')
  const local = textOf(at < 0 ? path : path.slice(0, at))
  return {
    local: foldCase(local),
    domain: at < 0 ? '' : foldDomain(textOf(domainTokens(path.slice(at + 1)))),
  }
}

/** `local@domain`, or the local part alone where there is no domain. */
export function formatRecipient({ local, domain }: RecipientAddress): string {
  return domain === '' ? local : `${local}@${domain}`
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  let word = ''
  const endWord = (): void => {
    if (word !== '') tokens.push({ kind: 'text', value: word })
    word = ''
  }
  for (let index = 0; index < text.length; ) {
    const character = text[index]!
    if (character === '"') {
      const [value, next] = readQuoted(text, index)
      word += value
      index = next
      continue
    }
    if (character === '\\') {
      word += text[index + 1] ?? ''
      index += 2
      continue
    }
    if (character === '(') {
      endWord()
      index = skipComment(text, index)
      continue
    }
    if (character === '[') {
      endWord()
      const end = text.indexOf(']', index)
      const next = end < 0 ? text.length : end + 1
      tokens.push({ kind: 'literal', value: text.slice(index, next) })
      index = next
      continue
    }
    index += 1
    if (/[\s\0]/.test(character)) {
      endWord()
      if (tokens.at(-1)?.kind !== 'space') tokens.push({ kind: 'space' })
    } else if (character === '<' || character === '>' || character === '@' || character === ':') {
      endWord()
      tokens.push({ kind: character })
    } else {
      word += character
    }
  }
  endWord()
  return tokens
}

/**
 * The content of the quoted string that begins at `start`, and the offset after it; an unclosed one extends to the
 * end.
 */
function readQuoted(text: string, start: number): [string, number] {
  let value = ''
  let index = start + 1
  while (index < text.length && text[index] !== '"') {
    if (text[index] === '\\') index += 1
    // Folding inside quotes is removed; its blanks belong to the content.
    const character = text[index] ?? ''
    if (character !== '\r' && character !== '\n') value += character
    index += 1
  }
  return [value, index + 1]
}

/** Offset after the comment that begins at `start`; comments nest, and an unclosed one extends to the end. */
function skipComment(text: string, start: number): number {
  let depth = 0
  for (let index = start; index < text.length; index += 1) {
    const character = text[index]
    if (character === '\\') index += 1
    else if (character === '(') depth += 1
    else if (character === ')') {
      depth -= 1
      if (depth === 0) return index + 1
    }
  }
  return text.length
}

/** The text in the innermost angle brackets, or the first word if there are none. */
function pathOf(tokens: readonly Token[]): readonly Token[] {
  const open = tokens.findLastIndex(
    ({ kind }, index) => kind === '<' && !tokens.slice(0, index).some((token) => token.kind === '>'),
  )
  const rest = trimmed(tokens.slice(open + 1))
  const close = rest.findIndex(({ kind }) => kind === '>')
  return close < 0 ? rest : rest.slice(0, close)
}

/** `@a,@b:user@c` without its route, `@a:@b:user@c` without both. Source: RFC 5321 appendix C. */
function withoutRoute(path: readonly Token[]): readonly Token[] {
  let tokens = trimmed(path)
  while (tokens[0]?.kind === '@') {
    const colon = tokens.findIndex(({ kind }) => kind === ':')
    if (colon < 0) break
    tokens = trimmed(tokens.slice(colon + 1))
  }
  return tokens
}

/** A blank ends the domain (parameters follow) unless there is a dot next to it. */
function domainTokens(tokens: readonly Token[]): readonly Token[] {
  const parts = trimmed(tokens)
  const end = parts.findIndex((token, index) => {
    if (token.kind !== 'space') return false
    const [before, behind] = [parts[index - 1], parts[index + 1]]
    return !wordOf(before).endsWith('.') && !wordOf(behind).startsWith('.')
  })
  return (end < 0 ? parts : parts.slice(0, end)).filter(({ kind }) => kind !== 'space')
}

function trimmed(tokens: readonly Token[]): readonly Token[] {
  let start = 0
  let end = tokens.length
  while (tokens[start]?.kind === 'space') start += 1
  while (end > start && tokens[end - 1]?.kind === 'space') end -= 1
  return tokens.slice(start, end)
}

/** The text of tokens; a blank counts unless it is at either end or next to a dot. */
function textOf(tokens: readonly Token[]): string {
  const parts = trimmed(tokens)
  return parts
    .map((token, index) => {
      if (token.kind !== 'space') return wordOf(token)
      const isBesideDot = wordOf(parts[index - 1]).endsWith('.') || wordOf(parts[index + 1]).startsWith('.')
      return isBesideDot ? '' : ' '
    })
    .join('')
}

function wordOf(token: Token | undefined): string {
  if (token === undefined || token.kind === 'space') return ''
  return token.kind === 'text' || token.kind === 'literal' ? token.value : token.kind
}

function foldCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

function foldDomain(text: string): string {
  const literal = /^\[\s*(ipv6:)?(.*?)\s*\]?$/is.exec(text)
  if (literal !== null) {
    const [, tag = '', address = ''] = literal
    return `[${foldCase(tag)}${canonicalIp(address) ?? foldCase(address)}]`
  }
  const domain = foldCase(text).replace(/\.+$/, '')
  return /[\u0080-\u00ff]/.test(domain) ? asciiDomain(domain) : domain
}

/** A name in UTF-8 and its ASCII form are the same domain. */
function asciiDomain(domain: string): string {
  if (/[\s/?#@:\\%[\]]/.test(domain)) return domain
  try {
    return new URL(`http://${Buffer.from(domain, 'latin1').toString('utf8')}`).hostname
  } catch {
    return domain
  }
}
