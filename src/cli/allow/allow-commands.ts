/** `spamdctl allow` and its subcommands, on given parts: tests provide their own DNS, firewall and clock. */

import { parseAllowName } from '../../app/allow/allow-name.js'
import {
  type AllowParts,
  type AllowRun,
  addAllowed,
  removeAllowed,
  syncAllowed,
} from '../../app/allow/allow-use-case.js'
import type { SourceChange } from '../../app/allow/sync-sources.js'
import { useDatabase } from '../../app/database/open-database.js'
import { countText } from '../../codec/count-text.js'
import { formatDuration } from '../../codec/duration.js'
import { escapeControl } from '../../codec/escape.js'
import { formatUtcTime } from '../../codec/utc-time.js'
import { type AllowSource, allowStateOf, isAllowedNetwork, KEEP_NETWORKS_SEC } from '../../domain/allow.js'
import { EXPIRE_NEVER } from '../../domain/times.js'
import { AppError } from '../../platform/app-error.js'
import { OptionProblem, type OptionValues } from '../option-reader.js'
import { EXIT } from '../report-error.js'
import { problemOfComment } from '../spamdb/spamdb-request.js'
import { expireOf } from './allow-options.js'

/** Where results and messages are written. */
export interface AllowCommandParts extends AllowParts {
  write(text: string): void
  writeError(text: string): void
}

/** Adds a domain or network. Returns the exit code: 1 when the domain could not be looked up yet. */
export async function runAllowAdd(
  word: string,
  options: OptionValues,
  parts: AllowCommandParts,
): Promise<number> {
  const name = parseAllowName(word)
  const comment = options.last('comment')
  const problem = comment === undefined ? undefined : problemOfComment(comment)
  if (problem !== undefined) throw new OptionProblem(`--comment: ${problem}`)
  const wanted = { name, expire: expireOf(options.last('expire'), parts.nowSec), comment }
  return tell(await addAllowed(wanted, parts, { isDryRun: options.has('dry-run') }), options, parts)
}

/** Removes all of the named exceptions, or none if one does not exist. */
export async function runAllowRemove(
  words: readonly string[],
  options: OptionValues,
  parts: AllowCommandParts,
): Promise<number> {
  const run = await removeAllowed(words.map(parseAllowName), parts)
  if (run.missing.length > 0) {
    throw new AppError('ERR_ALLOW', `${run.missing.join(', ')}: no such exception; nothing was removed`, {
      hint: 'list the exceptions with "spamdctl allow list"',
    })
  }
  return tell(run, options, parts)
}

/** Looks everything up again. Returns the exit code: 1 when a domain kept its old networks. */
export async function runAllowSync(options: OptionValues, parts: AllowCommandParts): Promise<number> {
  const modes = { isDryRun: options.has('dry-run'), isOffline: options.has('offline') }
  return tell(await syncAllowed(modes, parts), options, parts)
}

function tell({ changes, tableCount }: AllowRun, options: OptionValues, parts: AllowCommandParts): number {
  if (options.has('json')) {
    const value = {
      sources: changes.map(({ source, added, removed, failure, isEnded }) => ({
        ...sourceFields(source, parts.nowSec),
        added,
        removed,
        failure: failure ?? null,
        isRemoved: isEnded,
      })),
      table: tableCount ?? null,
    }
    parts.write(`${JSON.stringify(value, undefined, 2)}\n`)
  } else {
    for (const change of changes) parts.write(changeLines(change, options.has('dry-run')))
    if (tableCount !== undefined) parts.write(`table spamd-allow: ${countText(tableCount, 'network')}\n`)
  }
  for (const change of changes) {
    if (change.failure !== undefined)
      parts.writeError(`spamdctl: ${escapeControl(failureText(change, parts.nowSec))}\n`)
  }
  return changes.some(({ failure }) => failure !== undefined) ? EXIT.failure : EXIT.ok
}

function changeLines(
  { source, added, removed, isEnded, hasClientTerms }: SourceChange,
  isDryRun: boolean,
): string {
  const { name, networks } = source
  const head = isEnded
    ? `${name}: ${isDryRun ? 'would be removed' : 'removed'}`
    : `${name}: ${countText(networks.length, 'network')}`
  const note = hasClientTerms ? '; its SPF record also has terms that cannot be listed as networks' : ''
  const lines = [
    `${head}${note}`,
    ...removed.map((network) => `- ${network}`),
    ...added.map((network) => `+ ${network}`),
  ]
  return `${lines.map(escapeControl).join('\n')}\n`
}

function failureText({ source, failure }: SourceChange, nowSec: number): string {
  const { name, networks, checked } = source
  const left = checked + KEEP_NETWORKS_SEC - nowSec
  if (networks.length === 0)
    return `${name}: ${failure}; it has no effect until the next "spamdctl allow sync"`
  if (left <= 0)
    return `${name}: ${failure}; its networks, found ${formatDuration(nowSec - checked)} ago, are dropped`
  return `${name}: ${failure}; its networks, found ${formatDuration(nowSec - checked)} ago, are kept for another ${formatDuration(left)}`
}

/** Shows all sources. */
export async function runAllowList(
  options: OptionValues,
  { dbPath, nowSec }: Pick<AllowCommandParts, 'dbPath' | 'nowSec'>,
): Promise<string> {
  const sources = await useDatabase(dbPath, 'read', (store) => store.readAllowed())
  if (options.has('json')) {
    const rows = sources.map((source) => ({ ...sourceFields(source, nowSec), networks: source.networks }))
    return `${JSON.stringify(rows, undefined, 2)}\n`
  }
  if (sources.length === 0) return 'no exceptions are stored\n'
  return sources
    .map((source) => {
      const networks = options.has('networks') && !isAllowedNetwork(source.name) ? source.networks : []
      return [sourceLine(source, nowSec), ...networks.map((network) => `  ${network}`)]
        .map((line) => `${escapeControl(line)}\n`)
        .join('')
    })
    .join('')
}

function sourceLine(source: AllowSource, nowSec: number): string {
  const { name, expire, checked, comment, networks } = source
  const parts: string[] = []
  if (!isAllowedNetwork(name)) parts.push(countText(networks.length, 'network'))
  const age = checked === 0 ? 'never found' : `found ${formatDuration(nowSec - checked)} ago`
  const state = allowStateOf(source, nowSec)
  if (!isAllowedNetwork(name)) parts.push(state === 'in force' ? age : `${state}, ${age}`)
  else if (state !== 'in force') parts.push(state)
  if (expire !== EXPIRE_NEVER && state !== 'ended')
    parts.push(`for another ${formatDuration(expire - nowSec)}`)
  if (comment !== undefined) parts.push(comment)
  return `${name}${parts.length === 0 ? '' : `: ${parts.join(', ')}`}`
}

function sourceFields(source: AllowSource, nowSec: number): object {
  const { name, first, expire, checked, comment, networks } = source
  return {
    name,
    state: allowStateOf(source, nowSec),
    first: formatUtcTime(first),
    expire: expire === EXPIRE_NEVER ? null : formatUtcTime(expire),
    checked: checked === 0 ? null : formatUtcTime(checked),
    comment: comment ?? null,
    networkCount: networks.length,
  }
}
