/**
 * Reads the ruleset that `nft -j list ruleset` prints, as far as it affects a mail connection. Source:
 * libnftables-json(5).
 */

export interface NftSet {
  table: string
  name: string
  type: string
  isInterval: boolean
  /** Number of elements listed; 0 with `--terse`. */
  elementCount: number
}

/** One rule, with the conditions that a mail connection can meet or not. */
export interface NftRule {
  /** Sets that must contain the source (`@name`) or must not (`!@name`). */
  sources: string[]
  /** Family to which an address in the rule restricts it. */
  family: 4 | 6 | undefined
  /** Destination ports; undefined: all. */
  ports: number[] | undefined
  isTcp: boolean
  /** Interfaces that it names, or all except these. */
  interfaces: { names: string[]; isNegated: boolean } | undefined
  /** Its final statement. */
  verdict: 'accept' | 'drop' | 'reject' | 'return' | 'redirect' | 'dnat' | 'jump' | 'continue'
  redirectPort: number | undefined
  jumpTo: string | undefined
  logGroup: number | undefined
  logPrefix: string | undefined
  /** True for a condition that cannot be evaluated for mail from an unknown client. */
  isConditional: boolean
}

export interface NftChain {
  table: string
  name: string
  hook: string | undefined
  type: string | undefined
  priority: number
  policy: string | undefined
  rules: NftRule[]
}

export interface NftRuleset {
  sets: NftSet[]
  chains: NftChain[]
}

interface JsonItem {
  set?: {
    family: string
    table: string
    name: string
    type: unknown
    flags?: string | string[]
    elem?: unknown[]
  }
  chain?: {
    family: string
    table: string
    name: string
    hook?: string
    type?: string
    prio?: number
    policy?: string
  }
  rule?: { family: string; table: string; chain: string; expr: Record<string, unknown>[] }
}

/** Reads the JSON; undefined if it is not a ruleset. Tables are named with their family: `inet spamd`. */
export function parseNftRuleset(json: string): NftRuleset | undefined {
  let items: JsonItem[]
  try {
    const value = JSON.parse(json) as { nftables?: JsonItem[] }
    if (!Array.isArray(value.nftables)) return undefined
    items = value.nftables
  } catch {
    return undefined
  }
  const sets: NftSet[] = []
  const chains: NftChain[] = []
  for (const { set, chain, rule } of items) {
    if (set !== undefined) {
      sets.push({
        table: `${set.family} ${set.table}`,
        name: set.name,
        type: String(set.type),
        isInterval: [set.flags].flat().includes('interval'),
        elementCount: set.elem?.length ?? 0,
      })
    }
    if (chain !== undefined) {
      chains.push({
        table: `${chain.family} ${chain.table}`,
        name: chain.name,
        hook: chain.hook,
        type: chain.type,
        priority: chain.prio ?? 0,
        policy: chain.policy,
        rules: [],
      })
    }
    if (rule === undefined) continue
    const owner = chains.find(
      ({ table, name }) => table === `${rule.family} ${rule.table}` && name === rule.chain,
    )
    owner?.rules.push(readRule(rule.expr, rule.family))
  }
  return { sets, chains }
}

function readRule(expressions: readonly Record<string, unknown>[], tableFamily: string): NftRule {
  const rule: NftRule = {
    sources: [],
    family: tableFamily === 'ip' ? 4 : tableFamily === 'ip6' ? 6 : undefined,
    ports: undefined,
    isTcp: false,
    interfaces: undefined,
    verdict: 'continue',
    redirectPort: undefined,
    jumpTo: undefined,
    logGroup: undefined,
    logPrefix: undefined,
    isConditional: false,
  }
  for (const expression of expressions) {
    const [name = '', value] = Object.entries(expression)[0] ?? []
    readExpression(rule, name, value as Record<string, unknown> | null)
  }
  return rule
}

// eslint-disable-next-line complexity -- a grammar: one case for each statement of a rule
function readExpression(rule: NftRule, name: string, value: Record<string, unknown> | null): void {
  switch (name) {
    case 'match':
      readMatch(rule, value as unknown as Match)
      break
    case 'accept':
    case 'drop':
    case 'reject':
    case 'return':
      // After tproxy, an accept only ends the chain.
      if (rule.verdict !== 'redirect') rule.verdict = name
      break
    case 'redirect':
    case 'dnat':
    case 'tproxy':
      rule.verdict = name === 'dnat' ? 'dnat' : 'redirect'
      rule.redirectPort = typeof value?.port === 'number' ? value.port : undefined
      break
    case 'jump':
    case 'goto':
      rule.verdict = 'jump'
      rule.jumpTo = String(value?.target)
      break
    case 'log':
      rule.logGroup = typeof value?.group === 'number' ? value.group : undefined
      rule.logPrefix = typeof value?.prefix === 'string' ? value.prefix : undefined
      break
    case 'limit':
    case 'quota':
    case 'xt':
      rule.isConditional = true
      break
    default:
  }
}

interface Match {
  op: string
  left: {
    payload?: { protocol: string; field: string }
    meta?: { key: string }
    ct?: { key: string }
  }
  right: unknown
}

// eslint-disable-next-line complexity -- a grammar: one branch for each field that a match can look at
function readMatch(rule: NftRule, { op, left, right }: Match): void {
  const not = op === '!=' ? '!' : ''
  const { payload, meta, ct } = left
  if (payload?.field === 'saddr') {
    rule.family = payload.protocol === 'ip6' ? 6 : 4
    rule.sources.push(`${not}${typeof right === 'string' ? right : JSON.stringify(right)}`)
  } else if (payload?.field === 'dport') {
    rule.isTcp = payload.protocol === 'tcp'
    if (not === '') rule.ports = portsOf(right)
    else rule.isConditional = true
  } else if (meta?.key === 'iifname' || meta?.key === 'oifname') {
    rule.interfaces = { names: namesOf(right), isNegated: not !== '' }
  } else if (meta?.key === 'l4proto') rule.isTcp = right === 'tcp' || right === 6
  else if (meta?.key === 'nfproto') rule.family = right === 'ipv6' ? 6 : 4
  else if (ct?.key === 'state') {
    // Mail arrives on a new connection.
    const states = JSON.stringify(right)
    if (states.includes('new') === (not === '!')) rule.isConditional = true
  } else if (payload?.field !== 'daddr') rule.isConditional = true
}

/** A name, or the names in an anonymous set; empty if they cannot be determined. */
function namesOf(right: unknown): string[] {
  if (typeof right === 'string') return [right]
  const members = (right as { set?: unknown[] } | null)?.set ?? []
  return members.filter((member) => typeof member === 'string')
}

/**
 * The interface from which unknown clients come, as far as the rules show it: the one in redirecting rules, or the
 * one that rules for all other interfaces except. undefined if no rule shows it.
 */
export function outsideInterface(ruleset: NftRuleset, chains: readonly NftChain[]): string | undefined {
  const rules = ruleset.chains.filter((chain) => chains.includes(chain)).flatMap((chain) => chain.rules)
  const redirect = rules.find(
    ({ verdict, interfaces }) => verdict === 'redirect' && interfaces?.isNegated === false,
  )
  const others = rules.find(
    ({ verdict, interfaces }) =>
      ['accept', 'return', 'drop'].includes(verdict) && interfaces?.isNegated === true,
  )
  return redirect?.interfaces?.names[0] ?? others?.interfaces?.names[0]
}

function portsOf(right: unknown): number[] | undefined {
  if (typeof right === 'number') return [right]
  const members = (right as { set?: unknown[] } | null)?.set
  if (!Array.isArray(members)) return undefined
  return members.flatMap((member) => {
    if (typeof member === 'number') return member
    const range = (member as { range?: number[] } | null)?.range
    return range !== undefined && range[0]! <= 25 && range[1]! >= 25 ? 25 : []
  })
}

/** A new mail connection; `sets` without `@`, `interface` as from `outsideInterface`. */
export interface NftPacket {
  family: 4 | 6
  sets: readonly string[]
  port: number
  interface: string | undefined
}

/** The rule of a chain that decides about a connection; undefined if none does. */
export function evaluateNftChain(
  ruleset: NftRuleset,
  chain: NftChain,
  packet: NftPacket,
  depth = 0,
): NftRule | undefined {
  for (const rule of chain.rules) {
    if (!matchesRule(rule, packet)) continue
    if (rule.verdict === 'jump' && depth < 8) {
      const target = ruleset.chains.find(({ table, name }) => table === chain.table && name === rule.jumpTo)
      const inner = target && evaluateNftChain(ruleset, target, packet, depth + 1)
      if (inner !== undefined) return inner
    } else if (rule.verdict === 'return') return undefined
    else if (rule.verdict !== 'continue' && rule.verdict !== 'jump') return rule
  }
  return undefined
}

function matchesRule(rule: NftRule, packet: NftPacket): boolean {
  if (rule.isConditional || (rule.family !== undefined && rule.family !== packet.family)) return false
  if (rule.ports !== undefined && !rule.ports.includes(packet.port)) return false
  if (!matchesInterface(rule.interfaces, packet.interface)) return false
  return rule.sources.every((source) => {
    const isNegated = source.startsWith('!')
    const name = source.replace(/^!?@?/, '')
    return packet.sets.includes(name) !== isNegated
  })
}

/** If the interface is unknown, a rule for any interface except the loopback may apply. */
function matchesInterface(wanted: NftRule['interfaces'], name: string | undefined): boolean {
  if (wanted === undefined) return true
  if (wanted.isNegated) return name === undefined || !wanted.names.includes(name)
  if (wanted.names.length === 1 && wanted.names[0] === 'lo') return false
  return name === undefined || wanted.names.length === 0 || wanted.names.includes(name)
}
