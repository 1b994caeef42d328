/**
 * A second implementation of spamdb, as simple as possible, to check the transcripts: in mode `original` it must
 * print what OpenBSD's spamdb printed, in mode `ours` it gives what our spamdb must print. The two modes differ only
 * where intended, and each such place records the name of the difference.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { SPAMDB_OPTIONS } from '../../src/cli/spamdb/spamdb-options.js'
import { programVersion } from '../../src/platform/program-version.js'

export type Mode = 'original' | 'ours'

/** Fields first, pass, expire, bcount, pcount; `undefined` for a record of another size. */
export interface ModelRecord {
  fields: bigint[] | undefined
}

export interface ModelDatabase {
  /** Reason for which the file cannot be opened, by purpose. */
  refuses: { reading?: string | undefined; writing?: string | undefined }
  /** Zero bytes: refused for reading, becomes a database by a write. */
  isEmptyFile: boolean
  records: Map<string, ModelRecord>
}

export interface ModelResult {
  rc: number
  /** Lines in our order; the original's order is that of its hash. */
  stdout: string[]
  stderr: string
  /** The listing stopped at a damaged record: any of the other entries may have been printed before, in hash order. */
  isPartial?: boolean
  /** The call used an option that only our spamdb has, so the original's behaviour no longer applies. */
  isUnjudged?: boolean
}

/** Names of the differences that applied in a run. */
export type DifferenceLog = Set<string>

const WHITE_SEC = 3_110_400n
const TRAP_SEC = 86_400n
const USAGE = 'usage: spamdb [-adGTt] [keys ...]\n'
const NOT_A_DATABASE = 'Inappropriate file type or format'
const SAFE = BigInt(Number.MAX_SAFE_INTEGER)

/** Stores a record as the recording did; our database cannot contain damaged ones. */
export function putRecord(
  database: ModelDatabase,
  key: string,
  fields: bigint[] | undefined,
  mode: Mode,
  log: DifferenceLog,
): void {
  const lineFeeds = key.split('\n').length - 1
  if (fields === undefined || lineFeeds === 1) {
    log.add('no-damaged-records')
    if (mode === 'ours') return
  }
  const name = importedKey(key, fields, log)
  if (name === undefined && mode === 'ours') return
  if (fields?.slice(0, 3).some((time) => time > SAFE || time < -SAFE) === true) log.add('times-of-53-bits')
  database.records.set(mode === 'ours' ? name! : key, {
    fields:
      mode === 'ours'
        ? fields?.map((value) => (value > SAFE ? SAFE : value < -SAFE ? -SAFE : value))
        : fields,
  })
}

/** Our key for a record of the original; undefined if our database cannot contain it. */
function importedKey(key: string, fields: bigint[] | undefined, log: DifferenceLog): string | undefined {
  if (key.includes('\n')) return storedTupleKey(key, log)
  if (fields?.[4] === -2n) {
    const address = trapKey(key, { mode: 'ours', log })
    if (address !== key) log.add('spamtraps-folded-everywhere')
    if (key.includes('@')) return address
    log.add('no-spamtrap-under-an-address')
    return undefined
  }
  if (!isNumericAddress(key, 'ours', log)) {
    log.add('no-damaged-records')
    return undefined
  }
  return hostKey(key, { mode: 'ours', log })
}

/** A tuple without helo is one with an empty helo; its address is canonical. */
function storedTupleKey(key: string, log: DifferenceLog): string {
  const [ip = '', ...parts] = key.split('\n')
  const tuple = parts.length === 2 ? ['', ...parts] : parts
  return [hostKey(ip, { mode: 'ours', log }), ...tuple].join('\n')
}

/** Runs one call on the model. `argv` is latin-1 of the bytes; `now` in seconds. */
export function runModel(
  database: ModelDatabase,
  argv: readonly string[],
  now: bigint,
  mode: Mode,
  log: DifferenceLog,
): ModelResult {
  const out: ModelResult = { rc: 0, stdout: [], stderr: '' }
  const warn = (text: string): void => {
    out.stderr += `spamdb: ${text}\n`
  }
  const call = parseWords(argv, mode, log, warn)
  if (call === undefined) return { ...out, rc: 1, stderr: out.stderr + USAGE }
  if (call.extras.size > 0) return runExtras(call.extras, out)
  let { keys } = call
  if (keys.includes('-')) log.add('dash-reads-standard-input')
  // Standard input, which is empty here, is read after the file was opened.
  const opensForDash = mode === 'ours' && keys.find((key) => key !== '') === '-'
  if (mode === 'ours') keys = keys.filter((key) => key !== '-')
  const purpose = call.action === undefined ? 'reading' : 'writing'
  const refusal =
    database.refuses[purpose] ?? (database.isEmptyFile && purpose === 'reading' ? NOT_A_DATABASE : undefined)
  if (refusal !== undefined) {
    warn(`cannot open {DB} for ${purpose}: ${refusal}`)
    return { ...out, rc: 1 }
  }
  const finish = (failures: number): ModelResult => {
    if (purpose === 'writing') database.isEmptyFile = false
    if (failures > 255) log.add('exit-code-cap')
    return { ...out, rc: mode === 'ours' ? Math.min(failures, 255) : failures % 256 }
  }
  const context: Context = { database, now, mode, log, warn, out }
  if (call.action === undefined) return show(context, keys, call.keys.length, finish)
  if (call.action === 'a' && call.kind === 'G') {
    warn('cannot add GREY entries')
    return { ...out, rc: 2 }
  }
  if (opensForDash) database.isEmptyFile = false
  const given = keys.filter((key) => key !== '')
  if (given.length === 0) {
    warn('no addresses specified')
    return { ...out, rc: 2 }
  }
  const misplaced = misplacedOptions(argv, call.keys)
  if (misplaced.length > 0) {
    log.add('misplaced-options-refused')
    if (mode === 'ours') return refuseMisplaced(context, given, misplaced, call)
  }
  const before = new Map(database.records)
  let failures = 0
  for (const [index, key] of given.entries()) {
    const result = call.action === 'a' ? add(context, key, call.kind) : remove(context, key, call.kind)
    if (result === 'stop') {
      if (index > 0) log.add('keys-before-a-bad-address-stay')
      if (mode === 'original') database.records = before
      else if (index > 0) database.isEmptyFile = false
      return { ...out, rc: 255 }
    }
    if (!result) failures += 1
  }
  return finish(failures)
}

/** Keys that are long options, and -t, -T, -G if only these follow one key; not after `--`. */
function misplacedOptions(argv: readonly string[], keys: readonly string[]): readonly string[] {
  if (argv[argv.length - keys.length - 1] === '--') return []
  const rest = keys.slice(1)
  if (rest.every((key) => /^-[tTG]+$/.test(key))) return rest
  return rest.filter((key) => key.startsWith('--'))
}

/** Changes nothing; prints what the original prints about keys that it refuses or does not have. */
function refuseMisplaced(
  context: Context,
  keys: readonly string[],
  misplaced: readonly string[],
  call: Call,
): ModelResult {
  const scratch: Context = {
    ...context,
    database: { ...context.database, records: new Map() },
    log: new Set(),
  }
  let failures = 0
  for (const key of keys) {
    if (call.action === 'd' && !misplaced.includes(key)) continue
    const isDone = call.action === 'd' ? remove(scratch, key, call.kind) : add(scratch, key, call.kind)
    if (isDone === 'stop') return { ...context.out, rc: 255 }
    if (isDone === true && misplaced.includes(key)) {
      context.warn(`not an email address: ${shown(key, context, 'message')}`)
      return { ...context.out, rc: 255 }
    }
    if (isDone === false) failures += 1
  }
  return { ...context.out, rc: Math.min(failures, 255) }
}

interface ModeContext {
  mode: Mode
  log: DifferenceLog
}

interface Context extends ModeContext {
  database: ModelDatabase
  now: bigint
  warn: (text: string) => void
  out: ModelResult
}

interface Call {
  action: 'a' | 'd' | undefined
  kind: string | undefined
  keys: readonly string[]
  /** The given long options that our spamdb knows. */
  extras: Set<string>
}

/** A call with options that the original does not know and therefore refused. */
function runExtras(extras: Set<string>, out: ModelResult): ModelResult {
  if (extras.has('help')) return out
  if (extras.has('version')) return { ...out, stdout: [`spamdb (spamdctl) ${programVersion()}`] }
  return { ...out, isUnjudged: true }
}

function parseWords(
  argv: readonly string[],
  mode: Mode,
  log: DifferenceLog,
  warn: (text: string) => void,
): Call | undefined {
  const call: Call = { action: undefined, kind: undefined, keys: [], extras: new Set() }
  let hasTargets = false
  let index = 0
  for (; index < argv.length; index += 1) {
    const word = argv[index]!
    if (word === '--') {
      index += 1
      break
    }
    if (word === '-' || !word.startsWith('-')) break
    if (word.startsWith('--')) {
      log.add('long-options')
      const [name = '', ...values] = word.slice(2).split('=')
      const option = mode === 'ours' ? SPAMDB_OPTIONS.find(({ long }) => long === name) : undefined
      if (option === undefined) {
        warn(`unknown option -- ${mode === 'ours' ? shown(name, { mode, log }, 'message') : '-'}`)
        return undefined
      }
      call.extras.add(name)
      if (option.value !== undefined && values.length === 0) index += 1
      continue
    }
    const letters = [...word.slice(1)]
    if (letters.at(-1) === '-' && letters.slice(0, -1).every((letter) => 'adGTt'.includes(letter))) {
      for (const letter of letters.slice(0, -1)) applyLetter(call, letter)
      break
    }
    for (const [position, letter] of letters.entries()) {
      if (letter === 'Y') log.add('sync-targets')
      if (letter === 'Y' && mode === 'ours') {
        hasTargets = true
        const isJoined = position < letters.length - 1
        if (!isJoined) index += 1
        if (index < argv.length) break
        warn('option requires an argument -- Y')
        return undefined
      }
      if (!'adGTt'.includes(letter)) {
        warn(
          `unknown option -- ${shown(unknownLetter(word.slice(1 + position), mode, log), { mode, log }, 'message')}`,
        )
        return undefined
      }
      applyLetter(call, letter)
    }
  }
  if (call.extras.size > 0) return call
  if (call.action === undefined && call.kind !== undefined) return undefined
  if (call.action === undefined && hasTargets) {
    warn('-Y requires -a or -d')
    return undefined
  }
  return { ...call, keys: argv.slice(index) }
}

/** The original reads bytes, ours whole characters. */
function unknownLetter(text: string, mode: Mode, log: DifferenceLog): string {
  const [character] = [...Buffer.from(text, 'latin1').toString('utf8')]
  const bytes = Buffer.from(character!, 'utf8').toString('latin1')
  if (bytes.length > 1) log.add('options-of-whole-characters')
  return mode === 'ours' ? bytes : text[0]!
}

function applyLetter(call: Call, letter: string): void {
  if (letter === 'a' || letter === 'd') call.action = letter
  else call.kind = letter
}

function isNumericAddress(key: string, mode: Mode, log: DifferenceLog): boolean {
  const scope = key.indexOf('%')
  if (scope < 0) return isIPv4(withoutZeros(key)) || isIPv6(withoutZeros(key))
  const address = withoutZeros(key.slice(0, scope))
  if (!isIPv6(address)) return false
  // Interfaces of the recording: lo is the only one; numbers are 32 bits and may stand for none that exists.
  const name = key.slice(scope + 1)
  const isLocal = /^fe[89ab][0-9a-f]:|^ff[0-9a-f][12]:/i.test(address)
  const isNumber = /^[\t-\r ]*[+-]?[0-9]+$/.test(name) && Number(name) >= 0 && Number(name) < 2 ** 32
  if (!isNumber && !(isLocal && name === 'lo')) return false
  log.add('no-scopes')
  return mode === 'original'
}

/** inet_pton(3) of OpenBSD lets the numbers of a dotted quad be padded; behind colons the first one up to four digits. */
function withoutZeros(key: string): string {
  const match = /^(.*:(?=[0-9]{1,4}\.))?([0-9]+(?:\.[0-9]+){3})$/.exec(key)
  if (match === null) return key
  return (match[1] ?? '') + match[2]!.replace(/(^|\.)0+(?=[0-9])/g, '$1')
}

function hostKey(key: string, { mode, log }: ModeContext): string {
  const canonical = canonical6(withoutZeros(key))
  if (canonical !== key) log.add('canonical-addresses')
  return mode === 'ours' ? canonical : key
}

/** RFC 5952 text by the URL parser, an independent implementation; v4-mapped addresses become IPv4. */
function canonical6(key: string): string {
  if (!isIPv6(key) || key.includes('%')) return key
  const text = new URL(`http://[${key}]/`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(text)
  if (mapped === null) return text
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)]
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}

function add(context: Context, key: string, kind: string | undefined): boolean | 'stop' {
  const { database, now, mode, log, warn } = context
  const { records } = database
  if (kind === 'T') return addTrap(context, key)
  // Our spamdb checks first: no entry can have a key that is not an address.
  const existing = records.get(mode === 'ours' ? hostKey(key, context) : key)
  if (existing === undefined || mode === 'ours') {
    if (!isNumericAddress(key, mode, log)) {
      warn(`invalid ip address ${shown(key, context, 'message')}`)
      return false
    }
  } else if (!isNumericAddress(key, mode, log)) {
    warn(`invalid ip address ${shown(key, context, 'message')}`)
    return false
  }
  const name = hostKey(key, context)
  const record = records.get(name)
  if (record !== undefined && record.fields === undefined) {
    records.delete(name)
    return false
  }
  const fields = record?.fields
  if (kind === 't') {
    records.set(name, {
      fields:
        fields === undefined
          ? [now, 0n, now + TRAP_SEC, 1n, -1n]
          : [fields[0]!, fields[1]!, now + TRAP_SEC, fields[3]!, -1n],
    })
  } else {
    records.set(name, {
      fields:
        fields === undefined
          ? [now, now, now + WHITE_SEC, 1n, 0n]
          : [fields[0]!, now, now + WHITE_SEC, fields[3]!, fields[4]! + 1n],
    })
  }
  return true
}

function addTrap(context: Context, key: string): boolean | 'stop' {
  const { database, now, mode, log, warn } = context
  const { records } = database
  const existing = mode === 'original' ? records.get(key) : undefined
  if (existing === undefined && !key.includes('@')) {
    if (records.has(hostKey(key, context))) log.add('no-spamtrap-under-an-address')
    warn(`not an email address: ${shown(key, context, 'message')}`)
    return 'stop'
  }
  if (neverMatches(key)) {
    log.add('no-spamtrap-that-never-matches')
    if (mode === 'ours') {
      warn(`not an email address: ${shown(key, context, 'message')}`)
      return 'stop'
    }
  }
  if (existing !== undefined && !key.includes('@')) log.add('no-spamtrap-under-an-address')
  if (key.includes('\n')) {
    log.add('no-damaged-records')
    if (mode === 'ours') {
      warn(`not an email address: ${shown(key, context, 'message')}`)
      return 'stop'
    }
  }
  if (existing !== undefined && existing.fields === undefined) {
    records.delete(key)
    return false
  }
  if (existing?.fields !== undefined) {
    const [first, pass, , bcount] = existing.fields
    records.set(key, { fields: [first!, pass!, 0n, bcount!, -2n] })
    return true
  }
  records.set(trapKey(key, context), { fields: [now, 0n, 0n, 1n, -2n] })
  return true
}

/**
 * A recipient is never only a domain or a name without one, and has no angle brackets inside or blanks around its
 * parts.
 */
function neverMatches(key: string): boolean {
  if (key.includes('@') && /\s@|@.*\s|^<?\s/s.test(key)) return true
  const [local = '', ...rest] = key.replace(/^</, '').replace(/>$/, '').split('@')
  const domain = rest.pop()
  return (
    key.includes('@') &&
    (domain === '' || (local === '' && rest.length === 0) || /[<>]/.test(`${local}${rest.join('')}${domain}`))
  )
}

function trapKey(key: string, { mode, log }: ModeContext): string {
  const lower = key.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
  const bare = lower.replace(/^</, '').replace(/>$/, '')
  if (bare !== lower) log.add('spamtraps-without-brackets')
  return mode === 'ours' ? bare : lower
}

/** The key for a deletion or a look-up. */
function searchKey(key: string, context: Context): string {
  const { mode, log } = context
  if (key.includes('\n')) {
    const stored = storedTupleKey(key, log)
    return mode === 'ours' ? stored : key
  }
  if (!key.includes('%') && isNumericAddress(key, mode, log)) return hostKey(key, context)
  const folded = key
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    .replace(/^</, '')
    .replace(/>$/, '')
  if (folded !== key) log.add('spamtraps-folded-everywhere')
  return mode === 'ours' ? folded : key
}

function remove(context: Context, key: string, kind: string | undefined): boolean {
  const { database, mode, log, warn } = context
  if (kind === 'G') {
    const name = mode === 'ours' ? hostKey(key, context) : key
    const found = [...database.records]
      .filter(([text]) => text.includes('\n') && text.split('\n')[0] === name)
      .sort(([keyA, a], [keyB, b]) => {
        const byAge = Number((a.fields?.[0] ?? 0n) - (b.fields?.[0] ?? 0n))
        return byAge !== 0 ? byAge : keyA < keyB ? -1 : 1
      })
    if (found.length > 1) log.add('oldest-tuple-first')
    if (found.length > 0) return database.records.delete(found[0]![0])
  } else if (database.records.delete(searchKey(key, context))) return true
  warn(`no entry for ${shown(key, context, 'message')}`)
  return false
}

function show(
  context: Context,
  keys: readonly string[],
  wordCount: number,
  finish: (failures: number) => ModelResult,
): ModelResult {
  const { database, out, warn } = context
  if (wordCount === 0) {
    const lines = [...database.records].sort((one, other) => compareRecords(context, one, other))
    for (const [key, record] of lines) {
      const line = lineOf(key, record, context)
      if (typeof line !== 'string') {
        warn(line.error)
        return { ...out, stdout: [], rc: 1, isPartial: true }
      }
      out.stdout.push(line)
    }
    return finish(0)
  }
  // A single dash that supplies no key counts as one key not found, as in the original.
  if (keys.length === 0) return finish(1)
  let failures = 0
  for (const key of keys) {
    const name = searchKey(key, context)
    const record = key === '' ? undefined : database.records.get(name)
    if (record === undefined) {
      failures += 1
      continue
    }
    const line = lineOf(name, record, context)
    if (typeof line !== 'string') {
      warn(line.error)
      return { ...out, rc: failures + 1 }
    }
    out.stdout.push(line)
  }
  return finish(failures)
}

const KIND_ORDER = ['WHITE', 'TRAPPED', 'SPAMTRAP', 'GREY']

function kindOf(key: string, record: ModelRecord, { mode, log }: ModeContext): string {
  if (key.includes('\n')) return 'GREY'
  const pcount = record.fields?.[4]
  if (pcount === -1n) return 'TRAPPED'
  if (pcount !== -2n) return 'WHITE'
  if (key.includes('@')) return 'SPAMTRAP'
  log.add('no-spamtrap-under-an-address')
  return mode === 'ours' ? 'WHITE' : 'SPAMTRAP'
}

function compareRecords(
  context: ModeContext,
  [keyA, a]: [string, ModelRecord],
  [keyB, b]: [string, ModelRecord],
): number {
  const byKind = KIND_ORDER.indexOf(kindOf(keyA, a, context)) - KIND_ORDER.indexOf(kindOf(keyB, b, context))
  if (byKind !== 0) return byKind
  const partsA = splitKey(keyA)
  const partsB = splitKey(keyB)
  for (const [index, part] of partsA.entries()) {
    if (part !== partsB[index]) return part < (partsB[index] ?? '') ? -1 : 1
  }
  return 0
}

function splitKey(key: string): string[] {
  const parts = key.split('\n')
  if (parts.length < 3) return parts
  if (parts.length === 3) return [parts[0]!, '', parts[1]!, parts[2]!]
  return [...parts.slice(0, 3), parts.slice(3).join('\n')]
}

function lineOf(key: string, record: ModelRecord, context: Context): string | { error: string } {
  if (record.fields === undefined) return { error: 'bogus size db entry - bad db file?' }
  const [first, pass, expire, bcount, pcount] = record.fields
  const counts = `${first}|${pass}|${expire}|${bcount}|${pcount}`
  switch (kindOf(key, record, context)) {
    case 'WHITE':
      return `WHITE|${key}|||${counts}`
    case 'TRAPPED':
      return `TRAPPED|${key}|${expire}`
    case 'SPAMTRAP':
      return `SPAMTRAP|${shown(key, context)}`
    default: {
      if (key.split('\n').length === 2) return { error: `No from part in grey key ${key.split('\n')[0]}` }
      const parts = splitKey(key).map((part) => shown(part, context))
      return `GREY|${parts.join('|')}|${counts}`
    }
  }
}

/** Escapes control characters, and in listings backslashes that would be read as an escape; only ASCII. */
const LISTING_ESCAPES = /[\u0000-\u001f\u007f]|\\(?=x(?:0[1-9a-f]|1[0-9a-f]|7f|5c|7c))/g
/** Messages are decoded text, which may contain control characters beyond ASCII. */
const MESSAGE_ESCAPES = /[\u0000-\u001f\u007f]|\u00c2[\u0080-\u009f]/g

/** Ours never prints control characters. */
function shown(text: string, { mode, log }: ModeContext, where: 'listing' | 'message' = 'listing'): string {
  const safe = text.replace(
    where === 'listing' ? LISTING_ESCAPES : MESSAGE_ESCAPES,
    (character) =>
      `\\x${character
        .charCodeAt(character.length - 1)
        .toString(16)
        .padStart(2, '0')}`,
  )
  if (safe !== text) log.add('control-characters-escaped')
  return mode === 'original' ? text : safe
}
