import type { EntryKind } from '../../domain/entry.js'

/** Line formats that SQLite produces by itself. */
export type LineFormName = 'classic' | 'json' | 'ndjson' | 'csv'

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
      return { line: `${CLASSIC[kind]} || char(10)`, special: '0' }
    case 'json':
      return { line: `',' || char(10) || ${JSON_OBJECTS[kind]}`, special: specialOf(kind, true) }
    case 'ndjson':
      return { line: `${JSON_OBJECTS[kind]} || char(10)`, special: specialOf(kind, true) }
    case 'csv':
      return { line: `${CSV[kind]} || char(10)`, special: specialOf(kind, false) }
  }
}

const CLASSIC_TIMES = TIMES.join(` || '|' || `)
const CLASSIC: Readonly<Record<EntryKind, string>> = {
  WHITE: `'WHITE|' || ip || '|||' || ${CLASSIC_TIMES}`,
  TRAPPED: "'TRAPPED|' || ip || '|' || expire",
  SPAMTRAP: "'SPAMTRAP|' || address",
  POOL: `'POOL|' || ip || '|' || pool || '|' || ${CLASSIC_TIMES}`,
  GREY: `'GREY|' || ip || '|' || helo || '|' || "from" || '|' || "to" || '|' || ${CLASSIC_TIMES}`,
}

const JSON_TIMES = TIMES.map((name) => `',"${name}":' || ${name}`).join(' || ')
/** See parsePoolKey. */
const POOL_KEY = `CASE WHEN pool = 'learn' THEN pool WHEN pool LIKE 'spf:%' THEN 'spf' WHEN pool LIKE 'release:%' THEN 'release' ELSE 'network' END`
/** The key of a pool has no HELO. */
const TUPLE_KEY = `CASE WHEN helo <> '' THEN '' WHEN ip LIKE 'spf:%' THEN '","key":"spf' WHEN instr(ip, '/') > 0 THEN '","key":"network' ELSE '' END`
const JSON_OBJECTS: Readonly<Record<EntryKind, string>> = {
  WHITE: `'{"kind":"WHITE","ip":"' || ip || '"' || ${JSON_TIMES} || '}'`,
  TRAPPED: `'{"kind":"TRAPPED","ip":"' || ip || '"' || ${JSON_TIMES} || '}'`,
  SPAMTRAP: `'{"kind":"SPAMTRAP","address":"' || address || '","first":' || first || '}'`,
  POOL: `'{"kind":"POOL","ip":"' || ip || '","key":"' || ${POOL_KEY} || '","pool":"' || pool || '"' || ${JSON_TIMES} || '}'`,
  GREY: `'{"kind":"GREY","ip":"' || ip || ${TUPLE_KEY} || '","helo":"' || helo || '","from":"' || "from" || '","to":"' || "to" || '"' || ${JSON_TIMES} || '}'`,
}

const CSV_TIMES = TIMES.join(` || ',' || `)
const CSV: Readonly<Record<EntryKind, string>> = {
  WHITE: `'WHITE,' || ip || ',,,,,' || ${CSV_TIMES} || ','`,
  TRAPPED: `'TRAPPED,' || ip || ',,,,,' || ${CSV_TIMES} || ','`,
  SPAMTRAP: "'SPAMTRAP,,' || address || ',,,,' || first || ',,,,,'",
  POOL: `'POOL,' || ip || ',,,,,' || ${CSV_TIMES} || ','`,
  GREY: `'GREY,' || ip || ',,' || helo || ',' || "from" || ',' || "to" || ',' || ${CSV_TIMES} || ','`,
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
  let commaCount = 0
  for (let at = 0; at < bytes.length; at += 1) if (bytes[at] === COMMA) commaCount += 1
  return commaCount !== lineCount * CSV_COMMAS
}

const QUOTE = 0x22
const COMMA = 0x2c
/** Commas of a line of 12 fields. */
const CSV_COMMAS = 11
