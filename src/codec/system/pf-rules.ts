/**
 * Reads rules that pfctl(8) prints (`-s rules`, `-s nat`), as far as they affect a mail connection, and determines
 * what pf does with such a connection. Source: pf.conf(5) of OpenBSD and FreeBSD, BNF at the end; print formats as
 * observed with pfctl.
 */

/** One rule, with the conditions that a mail connection can meet or not. */
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
  /** Destination port: 25 or its name, another text, or undefined for every port. */
  toPort: string | undefined
  /** Interface of the log, if the rule logs. */
  logTo: string | undefined
  /** Where the connection is redirected to. */
  redirect: { kind: 'divert-to' | 'rdr-to' | 'rdr'; address: string; port: number | undefined } | undefined
  /** `rdr pass`: the filter rules are skipped. */
  isPassingRdr: boolean
  tag: string | undefined
  tagged: string | undefined
  /** True if the rule has another condition, so that it is unknown whether it applies to mail. */
  isConditional: boolean
  /** Name of an anchor, as written: `spamd`, or `ftp-proxy/*` for all below. */
  anchor: string | undefined
  /** The anchors that contain the rule: their conditions apply as well. */
  within: readonly PfRule[]
}

/** A mail connection, for the evaluation of rules. */
export interface MailPacket {
  direction: 'in' | 'out'
  family: 4 | 6
  /** Tables that contain the client. */
  tables: readonly string[]
  port: number
  /** Interface or group; undefined: any. */
  interface: string | undefined
  tag?: string | undefined
}

/** The rules of a listing, in order, without lines that are not rules. */
export function parsePfRules(listing: string): PfRule[] {
  return listing.split('\n').flatMap((line) => parseRule(line.trim()) ?? [])
}

const FROM = /\bfrom (! )?(<[^>]+>|\{[^}]*\}|\([^)]*\)|\S+)/
/** The port after `to ADDRESS`, not that of `divert-to ADDRESS port N`. */
const TO_PORT = /(?<![-\w])to (?:! )?(?:<[^>]+>|\{[^}]*\}|\([^)]*\)|\S+) port (?:= )?(\S+(?: (?:<>|><) \S+)?)/
const CONDITION = /\b(?:user|group) [=!<>]| probability | os "| received-on |\bfrom (?:! )?\S+ port /

const DIRECTION = /^(?:pass|match|(?:rdr-)?anchor|block(?: drop| return\S*(?: ?\([^)]*\))?)?) (in|out)\b/

// eslint-disable-next-line complexity -- a flat table: one pattern for each field of a rule, each may be absent
function parseRule(text: string): PfRule | undefined {
  const action = /^(pass|block|match|no rdr|rdr-anchor|rdr|anchor)(?=\s)/.exec(text)?.[1] as
    | PfRule['action']
    | undefined
  if (action === undefined) return undefined
  // A label is free text and may contain any word.
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

/** The translation rule that applies to the packet: the first that matches. */
export function findTranslation(rules: readonly PfRule[], packet: MailPacket): PfRule | undefined {
  return rules.find((rule) => (rule.action === 'rdr' || rule.action === 'no rdr') && matches(rule, packet))
}

/** What the filter rules do with a packet. */
export interface FilterVerdict {
  /** The deciding rule; undefined: none matched, so the packet passes. */
  rule: PfRule | undefined
  /** The redirection that applies: that of the deciding rule, otherwise of the last `match` rule with one. */
  redirect: PfRule['redirect']
  /** Interfaces to which it is logged. */
  logTo: string[]
}

const FILTER_ACTIONS: readonly PfRule['action'][] = ['pass', 'block', 'match', 'other']

/** Evaluates filter rules: the last matching rule decides, or the first matching one with `quick`. */
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

/** If the interface is unknown, a rule for any interface except the loopback may apply. */
function matchesInterface(rule: PfRule, name: string | undefined): boolean {
  if (rule.interface === undefined) return true
  if (rule.isInterfaceNegated) return rule.interface !== name
  if (/^lo[0-9]*$/.test(rule.interface)) return false
  return name === undefined || rule.interface === name
}

/** An unknown client is in no table, and no rule names its address. */
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
