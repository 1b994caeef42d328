import { findDeadSource } from './dead-sources.js'
import {
  type CapabilityDatabase,
  type CapabilityField,
  type CapabilityRecord,
  decodeCapabilityString,
  findCapability,
  type TextPosition,
} from './getcap.js'
import type { RecordIndex } from './resolve-record.js'
import { shown } from './spamd-conf-fields.js'

/** Receives one warning: its position, what is wrong, and what to write instead. */
type Report = (position: TextPosition, message: string, fix: string) => void

/** Names of the capabilities of a list, with the character that precedes the value. */
const KNOWN_CAPABILITIES: Readonly<Record<string, '' | '=' | '#'>> = {
  black: '',
  white: '',
  empty_ok: '',
  as_root: '',
  allow_private: '',
  comment: '=',
  wide_ok: '',
  never: '',
  msg: '=',
  method: '=',
  file: '=',
  column: '#',
  min: '#',
}

/** A usable list with what the checks for warnings need. */
export interface CheckedList {
  name: string
  colour: 'black' | 'white'
  isNever: boolean
  record: CapabilityRecord
  fields: readonly CapabilityField[]
  method: string
  location: string
  /** The black list before it in `all`. */
  black: string | undefined
  /** Position of its name in `all`. */
  namedAt: TextPosition
}

/** Warns about records that are certainly not what their author meant. */
export function warnAboutFile(database: CapabilityDatabase, index: RecordIndex, report: Report): void {
  for (const { position, text } of database.swallowedLines) {
    report(
      position,
      `this line belongs to the comment above, which ends in a backslash: "${shown(text.slice(0, 40))}"`,
      'remove the backslash at the end of the comment',
    )
  }
  for (const [number, record] of database.records.entries()) {
    for (const position of record.commentLikeLines) {
      report(
        position,
        'a # inside a record does not start a comment: the line is read as part of the record',
        'move the comment above the record',
      )
    }
    warnAboutStrayRecord(record, database.records[number - 1], report)
    warnAboutShadowedNames(record, index, report)
  }
}

/**
 * Warns about a line that was meant to continue a record but begins a new one, since the line before lacks its
 * backslash.
 */
function warnAboutStrayRecord(
  record: CapabilityRecord,
  previous: CapabilityRecord | undefined,
  report: Report,
): void {
  const quoteEnd = previous?.openQuoteEnd
  if (quoteEnd !== undefined && quoteEnd.line + 1 === record.position.line && /^[ \t]/.test(record.names)) {
    report(quoteEnd, 'this line ends within double quotes', 'end it with a backslash, to join the next line')
  } else if (/^\s*$/.test(record.names)) {
    report(
      record.position,
      'this line begins with a colon but does not continue a record',
      'end the line before it with a backslash, with no blank after it',
    )
  } else if (/^[ \t]/.test(record.names)) {
    report(
      record.position,
      `the blanks before "${shown(record.names.trim())}" are part of the name`,
      'begin the record at the start of the line',
    )
  }
  if (record.blankedContinuation !== undefined) {
    report(
      record.blankedContinuation,
      'a blank after the backslash keeps it from joining the next line',
      'remove the blank',
    )
  }
}

function warnAboutShadowedNames(record: CapabilityRecord, index: RecordIndex, report: Report): void {
  for (const name of record.names.split('|')) {
    const first = index.find(name)
    if (name.trim() === '' || first === undefined || first === record) continue
    report(
      record.position,
      `a record "${shown(name)}" is already defined on line ${first.position.line}; this one is not used`,
      'keep one of them',
    )
  }
}

/** Warns about records of lists that `all` does not name (`named`); a record that some `tc=` includes is a template. */
export function warnAboutUnused(
  records: readonly CapabilityRecord[],
  index: RecordIndex,
  named: ReadonlySet<string>,
  report: Report,
): void {
  const used = new Set<CapabilityRecord | undefined>([...named].map((name) => index.find(name)))
  for (const { text } of records.flatMap(({ fields }) => fields)) {
    if (text.startsWith('tc=')) used.add(index.find(text.slice('tc='.length)))
  }
  for (const record of records) {
    const [name = ''] = record.names.split('|')
    if (used.has(record) || name === 'all' || index.find(name) !== record) continue
    const colour = (['black', 'white'] as const).find(
      (known) => findCapability(record.fields, known, ':').kind === 'present',
    )
    if (colour === undefined) continue
    report(
      record.position,
      `${colour} list "${shown(name)}" is not named in "all"`,
      `name it in "all", or remove the record`,
    )
  }
}

/** Warns about a list that can be used but is probably not what its author meant. */
export function warnAboutList(list: CheckedList, report: Report): void {
  const name = shown(list.name)
  if (list.colour === 'white' && list.black === undefined && !list.isNever) {
    const fix = `name it in "all" right after the black list that it corrects`
    report(list.namedAt, `white list "${name}" comes before any black list and has no effect`, fix)
  }
  if (list.colour === 'black' && findCapability(list.fields, 'white', ':').kind === 'present') {
    report(
      list.record.position,
      `list "${name}" is both black and white; it is used as black`,
      'keep one of them',
    )
  }
  warnAboutCapabilities(list, report)
  const msg = findCapability(list.fields, 'msg', '=')
  if (list.colour === 'black' && msg.kind === 'present')
    warnAboutMessage(msg.value, msg.field.position, report)
  const file = findCapability(list.fields, 'file', '=')
  if (file.kind === 'present') warnAboutLocation(list, file.field.position, report)
}

function warnAboutCapabilities({ fields, record }: CheckedList, report: Report): void {
  // A list may intentionally override what `tc=` includes; only a repeated field of its own is likely a mistake.
  const ownEnd = record.position.line + record.lineCount
  const isOwn = ({ line }: TextPosition) => line >= record.position.line && line < ownEnd
  const seen = new Set<string>()
  for (const { text, position } of fields) {
    if (/^\s*$/.test(text)) continue
    const name = /^[^=#@]*/.exec(text)![0]
    const sign = text.slice(name.length, name.length + 1)
    const wanted = KNOWN_CAPABILITIES[name]
    if (wanted === undefined || (sign !== wanted && sign !== '@')) {
      const known = wanted === undefined ? KNOWN_CAPABILITIES[name.trim()] : wanted
      const fix =
        known === undefined
          ? 'remove it; write a colon inside a value as \\c'
          : `write ${name.trim()}${known}${known === '' ? '' : 'VALUE'} without blanks before it`
      report(position, `"${shown(text.slice(0, 40))}" is not a capability and has no effect`, fix)
    } else if (seen.has(name) && isOwn(position)) {
      report(position, `${name} is given twice; the first one is used`, 'keep one of them')
    }
    seen.add(name)
  }
}

/**
 * Warns about a msg without double quotes at both ends, which is read as the path of a file although it looks like
 * text.
 */
function warnAboutMessage(value: string, position: TextPosition, report: Report): void {
  const text = decodeCapabilityString(value)
  if (text.startsWith('/') || (text.startsWith('"') && text.endsWith('"'))) return
  const message = `msg is not in double quotes, so it names a file: "${shown(text.slice(0, 40))}"`
  report(position, message, 'write msg="TEXT", or a path that begins with /')
}

function warnAboutLocation({ method, location }: CheckedList, position: TextPosition, report: Report): void {
  const place = shown(location)
  const isRemote = method !== 'file' && method !== 'exec'
  const dead = urlsOf(method, location)
    .map(findDeadSource)
    .find((found) => found !== undefined)
  if (dead !== undefined) {
    report(position, `${dead.name} ${dead.fate}: ${place}`, `use ${dead.replacement}`)
  }
  if (method === 'file' && /^(?:[a-z][a-z0-9+.-]*:\/\/|[a-z0-9-]+(?:\.[a-z0-9-]+)+\/)/i.test(location)) {
    const fix = 'add :method=https: (or http, ftp), or write a path that begins with /'
    report(position, `"${place}" looks like a host, but the method is file`, fix)
  } else if (method === 'file' && !location.startsWith('/')) {
    report(position, `"${place}" is relative to the root directory`, 'write a path that begins with /')
  }
  if (isRemote && /^[a-z]+:\/\//i.test(location)) {
    report(position, `the URL "${place}" has a scheme, which method= gives`, 'leave the scheme out')
  } else if (isRemote && location.startsWith('/')) {
    report(
      position,
      `"${place}" begins with / but should be a host and a path`,
      'write :method=file: for a local file',
    )
  }
  if (/^".*"$/.test(location)) {
    report(position, 'the double quotes are part of the file name', 'leave them out; write a colon as \\c')
  }
}

/**
 * The locations on servers that a source requests, without schemes; a path with the method file is a host if it looks
 * like one.
 */
function urlsOf(method: string, location: string): string[] {
  if (method === 'exec') return [...location.matchAll(/(?:https?|ftp):\/\/(\S+)/gi)].map(([, url]) => url!)
  return method === 'file' && location.startsWith('/') ? [] : [location]
}
