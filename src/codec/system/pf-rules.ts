/**
 * Rules as pfctl(8) prints them (`-s rules`, `-s nat`), as far as the way of a mail connection depends on them, and
 * what pf does with such a connection. Source: pf.conf(5) of OpenBSD and FreeBSD, BNF at the end; print formats as
 * observed with pfctl.
 */

/** One rule, with what a mail connection can be told apart by. */
export interface PfRule {
  /** As printed. */
  text: string
  action: 'pass' | 'block' | 'match' | 'rdr' | 'no rdr' | 'anchor' | 'rdr-anchor' | 'other'
  isQuick: boolean
  direction: 'in' | 'out' | undefined
  /** `on`: interface or group, without `!`. */
  interface: string | undefined
  isInterfaceNegated: boolean
  family: 4 | 6 | undefined
  /** `proto`; undefined matches all. */
  protocol: string | undefined
  /** `any`, `<table>`, an address; with `! ` in front when negated. */
  from: string
  /** Destination port 25 or its name, another text, or undefined for every port. */
  toPort: string | undefined
  /** Interface of the log, when the rule logs. */
  logTo: string | undefined
  /** Where the connection is sent instead. */
  redirect: { kind: 'divert-to' | 'rdr-to' | 'rdr'; address: string; port: number | undefined } | undefined
  /** `rdr pass`: the filter rules are skipped. */
  isPassingRdr: boolean
  tag: string | undefined
  tagged: string | undefined
  /** Only packets that another condition of the rule picks out: it cannot be told whether mail is among them. */
  isConditional: boolean
  /** Name of an anchor, as written: `spamd`, or `ftp-proxy/*` for all below. */
  anchor: string | undefined
  /** The anchors that the rule stands in: their conditions hold as well. */
  within: readonly PfRule[]
}

/** A mail connection as the rules see it. */
export interface MailPacket {
  direction: 'in' | 'out'
  family: 4 | 6
  /** Tables that the client is in. */
  tables: readonly string[]
  port: number
  /** Interface or group; undefined: whichever. */
  interface: string | undefined
  tag?: string | undefined
}

/** The rules of a listing, in their order; lines that are no rules are left out. */
export function parsePfRules(listing: string): PfRule[] {
  return listing.split('\n').flatMap((line) => parseRule(line.trim()) ?? [])
}

const FROM = /\bfrom (! )?(<[^>]+>|\{[^}]*\}|\([^)]*\)|\S+)/
/** Behind `to ADDRESS`; not that of `divert-to ADDRESS port N`. */
const TO_PORT = /(?<![-\w])to (?:! )?(?:<[^>]+>|\{[^}]*\}|\([^)]*\)|\S+) port (?:= )?(\S+(?: (?:<>|><) \S+)?)/
const CONDITION = /\b(?:user|group) [=!<>]| probability | os "| received-on |\bfrom (?:! )?\S+ port /

const DIRECTION = /^(?:pass|match|(?:rdr-)?anchor|block(?: drop| return\S*(?: ?\([^)]*\))?)?) (in|out)\b/

// eslint-disable-next-line complexity -- a flat table: one pattern for each field of a rule, each may be absent
function parseRule(text: string): PfRule | undefined {
  const action = /^(pass|block|match|no rdr|rdr-anchor|rdr|anchor)(?=\s)/.exec(text)?.[1] as
    | PfRule['action']
    | undefined
  if (action === undefined) return undefined
  // A label is free text, and may hold any word.
  const anchor = /^(?:rdr-)?anchor "([^"]+)"/.exec(text)?.[1]
  const bare = text.replace(/ label "[^"]*"/, '').replace(/^((?:rdr-)?anchor) "[^"]+"/, '$1')
  const on = /\bon (! )?(\S+)/.exec(bare)
  const log = /\blog(?: \(([^)]*)\))?/.exec(bare)
  return {
    text,
    action,
    isQuick: / quick\b/.test(bare),
    direction: DIRECTION.exec(bare)?.[1] as 'in' | 'out' | undefined,
    interface: on?.[2],
    isInterfaceNegated: on?.[1] !== undefined,
    family: / inet6\b/.test(bare) ? 6 : / inet\b/.test(bare) ? 4 : undefined,
    protocol: /\bproto (\S+)/.exec(bare)?.[1],
    from: FROM.exec(bare)?.slice(1).join('') ?? 'any',
    toPort: TO_PORT.exec(bare)?.[1],
    logTo: log === null ? undefined : (/\bto (\S+)/.exec(log[1] ?? '')?.[1]?.replace(/,$/, '') ?? 'pflog0'),
    redirect: redirectOf(bare),
    isPassingRdr: /^rdr pass\b/.test(bare),
    tag: /\btag (\S+)/.exec(bare)?.[1]?.replaceAll('"', ''),
    tagged: /\btagged (\S+)/.exec(bare)?.[1]?.replaceAll('"', ''),
    isConditional: CONDITION.test(bare),
    anchor,
    within: [],
  }
}

function redirectOf(text: string): PfRule['redirect'] {
  const [, kind, address, port] = /\b(divert-to|rdr-to) (\S+)(?: port (?:= )?([0-9]+))?/.exec(text) ?? []
  if (kind !== undefined) {
    return { kind: kind as 'divert-to' | 'rdr-to', address: address!, port: numberOf(port) }
  }
  if (!text.startsWith('rdr')) return undefined
  const [, target = '', targetPort] = / -> (\S+)(?: port (?:= )?([0-9]+))?/.exec(text) ?? []
  return { kind: 'rdr', address: target, port: numberOf(targetPort) }
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text)
}

/** The translation rule that takes the packet: the first that matches. */
export function findTranslation(rules: readonly PfRule[], packet: MailPacket): PfRule | undefined {
  return rules.find((rule) => (rule.action === 'rdr' || rule.action === 'no rdr') && matches(rule, packet))
}

/** What becomes of a packet in the filter rules. */
export interface FilterVerdict {
  /** The deciding rule; undefined: none matched, which passes. */
  rule: PfRule | undefined
  /** Redirection in force: of the deciding rule, else of the last `match` rule that has one. */
  redirect: PfRule['redirect']
  /** Interfaces that it is logged to. */
  logTo: string[]
}

const FILTER_ACTIONS: readonly PfRule['action'][] = ['pass', 'block', 'match', 'other']

/** Evaluates filter rules: the last matching one decides, or the first with `quick`. */
export function evaluateFilter(rules: readonly PfRule[], packet: MailPacket): FilterVerdict {
  let decided: PfRule | undefined
  let redirect: PfRule['redirect']
  const logTo = new Set<string>()
  for (const rule of rules) {
    if (!FILTER_ACTIONS.includes(rule.action) || !matches(rule, packet)) continue
    if (rule.action === 'match') {
      redirect = rule.redirect ?? redirect
      if (rule.logTo !== undefined) logTo.add(rule.logTo)
      continue
    }
    decided = rule
    if (rule.isQuick) break
  }
  if (decided?.logTo !== undefined) logTo.add(decided.logTo)
  return { rule: decided, redirect: decided?.redirect ?? redirect, logTo: [...logTo] }
}

function matches(rule: PfRule, packet: MailPacket): boolean {
  if (rule.direction !== undefined && rule.direction !== packet.direction) return false
  if (rule.family !== undefined && rule.family !== packet.family) return false
  if (rule.protocol !== undefined && !['tcp', '6'].includes(rule.protocol)) return false
  if (rule.isConditional) return false
  if (rule.tagged !== undefined && rule.tagged !== packet.tag) return false
  if (!matchesInterface(rule, packet.interface)) return false
  if (!matchesSource(rule.from, packet.tables) || !matchesPort(rule.toPort, packet.port)) return false
  return rule.within.every((anchor) => matches(anchor, packet))
}

/** Without knowledge of the interface every one but the loopback may be meant. */
function matchesInterface(rule: PfRule, name: string | undefined): boolean {
  if (rule.interface === undefined) return true
  if (rule.isInterfaceNegated) return rule.interface !== name
  if (/^lo[0-9]*$/.test(rule.interface)) return false
  return name === undefined || rule.interface === name
}

/** A stranger is in no table and has no address that a rule could name. */
function matchesSource(from: string, tables: readonly string[]): boolean {
  const [, not, what] = /^(! ?)?(.*)$/s.exec(from)!
  const isIn =
    what === 'any' ||
    what === 'all' ||
    (what!.startsWith('<') && tables.includes(what!.replace(/^<|[:>].*$/g, '')))
  return not === undefined ? isIn : !isIn
}

function matchesPort(text: string | undefined, port: number): boolean {
  if (text === undefined) return true
  const [, low, operator, high] = /^([0-9]+) ?(<>|><|:) ?([0-9]+)$/.exec(text) ?? []
  if (operator === undefined) return text === String(port) || (port === 25 && text === 'smtp')
  if (operator === ':') return port >= Number(low) && port <= Number(high)
  return operator === '><'
    ? port > Number(low) && port < Number(high)
    : port < Number(low) || port > Number(high)
}
