import type { EntryKind } from '../../domain/entry.js'

/** Line formats that SQLite produces by itself. */
export type LineFormName = 'classic' | 'json' | 'ndjson' | 'csv' | 'wide'

/** One form of one kind: what SQLite joins, and how many of its rows need more care than SQLite takes. */
export interface LineSql {
  line: string
  /** Aggregate that is 0 when SQLite knows of nothing to quote; special bytes are looked for by the caller. */
  special: string
}

const TIMES = ['first', 'pass', 'expire', 'bcount', 'pcount'] as const

/**
 * The lines of each kind; in `json` each has the comma and line feed of its separator in front, in the others a line
 * feed behind it. Sources: database.md section 4; RFC 8259; RFC 4180.
 */
export function lineSqlOf(form: LineFormName, kind: EntryKind): LineSql {
  switch (form) {
    case 'classic':
      return { line: CLASSIC_SQL[kind], special: '0' }
    case 'json':
      return {
        line: `concat(',' || char(10) || '{', ${JSON_PARTS[kind]}, '}')`,
        special: specialOf(kind, true),
      }
    case 'ndjson':
      return { line: `concat('{', ${JSON_PARTS[kind]}, '}' || char(10))`, special: specialOf(kind, true) }
    case 'csv':
      return { line: CSV[kind], special: specialOf(kind, false) }
    case 'wide':
      return { line: WIDE[kind], special: specialOf(kind, false) }
  }
}

/** The same lines, each of them up to its line feed: in `json` the separator is behind them too. */
export function endedLineSqlOf(form: LineFormName, kind: EntryKind): LineSql {
  if (form !== 'json') return lineSqlOf(form, kind)
  return { line: `concat('{', ${JSON_PARTS[kind]}, '},' || char(10))`, special: specialOf(kind, true) }
}

/** The lines of an export: the classic ones; special is a comment, and a tuple that may count the attempts of a pool. */
export function exactSqlOf(kind: EntryKind): LineSql {
  return {
    line: CLASSIC_SQL[kind],
    special: kind === 'GREY' ? `total(${MAY_BE_POOL_TUPLE})` : specialOf(kind, false),
  }
}

/** True when a field of `lineCount` lines of tuples contains a bar. */
export function hasBarsInFields(bytes: Buffer, lineCount: number): boolean {
  return countBytes(bytes, BAR) !== lineCount * TUPLE_BARS
}

/** See poolKeyOf, which decides. */
const MAY_BE_POOL_TUPLE = `helo = '' AND (instr(ip, '/') > 0 OR ip = 'learn' OR ip LIKE 'spf:%' OR ip LIKE 'release:%')`
/**
 * SQL: terms joined by a separator. concat_ws copies each term once; each `||` copies everything before it again.
 * concat_ws skips NULL, but none of our terms is NULL.
 */
function separated(separator: string, ...terms: readonly string[]): string {
  return `concat_ws('${separator}', ${terms.join(', ')})`
}

const EMPTY = "''"
/** The last time joined with the end of the line: cheaper to copy than the whole line. */
const TIMES_AND_END = [...TIMES.slice(0, -1), `${TIMES.at(-1)} || char(10)`]
/** Classic lines, as any SQL joins them. */
const CLASSIC_SQL: Readonly<Record<EntryKind, string>> = {
  WHITE: separated('|', "'WHITE'", 'ip', EMPTY, EMPTY, ...TIMES_AND_END),
  TRAPPED: separated('|', "'TRAPPED'", 'ip', 'expire || char(10)'),
  SPAMTRAP: "'SPAMTRAP|' || address || char(10)",
  POOL: separated('|', "'POOL'", 'ip', 'pool', ...TIMES_AND_END),
  GREY: separated('|', "'GREY'", 'ip', 'helo', '"from"', '"to"', ...TIMES_AND_END),
}

const JSON_TIMES = TIMES.map((name) => `',"${name}":', ${name}`).join(', ')
/** See parsePoolKey. */
const POOL_KEY = `CASE WHEN pool = 'learn' THEN pool WHEN pool LIKE 'spf:%' THEN 'spf' WHEN pool LIKE 'release:%' THEN 'release' ELSE 'network' END`
/** The key of a pool has no HELO. */
const TUPLE_KEY = `CASE WHEN helo <> '' THEN '' WHEN ip LIKE 'spf:%' THEN '","key":"spf' WHEN instr(ip, '/') > 0 THEN '","key":"network' ELSE '' END`
/** The parts of an object after its first brace. */
const JSON_PARTS: Readonly<Record<EntryKind, string>> = {
  WHITE: `'"kind":"WHITE","ip":"', ip, '"', ${JSON_TIMES}`,
  TRAPPED: `'"kind":"TRAPPED","ip":"', ip, '"', ${JSON_TIMES}`,
  SPAMTRAP: `'"kind":"SPAMTRAP","address":"', address, '","first":', first`,
  POOL: `'"kind":"POOL","ip":"', ip, '","key":"', ${POOL_KEY}, '","pool":"', pool, '"', ${JSON_TIMES}`,
  GREY: `'"kind":"GREY","ip":"', ip, ${TUPLE_KEY}, '","helo":"', helo, '","from":"', "from", '","to":"', "to", '"', ${JSON_TIMES}`,
}

/** Empty fields between `ip` and the times: address, helo, from and to, without the separators around them. */
const CSV_NO_TEXTS = "',,,'"
const CSV: Readonly<Record<EntryKind, string>> = {
  WHITE: separated(',', "'WHITE'", 'ip', CSV_NO_TEXTS, ...TIMES, 'char(10)'),
  TRAPPED: separated(',', "'TRAPPED'", 'ip', CSV_NO_TEXTS, ...TIMES, 'char(10)'),
  SPAMTRAP: "'SPAMTRAP,,' || address || ',,,,' || first || ',,,,,' || char(10)",
  POOL: separated(',', "'POOL'", 'ip', CSV_NO_TEXTS, ...TIMES, 'char(10)'),
  GREY: separated(',', "'GREY'", 'ip', EMPTY, 'helo', '"from"', '"to"', ...TIMES, 'char(10)'),
}

const WIDE: Readonly<Record<EntryKind, string>> = {
  WHITE: separated(',', "'WHITE'", 'ip', ...TIMES, 'char(10)'),
  TRAPPED: separated(',', "'TRAPPED'", 'ip', 'first', '0', 'expire', 'bcount', EMPTY, 'char(10)'),
  SPAMTRAP: "'SPAMTRAP,,' || first || ',0,0,,,' || address || char(10)",
  POOL: separated(',', "'POOL'", 'ip', ...TIMES, 'char(10)'),
  GREY: `concat('GREY,', ip, ',', ${TIMES.join(", ',', ")}, ',', "from", ' -> ', "to", ' (', helo, ')' || char(10))`,
}

/** Counts the rows that have a comment, or with `ofQuotes` a double quote in a field. */
function specialOf(kind: EntryKind, ofQuotes: boolean): string {
  const terms = kind === 'GREY' || kind === 'POOL' ? [] : ['count(comment)']
  if (ofQuotes && kind === 'GREY') terms.push(`total((helo || "from" || "to") LIKE '%"%')`)
  if (ofQuotes && kind === 'SPAMTRAP') terms.push(`total(address LIKE '%"%')`)
  return terms.length === 0 ? '0' : terms.join(' + ')
}

/** True when a field of `lineCount` lines of CSV has to be quoted; line feeds within fields are looked for by the caller. */
export function hasCsvToQuote(bytes: Buffer, lineCount: number): boolean {
  if (bytes.includes(QUOTE)) return true
  return countBytes(bytes, COMMA) !== lineCount * CSV_COMMAS
}

/** How often `byte`, below 0x80, occurs. Looks at four bytes at a time: millions of lines pass through here. */
function countBytes(bytes: Buffer, byte: number): number {
  const isAligned = bytes.byteOffset % 4 === 0
  const wordCount = isAligned ? bytes.length >>> 2 : 0
  const words = isAligned ? new Int32Array(bytes.buffer, bytes.byteOffset, wordCount) : new Int32Array(0)
  const pattern = byte * 0x01010101
  let count = 0
  for (let index = 0; index < wordCount; ) {
    // Four sums of bits in one number, each of eight bits.
    const end = Math.min(wordCount, index + 255)
    let sums = 0
    for (; index < end; index += 1) {
      const other = words[index]! ^ pattern
      // The top bit of each byte that is zero: a sum of seven bits carries into no other byte.
      const zeros = ~(((other & 0x7f7f7f7f) + 0x7f7f7f7f) | other)
      sums = (sums + ((zeros >>> 7) & 0x01010101)) | 0
    }
    count += (sums & 255) + ((sums >>> 8) & 255) + ((sums >>> 16) & 255) + (sums >>> 24)
  }
  for (let at = wordCount * 4; at < bytes.length; at += 1) if (bytes[at] === byte) count += 1
  return count
}

const QUOTE = 0x22
const COMMA = 0x2c
const BAR = 0x7c
/** Bars of a GREY line of 10 fields. */
const TUPLE_BARS = 9
/** Commas of a line of 12 fields. */
const CSV_COMMAS = 11
