import { encodeCapabilityString } from './getcap.js'
import type { ListMessage } from './spamd-conf-fields.js'
import type { ListEntry, SpamdList } from './spamd-list.js'

/**
 * Writes the usable lists as a spamd.conf with every `tc=` replaced by what it includes; `parseSpamdConf` reads it
 * back as the same lists. Text is Latin-1, one character per byte.
 */
export function formatSpamdConf(lists: readonly ListEntry[]): string {
  const usable = lists.filter((list) => list.isUsable)
  const names = usable.map(({ name }) => name)
  const records = usable.filter(({ name }, index) => names.indexOf(name) === index).map(formatList)
  return [formatRecord('all', names), ...records].join('\n')
}

function formatList(list: SpamdList): string {
  const fields: string[] = list.colour === 'black' || list.isException ? [list.colour] : []
  if (list.isNever) fields.push('never')
  if (list.message !== undefined) fields.push(`msg=${formatMessage(list.message)}`)
  fields.push(`method=${list.method}`, `file=${encodeCapabilityString(wireTextOf(list.location))}`)
  if (list.column !== undefined) fields.push(`column#${list.column}`)
  if (list.minEntries !== undefined) fields.push(`min#${list.minEntries}`)
  if (list.isEmptyOk) fields.push('empty_ok')
  if (list.isAsRoot) fields.push('as_root')
  if (list.isPrivateAllowed) fields.push('allow_private')
  if (list.isWideOk) fields.push('wide_ok')
  return formatRecord(list.name, fields)
}

function formatRecord(name: string, fields: readonly string[]): string {
  return [`${name}:`, ...fields.map((field) => `\t:${field}:`)].join('\\\n').concat('\n')
}

function formatMessage(message: ListMessage): string {
  if (message.kind === 'file') return encodeCapabilityString(wireTextOf(message.path))
  return `"${encodeCapabilityString(message.text)}"`
}

function wireTextOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}
