/**
 * nftables: sets exist and are filled, unknown hosts are sent to spamd and WHITE hosts are not, no duplicate
 * chains, the packet log.
 */
import {
  evaluateNftChain,
  type NftChain,
  type NftRuleset,
  outsideInterface,
  parseNftRuleset,
} from '../../codec/system/nft-ruleset.js'
import {
  type DoctorContext,
  findProgram,
  isDenied,
  optionValue,
  outputOf,
  type StoredFacts,
  whyNothing,
} from './context.js'
import { logCommand, startCommand } from './daemon-checks.js'
import type { Findings } from './finding.js'
import { checkFilled, listensAt, listenText, opensPools } from './mail-path.js'

const TABLE = 'inet spamd'
const LOAD = 'nft -f /etc/nftables.conf'
const DEFAULT_GROUP = 25

/** Checks `nft`, `nft.sets`, `nft.filled`, `nft.redirect`, `nft.pass`, `nft.pools`, `nft.allow`, `nft.nospamd`, `nft.twice`, `nft.log`, `nft.group`. */
export async function checkNft(
  context: DoctorContext,
  findings: Findings,
  { white, exceptions }: StoredFacts,
): Promise<void> {
  const { probe, settings } = context
  const listed = await probe.run(settings.nft, ['-j', '-t', 'list', 'ruleset'])
  if (isDenied(listed)) {
    findings.info('nft', 'cannot read nftables: that needs root or CAP_NET_ADMIN', 'run doctor as root')
    return
  }
  const text = outputOf(listed)
  const ruleset = text === undefined ? undefined : parseNftRuleset(text)
  if (ruleset === undefined) {
    const why = text === undefined ? whyNothing('nft', listed) : 'its output is not a ruleset'
    findings.error('nft', `cannot read nftables: ${why}`, 'apt-get install nftables')
    return
  }
  await checkSets(context, findings, ruleset, white)
  checkTwice(findings, ruleset)
  const chains = redirecting(ruleset)
  if (chains.length === 0) {
    findings.error(
      'nft.redirect',
      'no rule sends mail to spamd',
      'add the rules of docs/examples/nftables.conf',
    )
  } else checkWays(context, findings, ruleset, { chains, hasExceptions: exceptions.length > 0 })
  checkLog(context, findings, ruleset)
}

async function checkSets(
  context: DoctorContext,
  findings: Findings,
  ruleset: NftRuleset,
  white: number | undefined,
): Promise<void> {
  const { probe, settings, daemon } = context
  const isBlackOnly = daemon.kind === 'status' && daemon.status.mode === 'block-lists'
  const wanted = isBlackOnly ? ['spamd', 'spamd6'] : ['spamd-white', 'spamd-white6']
  const ours = ruleset.sets.filter(({ table }) => table === TABLE)
  const missing = wanted.filter((name) => !ours.some((set) => set.name === name))
  if (missing.length > 0) {
    findings.error('nft.sets', `table ${TABLE} has no set ${missing.join(', ')}`, LOAD)
    return
  }
  findings.ok('nft.sets', `table ${TABLE} has the sets ${wanted.join(', ')}`)
  if (isBlackOnly) return
  let held = 0
  for (const name of wanted) {
    const listed = parseNftRuleset(
      outputOf(await probe.run(settings.nft, ['-j', 'list', 'set', ...TABLE.split(' '), name])) ?? '',
    )
    held += listed?.sets[0]?.elementCount ?? 0
  }
  checkFilled(context, findings, {
    id: 'nft',
    table: 'spamd-white',
    held,
    white,
    log: logCommand(context, 'spamd'),
  })
}

/** A second `nft -f` of a file without `flush` or `delete` adds all rules again. */
function checkTwice(findings: Findings, ruleset: NftRuleset): void {
  for (const chain of ruleset.chains) {
    if (chain.rules.length < 2 || chain.rules.length % 2 !== 0) continue
    const texts = chain.rules.map((rule) => JSON.stringify(rule))
    const half = texts.length / 2
    const isDoubled = texts.slice(0, half).every((text, index) => text === texts[half + index])
    const touchesMail = chain.rules.some(({ ports }) => ports?.includes(25) === true)
    if (isDoubled && touchesMail) {
      findings.warning(
        'nft.twice',
        `all rules of chain ${chain.table} ${chain.name} exist twice: the file was loaded again without a flush`,
        `nft flush chain ${chain.table} ${chain.name}; ${LOAD}`,
      )
    }
  }
}

/** The port on which spamd listens, or would. */
function portOf({ daemon, settings }: DoctorContext): number {
  return (daemon.kind === 'status' ? daemon.status.listen[0]?.port : undefined) ?? settings.port
}

function redirecting(ruleset: NftRuleset): NftChain[] {
  return ruleset.chains.filter(({ hook }) => hook === 'prerouting').sort((a, b) => a.priority - b.priority)
}

/** The rules that decide about mail, and what `portFor` finds with them. */
interface Ways {
  ruleset: NftRuleset
  hasExceptions: boolean
  /** The port to which mail from a client in these sets is redirected; undefined if it is not. */
  portFor(family: 4 | 6, sets: readonly string[]): number | undefined
}

/** A set whose members bypass spamd. */
interface Exemption {
  id: string
  /** Its name for IPv4; that for IPv6 ends with 6. */
  set: string
  isChecked(context: DoctorContext, family: 4 | 6, ways: Ways, set: string): boolean
  trouble(set: string): string
  place: string
  /** What is in order, by family; undefined: not reported. */
  fine: Partial<Record<4 | 6, string>>
}

const hasSet = ({ sets }: NftRuleset, name: string): boolean =>
  sets.some((set) => set.table === TABLE && set.name === name)

const EXEMPTIONS: readonly Exemption[] = [
  {
    id: 'nft.pass',
    set: 'spamd-white',
    isChecked: () => true,
    trouble: () => 'mail from WHITE hosts is sent to spamd too',
    place: 'before the redirect',
    fine: { 4: 'WHITE hosts reach the mail server' },
  },
  {
    id: 'nft.pools',
    set: 'spamd-white-net',
    isChecked: (context, family) => opensPools(context, family),
    trouble: (set) => `mail from @${set} is sent to spamd, so pools of senders do not get through`,
    place: 'before the redirect',
    fine: {
      4: 'IPv4 networks of pools reach the mail server',
      6: 'IPv6 networks of pools reach the mail server',
    },
  },
  {
    id: 'nft.allow',
    set: 'spamd-allow',
    isChecked: (_, __, { hasExceptions, ruleset }, set) => hasExceptions && hasSet(ruleset, set),
    trouble: (set) => `mail from @${set} is sent to spamd, so exceptions have no effect`,
    place: 'before the redirect',
    fine: { 4: 'exceptions of spamdctl allow reach the mail server' },
  },
  {
    id: 'nft.nospamd',
    set: 'nospamd',
    isChecked: (_, __, { ruleset }, set) => hasSet(ruleset, set),
    trouble: (set) => `mail from @${set} is sent to spamd`,
    place: 'first in the nat chain',
    fine: { 4: 'hosts in nospamd reach the mail server' },
  },
]

function checkWays(
  context: DoctorContext,
  findings: Findings,
  ruleset: NftRuleset,
  { chains, hasExceptions }: { chains: readonly NftChain[]; hasExceptions: boolean },
): void {
  const outside = outsideInterface(ruleset, chains)
  const portFor: Ways['portFor'] = (family, sets) => {
    for (const chain of chains) {
      const rule = evaluateNftChain(ruleset, chain, { family, sets, port: 25, interface: outside })
      // Of nat chains, the first that translates determines the connection; accept continues with the next chain.
      if (rule?.verdict === 'redirect' || rule?.verdict === 'dnat') return rule.redirectPort
    }
    return undefined
  }
  const ways = { ruleset, hasExceptions, portFor }
  for (const family of [4, 6] as const) {
    const port = portFor(family, [])
    if (port === undefined) {
      findings.error(
        'nft.redirect',
        `IPv${family} mail from unknown hosts is not sent to spamd`,
        `add "tcp dport 25 redirect to :${portOf(context)}" to the nat chain; ${LOAD}`,
      )
      continue
    }
    checkRedirect(context, findings, family, port)
    for (const exemption of EXEMPTIONS) checkExemption(context, findings, { family, ways, exemption })
  }
}

/** A redirected connection arrives at the address of its interface. */
function checkRedirect(context: DoctorContext, findings: Findings, family: 4 | 6, port: number): void {
  if (listensAt(context, family === 4 ? undefined : '::', port) !== false) {
    findings.ok('nft.redirect', `IPv${family} mail from unknown hosts is redirected to port ${port}`)
    return
  }
  findings.error(
    'nft.redirect',
    `IPv${family} mail is redirected to port ${port}, where spamd does not listen (it does on ${listenText(context)})`,
    family === 4
      ? `name the port of spamd in the rules, or start it with -p ${port}`
      : 'add -l :: to the options of spamd',
  )
}

function checkExemption(
  context: DoctorContext,
  findings: Findings,
  { family, ways, exemption }: { family: 4 | 6; ways: Ways; exemption: Exemption },
): void {
  const { id, trouble, place, fine } = exemption
  const set = `${exemption.set}${family === 4 ? '' : '6'}`
  if (!exemption.isChecked(context, family, ways, set)) return
  if (ways.portFor(family, [set]) !== undefined) {
    findings.error(
      id,
      `IPv${family} ${trouble(set)}`,
      `put "${family === 4 ? 'ip' : 'ip6'} saddr @${set} accept" ${place}; ${LOAD}`,
    )
  } else if (fine[family] !== undefined) findings.ok(id, fine[family])
}

function checkLog(context: DoctorContext, findings: Findings, ruleset: NftRuleset): void {
  const { probe, daemon } = context
  if (daemon.kind === 'status' && daemon.status.mode === 'block-lists') return
  const groups = new Set<number>()
  for (const { rules } of ruleset.chains) {
    for (const { logGroup, ports } of rules) {
      if (logGroup !== undefined && (ports === undefined || ports.includes(25))) groups.add(logGroup)
    }
  }
  if (groups.size === 0) {
    findings.error(
      'nft.log',
      'no rule logs mail connections: spamlogd sees nothing, and WHITE entries expire',
      `add "tcp dport 25 ct state new log prefix \\"spamlogd-in\\" group ${DEFAULT_GROUP}"; ${LOAD}`,
    )
    return
  }
  findings.ok('nft.log', `mail connections are logged to nflog group ${[...groups].join(', ')}`)
  const [spamlogd] = findProgram(context.processes, 'spamlogd')
  if (spamlogd === undefined) return
  const device = optionValue(spamlogd.words, 'l') ?? `nflog:${DEFAULT_GROUP}`
  const watched = device
    .replace(/^nflog:/, '')
    .split(',')
    .map(Number)
  if (!watched.some((group) => groups.has(group))) {
    findings.error(
      'nft.group',
      `the rules log to group ${[...groups].join(', ')}, but spamlogd watches ${device}`,
      `start spamlogd with -l nflog:${[...groups].join(',')}`,
    )
    return
  }
  const bound = probe.readFile('/proc/net/netfilter/nfnetlink_log')
  if (bound.kind !== 'text') {
    findings.ok('nft.group', `spamlogd watches ${device}`)
    return
  }
  // Columns: group, port id of the listener, ...
  const boundGroups = bound.text.split('\n').map((line) => Number.parseInt(line, 10))
  if (watched.some((group) => boundGroups.includes(group)))
    findings.ok('nft.group', `spamlogd is bound to ${device}`)
  else
    findings.error(
      'nft.group',
      `spamlogd runs, but no process is bound to ${device}`,
      startCommand(context, 'spamlogd', 'restart'),
    )
}
