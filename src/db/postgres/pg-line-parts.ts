/**
 * Lines of many addresses, several parts of the order at once: one process of a server joins a million lines in a second, most of
 * what a listing takes. All parts of a page are one statement, so that the server decides by its own limits how many processes
 * work at them; without any to spare, one makes them one after the other. No second connection is needed, and what
 * stands between (pgbouncer) sees a transaction like any other.
 */
import type { PgLink } from './pg-link.js'
import { KIND_TABLES } from './pg-query.js'

/** Kinds whose lines the server joins: their texts have nothing to escape. */
export type LineKind = 'WHITE' | 'TRAPPED'

/** Fields of a line of each kind, as the server joins them: one call copies each once. */
const JOINED = {
  WHITE: `concat_ws('|', 'WHITE', ip, '|', first, pass, expire, bcount, pcount)`,
  TRAPPED: `concat_ws('|', 'TRAPPED', ip, expire)`,
} as const

/** SQL: all lines of a page, and how many there are. `from` has an order, in which they are joined. */
export function linesSql(kind: LineKind, from: string): { lines: string; from: string } {
  return {
    lines: 'string_agg(line, chr(10)) || chr(10)',
    from: `(SELECT ip, ${JOINED[kind]} AS line ${from}) AS page`,
  }
}

/** How a listing is cut. */
export interface PartBounds {
  /** Lines of a page from which on the rest is cut: what is short is not worth a look at where to cut it. */
  fromLines: number
  /** Pages of the table that are looked at for it, in percent, and how many of their rows make a part. */
  samplePercent: number
  sampledRows: number
}

/** Parts of 20,000 lines. Where rows lie in the order of their keys, so few of them still come from six places. */
const BOUNDS: PartBounds = { fromLines: 40_000, samplePercent: 2, sampledRows: 400 }
/** Parts of one page: more than there are processes for it, so that one large part does not keep all others waiting. */
const PARTS = 4
/** Cuts are taken again after this: what comes in meanwhile does not make a part large. */
const CUTS_LIFE_MS = 10_000
const NUMBERS = Array.from({ length: PARTS }, (_, index) => index + 1)

/** Lines of one page: none, or a text; and the address behind which the next one begins. */
export interface LinePage {
  lines: Buffer | undefined
  count: number
  end: string
}

/** Where to look for addresses: SQL conditions, and a range of which `low` is a part and `high` is not. */
interface LineScope {
  scope?: { low: string; high: string } | undefined
  conditions?: readonly string[]
}

/** The parts of one listing. */
export class LineParts {
  readonly #link: PgLink
  readonly #bounds: PartBounds
  #cuts: { kind: LineKind; scope: LineScope['scope']; at: string[]; readMs: number } | undefined
  #isOff = false

  constructor(link: PgLink, bounds = BOUNDS) {
    this.#link = link
    this.#bounds = bounds
  }

  /** The next page behind an address. Undefined where a page of `lineCount` lines has to be read in one piece. */
  async read(
    kind: LineKind,
    after: string,
    lineCount: number,
    where: LineScope,
  ): Promise<LinePage | undefined> {
    if (this.#isOff || lineCount < this.#bounds.fromLines) return undefined
    try {
      const cuts = await this.#cutsBehind(kind, after, where)
      // The piece behind the last cut is of unknown length.
      return cuts.length < 2
        ? undefined
        : await this.#readParts(kind, [after, ...cuts.slice(0, PARTS)], where)
    } catch {
      // No memory to share, a limit of its own: whatever a server has against it. One that is gone says so to the next page.
      this.#isOff = true
      return undefined
    }
  }

  /** Where to cut, in order; taken from a sample of the rows. */
  async #cutsBehind(kind: LineKind, after: string, { scope, conditions = [] }: LineScope): Promise<string[]> {
    const known = this.#cuts
    const isKnown = known?.kind === kind && known.scope === scope
    if (!isKnown || performance.now() - known.readMs > CUTS_LIFE_MS) {
      const { table, condition } = KIND_TABLES[kind]
      const terms = [condition, ...conditions, 'ip > $1', ...(scope === undefined ? [] : ['ip < $2'])]
      const sql = `SELECT ip FROM (SELECT ip, row_number() OVER (ORDER BY ip) AS n
          FROM spamd.${table} TABLESAMPLE SYSTEM (${this.#bounds.samplePercent}) WHERE ${terms.join(' AND ')}) AS sampled
        WHERE n % ${this.#bounds.sampledRows} = 0 ORDER BY ip`
      const values = [after, ...(scope === undefined ? [] : [scope.high])]
      const rows = await this.#link.read('listText', (statements) => statements.rows(sql, values))
      const at = rows.map(([ip]) => ip as string)
      this.#cuts = { kind, scope, at, readMs: performance.now() }
    }
    // Addresses are ASCII: the order of the server, by bytes, is that of their texts here.
    return this.#cuts!.at.filter((ip) => ip > after)
  }

  /** What lies between each two of `ends`. */
  async #readParts(
    kind: LineKind,
    ends: readonly string[],
    { conditions = [] }: LineScope,
  ): Promise<LinePage> {
    const { table, condition } = KIND_TABLES[kind]
    // Without a limit: with one, the server would let no other process make a part.
    const parts = NUMBERS.map((n) => {
      const terms = [condition, ...conditions, `ip > $${n}`, `ip <= $${n + 1}`]
      const page = linesSql(kind, `FROM spamd.${table} WHERE ${terms.join(' AND ')} ORDER BY ip`)
      return `SELECT ${n} AS part, ${page.lines} AS lines, count(*) AS count FROM ${page.from}`
    })
    const sql = `SELECT part, lines, count FROM (${parts.join(' UNION ALL ')}) AS parts`
    // The same statement for fewer: the last ones are empty.
    const values = Array.from({ length: PARTS + 1 }, (_, index) => ends[index] ?? ends.at(-1)!)
    const options = { isPage: conditions.length === 0, isParallel: true }
    const rows = (await this.#link.readInOrder('listText', sql, values, options)) as [
      part: number,
      lines: string | null,
      count: number,
    ][]
    // As they were finished.
    rows.sort(([one], [other]) => one - other)
    const count = rows.reduce((sum, [, , lines]) => sum + lines, 0)
    const lines = count === 0 ? undefined : Buffer.from(rows.map(([, text]) => text ?? '').join(''), 'latin1')
    return { lines, count, end: ends.at(-1)! }
  }
}
