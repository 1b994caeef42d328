import type { Diagnostic } from '../diagnostic.js'
import {
  type CapabilityField,
  type CapabilityRecord,
  decodeCapabilityString,
  findCapability,
  parseCapabilities,
  type TextPosition,
} from './getcap.js'
import { RecordIndex, resolveRecord } from './resolve-record.js'
import {
  canBeNamed,
  isPresent,
  type ListMessage,
  looksLikeCapability,
  type NamedList,
  placeOf,
  readMessage,
  readNumber,
  shown,
  splitNames,
  utf8,
} from './spamd-conf-fields.js'
import { warnAboutFile, warnAboutList, warnAboutUnused } from './spamd-conf-warnings.js'

/** How a list is fetched. */
const LIST_METHODS = ['file', 'exec', 'http', 'https', 'ftp'] as const
export type ListMethod = (typeof LIST_METHODS)[number]

/** A list of spamd.conf that can be fetched. */
export interface SpamdList {
  isUsable: true
  /** Latin-1, one character a byte; no semicolon, which would end it on the way to spamd. */
  name: string
  colour: 'black' | 'white'
  /** Present for black lists only. */
  message: ListMessage | undefined
  method: ListMethod
  /** Path, URL without scheme, or command line. */
  location: string
  /** `:column#N:`, from 1: the column of a table that holds the addresses. */
  column: number | undefined
  /** `:min#N:`: fewer entries mean that something is wrong with the source. */
  minEntries: number | undefined
  /** `:empty_ok:`: the list may shrink, even to nothing. */
  isEmptyOk: boolean
  /** `:as_root:`: a file is opened, or a command run, with the rights that spamd-setup was started with. */
  isAsRoot: boolean
  /** `:allow_private:`: a server on the Internet may redirect to an address of the inside. */
  isPrivateAllowed: boolean
  /** `:wide_ok:`: the list may hold very wide networks and grow as it likes. */
  isWideOk: boolean
  /** `:never:`: nothing in this list is ever blocked by a downloaded list. */
  isNever: boolean
  /** A white list for the black list before it; false for black lists, and for a `:never:` list without `:white:`. */
  isException: boolean
  /** The black list that a white list takes addresses out of; undefined for one before any black list. */
  appliesTo: string | undefined
  /** Where `all` names it. */
  position: TextPosition
}

/** A list that `all` names but that cannot be used; its place in the order still counts. */
export interface UnusableList {
  isUsable: false
  name: string
  /** Undefined when not even that can be told: it must be taken for a white list that failed. */
  colour: 'black' | 'white' | undefined
  /** For a white list the black list before it, as in `SpamdList`. */
  appliesTo: string | undefined
  isNever: boolean
  diagnostic: ConfDiagnostic
}

/** A list that `all` names, usable or not. */
export type ListEntry = SpamdList | UnusableList

/** A finding about spamd.conf. */
export interface ConfDiagnostic extends Diagnostic {
  /** The list that it is about; undefined for the file as a whole. */
  list: string | undefined
  /** What the original says before it gives up, without its name and not yet escaped; undefined when it goes on. */
  original: string | undefined
}

/** What a spamd.conf says. */
export interface SpamdConf {
  /** The lists that `all` names, in its order; empty when there is no usable `all`. */
  lists: ListEntry[]
  /** Errors and warnings by place in the file. An error without `list` is about the file as a whole. */
  diagnostics: ConfDiagnostic[]
}

/** Far above any real file; keeps the work bounded when a wrong file is named. */
export const MAX_CONF_BYTES = 256 * 1024
/** Lists that `all` may name: ten times what the largest public collections offer. */
const MAX_LISTS = 4096
/** Findings that are reported: a file with more is not a spamd.conf. */
const MAX_DIAGNOSTICS = 1000
/** Columns of a table; lists have a dozen. */
const MAX_COLUMN = 1000

/** errno text that the original adds for whatever it cannot find. */
const NOT_FOUND = 'No such file or directory'

/**
 * Reads a spamd.conf. Never throws: what cannot be used is told in `diagnostics`, and `lists` keeps its
 * place. `fileName` is only for the diagnostics.
 */
export function parseSpamdConf(bytes: Uint8Array, options: { fileName: string }): SpamdConf {
  return new ConfReader(options.fileName).read(bytes)
}

class ConfReader {
  readonly #fileName: string
  readonly #diagnostics: ConfDiagnostic[] = []
  /** Lines in which a record begins with a blank: they were most likely meant to continue the one before. */
  readonly #indentedLines = new Set<number>()

  constructor(fileName: string) {
    this.#fileName = fileName
  }

  read(bytes: Uint8Array): SpamdConf {
    const lists = bytes.length > MAX_CONF_BYTES ? this.#refuseSize() : this.#readLists(latin1(bytes))
    this.#diagnostics.sort((left, right) => left.line - right.line || left.column - right.column)
    return { lists, diagnostics: this.#diagnostics.slice(0, MAX_DIAGNOSTICS) }
  }

  #refuseSize(): ListEntry[] {
    this.#error({ line: 1, column: 1 }, `the file has more than ${MAX_CONF_BYTES} bytes`, {
      fix: 'name spamd.conf itself, not a list',
      original: `Can't find "all" in spamd config: ${NOT_FOUND}`,
    })
    return []
  }

  #readLists(text: string): ListEntry[] {
    const database = parseCapabilities(text)
    const index = new RecordIndex(database.records)
    for (const { names, position } of database.records) {
      if (/^[ \t]/.test(names)) this.#indentedLines.add(position.line)
    }
    warnAboutFile(database, index, (position, message, fix) => this.#warn(position, message, fix))
    const names = this.#readAll(database.records, index)
    const lists: ListEntry[] = []
    const seen = new Set<string>()
    let black: string | undefined
    for (const { text: name, position } of names) {
      const entry = this.#readList(name, position, index, black, seen.has(name))
      if (entry.colour === 'black') black = name
      if (entry.isUsable) {
        if (seen.has(name) && entry.colour === 'black') {
          this.#warn(
            position,
            `"${shown(name)}" is named twice; spamd uses the last one`,
            'name it once',
            name,
          )
        }
      }
      seen.add(name)
      lists.push(entry)
    }
    if (names.length > 0)
      warnAboutUnused(database.records, index, seen, (...warning) => this.#warn(...warning))
    return lists
  }

  /** The names in the record `all`, in order. */
  #readAll(records: readonly CapabilityRecord[], index: RecordIndex): NamedList[] {
    const original = `Can't find "all" in spamd config: ${NOT_FOUND}`
    const all = index.find('all')
    if (all === undefined) {
      const near = records.find((record) => /^\s*all\s*$/i.test(record.names.split('|')[0]!))
      if (near === undefined) {
        this.#error({ line: 1, column: 1 }, 'there is no record "all"', {
          fix: 'add "all:\\" and after it the names of the lists: ":LIST1:LIST2:"',
          original,
        })
      } else {
        const message = `this record is named "${shown(near.names)}", so there is no record "all"`
        this.#error(near.position, message, { fix: 'write all: in lower case, without blanks', original })
      }
      return []
    }
    const resolved = resolveRecord(all, index, true)
    if (!resolved.ok) {
      this.#error(resolved.position, resolved.message, { fix: resolved.fix, original })
      return []
    }
    const names = resolved.fields.flatMap(splitNames)
    if (names.length === 0 && all.openContinuation !== undefined) {
      this.#error(all.openContinuation, 'there is nothing after the backslash of "all"', {
        fix: 'name the lists on the next line, ":LIST1:LIST2:", or write "all:" alone for no lists',
        original,
      })
    } else if (names.length === 0 && all.lineCount > 1) {
      const fix = 'name the lists there, ":LIST1:LIST2:", or write "all:" alone for no lists'
      this.#warn(all.position, 'the line after "all:\\" names no list', fix)
    }
    const runOn = names.find(({ text }) => index.find(text) === undefined && looksLikeCapability(text))
    if (runOn !== undefined) return this.#refuseRunOn(names, runOn, index)
    if (names.length <= MAX_LISTS) return names
    this.#error(names[MAX_LISTS]!.position, `"all" names more than ${MAX_LISTS} lists`, {
      fix: 'name fewer',
      original: undefined,
    })
    return []
  }

  /** A backslash too many makes the record after `all` part of it. */
  #refuseRunOn(names: readonly NamedList[], runOn: NamedList, index: RecordIndex): NamedList[] {
    const missing = names.find(({ text }) => index.find(text) === undefined)!
    this.#error(
      runOn.position,
      `"all" continues into the next record: "${shown(runOn.text)}" is not a list name`,
      {
        fix: 'remove the backslash from the last line of "all", or name the lists on the next line',
        original: `Can't find "${missing.text}" in spamd config: ${NOT_FOUND}`,
      },
    )
    return []
  }

  #readList(
    name: string,
    position: TextPosition,
    index: RecordIndex,
    black: string | undefined,
    isRepeated: boolean,
  ): ListEntry {
    const unusable = (
      at: TextPosition,
      message: string,
      fix: string,
      original: string | undefined,
    ): UnusableList => {
      const diagnostic = this.#error(at, message, { fix, original, list: name })
      const appliesTo = colour === 'black' ? undefined : black
      return { isUsable: false, name, colour, appliesTo, isNever, diagnostic }
    }
    let colour: 'black' | 'white' | undefined
    let isNever = false
    const notFound = `Can't find "${name}" in spamd config: ${NOT_FOUND}`
    const record = index.find(name)
    if (record === undefined) {
      const fix = fixForMissing(name)
      return unusable(position, `"all" names "${shown(name)}", but there is no such record`, fix, notFound)
    }
    const resolved = resolveRecord(record, index)
    if (!resolved.ok) return unusable(resolved.position, resolved.message, resolved.fix, notFound)
    const { fields } = resolved

    if (isPresent(fields, 'black', ':')) colour = 'black'
    else if (isPresent(fields, 'white', ':')) colour = 'white'
    if (colour !== 'black' && isPresent(fields, 'never', ':')) isNever = true
    const isException = colour === 'white'
    if (isNever) colour = 'white'
    if (colour === undefined) {
      const original = `Must have "black" or "white" in ${name}`
      for (const field of fields) {
        const [word] = /^(?:black|white)(?=[ \t])/.exec(field.text) ?? []
        if (word === undefined) continue
        const { line, column } = field.position
        const missing = `"${word}" is not ended by a colon`
        return unusable({ line, column: column - 1 }, missing, `write ":${word}:\\"`, original)
      }
      const message = `list "${shown(name)}" is neither black nor white`
      return unusable(record.position, message, `add ":black:\\" or ":white:\\" to it`, original)
    }
    if (name.includes(';') || name.includes('\0')) {
      const message = `the list name "${shown(name)}" contains a character that ends it in spamd's protocol`
      return unusable(position, message, 'use letters, digits and dashes', undefined)
    }
    const messageField = findCapability(fields, 'msg', '=')
    if (colour === 'black' && messageField.kind !== 'present') {
      const message = `black list "${shown(name)}" has no msg`
      const fix = 'add :msg="text that blocked clients get":\\'
      return unusable(placeOf(messageField, record), message, fix, `No msg for blacklist "${name}"`)
    }
    const file = findCapability(fields, 'file', '=')
    if (file.kind !== 'present') {
      const quoteEnd = record.openQuoteEnd
      const original = `No file given for ${colour}list ${name}`
      if (quoteEnd !== undefined && this.#indentedLines.has(quoteEnd.line + 1)) {
        const fix = `end line ${quoteEnd.line} with a backslash, which joins the next line`
        return unusable(quoteEnd, `list "${shown(name)}" ends within double quotes`, fix, original)
      }
      const isSwallowed = messageField.kind === 'present' && messageField.value.includes('\\Cfile=')
      return isSwallowed
        ? unusable(
            messageField.field.position,
            `the msg of "${shown(name)}" has an odd number of double quotes, so it includes the fields after it`,
            'put the text between two double quotes; write \\134 for a backslash before the last one',
            `No file given for ${colour}list ${name}`,
          )
        : unusable(
            placeOf(file, record),
            `${colour} list "${shown(name)}" has no file`,
            'add :file= with a path, a URL without its scheme, or a command',
            `No file given for ${colour}list ${name}`,
          )
    }
    const location = utf8(decodeCapabilityString(file.value))
    const method = this.#readMethod(fields)
    if (typeof method !== 'string') {
      const fix = `use one of ${LIST_METHODS.join(', ')}`
      return unusable(
        method.position,
        `unknown method "${shown(method.text)}"`,
        fix,
        `Unknown method ${method.text}`,
      )
    }
    if (!canBeNamed(location)) {
      return unusable(
        file.field.position,
        `file= of "${shown(name)}" is empty or contains a NUL byte`,
        'write a path, a URL without its scheme, or a command',
        method === 'file' && location === '' ? `Can't open  by file method: ${NOT_FOUND}` : undefined,
      )
    }
    if (method !== 'file' && method !== 'exec' && /^(?:https?|ftp)$/.test(location)) {
      const message = `file= contains only "${location}", because the colon of a URL ends it`
      return unusable(file.field.position, message, 'leave out the scheme: it comes from method=', undefined)
    }
    const message = messageField.kind === 'present' ? readMessage(messageField.value) : undefined
    if (colour === 'black' && message === undefined) {
      const at = placeOf(messageField, record)
      return unusable(
        at,
        'the msg is a single double quote',
        'put the text between two double quotes',
        undefined,
      )
    }
    if (colour === 'black' && message?.kind === 'file' && !canBeNamed(message.path)) {
      return unusable(
        placeOf(messageField, record),
        `the msg of "${shown(name)}" is empty or contains a NUL byte`,
        'write msg="TEXT", or the path of a file with the text',
        message.path === '' ? `Can't open message from : ${NOT_FOUND}` : undefined,
      )
    }
    const column = readNumber(fields, 'column', 1, MAX_COLUMN)
    const minEntries = readNumber(fields, 'min', 0, Number.MAX_SAFE_INTEGER)
    for (const number of [column, minEntries]) {
      if (number.isUsable) continue
      return unusable(number.position, number.message, number.fix, undefined)
    }
    if (!isRepeated) {
      warnAboutList(
        { name, colour, isNever, record, fields, method, location, black, namedAt: position },
        (at, text, fix) => this.#warn(at, text, fix, name),
      )
    }
    return {
      isUsable: true,
      name,
      colour,
      message: colour === 'black' ? message : undefined,
      method,
      location,
      column: column.isUsable ? column.value : undefined,
      minEntries: minEntries.isUsable ? minEntries.value : undefined,
      isEmptyOk: isPresent(fields, 'empty_ok', ':'),
      isAsRoot: isPresent(fields, 'as_root', ':'),
      isPrivateAllowed: isPresent(fields, 'allow_private', ':'),
      isWideOk: isPresent(fields, 'wide_ok', ':'),
      isNever,
      isException,
      appliesTo: isException ? black : undefined,
      position,
    }
  }

  /** The method, or the field that names an unknown one. */
  #readMethod(fields: readonly CapabilityField[]): ListMethod | { text: string; position: TextPosition } {
    const found = findCapability(fields, 'method', '=')
    if (found.kind !== 'present') return 'file'
    const text = decodeCapabilityString(found.value)
    const method = LIST_METHODS.find((known) => known === text)
    return method ?? { text, position: found.field.position }
  }

  #error(
    position: TextPosition,
    message: string,
    details: { fix: string; original: string | undefined; list?: string },
  ): ConfDiagnostic {
    const { fix, original, list } = details
    const diagnostic: ConfDiagnostic = {
      fileName: this.#fileName,
      ...position,
      severity: 'error',
      message,
      fix,
      list,
      original: original === undefined ? undefined : utf8(original),
    }
    this.#diagnostics.push(diagnostic)
    return diagnostic
  }

  #warn(position: TextPosition, message: string, fix: string, list?: string): void {
    if (this.#diagnostics.length > MAX_DIAGNOSTICS) return
    this.#diagnostics.push({
      fileName: this.#fileName,
      ...position,
      severity: 'warning',
      message,
      fix,
      list,
      original: undefined,
    })
  }
}

function fixForMissing(name: string): string {
  if (name === '\\') return 'remove the blank after the backslash, which keeps it from joining the next line'
  if (name.startsWith('#')) return 'move the comment above the record: inside it, # does not start one'
  return `add a record "${shown(name)}:\\", or remove the name from "all"`
}

function latin1(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  return text.startsWith('\u00ef\u00bb\u00bf') ? text.slice(3) : text
}
