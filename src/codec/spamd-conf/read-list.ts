/** One list of spamd.conf, from its record. */
import {
  type CapabilityField,
  type CapabilityRecord,
  decodeCapabilityString,
  findCapability,
  type TextPosition,
} from './getcap.js'
import { type RecordIndex, resolveRecord } from './resolve-record.js'
import {
  canBeNamed,
  isPresent,
  type ListMessage,
  placeOf,
  readMessage,
  readNumber,
  shown,
  utf8,
} from './spamd-conf-fields.js'
import { LIST_METHODS, type ListMethod, type SpamdList } from './spamd-list.js'

/** Maximum number of columns of a table; lists have about a dozen. */
const MAX_COLUMN = 1000

/** errno text that the original adds for anything that it cannot find. */
export const NOT_FOUND = 'No such file or directory'

/** The surroundings of a list. */
export interface ListContext {
  index: RecordIndex
  /** The last black list before it. */
  black: string | undefined
  /** Lines in which a record begins with a blank: most likely they were meant to continue the previous one. */
  indentedLines: ReadonlySet<number>
}

/** Why a list cannot be used, as `ConfDiagnostic`. */
export interface Refusal {
  at: TextPosition
  message: string
  fix: string
  original: string | undefined
}

/** A list with its record, or why it cannot be used and what is known of it. */
export type ReadList =
  | { ok: true; list: SpamdList; record: CapabilityRecord; fields: readonly CapabilityField[] }
  | { ok: false; refusal: Refusal; colour: Colour; isNever: boolean }

type Colour = 'black' | 'white' | undefined
type MessageField = ReturnType<typeof findCapability>

/** The record with the name of a list. */
interface ListRecord {
  name: string
  record: CapabilityRecord
  fields: readonly CapabilityField[]
  colour: 'black' | 'white'
  messageField: MessageField
}

/**
 * Reads the list `name`, which `all` names at `position`. The first error in the order of the original is
 * reported.
 */
export function readList(name: string, position: TextPosition, context: ListContext): ReadList {
  const record = context.index.find(name)
  const notFound = `Can't find "${name}" in spamd config: ${NOT_FOUND}`
  const refused = (refusal: Refusal, colour?: Colour, isNever = false): ReadList => ({
    ok: false,
    refusal,
    colour,
    isNever,
  })
  if (record === undefined) {
    const message = `"all" names "${shown(name)}", but there is no such record`
    return refused({ at: position, message, fix: fixForMissing(name), original: notFound })
  }
  const resolved = resolveRecord(record, context.index)
  if (!resolved.ok) {
    return refused({
      at: resolved.position,
      message: resolved.message,
      fix: resolved.fix,
      original: notFound,
    })
  }
  const { fields } = resolved
  const { colour, isNever, isException } = readColour(fields)
  if (colour === undefined) return refused(refuseColourless(name, record, fields))
  const messageField = findCapability(fields, 'msg', '=')
  const listRecord: ListRecord = { name, record, fields, colour, messageField }
  const parts = readParts(listRecord, position, context)
  if ('refusal' in parts) return refused(parts.refusal, colour, isNever)
  const list: SpamdList = {
    isUsable: true,
    name,
    colour,
    ...parts,
    isEmptyOk: isPresent(fields, 'empty_ok', ':'),
    isAsRoot: isPresent(fields, 'as_root', ':'),
    isPrivateAllowed: isPresent(fields, 'allow_private', ':'),
    isWideOk: isPresent(fields, 'wide_ok', ':'),
    isNever,
    isException,
    appliesTo: isException ? context.black : undefined,
    position,
  }
  return { ok: true, list, record, fields }
}

/** `:never:` makes a list white, whether or not it is an exception from a black one. */
function readColour(fields: readonly CapabilityField[]) {
  const isBlack = isPresent(fields, 'black', ':')
  const isException = !isBlack && isPresent(fields, 'white', ':')
  const isNever = !isBlack && isPresent(fields, 'never', ':')
  const colour: Colour = isBlack ? 'black' : isException || isNever ? 'white' : undefined
  return { colour, isNever, isException }
}

function refuseColourless(
  name: string,
  record: CapabilityRecord,
  fields: readonly CapabilityField[],
): Refusal {
  const original = `Must have "black" or "white" in ${name}`
  for (const { text, position } of fields) {
    const [word] = /^(?:black|white)(?=[ \t])/.exec(text) ?? []
    if (word === undefined) continue
    const at = { line: position.line, column: position.column - 1 }
    return { at, message: `"${word}" is not ended by a colon`, fix: `write ":${word}:\\"`, original }
  }
  const message = `list "${shown(name)}" is neither black nor white`
  return { at: record.position, message, fix: `add ":black:\\" or ":white:\\" to it`, original }
}

type Parts = Pick<SpamdList, 'message' | 'method' | 'location' | 'column' | 'minEntries'>

/** Reads the fields of a list in the order of the original. */
function readParts(
  list: ListRecord,
  position: TextPosition,
  context: ListContext,
): Parts | { refusal: Refusal } {
  const early = refuseName(list.name, position) ?? refuseMissingMessage(list)
  if (early !== undefined) return { refusal: early }
  const source = readSource(list, context)
  if ('refusal' in source) return source
  const message = readListMessage(list)
  if (message !== undefined && 'refusal' in message) return message
  const column = readNumber(list.fields, 'column', 1, MAX_COLUMN)
  if (!column.isUsable) return { refusal: refuseNumber(column) }
  const minEntries = readNumber(list.fields, 'min', 0, Number.MAX_SAFE_INTEGER)
  if (!minEntries.isUsable) return { refusal: refuseNumber(minEntries) }
  return { ...source, message, column: column.value, minEntries: minEntries.value }
}

function refuseNumber({
  position,
  message,
  fix,
}: Omit<Refusal, 'at' | 'original'> & { position: TextPosition }) {
  return { at: position, message, fix, original: undefined }
}

function refuseName(name: string, position: TextPosition): Refusal | undefined {
  if (!name.includes(';') && !name.includes('\0')) return undefined
  return {
    at: position,
    message: `the list name "${shown(name)}" contains a character that ends it in spamd's protocol`,
    fix: 'use letters, digits and dashes',
    original: undefined,
  }
}

function refuseMissingMessage({ name, record, colour, messageField }: ListRecord): Refusal | undefined {
  if (colour !== 'black' || messageField.kind === 'present') return undefined
  return {
    at: placeOf(messageField, record),
    message: `black list "${shown(name)}" has no msg`,
    fix: 'add :msg="text that blocked clients get":\\',
    original: `No msg for blacklist "${name}"`,
  }
}

/** Method and location of a list. */
function readSource(
  list: ListRecord,
  context: ListContext,
): Pick<SpamdList, 'method' | 'location'> | { refusal: Refusal } {
  const { name, fields } = list
  const file = findCapability(fields, 'file', '=')
  if (file.kind !== 'present') return { refusal: refuseMissingFile(list, file, context) }
  const method = readMethod(fields)
  if (typeof method !== 'string') {
    const { text, position: at } = method
    const fix = `use one of ${LIST_METHODS.join(', ')}`
    return {
      refusal: { at, message: `unknown method "${shown(text)}"`, fix, original: `Unknown method ${text}` },
    }
  }
  const at = file.field.position
  const location = utf8(decodeCapabilityString(file.value))
  if (!canBeNamed(location)) {
    const message = `file= of "${shown(name)}" is empty or contains a NUL byte`
    const fix = 'write a path, a URL without its scheme, or a command'
    const isEmptyPath = method === 'file' && location === ''
    const original = isEmptyPath ? `Can't open  by file method: ${NOT_FOUND}` : undefined
    return { refusal: { at, message, fix, original } }
  }
  if (method !== 'file' && method !== 'exec' && /^(?:https?|ftp)$/.test(location)) {
    const message = `file= contains only "${location}", because the colon of a URL ends it`
    const fix = 'leave out the scheme: it comes from method='
    return { refusal: { at, message, fix, original: undefined } }
  }
  return { method, location }
}

/** Why there is no file, as far as the record shows: unclosed quotes swallow the fields after them. */
function refuseMissingFile(
  { name, record, colour, messageField }: ListRecord,
  file: MessageField,
  { indentedLines }: ListContext,
): Refusal {
  const original = `No file given for ${colour}list ${name}`
  const quoteEnd = record.openQuoteEnd
  if (quoteEnd !== undefined && indentedLines.has(quoteEnd.line + 1)) {
    const fix = `end line ${quoteEnd.line} with a backslash, which joins the next line`
    return { at: quoteEnd, message: `list "${shown(name)}" ends within double quotes`, fix, original }
  }
  if (messageField.kind === 'present' && messageField.value.includes('\\Cfile=')) {
    return {
      at: messageField.field.position,
      message: `the msg of "${shown(name)}" has an odd number of double quotes, so it includes the fields after it`,
      fix: 'put the text between two double quotes; write \\134 for a backslash before the last one',
      original,
    }
  }
  return {
    at: placeOf(file, record),
    message: `${colour} list "${shown(name)}" has no file`,
    fix: 'add :file= with a path, a URL without its scheme, or a command',
    original,
  }
}

/** The method, or the field with an unknown one. */
function readMethod(
  fields: readonly CapabilityField[],
): ListMethod | { text: string; position: TextPosition } {
  const found = findCapability(fields, 'method', '=')
  if (found.kind !== 'present') return 'file'
  const text = decodeCapabilityString(found.value)
  const method = LIST_METHODS.find((known) => known === text)
  return method ?? { text, position: found.field.position }
}

/** The message of a black list; a white list has none, even if its record has one. */
function readListMessage({
  name,
  record,
  colour,
  messageField,
}: ListRecord): ListMessage | { refusal: Refusal } | undefined {
  if (colour === 'white' || messageField.kind !== 'present') return undefined
  const at = placeOf(messageField, record)
  const message = readMessage(messageField.value)
  if (message === undefined) {
    const fix = 'put the text between two double quotes'
    return { refusal: { at, message: 'the msg is a single double quote', fix, original: undefined } }
  }
  if (message.kind !== 'file' || canBeNamed(message.path)) return message
  return {
    refusal: {
      at,
      message: `the msg of "${shown(name)}" is empty or contains a NUL byte`,
      fix: 'write msg="TEXT", or the path of a file with the text',
      original: message.path === '' ? `Can't open message from : ${NOT_FOUND}` : undefined,
    },
  }
}

function fixForMissing(name: string): string {
  if (name === '\\') return 'remove the blank after the backslash, which keeps it from joining the next line'
  if (name.startsWith('#')) return 'move the comment above the record: inside it, # does not start one'
  return `add a record "${shown(name)}:\\", or remove the name from "all"`
}
