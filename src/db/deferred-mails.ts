/**
 * Mail that came from several addresses: SQLite groups a million tries in about a second, within its page cache. Tuples
 * tell of the last hours and how often each was tried; the history tells of the days before, once for each address.
 */
import { CHANGE_RULES } from '../domain/change.js'
import type { DeferredMail, DeferredMails, DeferredQuery } from '../domain/deferred-mail.js'
import type { Connection } from './connection.js'

/** Clients of one mail that are told. */
const MAX_CLIENTS = 500

const rules = (...names: (typeof CHANGE_RULES)[number][]): string =>
  names.map((name) => CHANGE_RULES.indexOf(name)).join(', ')

/** Keys of pools have no HELO and name no address. */
const FROM_TUPLES = `SELECT CAST("from" AS BLOB), CAST("to" AS BLOB), count(DISTINCT ip) AS addresses, sum(bcount),
    count(*), min(first), max(coalesce(last, first)),
    CAST(group_concat(ip || char(1) || helo, char(2)) AS BLOB)
  FROM tuples WHERE helo <> '' AND coalesce(last, first) >= ?
  GROUP BY "from", "to" HAVING addresses >= ? ORDER BY addresses DESC, "from", "to" LIMIT ?`

/** A row of a chunk is `ChunkRow` of history.ts: kind, rule, actor, before, after, address, HELO, sender, recipient. */
const FROM_HISTORY = `SELECT mail, count(DISTINCT CASE WHEN tried THEN ip END) AS addresses, total(tried),
    min(CASE WHEN tried THEN at END), max(CASE WHEN tried THEN at END), max(CASE WHEN NOT tried THEN at END),
    group_concat(CASE WHEN tried THEN ip || char(1) || substr(helo, 2, length(helo) - 2) END, char(2))
  FROM (SELECT chunk.at AS at, value ->> 1 = ${rules('attempt')} AS tried, value ->> 5 AS ip,
      value -> 6 AS helo, substr(json_array(value ->> 7, value ->> 8), 2) AS mail
    FROM history AS chunk, json_each(chunk.rows)
    WHERE chunk.last > 0 AND chunk.at >= ? AND value ->> 0 = 1 AND (
      (value ->> 1 = ${rules('attempt')} AND value ->> 3 IS NULL AND value ->> 6 <> '')
      OR value ->> 1 IN (${rules('promotion', 'release', 'pool')})))
  GROUP BY mail HAVING addresses >= ? ORDER BY addresses DESC, mail LIMIT ?`

/** Sender, recipient, addresses, tries, tuples, first and last try, clients as `clientsOf` reads them. */
export type DeferredTuples = [string, string, number, number, number, number, number, string]
/** JSON of sender and recipient without its first bracket, addresses, tries, first and last try, pass, clients. */
export type DeferredHistory = [string, number, number, number, number, number | null, string]

/** See `Store.readDeferred`. */
export function readDeferredMails(connection: Connection, query: DeferredQuery): DeferredMails {
  const { sinceSec, minAddresses, limit } = query
  const wanted = [sinceSec, minAddresses, limit + 1]
  const history = connection.hasMarks
    ? (connection.prepareRaw(FROM_HISTORY).all(...wanted) as DeferredHistory[])
    : []
  const select = connection.hasMarks ? FROM_TUPLES : FROM_TUPLES.replaceAll('coalesce(last, first)', 'first')
  type StoredRow = [Buffer, Buffer, number, number, number, number, number, Buffer]
  const tuples = (connection.prepareRaw(select).all(...wanted) as StoredRow[]).map(
    ([from, to, addresses, tries, count, first, last, clients]): DeferredTuples => [
      from.toString('latin1'),
      to.toString('latin1'),
      addresses,
      tries,
      count,
      first,
      last,
      clients.toString('latin1'),
    ],
  )
  return joinDeferred(history, tuples, limit)
}

/** What history and tuples tell together; of each up to `limit` mails, a row more says that there are others. */
export function joinDeferred(
  history: readonly DeferredHistory[],
  tuples: readonly DeferredTuples[],
  limit: number,
): DeferredMails {
  const mails = new Map<string, DeferredMail>()
  for (const [mail, addressCount, tries, firstSec, lastSec, passedSec, clients] of history.slice(0, limit)) {
    const [from, to] = JSON.parse(`[${mail}`) as [string, string]
    mails.set(`${from}\0${to}`, {
      from,
      to,
      tries,
      firstSec,
      lastSec,
      passedSec: passedSec ?? undefined,
      addressCount,
      clients: clientsOf(clients, (helo) => JSON.parse(`"${helo}"`) as string),
    })
  }
  for (const row of tuples.slice(0, limit)) addTuples(mails, row)
  return { mails: [...mails.values()], isCut: history.length > limit || tuples.length > limit }
}

/** Adds what the tuples of a mail tell beyond the history, which has a row for the first try of each. */
function addTuples(mails: Map<string, DeferredMail>, row: DeferredTuples): void {
  const [from, to, addressCount, tries, tupleCount, firstSec, lastSec, clientText] = row
  const clients = clientsOf(clientText, (helo) => helo)
  const known = mails.get(`${from}\0${to}`)
  if (known === undefined) {
    const mail = { from, to, tries, firstSec, lastSec, passedSec: undefined, addressCount, clients }
    mails.set(`${from}\0${to}`, mail)
    return
  }
  known.tries = Math.max(tries, known.tries + tries - tupleCount)
  known.firstSec = Math.min(known.firstSec, firstSec)
  known.lastSec = Math.max(known.lastSec, lastSec)
  const ips = new Set(known.clients.map(({ ip }) => ip))
  for (const client of clients) {
    if (ips.has(client.ip) || known.clients.length >= MAX_CLIENTS) continue
    known.clients.push(client)
    ips.add(client.ip)
  }
  known.addressCount = Math.max(known.addressCount, addressCount, ips.size)
}

/** `IP\1HELO\2IP\1HELO`, each address once. */
function clientsOf(text: string, decode: (helo: string) => string): DeferredMail['clients'] {
  const clients: DeferredMail['clients'] = []
  const seen = new Set<string>()
  for (const pair of text.split('\x02')) {
    const [ip = '', helo = ''] = pair.split('\x01')
    if (seen.has(ip)) continue
    seen.add(ip)
    clients.push({ ip, helo: decode(helo) })
    if (clients.length === MAX_CLIENTS) break
  }
  return clients
}
