/** `spamdctl losing` for people, for programs and for monitoring. */
import type { AdvisedLosing, LosingRow } from '../../app/losing/advise-senders.js'
import type { LosingReport } from '../../app/losing/find-losing.js'
import type { SenderIdentity } from '../../app/losing/identify-senders.js'
import type { LosingSender } from '../../app/losing/losing-senders.js'
import { toDisplayText } from '../../app/wire-text.js'
import { formatDuration } from '../../codec/duration.js'
import { escapeControl } from '../../codec/escape.js'
import { formatUtcTime } from '../../codec/utc-time.js'
import { styled, type Terminal, wrapped } from '../operations/terminal.js'

/** What the report is of. */
export interface LosingFrame {
  nowSec: number
  forSec: number
  minAddresses: number
}

const LABEL_WIDTH = 12
/** Addresses and recipients of one sender that are shown; JSON has more. */
const MAX_SHOWN = 8
/** Senders that are shown. */
const MAX_SENDERS = 50
/** Senders named in the line for monitoring. */
const MAX_NAMED = 5

/** A block for each sender, the command that lets it pass last. */
export function renderLosing(
  report: AdvisedLosing,
  { nowSec, forSec }: LosingFrame,
  terminal: Terminal,
): string {
  const { senders, isCut } = report
  const span = `in the last ${formatDuration(forSec)}`
  const head =
    senders.length === 0
      ? `nobody is losing mail ${span}\n`
      : `${countText(senders.length, 'sender is', 'senders are')} losing mail ${span}, most tries first\n`
  const blocks = senders
    .slice(0, MAX_SENDERS)
    .map((sender) => `\n${renderSender(sender, report, nowSec, terminal)}`)
  const notes: string[] = []
  if (senders.length > MAX_SENDERS)
    notes.push(`and ${senders.length - MAX_SENDERS} more senders: --json lists them`)
  if (isCut) notes.push('and more: only the mails tried from the most addresses were examined')
  if (report.history !== 'full') notes.push(historyNote(report))
  return head + blocks.join('') + notes.map((note) => `\n${wrapped(terminal, '', note)}`).join('')
}

function historyNote({ history }: LosingReport): string {
  return `note: history is "${history}", so only the tuples of the last hours are known: spamdctl log --history full`
}

function renderSender(
  sender: LosingRow,
  { isIdentified }: AdvisedLosing,
  nowSec: number,
  terminal: Terminal,
): string {
  const { tries, addressCount, networks, mails, firstSec, lastSec, clients, recipients } = sender
  const ages = `the first ${formatDuration(Math.max(0, nowSec - firstSec))} ago, the last ${formatDuration(Math.max(0, nowSec - lastSec))} ago`
  const rows: [string, string][] = [
    [
      'tries',
      `${tries} of ${countText(mails, 'mail', 'mails')} from ${countText(addressCount, 'address', 'addresses')} in ${countText(networks.length, 'network', 'networks')}, ${ages}`,
    ],
    [
      'addresses',
      listText(
        clients.map(({ ip, helo }) => `${ip} (HELO ${toDisplayText(helo)})`),
        addressCount,
      ),
    ],
    ['recipients', listText(recipients.map(toDisplayText), recipients.length)],
  ]
  if (isIdentified && !passesAlready(sender)) rows.push(...identityRows(sender))
  const lines = rows.map(([label, text]) => wrapped(terminal, label.padEnd(LABEL_WIDTH), escapeControl(text)))
  const name = escapeControl(senderName(sender))
  return `${styled(terminal, 'bold', name)}\n${lines.join('')}${'command'.padEnd(LABEL_WIDTH)}${commandText(sender)}\n`
}

function passesAlready({ releasedBy, allowedBy }: LosingSender): boolean {
  return releasedBy !== undefined || allowedBy !== undefined
}

function identityRows({ identity, domain, clients }: LosingRow): [string, string][] {
  if (identity === undefined) return [['DNS', 'not queried: the time for DNS was used up']]
  const { spf, names } = identity
  const rows: [string, string][] = []
  if (spf !== undefined) rows.push(['SPF', spfText(spf, domain, clients.length)])
  rows.push(['names', namesText(names)])
  return rows
}

function spfText(spf: NonNullable<SenderIdentity['spf']>, domain: string, count: number): string {
  if (spf.state === 'unanswered')
    return `DNS gave no answer in time; try again with spamdctl allow add --dry-run ${toDisplayText(domain)}`
  if (spf.state === 'unusable') return `not usable: ${spf.reason}`
  const { passing } = spf
  if (passing === count) return `all ${count} addresses pass SPF of ${toDisplayText(domain)}`
  if (passing === 0)
    return `none of the ${count} addresses passes SPF of ${toDisplayText(domain)}: the mail may be forged`
  return `${passing} of ${count} addresses pass SPF of ${toDisplayText(domain)}; mail from the others may be forged`
}

function namesText({ asked, unanswered, named, greeting, example }: SenderIdentity['names']): string {
  const addresses = countText(asked, 'address', 'addresses')
  if (unanswered === asked) return `DNS gave no answer about ${addresses}`
  const found =
    example === undefined
      ? `none of ${addresses} has a name that resolves back to it`
      : `${named} of ${addresses} ${named === 1 ? 'has' : 'have'} a name that resolves back, such as ${toDisplayText(example)}; ${greeting} ${greeting === 1 ? 'greets' : 'greet'} with it`
  return unanswered === 0 ? found : `${found}; DNS gave no answer about ${unanswered}`
}

/** A command is one line however long: it is there to be copied. */
function commandText({ command, releasedBy, allowedBy }: LosingRow): string {
  if (releasedBy !== undefined) return `none is needed: release ${releasedBy} covers this mail`
  if (allowedBy !== undefined) return `none is needed: the exception ${allowedBy} covers its addresses`
  return command ?? 'none is possible, since its name cannot be typed: see spamdb --json --kind GREY'
}

function senderName({ domain }: LosingSender): string {
  return domain === '' ? '<>' : toDisplayText(domain)
}

function listText(shown: readonly string[], count: number): string {
  const texts = shown.slice(0, MAX_SHOWN)
  const rest = count - texts.length
  return texts.join(', ') + (rest > 0 ? ` and ${rest} more` : '')
}

function countText(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`
}

/** Everything as one object; times are ISO 8601 in UTC. */
export function losingJson(report: AdvisedLosing, { nowSec, forSec, minAddresses }: LosingFrame): string {
  const value = {
    time: formatUtcTime(nowSec),
    since: formatUtcTime(nowSec - forSec),
    minAddresses,
    history: report.history,
    isCut: report.isCut,
    senders: report.senders.map(
      ({
        domain,
        recipients,
        clients,
        releasedBy,
        allowedBy,
        identity,
        command,
        firstSec,
        lastSec,
        ...counts
      }) => ({
        domain: toDisplayText(domain),
        ...counts,
        first: formatUtcTime(firstSec),
        last: formatUtcTime(lastSec),
        recipients: recipients.map(toDisplayText),
        addresses: clients.map(({ ip, helo }) => ({ ip, helo: toDisplayText(helo) })),
        spf: identity?.spf ?? null,
        names: identity === undefined ? null : { ...identity.names, example: identity.names.example ?? null },
        releasedBy: releasedBy ?? null,
        allowedBy: allowedBy ?? null,
        command: command ?? null,
      }),
    ),
  }
  return `${JSON.stringify(value, undefined, 2)}\n`
}

/** One line in the form of a plug-in of Nagios; those that a release or an exception lets pass are no alarm. */
export function losingCheck(report: LosingReport): { text: string; isAlarm: boolean } {
  const alarming = report.senders.filter((sender) => !passesAlready(sender))
  const named = alarming
    .slice(0, MAX_NAMED)
    .map((sender) => `${senderName(sender)} (${sender.tries} tries from ${sender.addressCount} addresses)`)
  const more = alarming.length > named.length ? ` and ${alarming.length - named.length} more` : ''
  const isAlarm = alarming.length > 0
  const said = isAlarm
    ? `${countText(alarming.length, 'sender is', 'senders are')} losing mail: ${named.join(', ')}${more}`
    : 'nobody is losing mail'
  const note = report.history === 'full' ? '' : `; ${historyNote(report)}`
  // A bar would begin the performance data.
  const line = escapeControl(`SPAMD ${isAlarm ? 'WARNING' : 'OK'} - ${said}${note}`).replaceAll('|', '/')
  return { text: `${line} | losing=${alarming.length};0;;0\n`, isAlarm }
}
