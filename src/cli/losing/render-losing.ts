/** `spamdctl losing`: output for people, for programs and for monitoring. */

import type { AdvisedLosing, LosingRow } from '../../app/losing/advise-senders.js'
import type { LosingReport } from '../../app/losing/find-losing.js'
import { toDisplayText } from '../../app/wire-text.js'
import { countText } from '../../codec/count-text.js'
import { formatDuration } from '../../codec/duration.js'
import { escapeControl } from '../../codec/escape.js'
import { formatUtcTime } from '../../codec/utc-time.js'
import { styled, type Terminal, wrapped } from '../operations/terminal.js'
import { commandText, identityRows, passesAlready, senderName, triesText } from './sender-text.js'

/** What the report is of. */
export interface LosingFrame {
  nowSec: number
  forSec: number
  minAddresses: number
}

const LABEL_WIDTH = 12
/** Maximum number of addresses and recipients shown per sender; JSON has more. */
const MAX_SHOWN = 8
/** Senders that are shown. */
const MAX_SENDERS = 50
/** Maximum number of senders named in the line for monitoring. */
const MAX_NAMED = 5

/** A block for each sender, with the command that lets its mail pass at the end. */
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
  if (isCut) notes.push('possibly more: only mail tried from the most addresses was examined')
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
  const { addressCount, clients, recipients } = sender
  const rows: [string, string][] = [
    ['tries', triesText(sender, nowSec)],
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

function listText(shown: readonly string[], count: number): string {
  const texts = shown.slice(0, MAX_SHOWN)
  const rest = count - texts.length
  return texts.join(', ') + (rest > 0 ? ` and ${rest} more` : '')
}

/** The senders as plain data for programs; times are ISO 8601 in UTC. */
export function sendersJson(report: AdvisedLosing): object[] {
  return report.senders.map(
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
  )
}

/** Everything as one object; times are ISO 8601 in UTC. */
export function losingJson(report: AdvisedLosing, { nowSec, forSec, minAddresses }: LosingFrame): string {
  const value = {
    time: formatUtcTime(nowSec),
    since: formatUtcTime(nowSec - forSec),
    minAddresses,
    history: report.history,
    isCut: report.isCut,
    senders: sendersJson(report),
  }
  return `${JSON.stringify(value, undefined, 2)}\n`
}

/**
 * One line in the format of a Nagios plugin; senders covered by a release or an exception do not cause an
 * alarm.
 */
export function losingCheck(report: LosingReport): { text: string; isAlarm: boolean } {
  const alarming = report.senders.filter((sender) => !passesAlready(sender))
  const named = alarming.slice(0, MAX_NAMED).map((sender) => `${senderName(sender)} (${triesOf(sender)})`)
  const more = alarming.length > named.length ? ` and ${alarming.length - named.length} more` : ''
  const isAlarm = alarming.length > 0
  const said = isAlarm
    ? `${countText(alarming.length, 'sender is', 'senders are')} losing mail: ${named.join(', ')}${more}`
    : 'nobody is losing mail'
  const note = report.history === 'full' ? '' : `; ${historyNote(report)}`
  // A vertical bar would start the performance data.
  const line = escapeControl(`SPAMD ${isAlarm ? 'WARNING' : 'OK'} - ${said}${note}`).replaceAll('|', '/')
  return { text: `${line} | losing=${alarming.length};0;;0\n`, isAlarm }
}

function triesOf({ tries, addressCount }: LosingReport['senders'][number]): string {
  return `${countText(tries, 'try', 'tries')} from ${countText(addressCount, 'address', 'addresses')}`
}
