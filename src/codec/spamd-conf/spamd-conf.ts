import { type CapabilityRecord, parseCapabilities, type TextPosition } from './getcap.js'
import { type ListContext, NOT_FOUND, readList } from './read-list.js'
import { RecordIndex, resolveRecord } from './resolve-record.js'
import { looksLikeCapability, type NamedList, shown, splitNames, utf8 } from './spamd-conf-fields.js'
import { warnAboutFile, warnAboutList, warnAboutUnused } from './spamd-conf-warnings.js'
import type { ConfDiagnostic, ListEntry } from './spamd-list.js'

/** The content of a spamd.conf. */
export interface SpamdConf {
  /** The lists that `all` names, in its order; empty when there is no usable `all`. */
  lists: ListEntry[]
  /** Errors and warnings, ordered by position in the file. An error without `list` is about the whole file. */
  diagnostics: ConfDiagnostic[]
}

/** Far above any real file; bounds the work if a wrong file is named. */
export const MAX_CONF_BYTES = 256 * 1024
/** Maximum number of lists in `all`: ten times what the largest public collections offer. */
const MAX_LISTS = 4096
/** Maximum number of findings that are reported: a file with more is not a spamd.conf. */
const MAX_DIAGNOSTICS = 1000
/**
 * Reads a spamd.conf. Never throws: a list that cannot be used is reported in `diagnostics` and keeps its place in
 * `lists`. `fileName` is only used in the diagnostics.
 */
export function parseSpamdConf(bytes: Uint8Array, options: { fileName: string }): SpamdConf {
  return new ConfReader(options.fileName).read(bytes)
}

class ConfReader {
  readonly #fileName: string
  readonly #diagnostics: ConfDiagnostic[] = []

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
    const indentedLines = new Set(
      database.records.filter(({ names }) => /^[ \t]/.test(names)).map(({ position }) => position.line),
    )
    warnAboutFile(database, index, (position, message, fix) => this.#warn(position, message, fix))
    const names = this.#readAll(database.records, index)
    const lists: ListEntry[] = []
    const seen = new Set<string>()
    let black: string | undefined
    for (const { text: name, position } of names) {
      const entry = this.#readList(name, position, { index, black, indentedLines }, seen.has(name))
      if (entry.colour === 'black') black = name
      if (entry.isUsable && seen.has(name) && entry.colour === 'black') {
        const message = `"${shown(name)}" is named twice; spamd uses the last one`
        this.#warn(position, message, 'name it once', name)
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
    const resolved = resolveRecord(all, index, 'unquoted')
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

  /** Warns about a superfluous backslash, which makes the record after `all` part of it. */
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

  #readList(name: string, position: TextPosition, context: ListContext, isRepeated: boolean): ListEntry {
    const read = readList(name, position, context)
    if (!read.ok) {
      const { at, message, fix, original } = read.refusal
      const diagnostic = this.#error(at, message, { fix, original, list: name })
      const appliesTo = read.colour === 'black' ? undefined : context.black
      return {
        isUsable: false,
        name,
        colour: read.colour,
        appliesTo,
        isNever: read.isNever,
        diagnostic,
      }
    }
    const { list, record, fields } = read
    if (!isRepeated) {
      warnAboutList({ ...list, record, fields, black: context.black, namedAt: position }, (at, text, fix) =>
        this.#warn(at, text, fix, name),
      )
    }
    return list
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

function latin1(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  return text.startsWith('\u00ef\u00bb\u00bf') ? text.slice(3) : text
}
