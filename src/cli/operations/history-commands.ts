/** `spamdctl log` and `spamdctl undo`: tests provide their own output and clock. */

import { setTimeout as pause } from 'node:timers/promises'
import { actorOf } from '../../app/actor.js'
import { useDatabase } from '../../app/database/open-database.js'
import { type HistoryFilter, isChangeRule, readMatching, toRecord } from '../../app/history.js'
import { toWireText } from '../../app/wire-text.js'
import { countText } from '../../codec/count-text.js'
import { parseDuration } from '../../codec/duration.js'
import { escapeControl } from '../../codec/escape.js'
import { CHANGE_RULES } from '../../domain/change.js'
import { HISTORY_MODES, type HistoryMode } from '../../domain/history.js'
import { canonicalIp } from '../../ip/address.js'
import { formatCidr, parseCidr } from '../../ip/cidr.js'
import { systemClock } from '../../platform/clock.js'
import { resolveDbPath } from '../../platform/settings.js'
import { writeFully, writeMessage } from '../../platform/standard-output.js'
import type { OptionSpec } from '../getopt.js'
import { numberIn, OptionProblem, type OptionValues } from '../option-reader.js'
import { EXIT } from '../report-error.js'
import { historyJson, historyLine, keyWords } from './render-history.js'

export const LOG_OPTIONS: readonly OptionSpec[] = [
  { long: 'follow', summary: 'keep running and print new events' },
  {
    long: 'since',
    value: 'TIME',
    summary: 'show events since this time: 2d, 90m, 2026-11-26 or 2026-11-26T12:00:00Z',
  },
  { long: 'ip', value: 'CIDR', summary: 'show only events of this address or network' },
  {
    long: 'from',
    isRare: true,
    value: 'TEXT',
    summary: 'show only events whose sender ends with or matches TEXT (may contain * and ?)',
  },
  {
    long: 'to',
    isRare: true,
    value: 'TEXT',
    summary: 'show only events whose recipient ends with or matches TEXT (may contain * and ?)',
  },
  {
    long: 'cause',
    value: 'NAME',
    isRepeatable: true,
    summary: 'show only events with these causes, such as manual, import, trap, promotion',
  },
  { long: 'json', summary: 'print one JSON array' },
  { long: 'ndjson', summary: 'print one JSON object per line' },
  {
    long: 'history',
    isRare: true,
    value: 'MODE',
    choices: HISTORY_MODES,
    summary: 'set what all programs record, and delete recorded events beyond that',
  },
  { long: 'keep', isRare: true, value: 'DURATION', summary: 'keep events this long (default 30d)' },
  { long: 'keep-rows', isRare: true, value: 'N', summary: 'keep at most this many events (default 1000000)' },
  { long: 'db', isRare: true, value: 'FILE', summary: 'database instead of SPAMD_DB' },
  { long: 'help', summary: 'show this help' },
]

export const UNDO_OPTIONS: readonly OptionSpec[] = [
  { long: 'dry-run', summary: 'show what would be restored, and change nothing' },
  { long: 'force', summary: 'also restore entries that have changed since' },
  { long: 'json', summary: 'print one JSON object' },
  { long: 'db', isRare: true, value: 'FILE', summary: 'database instead of SPAMD_DB' },
  { long: 'help', summary: 'show this help' },
]

export interface HistoryParts {
  dbPath: string
  nowSec(): number
  write(text: string): void
  writeError(text: string): void
  actor: string | undefined
  /** Ends `--follow`. */
  signal?: AbortSignal
  /** Pause between two polls of `--follow`. */
  followMs?: number
}

/** The running process as the parts of both commands. */
export function liveHistoryParts(options: OptionValues): HistoryParts {
  return {
    dbPath: resolveDbPath(options.last('db')),
    nowSec: () => systemClock.nowSec(),
    write: (text) => writeFully(1, Buffer.from(text)),
    writeError: writeMessage,
    actor: actorOf(process.env),
  }
}

/** Keys named in a refusal. */
const MAX_NAMED = 5
const FOLLOW_MS = 1000

const MAX_ROWS = 9_999_999_999
/** Digits beyond these are not exact. */
const MAX_EVENT = 999_999_999_999_999

/** Runs `log`; returns the exit code. Usage errors are thrown as `OptionProblem`. */
export async function runLog(options: OptionValues, parts: HistoryParts): Promise<number> {
  if (options.has('history') || options.has('keep') || options.has('keep-rows'))
    return await changeSettings(options, parts)
  const filter = filterOf(options, parts.nowSec())
  const position = { after: 0 }
  const isJson = options.has('json')
  let count = 0
  return await useDatabase(parts.dbPath, 'read', async (store) => {
    const show = async (): Promise<void> => {
      for await (const rows of readMatching(store, filter, position)) {
        const texts = rows.map((row) => {
          const record = toRecord(row)
          if (!isJson) return options.has('ndjson') ? `${historyJson(record)}\n` : historyLine(record)
          count += 1
          return `${count === 1 ? '[\n' : ',\n'}${historyJson(record)}`
        })
        parts.write(texts.join(''))
      }
    }
    await show()
    if (options.has('follow') && !isJson) {
      while (parts.signal?.aborted !== true) {
        try {
          await pause(
            parts.followMs ?? FOLLOW_MS,
            undefined,
            parts.signal === undefined ? {} : { signal: parts.signal },
          )
        } catch {
          break
        }
        await show()
      }
    }
    if (isJson) parts.write(count === 0 ? '[]\n' : '\n]\n')
    return EXIT.ok
  })
}

function filterOf(options: OptionValues, nowSec: number): HistoryFilter {
  const rules = options.all('cause').flatMap((text) => text.split(','))
  const wrong = rules.find((word) => !isChangeRule(word))
  if (wrong !== undefined)
    throw usage(`--cause: ${JSON.stringify(wrong)} is not a cause`, CHANGE_RULES.join(', '))
  const given = options.last('ip')
  const ip = given === undefined ? undefined : canonicalIp(given)
  const network = given === undefined || ip !== undefined ? undefined : parseCidr(given)
  if (given !== undefined && ip === undefined && network === undefined) {
    throw usage(
      `--ip: ${JSON.stringify(given)} is not an address or network`,
      'for example 192.0.2.1 or 192.0.2.0/24',
    )
  }
  const from = options.last('from')
  const to = options.last('to')
  return {
    sinceSec: sinceOf(options.last('since'), nowSec),
    ip,
    query: {
      ...(network === undefined ? {} : { network: formatCidr(network) }),
      ...(from === undefined ? {} : { from: toWireText(from) }),
      ...(to === undefined ? {} : { to: toWireText(to) }),
    },
    rules: rules.filter(isChangeRule),
  }
}

function sinceOf(text: string | undefined, nowSec: number): number | undefined {
  if (text === undefined) return undefined
  const duration = parseDuration(text)
  if (duration !== undefined) return nowSec - duration
  const time = /^[0-9]{4}-[0-9]{2}-[0-9]{2}/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time))
    throw usage(
      `--since: ${JSON.stringify(text)} is not a time`,
      'for example 2d, 90m, 2026-11-26 or 2026-11-26T12:00:00Z',
    )
  return Math.floor(time / 1000)
}

async function changeSettings(options: OptionValues, parts: HistoryParts): Promise<number> {
  const keep = options.last('keep')
  const keepSec = keep === undefined ? undefined : parseDuration(keep)
  if (keep !== undefined && (keepSec === undefined || keepSec === 0))
    throw usage(`--keep: ${JSON.stringify(keep)} is not a duration`, 'for example 30d')
  const keepRows = options.number('keep-rows', [1, MAX_ROWS], 'a number of rows', 'for example 1000000')
  const mode = options.last('history') as HistoryMode | undefined
  return await useDatabase(parts.dbPath, 'write', async (store) => {
    const settings = await store.historySettings()
    const changed = {
      mode: mode ?? settings.mode,
      keepSec: keepSec ?? settings.keepSec,
      keepRows: keepRows ?? settings.keepRows,
    }
    await store.saveHistorySettings(changed)
    const days = Math.floor(changed.keepSec / 86_400)
    parts.write(
      `history: ${changed.mode}, kept for ${countText(days, 'day')} and ${countText(changed.keepRows, 'row')} at most\n`,
    )
    return EXIT.ok
  })
}

/** Runs `undo`; returns the exit code. */
export async function runUndo(
  operands: readonly string[],
  options: OptionValues,
  parts: HistoryParts,
): Promise<number> {
  const wanted = eventOf((operands[0] ?? 'last').replace(/^#/, ''))
  const isDryRun = options.has('dry-run')
  const isForced = options.has('force')
  return await useDatabase(parts.dbPath, isDryRun ? 'read' : 'write', async (store) => {
    const outcome = await store.undo(
      wanted,
      { force: isForced, isDryRun, actor: parts.actor },
      parts.nowSec(),
    )
    const { event, restored, changedSince } = outcome
    const isRefused = changedSince.length > 0 && !isForced
    if (options.has('json')) {
      const keys = changedSince.map((key) => keyWords(key))
      parts.write(`${JSON.stringify({ event, restored: restored.length, changedSince: keys, isDryRun })}\n`)
    } else if (!isRefused) {
      if (isDryRun)
        for (const { key, before } of restored)
          parts.write(
            `${escapeControl(keyWords(key))}: ${before === undefined ? 'would be deleted' : `would be ${before.kind} again`}\n`,
          )
      parts.write(
        `event ${event}: ${restored.length} ${restored.length === 1 ? 'entry' : 'entries'} ${isDryRun ? 'would be' : restored.length === 1 ? 'was' : 'were'} restored\n`,
      )
    }
    if (!isRefused) return EXIT.ok
    const named = changedSince.slice(0, MAX_NAMED).map((key) => escapeControl(keyWords(key)))
    const more = changedSince.length > MAX_NAMED ? ` and ${changedSince.length - MAX_NAMED} more` : ''
    parts.writeError(
      `spamdctl: event ${event} was not undone: these entries have changed since: ${named.join(', ')}${more}\nspamdctl: hint: use --force to restore them anyway\n`,
    )
    return EXIT.failure
  })
}

function eventOf(word: string): number | 'last' {
  if (word === 'last') return word
  return numberIn(word, [1, MAX_EVENT], () =>
    usage(`${JSON.stringify(word)} is not an event`, 'give the number that spamdctl log shows, or "last"'),
  )
}

function usage(message: string, hint: string): OptionProblem {
  return new OptionProblem(message, { hint })
}
