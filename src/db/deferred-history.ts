/**
 * Mail that came from several addresses, according to the history in an SQLite file. A million rows are read
 * twice, in about a second and a half: first only a counter for each mail, by a hash, is kept, then the mails
 * that may have come from enough addresses. SQLite's own JSON functions would take ten times as long, and a
 * map of all mails hundreds of megabytes.
 */
import { CHANGE_RULES, type ChangeRule } from '../domain/change.js'
import type { DeferredMail, DeferredQuery } from '../domain/deferred-mail.js'
import type { Connection } from './connection.js'
import type { ChunkRow } from './history.js'
import { KINDS } from './history-rows.js'

const CHUNKS = 'SELECT at, rows FROM history WHERE last > 0 AND at >= ? ORDER BY last'

/** Maximum number of clients reported per mail. */
export const MAX_CLIENTS = 500
/**
 * Maximum number of addresses of one mail that are distinguished: a flood of one mail must not take all
 * memory.
 */
const MAX_ADDRESSES = 10_000
/** Counters, by the low bits of the hash: of a million mails two thousand share one with two others. */
const BUCKETS = 2 ** 22
const MAX_COUNT = 255
/** Maximum number of rows whose mails are grouped: 50 MB. */
const MAX_ROWS = 250_000

const TUPLE = KINDS.indexOf('tuple')
const ATTEMPT = CHANGE_RULES.indexOf('attempt')
const PASSING: ReadonlySet<number> = new Set(
  (['promotion', 'release', 'pool'] satisfies ChangeRule[]).map((rule) => CHANGE_RULES.indexOf(rule)),
)

/** `key`: address, HELO, sender, recipient. */
type Visit = (at: number, isTry: boolean, key: readonly [string, string, string, string]) => void

/**
 * Up to `limit` and one more mails, those from the most addresses first; `isCut` when others were not
 * examined.
 */
export function readDeferredHistory(
  connection: Connection,
  { sinceSec, minAddresses, limit }: DeferredQuery,
): { mails: DeferredMail[]; isCut: boolean } {
  const counters = new Uint8Array(BUCKETS)
  visitTries(connection, sinceSec, (_at, isTry, [, , from, to]) => {
    if (!isTry) return
    const bucket = bucketOf(from, to)
    if (counters[bucket]! < MAX_COUNT) counters[bucket]! += 1
  })
  const least = leastCount(counters, minAddresses)
  const groups = new Map<string, Group>()
  visitTries(connection, sinceSec, (at, isTry, [ip, helo, from, to]) => {
    if (counters[bucketOf(from, to)]! < least) return
    const key = `${from}\0${to}`
    const group = groups.get(key) ?? new Group(from, to)
    groups.set(key, group)
    if (isTry) group.addTry(at, ip, helo)
    else group.passedSec = Math.max(group.passedSec ?? 0, at)
  })
  const mails = [...groups.values()]
    .filter(({ addressCount }) => addressCount >= minAddresses)
    .sort((one, other) => other.addressCount - one.addressCount || compare(one, other))
    .slice(0, limit + 1)
    .map((group) => group.mail())
  return { mails, isCut: least > minAddresses }
}

/** Every first try of a tuple, and every time that a tuple made something WHITE. Keys of pools have no HELO. */
function visitTries(connection: Connection, sinceSec: number, visit: Visit): void {
  const chunks = connection.prepareRaw(CHUNKS).iterate(sinceSec) as IterableIterator<[number, string]>
  for (const [at, text] of chunks) {
    for (const row of JSON.parse(text) as ChunkRow[]) {
      if (row === 0 || row[0] !== TUPLE) continue
      const [, rule, , before, , ip = '', helo = '', from = '', to = ''] = row
      const isTry = rule === ATTEMPT && before === null && helo !== ''
      if (isTry || PASSING.has(rule)) visit(at, isTry, [ip, helo, from, to])
    }
  }
}

/** FNV-1a of both texts. */
function bucketOf(from: string, to: string): number {
  let hash = 0x811c9dc5
  for (const text of [from, to]) {
    for (let index = 0; index < text.length; index += 1) {
      hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
    }
    hash = Math.imul(hash ^ 0x100, 0x01000193)
  }
  return hash & (BUCKETS - 1)
}

/**
 * The least number of tries, from `minAddresses` on, such that the mails that have it have no more than `maxRows` rows.
 * `counters` holds tries by mail, MAX_COUNT for more.
 * @internal A test counts rows that would take a database of millions.
 */
export function leastCount(counters: Uint8Array, minAddresses: number, maxRows = MAX_ROWS): number {
  const rowsWith = new Float64Array(MAX_COUNT + 1)
  for (let bucket = 0; bucket < counters.length; bucket += 1)
    rowsWith[counters[bucket]!]! += counters[bucket]!
  let rows = 0
  let least = MAX_COUNT
  while (least > Math.min(minAddresses, MAX_COUNT) && rows + rowsWith[least]! <= maxRows) {
    rows += rowsWith[least]!
    least -= 1
  }
  // The step that stopped the count is left out, unless it is the wanted one and fits.
  return rows + rowsWith[least]! <= maxRows ? least : Math.min(least + 1, MAX_COUNT)
}

function compare(one: Group, other: Group): number {
  if (one.from !== other.from) return one.from < other.from ? -1 : 1
  return one.to < other.to ? -1 : 1
}

class Group {
  readonly from: string
  readonly to: string
  passedSec: number | undefined
  #tries = 0
  #firstSec = Number.POSITIVE_INFINITY
  #lastSec = 0
  readonly #clients = new Map<string, string>()

  constructor(from: string, to: string) {
    this.from = from
    this.to = to
  }

  get addressCount(): number {
    return this.#clients.size
  }

  addTry(at: number, ip: string, helo: string): void {
    this.#tries += 1
    this.#firstSec = Math.min(this.#firstSec, at)
    this.#lastSec = Math.max(this.#lastSec, at)
    if (!this.#clients.has(ip) && this.#clients.size < MAX_ADDRESSES) this.#clients.set(ip, helo)
  }

  mail(): DeferredMail {
    return {
      from: this.from,
      to: this.to,
      tries: this.#tries,
      firstSec: this.#firstSec,
      lastSec: this.#lastSec,
      passedSec: this.passedSec,
      addressCount: this.#clients.size,
      clients: [...this.#clients].slice(0, MAX_CLIENTS).map(([ip, helo]) => ({ ip, helo })),
    }
  }
}
