/**
 * Lines of many addresses, several parts of the listing at once: one server process takes a second to join a million lines, most
 * of the time of a listing. All parts of a page are one statement, so that the server decides by its own limits how many
 * processes work on them; without any to spare, one makes them one after the other. No second connection is needed, and
 * pgbouncer sees an ordinary transaction.
 */
import type { PgLink } from './pg-link.js'
import { KIND_TABLES } from './pg-query.js'

/** Kinds whose lines the server joins: their texts have nothing to escape. */
export type LineKind = 'WHITE' | 'TRAPPED'

/** Fields of a line of each kind after its first, as the server joins them: one call copies each once. */
const JOINED = {
  WHITE: `concat_ws('|', ip, '|', first, pass, expire, bcount, pcount)`,
  TRAPPED: `concat_ws('|', ip, expire)`,
} as const

/**
 * SQL: all lines of a page as one text, for `textOfLines`. `from` has an order, in which they are joined. The kind is part of the
 * separator, which is cheaper than one more field.
 */
export function linesSql(kind: LineKind, from: string): { lines: string; from: string } {
  return {
    lines: `string_agg(line, chr(10) || '${kind}|')`,
    from: `(SELECT ip, ${JOINED[kind]} AS line ${from}) AS page`,
  }
}

/** Lines completed by the kind before the first and the line feed after the last. */
export function textOfLines(kind: LineKind, lines: string): string {
  return `${kind}|${lines}\n`
}

/** How a listing is cut. */
export interface PartBounds {
  /** Lines of a page from which on the rest is divided: for short listings, finding places to cut costs too much. */
  fromLines: number
  /** Percentage of the table's pages that are sampled for this, and sampled rows per part. */
  samplePercent: number
  sampledRows: number
}

/** Parts of 40,000 lines: starting a server process for a part costs as much as a thousand lines. */
const BOUNDS: PartBounds = { fromLines: 20_000, samplePercent: 2, sampledRows: 800 }
/** Parts of one page: more than processes, so that one large part does not delay all others. */
const PARTS = 4
/** Cuts are renewed after this time, before new entries make a part large. */
const CUTS_LIFE_MS = 30_000
const NUMBERS = Array.from({ length: PARTS }, (_, index) => index + 1)

/** Lines of one page, if any, and the address after which the next page begins. */
export interface LinePage {
  lines: Buffer | undefined
  count: number
  end: string
}

/** Where to look for addresses: SQL conditions, and a range from `low` (inclusive) to `high` (exclusive). */
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
  /** In the order of completion; null for a part without lines. */
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

  /** The next page after an address. Undefined if a page of `lineCount` lines must be read in one piece. */
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
      // The server makes the next page, and only that, while these lines are converted to bytes.
      this.#asked = await this.#ask({ ...place, after: asked.end }, where)
      parts.sort(([one], [other]) => one - other)
      const texts = parts.map(([, lines]) => (lines === null ? '' : textOfLines(kind, lines)))
      const count = parts.reduce((sum, [, , lines]) => sum + lines, 0)
      return { lines: count === 0 ? undefined : Buffer.from(texts.join(''), 'latin1'), count, end: asked.end }
    } catch {
      // The server may lack shared memory or have a limit of its own. If it is gone, the next page reports that.
      this.#isOff = true
      return undefined
    }
  }

  /** Lets the server make a page; undefined for the piece after the last cut, whose length is unknown. */
  async #ask(place: Place, where: LineScope): Promise<Asked | undefined> {
    const cuts = await this.#cutsBehind(place, where)
    if (cuts.length < 2) return undefined
    const ends = [place.after, ...cuts.slice(0, PARTS)]
    const end = ends.at(-1)!
    const { conditions = [] } = where
    // No LIMIT: with one, the server would make all parts in a single process.
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
    // A reader that stops early does not wait for it.
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
