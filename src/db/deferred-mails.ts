/**
 * Mail that came from several addresses. Tuples cover the last hours, with the number of tries, and SQLite
 * groups a million of them in a second and a half, within its page cache; the history covers the days before,
 * once for each address.
 */
import type { DeferredMail, DeferredMails, DeferredQuery } from '../domain/deferred-mail.js'
import type { Connection } from './connection.js'
import { MAX_CLIENTS, readDeferredHistory } from './deferred-history.js'

/** Keys of pools have no HELO and name no address. */
const FROM_TUPLES = `SELECT CAST("from" AS BLOB), CAST("to" AS BLOB), count(DISTINCT ip) AS addresses, sum(bcount),
    count(*), min(first), max(coalesce(last, first)),
    CAST(group_concat(ip || char(1) || helo, char(2)) AS BLOB)
  FROM tuples WHERE helo <> '' AND coalesce(last, first) >= ?
  GROUP BY "from", "to" HAVING addresses >= ? ORDER BY addresses DESC, "from", "to" LIMIT ?`

/** Sender, recipient, addresses, tries, tuples, first and last try, clients as `clientsOf` reads them. */
export type DeferredTuples = [string, string, number, number, number, number, number, string]
/** See `Store.readDeferred`. */
export function readDeferredMails(connection: Connection, query: DeferredQuery): DeferredMails {
  const { sinceSec, minAddresses, limit } = query
  const wanted = [sinceSec, minAddresses, limit + 1]
  const history = connection.hasMarks ? readDeferredHistory(connection, query) : { mails: [], isCut: false }
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

/** Combines history and tuples; up to `limit` mails of each, one more means that there are others. */
export function joinDeferred(
  { mails: told, isCut }: DeferredMails,
  tuples: readonly DeferredTuples[],
  limit: number,
): DeferredMails {
  const mails = new Map(told.slice(0, limit).map((mail) => [`${mail.from}\0${mail.to}`, mail]))
  for (const row of tuples.slice(0, limit)) addTuples(mails, row)
  return { mails: [...mails.values()], isCut: isCut || told.length > limit || tuples.length > limit }
}

/** Adds what the tuples of a mail contain beyond the history, which has a row for the first try of each. */
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

/** `IP\1HELO\2IP\1HELO`, each address once; `decode` reads a HELO. */
export function clientsOf(text: string, decode: (helo: string) => string): DeferredMail['clients'] {
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
