/**
 * One SPF record, from text to terms.
 *
 * record    = "v=spf1" *( 1*SP ( directive / modifier ) ) *SP
 * directive = [ "+" / "-" / "?" / "~" ] mechanism
 * Source: RFC 7208 sections 4.5, 4.6, 5, 6 and 12.
 */
import { type Network, parseCidr } from '../../ip/cidr.js'
import { type MacroString, parseDomainSpec, parseMacroString } from './macro.js'

/** Outcome for a client that matches a directive. */
export type SpfOutcome = 'pass' | 'fail' | 'softfail' | 'neutral'

/** How many leading bits of a client's address must equal those of a host of the domain. */
export interface DualLength {
  bits4: number
  bits6: number
}

/** A mechanism with the hosts of a domain; an undefined `target` is the domain of the record. */
export type SpfHostMechanism = { kind: 'a' | 'mx'; target: MacroString | undefined } & DualLength

/**
 * The networks, hosts or names with which a directive compares the client; an undefined `target` is the domain of the
 * record.
 */
export type SpfMechanism =
  | { kind: 'all' }
  | { kind: 'include' | 'exists'; target: MacroString }
  | SpfHostMechanism
  | { kind: 'ptr'; target: MacroString | undefined }
  /** undefined for an IPv4-mapped network, which no client matches: such clients count as IPv4 (RFC 7208 section 5). */
  | { kind: 'ip'; network: Network | undefined }

/** A mechanism and the outcome for clients that match it. */
export type SpfDirective = SpfMechanism & { outcome: SpfOutcome }

/** A whole record; `directives` in order. */
export interface SpfRecord {
  directives: readonly SpfDirective[]
  redirect: MacroString | undefined
}

/** A record, or the first error in it. `reason` may quote the record: escape it. */
export type ParsedSpf = { ok: true; record: SpfRecord } | { ok: false; reason: string }

/** Maximum length of a record; those of large senders have 1 to 2 KiB. */
const MAX_RECORD_LENGTH = 8192
const VERSION = /^v=spf1(?= |$)/i
const OUTCOMES: Readonly<Record<string, SpfOutcome>> = {
  '': 'pass',
  '+': 'pass',
  '-': 'fail',
  '?': 'neutral',
  '~': 'softfail',
}

/** The texts that are SPF records among the TXT records of a name. Source: RFC 7208 section 4.5. */
export function selectSpf(texts: readonly string[]): string[] {
  return texts.filter((text) => VERSION.test(text))
}

/** Parses a text that `selectSpf` chose; one error makes the whole record invalid. */
export function parseSpf(text: string): ParsedSpf {
  if (text.length > MAX_RECORD_LENGTH) {
    return { ok: false, reason: `a record of more than ${MAX_RECORD_LENGTH} characters` }
  }
  const directives: SpfDirective[] = []
  const modifiers = new Map<string, MacroString>()
  for (const term of text.split(' ').slice(1)) {
    if (term === '') continue
    const modifier = /^([a-z][a-z0-9_.-]*)=(.*)$/is.exec(term)
    if (modifier === null) {
      const directive = parseDirective(term)
      if (directive === undefined) return bad(term)
      directives.push(directive)
      continue
    }
    const name = modifier[1]!.toLowerCase()
    const isKnown = name === 'redirect' || name === 'exp'
    const value = isKnown ? parseDomainSpec(modifier[2]!) : parseMacroString(modifier[2]!)
    if (value === undefined) return bad(term)
    if (!isKnown) continue
    if (modifiers.has(name)) return { ok: false, reason: `${name}= twice` }
    modifiers.set(name, value)
  }
  return { ok: true, record: { directives, redirect: modifiers.get('redirect') } }
}

function bad(term: string): ParsedSpf {
  return { ok: false, reason: `bad term ${term.slice(0, 80)}` }
}

function parseDirective(term: string): SpfDirective | undefined {
  const [, sign, word, rest] = /^([-+?~]?)([a-z][a-z0-9]*)(.*)$/is.exec(term) ?? []
  if (word === undefined) return undefined
  const mechanism = parseMechanism(word.toLowerCase(), rest!)
  return mechanism && { ...mechanism, outcome: OUTCOMES[sign!]! }
}

function parseMechanism(name: string, rest: string): SpfMechanism | undefined {
  switch (name) {
    case 'all':
      return rest === '' ? { kind: 'all' } : undefined
    case 'include':
    case 'exists': {
      const target = rest.startsWith(':') ? parseDomainSpec(rest.slice(1)) : undefined
      return target && { kind: name, target }
    }
    case 'ptr':
      return withTarget(rest, (target) => ({ kind: 'ptr', target }))
    case 'a':
    case 'mx': {
      const [length = ''] = /(?:\/[0-9]+)?(?:\/\/[0-9]+)?$/.exec(rest) ?? []
      const bits = parseDualLength(length)
      if (bits === undefined) return undefined
      return withTarget(rest.slice(0, rest.length - length.length), (target) => ({
        kind: name,
        target,
        ...bits,
      }))
    }
    case 'ip4':
    case 'ip6':
      return parseNetwork(name, rest)
    default:
      return undefined
  }
}

function withTarget(
  text: string,
  mechanismOf: (target: MacroString | undefined) => SpfMechanism,
): SpfMechanism | undefined {
  if (text === '') return mechanismOf(undefined)
  const target = text.startsWith(':') ? parseDomainSpec(text.slice(1)) : undefined
  return target && mechanismOf(target)
}

function parseDualLength(text: string): DualLength | undefined {
  const [, bits4, bits6] = /^(?:\/([0-9]+))?(?:\/\/([0-9]+))?$/.exec(text)!
  const four = lengthOf(bits4, 32)
  const six = lengthOf(bits6, 128)
  return four === undefined || six === undefined ? undefined : { bits4: four, bits6: six }
}

/** Leading zeros are errors, as in the numbers of an address. */
function lengthOf(digits: string | undefined, most: number): number | undefined {
  if (digits === undefined) return most
  return /^(0|[1-9][0-9]{0,2})$/.test(digits) && Number(digits) <= most ? Number(digits) : undefined
}

function parseNetwork(name: 'ip4' | 'ip6', rest: string): SpfMechanism | undefined {
  if (!rest.startsWith(':')) return undefined
  const text = rest.slice(1)
  const isIpv6Text = text.includes(':')
  if (isIpv6Text !== (name === 'ip6')) return undefined
  const network = parseCidr(text)
  if (network === undefined) return undefined
  return { kind: 'ip', network: network.family === 4 && isIpv6Text ? undefined : network }
}
