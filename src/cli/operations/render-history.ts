/** Events of the history for people and for programs. */
import type { HistoryRecord } from '../../app/history.js'
import { describeTerms } from '../../app/release/release-terms.js'
import { toDisplayText } from '../../app/wire-text.js'
import { escapeControl } from '../../codec/escape.js'
import { formatUtcTime } from '../../codec/utc-time.js'

type Entry = NonNullable<HistoryRecord['after']>
type Key = NonNullable<HistoryRecord['key']>

/** One line: time, number, program, cause, key, before and after. */
export function historyLine(record: HistoryRecord): string {
  const { event, at, program, cause, actor, key, before, after, summary } = record
  const who = actor === undefined ? cause : `${cause}, ${actor}`
  const what =
    key === undefined
      ? (summary ?? '')
      : `${keyWords(key)}: ${entryWords(before)} -> ${entryWords(after, before)}`
  return `${escapeControl(`${localTime(at)} #${event} ${program} (${who}) ${what}`)}\n`
}

/** One object; texts from the wire are decoded as UTF-8. */
export function historyJson(record: HistoryRecord): string {
  const shown = (entry: Entry | undefined) =>
    entry === undefined
      ? null
      : Object.fromEntries(
          Object.entries(entry).map(([name, value]) => [
            name,
            typeof value === 'string' ? toDisplayText(value) : value,
          ]),
        )
  const { at, before, after, key, summary, actor, ...rest } = record
  return JSON.stringify({
    time: formatUtcTime(at),
    ...rest,
    actor: actor ?? null,
    key:
      key === undefined
        ? null
        : Object.fromEntries(Object.entries(key).map(([name, value]) => [name, toDisplayText(value)])),
    before: shown(before),
    after: shown(after),
    ...(summary === undefined ? {} : { summary }),
  })
}

/** A key as people write it. */
export function keyWords(key: Key): string {
  switch (key.kind) {
    case 'host':
    case 'pool':
      return key.ip
    case 'spamtrap':
      return toDisplayText(key.address)
    case 'tuple':
      return `${key.ip} ${toDisplayText(key.from)} to ${toDisplayText(key.to)} (HELO ${toDisplayText(key.helo)})`
    case 'release':
      return `release ${key.id}`
  }
}

function entryWords(entry: Entry | undefined, before?: Entry): string {
  if (entry === undefined) return 'none'
  if (entry.kind === 'RELEASE') return `RELEASE of ${describeTerms(entry)} until ${localTime(entry.expire)}`
  if (entry.kind === 'SPAMTRAP')
    return entry.comment === undefined ? 'SPAMTRAP' : `SPAMTRAP (${entry.comment})`
  const end = entry.expire === 0 ? 'pinned' : `until ${localTime(entry.expire)}`
  const comment = 'comment' in entry && entry.comment !== undefined ? ` (${entry.comment})` : ''
  const isSameKind = before?.kind === entry.kind && before.expire === entry.expire
  const counts = isSameKind ? `, blocked ${entry.bcount}, passed ${Math.max(0, entry.pcount)}` : ''
  return `${entry.kind} ${end}${counts}${comment}`
}

function localTime(timeSec: number): string {
  const time = new Date(timeSec * 1000)
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`
}
