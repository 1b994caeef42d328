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

/** Fields of a line of each kind behind its first, as the server joins them: one call copies each once. */
const JOINED = {
  WHITE: `concat_ws('|', ip, '|', first, pass, expire, bcount, pcount)`,
  TRAPPED: `concat_ws('|', ip, expire)`,
} as const

/**
 * SQL: all lines of a page as one text, for `textOfLines`. `from` has an order, in which they are joined. The kind stands between two
 * lines: it is cheaper there than as one field more.
 */
export function linesSql(kind: LineKind, from: string): { lines: string; from: string } {
  return {
    lines: `string_agg(line, chr(10) || '${kind}|')`,
    from: `(SELECT ip, ${JOINED[kind]} AS line ${from}) AS page`,
  }
}

/** Lines with what stands before the first and behind the last of them. */
export function textOfLines(kind: LineKind, lines: string): string {
  return `${kind}|${lines}\n`
}

/** How a listing is cut. */
export interface PartBounds {
  /** Lines of a page from which on the rest is cut: what is short is not worth a look at where to cut it. */
  fromLines: number
  /** Pages of the table that are looked at for it, in percent, and how many of their rows make a part. */
  samplePercent: number
  sampledRows: number
}

/** Parts of 40,000 lines: a process that the server starts for one costs as much as a thousand. */
const BOUNDS: PartBounds = { fromLines: 20_000, samplePercent: 2, sampledRows: 800 }
/** Parts of one page: more than there are processes for it, so that one large part does not keep all others waiting. */
const PARTS = 4
/** Cuts are taken again after this: what comes in meanwhile does not make a part large. */
const CUTS_LIFE_MS = 30_000
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

/** Where a page begins. */
interface Place extends Pick<LineScope, 'scope'> {
  kind: LineKind
  after: string
}

/** A page that the server is making. */
interface Asked extends Place {
  end: string
  /** As they are finished; null for one without lines. */
  parts: Promise<[part: number, lines: string | null, count: number][]>
}

/** The parts of one listing. */
export class LineParts {
  readonly #link: PgLink
  readonly #bounds: PartBounds
  #cuts: (Omit<Place, 'after'> & { at: string[]; readMs: number }) | undefined
  #asked: Asked | undefined
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
    const place = { kind, after, scope: where.scope }
    try {
      const asked = isAt(this.#asked, place) ? this.#asked : await this.#ask(place, where)
      this.#asked = undefined
      if (asked === undefined) return undefined
      const parts = await asked.parts
      // The server goes on while these become bytes; no further than this one page.
      this.#asked = await this.#ask({ ...place, after: asked.end }, where)
      parts.sort(([one], [other]) => one - other)
      const texts = parts.map(([, lines]) => (lines === null ? '' : textOfLines(kind, lines)))
      const count = parts.reduce((sum, [, , lines]) => sum + lines, 0)
      return { lines: count === 0 ? undefined : Buffer.from(texts.join(''), 'latin1'), count, end: asked.end }
    } catch {
      // No memory to share, a limit of its own: whatever a server has against it. One that is gone says so to the next page.
      this.#isOff = true
      return undefined
    }
  }

  /** Lets the server make a page; undefined for the piece behind the last cut, which is of unknown length. */
  async #ask(place: Place, where: LineScope): Promise<Asked | undefined> {
    const cuts = await this.#cutsBehind(place, where)
    if (cuts.length < 2) return undefined
    const ends = [place.after, ...cuts.slice(0, PARTS)]
    const end = ends.at(-1)!
    const { conditions = [] } = where
    // Without a limit: with one, the server would let no other process make a part.
    const selects = NUMBERS.map((n) => {
      const from = `${fromSql(place.kind, conditions, `ip > $${n} AND ip <= $${n + 1}`)} ORDER BY ip`
      const page = linesSql(place.kind, from)
      return `SELECT ${n} AS part, ${page.lines} AS lines, count(*) AS count FROM ${page.from}`
    })
    const sql = `SELECT part, lines, count FROM (${selects.join(' UNION ALL ')}) AS parts`
    // The same statement for fewer: the last ones are empty.
    const values = Array.from({ length: PARTS + 1 }, (_, index) => ends[index] ?? end)
    const options = { isPage: conditions.length === 0, isParallel: true }
    const parts = this.#link.readInOrder('listText', sql, values, options) as unknown as Asked['parts']
    // A reader that goes away does not wait for it.
    parts.catch(() => {})
    return { ...place, end, parts }
  }

  /** Where to cut, in order; taken from a sample of the rows. */
  async #cutsBehind({ kind, after, scope }: Place, { conditions = [] }: LineScope): Promise<string[]> {
    const known = this.#cuts
    const isKnown = known?.kind === kind && known.scope === scope
    if (!isKnown || performance.now() - known.readMs > CUTS_LIFE_MS) {
      const { samplePercent, sampledRows } = this.#bounds
      const range = scope === undefined ? 'ip > $1' : 'ip > $1 AND ip < $2'
      const from = fromSql(kind, conditions, range, `TABLESAMPLE SYSTEM (${samplePercent})`)
      const sql = `SELECT ip FROM (SELECT ip, row_number() OVER (ORDER BY ip) AS n ${from}) AS sampled
        WHERE n % ${sampledRows} = 0 ORDER BY ip`
      const values = scope === undefined ? [after] : [after, scope.high]
      const rows = await this.#link.read('listText', (statements) => statements.rows(sql, values))
      this.#cuts = { kind, scope, at: rows.map(([ip]) => ip as string), readMs: performance.now() }
    }
    // Addresses are ASCII: the order of the server, by bytes, is that of their texts here.
    return this.#cuts!.at.filter((ip) => ip > after)
  }
}

function isAt(asked: Asked | undefined, { kind, after, scope }: Place): boolean {
  return asked?.kind === kind && asked.after === after && asked.scope === scope
}

/** SQL: the addresses of a kind that meet conditions. */
function fromSql(kind: LineKind, conditions: readonly string[], range: string, sample = ''): string {
  const { table, condition } = KIND_TABLES[kind]
  return `FROM spamd.${table} ${sample} WHERE ${[condition, ...conditions, range].join(' AND ')}`
}
