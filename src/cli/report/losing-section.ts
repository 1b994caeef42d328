/** Who is losing mail, each with the command that helps. */

import type { AdvisedLosing, LosingRow } from '../../app/losing/advise-senders.js'
import type { ReportData } from '../../app/report/report-data.js'
import { countText } from '../../codec/count-text.js'
import { formatDuration } from '../../codec/duration.js'
import { commandText, identityRows, passesAlready, senderName, triesText } from '../losing/sender-text.js'
import { type Html, html } from './html.js'
import { nothing, section, table } from './page-parts.js'

/** Maximum number of senders shown; `spamdctl losing` has more. */
const MAX_SENDERS = 25

/** The section of the page. */
export function losingSection({ database, madeSec }: ReportData): Html {
  const title = 'Who is losing mail'
  if (database === undefined) return section(title, nothing('The database cannot be read.'))
  const { losing, losingSec } = database
  const span = formatDuration(losingSec)
  const { senders } = losing
  if (senders.length === 0) {
    return section(title, [
      nothing(`No sender was deferred at three addresses or more in the last ${span} without passing.`),
      ...notes(losing),
    ])
  }
  const rows = senders
    .slice(0, MAX_SENDERS)
    .map((sender) => [
      { value: senderName(sender) },
      { value: seen(sender, losing, madeSec) },
      { value: command(sender) },
    ])
  return section(
    title,
    [
      html`<p class="dim">Deferred at three addresses or more in the last ${span}, and not passed.</p>`,
      table(['sender domain', 'seen', 'command'], rows),
      ...notes(losing),
    ],
    'wide',
  )
}

function seen(sender: LosingRow, { isIdentified }: AdvisedLosing, nowSec: number): Html {
  const said = isIdentified && !passesAlready(sender) ? identityRows(sender) : []
  return html`${triesText(sender, nowSec)}${said.map(([label, text]) => html`<br>${label}: ${text}`)}`
}

function command(sender: LosingRow): Html {
  const text = commandText(sender)
  return sender.command === undefined ? html`${text}` : html`<code>${text}</code>`
}

function notes({ senders, isCut, history }: AdvisedLosing): Html[] {
  const texts: string[] = []
  if (senders.length > MAX_SENDERS)
    texts.push(
      `${countText(senders.length - MAX_SENDERS, 'sender', 'senders')} more: spamdctl losing shows them.`,
    )
  if (isCut) texts.push('Only mail tried from the most addresses was examined.')
  if (history !== 'full')
    texts.push(`The history is "${history}", so only the tuples of the last hours are known.`)
  return texts.map(nothing)
}
