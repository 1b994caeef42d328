/**
 * pf(4): enabled, tables exist, are filled and within the limit, unknown hosts are sent to spamd and WHITE
 * hosts are not, the log of WHITE connections, its interface, and spamlogd's device.
 */
import { countText } from '../../codec/count-text.js'
import { parseIfconfig } from '../../codec/system/ifconfig.js'
import { evaluateFilter, findTranslation, type MailPacket, type PfRule } from '../../codec/system/pf-rules.js'
import { parsePfLimit, parsePfTables } from '../../codec/system/pf-state.js'
import {
  type DoctorContext,
  findProgram,
  isDenied,
  optionValue,
  outputOf,
  type StoredFacts,
  whyNothing,
} from './context.js'
import { logCommand } from './daemon-checks.js'
import type { Findings } from './finding.js'
import { checkFilled, listensAt, listenText, opensPools } from './mail-path.js'
import { readPfRules } from './pf-anchors.js'

const RELOAD = 'pfctl -f /etc/pf.conf'
const WHITE = 'spamd-white'
const POOLS = 'spamd-white-net'
const EXCEPTIONS = 'nospamd'
const ALLOWED = 'spamd-allow'

/** Checks `pf`, `pf.tables`, `pf.filled`, `pf.limit`, `pf.redirect`, `pf.pass`, `pf.pools`, `pf.allow`, `pf.nospamd`, `pf.log`, `pf.pflog`. */
export async function checkPf(
  context: DoctorContext,
  findings: Findings,
  { white, exceptions }: StoredFacts,
): Promise<void> {
  const { probe, settings } = context
  const pfctl = (...args: string[]) => probe.run(settings.pfctl, args)
  const info = await pfctl('-s', 'info')
  if (isDenied(info)) {
    findings.info('pf', 'cannot read pf: no permission to open /dev/pf', 'run doctor as root')
    return
  }
  const infoText = outputOf(info)
  if (infoText === undefined) {
    findings.error(
      'pf',
      `cannot read pf: ${whyNothing('pfctl', info)}`,
      probe.system === 'freebsd' ? 'kldload pf' : undefined,
    )
    return
  }
  if (!/^Status: Enabled/m.test(infoText)) {
    findings.error('pf', 'pf is disabled: no host is sent to spamd', 'pfctl -e')
    return
  }
  findings.ok('pf', 'pf is enabled')
  await checkTables(context, findings, white)
  const filter = await readPfRules(pfctl, 'rules')
  // OpenBSD's pfctl has no -s nat: translation is part of its filter rules.
  const translation = probe.system === 'freebsd' ? await readPfRules(pfctl, 'nat') : []
  if (filter.length === 0) {
    findings.error('pf.redirect', 'pf has no rules: all mail bypasses spamd', RELOAD)
    return
  }
  const rules = { filter, translation, ports: portsOf(context), hasExceptions: exceptions.length > 0 }
  checkRules(context, findings, rules)
  await checkLog(context, findings, rules)
}

async function checkTables(
  context: DoctorContext,
  findings: Findings,
  white: number | undefined,
): Promise<void> {
  const { probe, settings, daemon } = context
  const tables = parsePfTables(outputOf(await probe.run(settings.pfctl, ['-vvs', 'Tables'])) ?? '')
  const isBlackOnly = daemon.kind === 'status' && daemon.status.mode === 'block-lists'
  const wanted = isBlackOnly ? ['spamd'] : [WHITE]
  const missing = wanted.filter((name) => !tables.has(name))
  if (missing.length > 0) {
    findings.error(
      'pf.tables',
      `pf has no table <${missing.join('>, <')}>`,
      `put "table <${missing[0]}> persist" into pf.conf; ${RELOAD}`,
    )
  } else findings.ok('pf.tables', `tables ${wanted.map((name) => `<${name}>`).join(', ')} exist`)
  const held = tables.get(WHITE)
  if (held !== undefined && !isBlackOnly) {
    checkFilled(context, findings, {
      id: 'pf',
      table: `<${WHITE}>`,
      held,
      white,
      log: logCommand(context, 'spamd'),
    })
  }
  const limit = parsePfLimit(outputOf(await probe.run(settings.pfctl, ['-s', 'memory'])) ?? '')
  if (limit === undefined) return
  const total = [...tables.values()].reduce((sum, count) => sum + count, 0)
  // A replace needs the old and the new entries at once, and the database knows better how many WHITE entries
  // there will be.
  const needed = total + Math.max(tables.get(WHITE) ?? 0, tables.get('spamd') ?? 0, white ?? 0)
  const fix = `put "set limit table-entries ${roundUp(needed * 2)}" into pf.conf; ${RELOAD}`
  if (total >= limit)
    findings.error(
      'pf.limit',
      `all tables hold ${countText(total, 'entry', 'entries')}, the limit of all together is ${limit}`,
      fix,
    )
  else if (needed > limit) {
    findings.error(
      'pf.limit',
      `replacing the largest table needs room for ${countText(needed, 'entry', 'entries')}, the limit of all tables together is ${limit}`,
      fix,
    )
  } else
    findings.ok('pf.limit', `all tables together hold ${total} of ${countText(limit, 'entry', 'entries')}`)
}

function roundUp(count: number): number {
  const step = 100_000
  return Math.ceil(count / step) * step
}

/** What happens to a connection: translation first (FreeBSD), then the filter. */
interface Way {
  decided: PfRule | undefined
  isBlocked: boolean
  toSpamd: { address: string; port: number } | undefined
  logTo: string[]
}

function wayOf(
  filter: readonly PfRule[],
  translation: readonly PfRule[],
  packet: Omit<MailPacket, 'port' | 'direction'>,
  spamdPorts: readonly number[],
): Way {
  const start = { ...packet, direction: 'in', port: 25 } as const
  const translated = findTranslation(translation, start)
  const isTranslated = translated?.action === 'rdr' && translated.redirect?.port !== undefined
  const rest: MailPacket = isTranslated
    ? { ...start, port: translated.redirect!.port!, tag: translated.tag }
    : start
  const verdict =
    translated?.isPassingRdr === true
      ? { rule: translated, redirect: undefined, logTo: [] }
      : evaluateFilter(filter, rest)
  const target = verdict.redirect ?? (isTranslated ? translated.redirect : undefined)
  const isToSpamd = target?.port !== undefined && spamdPorts.includes(target.port)
  return {
    decided: verdict.rule ?? translated,
    isBlocked: verdict.rule?.action === 'block',
    toSpamd: isToSpamd ? { address: target.address, port: target.port! } : undefined,
    logTo: verdict.logTo,
  }
}

function redirectsOf(rules: readonly PfRule[], ports: readonly number[]): PfRule[] {
  return rules.filter(({ redirect }) => redirect?.port !== undefined && ports.includes(redirect.port))
}

/** The rules that decide about mail, and the ports of spamd. */
interface MailRules {
  filter: readonly PfRule[]
  translation: readonly PfRule[]
  ports: readonly number[]
  hasExceptions: boolean
}

/** The ports on which spamd listens, or would. */
function portsOf({ daemon, settings }: DoctorContext): number[] {
  return daemon.kind === 'status' ? daemon.status.listen.map(({ port }) => port) : [settings.port]
}

/** The rules that send mail to spamd; undefined after reporting that none does. */
function findRedirects(
  findings: Findings,
  all: readonly PfRule[],
  ports: readonly number[],
): PfRule[] | undefined {
  const forMail = all.filter(
    ({ redirect, toPort }) => redirect?.port !== undefined && (toPort === '25' || toPort === 'smtp'),
  )
  const redirects = redirectsOf(forMail, ports)
  if (redirects.length > 0) return redirects
  const elsewhere = forMail.find(({ redirect }) => redirect?.port !== 25)
  if (elsewhere === undefined) {
    findings.error('pf.redirect', 'no rule sends mail to spamd', 'add the rules of docs/examples/pf.conf')
  } else {
    findings.error(
      'pf.redirect',
      `mail is sent to port ${elsewhere.redirect!.port}, but spamd listens on ${ports.join(', ')}: ${elsewhere.text}`,
      `name port ${ports[0]} in pf.conf; ${RELOAD}`,
    )
  }
  return undefined
}

/** Reports redirections that FreeBSD drops; true if no mail arrives at all. */
function checkFreebsd(findings: Findings, redirects: readonly PfRule[]): boolean {
  const divert = redirects.find(({ redirect }) => redirect!.kind === 'divert-to')
  if (divert !== undefined) {
    findings.error(
      'pf.redirect',
      `divert-to is divert(4) on FreeBSD and drops the packets: ${divert.text}`,
      'use rdr: docs/examples/freebsd/pf.conf',
    )
    return true
  }
  const loopback6 = redirects.find(({ redirect }) => redirect!.address === '::1')
  if (loopback6 !== undefined) {
    findings.error(
      'pf.redirect',
      `FreeBSD drops what is redirected to ::1: ${loopback6.text}`,
      `redirect to an IPv6 address of the interface, and add it with spamd -l; ${RELOAD}`,
    )
  }
  return false
}

function checkRules(context: DoctorContext, findings: Findings, rules: MailRules): void {
  const redirects = findRedirects(findings, [...rules.translation, ...rules.filter], rules.ports)
  if (redirects === undefined) return
  if (context.probe.system === 'freebsd' && checkFreebsd(findings, redirects)) return
  const families = ([4, 6] as const).filter((family) =>
    redirects.some((rule) => (rule.family ?? family) === family),
  )
  if (!families.includes(6)) findings.info('pf.ipv6', 'no rule sends IPv6 mail to spamd')
  for (const family of families) {
    const outside = redirects.find((rule) => (rule.family ?? family) === family)?.interface
    checkFamily(context, findings, rules, { family, interface: outside })
  }
}

/** Where unknown hosts and the members of each table get with one address family. */
function checkFamily(
  context: DoctorContext,
  findings: Findings,
  { filter, translation, ports, hasExceptions }: MailRules,
  packet: { family: 4 | 6; interface: string | undefined },
): void {
  const { family } = packet
  const wayFrom = (...tables: string[]): Way => wayOf(filter, translation, { ...packet, tables }, ports)
  checkStranger(context, findings, wayFrom(), family)
  const namesOwn = [...translation, ...filter].some(({ from }) => from.includes(`<${EXCEPTIONS}>`))
  const tables = [
    WHITE,
    ...(opensPools(context, family) ? [POOLS] : []),
    ...(hasExceptions ? [ALLOWED] : []),
    ...(namesOwn ? [EXCEPTIONS] : []),
  ]
  for (const table of tables) checkExempt(findings, wayFrom(table), family, table)
  if (!namesOwn && family === 4) {
    findings.info('pf.nospamd', 'no rule exempts a table of your own, such as <nospamd>')
  }
}

function checkStranger(context: DoctorContext, findings: Findings, way: Way, family: number): void {
  const name = family === 4 ? 'IPv4' : 'IPv6'
  if (way.isBlocked) {
    findings.error(
      'pf.redirect',
      `${name} mail from unknown hosts is blocked: ${way.decided?.text}`,
      `put the rule for spamd's port after it in pf.conf; ${RELOAD}`,
    )
    return
  }
  if (way.toSpamd === undefined) {
    findings.error(
      'pf.redirect',
      `${name} mail from unknown hosts bypasses spamd, because a later rule matches: ${way.decided?.text ?? 'none'}`,
      `put the mail rules last in pf.conf; ${RELOAD}`,
    )
    return
  }
  const { address, port } = way.toSpamd
  if (listensAt(context, address, port) === false) {
    findings.error(
      'pf.redirect',
      `${name} mail is sent to ${address} port ${port}, where spamd does not listen (it does on ${listenText(context)})`,
      `add -l ${address} to the options of spamd`,
    )
  } else findings.ok('pf.redirect', `${name} mail from unknown hosts is sent to ${address} port ${port}`)
}

function checkExempt(findings: Findings, way: Way, family: number, table: string): void {
  const id = { [WHITE]: 'pf.pass', [POOLS]: 'pf.pools', [ALLOWED]: 'pf.allow' }[table] ?? 'pf.nospamd'
  const name = family === 4 ? 'IPv4' : 'IPv6'
  if (way.isBlocked) {
    findings.error(id, `${name} mail from <${table}> is blocked: ${way.decided?.text}`, RELOAD)
  } else if (way.toSpamd !== undefined) {
    const rule = way.decided?.text ?? ''
    findings.error(
      id,
      `${name} mail from <${table}> is sent to spamd: ${rule}`,
      rule.startsWith('rdr') || /tagged/.test(rule)
        ? `put "no rdr ... from <${table}> to any port smtp" before the rdr rule; ${RELOAD}`
        : `put "pass in ... from <${table}> to any port smtp" after the rule for unknown hosts; ${RELOAD}`,
    )
  } else if (family === 4) findings.ok(id, `hosts in <${table}> reach the mail server`)
}

async function checkLog(
  context: DoctorContext,
  findings: Findings,
  { filter, translation, ports }: MailRules,
): Promise<void> {
  const { probe, daemon } = context
  if (daemon.kind === 'status' && daemon.status.mode === 'block-lists') return
  const outside = redirectsOf([...translation, ...filter], ports)[0]?.interface
  const { logTo } = wayOf(filter, translation, { family: 4, interface: outside, tables: [WHITE] }, ports)
  if (logTo.length === 0) {
    findings.error(
      'pf.log',
      'the rule for WHITE hosts does not log: spamlogd sees nothing, and WHITE entries expire',
      `write "pass in log (to pflog1) ... from <${WHITE}> to any port smtp" in pf.conf; ${RELOAD}`,
    )
    return
  }
  findings.ok('pf.log', `mail from WHITE hosts is logged to ${logTo.join(', ')}`)
  const [spamlogd] = findProgram(context.processes, 'spamlogd')
  const watched = spamlogd && (optionValue(spamlogd.words, 'l') ?? 'pflog0')
  if (watched !== undefined && !logTo.includes(watched)) {
    const command =
      probe.system === 'freebsd'
        ? `sysrc spamdctl_spamlogd_pflog_if=${logTo[0]}; service spamdctl_spamlogd restart`
        : `rcctl set spamdctl_spamlogd flags "-l ${logTo[0]}"; rcctl restart spamdctl_spamlogd`
    const text = `the rules log to ${logTo.join(', ')}, but spamlogd watches ${watched}`
    findings.error('pf.pflog', text, command)
  }
  for (const name of logTo) await checkLogDevice(context, findings, name, watched)
}

/** Whether a packet log is there and up; `watched` is the one of spamlogd, undefined if that does not run. */
async function checkLogDevice(
  { probe }: DoctorContext,
  findings: Findings,
  name: string,
  watched: string | undefined,
): Promise<void> {
  const shown = await probe.run('ifconfig', [name])
  const [facts] = parseIfconfig(outputOf(shown) ?? '')
  if (facts === undefined) {
    const text = `there is no interface ${name}: packets are not logged, and no error is shown`
    findings.error('pf.pflog', text, `ifconfig ${name} create up`)
  } else if (!facts.isUp) findings.error('pf.pflog', `the interface ${name} is down`, `ifconfig ${name} up`)
  else if (watched === undefined || watched === name)
    findings.ok('pf.pflog', `${name} is up${watched === undefined ? '' : ' and watched by spamlogd'}`)
}
