import type { EditRequest } from '../../app/database/edit-entries.js'
import { hasNoUnit, hintForUnit, parseDuration } from '../../codec/duration.js'
import { ENTRY_KINDS, type EntryKind, MAX_COMMENT_BYTES } from '../../domain/entry.js'
import type { EntryQuery, SortField } from '../../domain/query.js'
import { formatCidr, parseCidr } from '../../ip/cidr.js'
import { getopt } from '../getopt.js'
import { numberIn, OptionProblem, OptionValues } from '../option-reader.js'
import { SPAMDB_OPTIONS, SPAMDB_USAGE } from './spamdb-options.js'

export type OutputFormat = 'classic' | 'human' | 'json' | 'ndjson' | 'csv'

/** What a call of spamdb asks for. Keys are as typed; `-` stands for standard input. */
export type SpamdbRequest =
  | { type: 'help' }
  | { type: 'version' }
  | {
      type: 'edit'
      edit: EditRequest
      keys: string[]
      isDryRun: boolean
      syncTargets: string[]
      /** Keys that can only have been meant as options: the call must change nothing. */
      misplacedOptions: ReadonlySet<string>
      hasLiteralKeys: boolean
      dbPath: string | undefined
    }
  | {
      type: 'show'
      keys: string[]
      format: OutputFormat
      hasLiteralKeys: boolean
      dbPath: string | undefined
    }
  /** -d with filters instead of keys. */
  | {
      type: 'delete'
      filter: ListFilter
      isDryRun: boolean
      isAgreed: boolean
      syncTargets: string[]
      dbPath: string | undefined
    }
  | { type: 'list'; filter: ListFilter; format: OutputFormat; isCount: boolean; dbPath: string | undefined }

/** A query whose times are still relative to now. */
export interface ListFilter {
  query: EntryQuery
  expiresWithinSec: number | undefined
  olderThanSec: number | undefined
}

/** Options that select entries, for listings and for -d. */
const CONDITION_OPTIONS = ['kind', 'ip', 'from', 'to', 'helo', 'expires-within', 'older-than']
const LIST_OPTIONS = ['sort', 'limit', 'count']
const FILTER_OPTIONS = [...CONDITION_OPTIONS, ...LIST_OPTIONS]
const FORMAT_OPTIONS = ['human', 'json', 'ndjson', 'csv'] as const
const ADD_OPTIONS = ['if-missing', 'expire', 'comment']
const KIND_BY_LETTER: Readonly<Record<string, EntryKind>> = { t: 'TRAPPED', T: 'SPAMTRAP', G: 'GREY' }
/** Digits beyond these are not exact. */
const MAX_LIMIT = 999_999_999_999_999
const USAGE = `${SPAMDB_USAGE}\n`

/**
 * Parses the arguments. Of -a and -d, and of -t, -T and -G, the last one is used. Throws `OptionProblem` with
 * the usage line.
 */
export function parseSpamdbArguments(argv: readonly string[]): SpamdbRequest {
  const parsed = getopt(argv, SPAMDB_OPTIONS)
  if (!parsed.ok) throw wrongUsage(parsed.message)
  const hasLiteralKeys = argv[argv.length - parsed.operands.length - 1] === '--'
  return buildRequest(new OptionValues(parsed), parsed.operands, hasLiteralKeys)
}

function wrongUsage(message: string, hint?: string): OptionProblem {
  return new OptionProblem(message, { hint, usage: USAGE })
}

// eslint-disable-next-line complexity -- the order in which options decide what a call is
function buildRequest(options: OptionValues, keys: string[], hasLiteralKeys: boolean): SpamdbRequest {
  if (options.has('help')) return { type: 'help' }
  if (options.has('version')) return { type: 'version' }
  const action = options.lastOf(['a', 'd'])
  const kindLetter = options.lastOf(Object.keys(KIND_BY_LETTER))
  const dbPath = options.last('db')
  // The original shows only its usage.
  if (action === undefined && kindLetter !== undefined)
    throw new OptionProblem(`-${kindLetter} requires -a or -d`, { line: '', usage: USAGE })
  const kind = kindLetter === undefined ? 'WHITE' : KIND_BY_LETTER[kindLetter]!
  if (action === 'd' && CONDITION_OPTIONS.some((name) => options.has(name))) {
    return buildDeletion(options, keys, kindLetter)
  }
  refuse(options, ['yes'], 'requires -d and a filter such as --ip')
  if (action !== undefined) {
    refuse(options, [...FILTER_OPTIONS, ...FORMAT_OPTIONS], 'lists entries; leave out -a and -d')
    const edit = buildEdit(options, action === 'a' ? 'add' : 'delete', kind)
    const syncTargets = options.all('Y')
    const misplacedOptions = hasLiteralKeys ? new Set<string>() : findMisplacedOptions(keys)
    const isDryRun = options.has('dry-run')
    return { type: 'edit', edit, keys, isDryRun, syncTargets, misplacedOptions, hasLiteralKeys, dbPath }
  }
  refuse(options, [...ADD_OPTIONS], 'requires -a')
  refuse(options, ['all-tuples'], 'requires -d -G')
  refuse(options, ['dry-run', 'Y'], 'requires -a or -d')
  const format = formatOf(options)
  // No entry has that key.
  if (keys.length === 1 && keys[0] === 'help' && !hasLiteralKeys && options.isEmpty) return { type: 'help' }
  if (keys.length > 0) {
    refuse(options, FILTER_OPTIONS, 'lists entries; it takes no keys')
    return { type: 'show', keys, format, hasLiteralKeys, dbPath }
  }
  return { type: 'list', filter: buildFilter(options), format, isCount: options.has('count'), dbPath }
}

function buildDeletion(
  options: OptionValues,
  keys: readonly string[],
  kindLetter: string | undefined,
): SpamdbRequest {
  if (keys.length > 0) throw wrongUsage('-d takes keys or filters, not both')
  if (kindLetter !== undefined) throw wrongUsage(`-${kindLetter} requires keys; use --kind`)
  refuse(options, [...LIST_OPTIONS, ...FORMAT_OPTIONS], 'lists entries; leave out -d')
  refuse(options, [...ADD_OPTIONS], 'requires -a')
  refuse(options, ['all-tuples'], 'requires -d -G')
  return {
    type: 'delete',
    filter: buildFilter(options),
    isDryRun: options.has('dry-run'),
    isAgreed: options.has('yes'),
    syncTargets: options.all('Y'),
    dbPath: options.last('db'),
  }
}

/** `--` as typed, and as written by word processors and web pages. */
const LONG_OPTION = /^(?:--|-?[\u2010-\u2015\u2212])/

/**
 * Words after the first key that getopt(3) leaves among the keys and that nobody means as a key: every long
 * option, and `-t`, `-T`, `-G` if they are all that follows one key (`spamdb -a IP -t`, as pfSense calls it).
 * Other letters after keys fail as in the original, while the keys beside them are processed.
 */
function findMisplacedOptions(keys: readonly string[]): ReadonlySet<string> {
  const words = keys.slice(1)
  const areKindLetters = words.every((word) => /^-[tTG]+$/.test(word))
  return new Set(areKindLetters ? words : words.filter((word) => LONG_OPTION.test(word)))
}

function refuse(options: OptionValues, names: readonly string[], why: string): void {
  const name = names.find((candidate) => options.has(candidate))
  if (name !== undefined) throw wrongUsage(`${name.length > 1 ? '--' : '-'}${name} ${why}`)
}

function buildEdit(options: OptionValues, operation: 'add' | 'delete', kind: EntryKind): EditRequest {
  const isGreyDelete = operation === 'delete' && kind === 'GREY'
  if (operation === 'delete') refuse(options, ADD_OPTIONS, 'requires -a')
  if (!isGreyDelete) refuse(options, ['all-tuples'], 'requires -d -G')
  const expire = options.last('expire')
  if (expire !== undefined && hasNoUnit(expire)) {
    throw wrongUsage(`--expire: "${expire}" has no unit`, hintForUnit(expire))
  }
  const lifetime = expire === undefined || expire === 'never' ? expire : durationOf('expire', expire)
  if (kind === 'SPAMTRAP' && typeof lifetime === 'number') {
    throw wrongUsage('--expire: a spamtrap never expires')
  }
  if (lifetime === 0) throw wrongUsage('--expire: "0" would expire at once; use "never" to pin an entry')
  const comment = options.last('comment')
  const commentProblem = comment === undefined ? undefined : problemOfComment(comment)
  if (commentProblem !== undefined) throw wrongUsage(`--comment: ${commentProblem}`)
  return {
    operation,
    kind,
    allTuples: options.has('all-tuples'),
    ifMissing: options.has('if-missing'),
    lifetime: lifetime as number | 'never' | undefined,
    // Bytes that are not text become U+FFFD.
    comment: comment === undefined ? undefined : Buffer.from(comment).toString(),
  }
}

/** Why a text cannot be the comment of an entry. */
export function problemOfComment(text: string): string | undefined {
  return Buffer.byteLength(text) > MAX_COMMENT_BYTES ? `longer than ${MAX_COMMENT_BYTES} bytes` : undefined
}

function formatOf(options: OptionValues): OutputFormat {
  const given = FORMAT_OPTIONS.filter((name) => options.has(name))
  if (given.length > 1) throw wrongUsage(`--${given[0]} and --${given[1]} cannot be used together`)
  return given[0] ?? 'classic'
}

function buildFilter(options: OptionValues): ListFilter {
  const query: EntryQuery = {}
  const kinds = options.all('kind').flatMap((text) => text.split(','))
  if (kinds.length > 0) query.kinds = kinds.map(kindOf)
  const ip = options.last('ip')
  if (ip !== undefined) query.network = networkOf(ip)
  for (const name of ['from', 'to', 'helo'] as const) {
    const pattern = options.last(name)
    if (pattern === '') throw wrongUsage(`--${name}: empty pattern`)
    if (pattern !== undefined) query[name] = Buffer.from(pattern, 'utf8').toString('latin1')
  }
  const sort = options.last('sort')
  if (sort !== undefined) query.sort = sortFieldOf(sort.replace(/^-/, ''))
  if (sort?.startsWith('-') === true) query.isDescending = true
  const limit = options.last('limit')
  if (limit !== undefined) query.limit = limitOf(limit)
  const expiresWithin = options.last('expires-within')
  const olderThan = options.last('older-than')
  return {
    query,
    expiresWithinSec: expiresWithin === undefined ? undefined : durationOf('expires-within', expiresWithin),
    olderThanSec: olderThan === undefined ? undefined : durationOf('older-than', olderThan),
  }
}

function kindOf(text: string): EntryKind {
  const kind = ENTRY_KINDS.find((candidate) => candidate === text.toUpperCase())
  if (kind === undefined) throw wrongUsage(`--kind: "${text}" is not one of ${ENTRY_KINDS.join(', ')}`)
  return kind
}

function networkOf(text: string): string {
  const network = parseCidr(text)
  if (network === undefined) {
    throw wrongUsage(`--ip: "${text}" is not an address or network such as 192.0.2.0/24`)
  }
  return formatCidr(network)
}

function sortFieldOf(text: string): SortField {
  const choices = SPAMDB_OPTIONS.find((option) => option.long === 'sort')?.choices ?? []
  if (!choices.includes(text)) throw wrongUsage(`--sort: "${text}" is not one of ${choices.join(', ')}`)
  return text as SortField
}

function limitOf(text: string): number {
  return numberIn(text, [1, MAX_LIMIT], () => wrongUsage(`--limit: "${text}" is not a whole number from 1`))
}

function durationOf(name: string, text: string): number {
  const seconds = parseDuration(text)
  if (seconds === undefined) {
    throw wrongUsage(`--${name}: "${text}" is not a duration such as 90s, 4h, 36d or 2w`)
  }
  return seconds
}
