import { CHANGE_RULES } from '../../domain/change.js'
import type { DeferredMail, DeferredMails, DeferredQuery } from '../../domain/deferred-mail.js'
import { clientsOf, type DeferredTuples, joinDeferred } from '../deferred-mails.js'
import type { PgLink } from './pg-link.js'

const rules = (...wanted: (typeof CHANGE_RULES)[number][]): string =>
  wanted.map((name) => CHANGE_RULES.indexOf(name)).join(', ')

/** The statement of deferred-mails.ts. */
const FROM_TUPLES = `SELECT convert_from(sender, 'LATIN1'), convert_from(recipient, 'LATIN1'), count(DISTINCT ip) AS addresses,
    sum(bcount)::bigint, count(*), min(first), max(coalesce(last, first)),
    string_agg(ip || chr(1) || convert_from(helo, 'LATIN1'), chr(2) ORDER BY ip, helo)
  FROM spamd.tuples WHERE helo <> '' AND NOT is_removed AND coalesce(last, first) >= $1
  GROUP BY sender, recipient HAVING count(DISTINCT ip) >= $2 ORDER BY addresses DESC, sender, recipient LIMIT $3`
/** The key of a tuple in the history is ADDRESS, blank, a JSON array of HELO, sender and recipient. */
const FROM_HISTORY = `SELECT mail, count(DISTINCT ip) FILTER (WHERE tried) AS addresses, count(*) FILTER (WHERE tried),
    min(at) FILTER (WHERE tried), max(at) FILTER (WHERE tried), max(at) FILTER (WHERE NOT tried),
    string_agg(ip || chr(1) || helo, chr(2) ORDER BY seq) FILTER (WHERE tried)
  FROM (SELECT seq, at, rule = ${rules('attempt')} AS tried, left(key, strpos(key, ' ') - 1) AS ip,
      substr(to_json(names ->> 0)::text, 2, length(to_json(names ->> 0)::text) - 2) AS helo,
      substr(json_build_array(names ->> 1, names ->> 2)::text, 2) AS mail
    FROM spamd.history, LATERAL (SELECT substr(key, strpos(key, ' ') + 1)::jsonb AS names) AS fields
    WHERE kind = 1 AND at >= $1 AND strpos(key, ' ["') > 0 AND (
      (rule = ${rules('attempt')} AND before IS NULL AND strpos(key, ' ["",') = 0)
      OR rule IN (${rules('promotion', 'release', 'pool')}))) AS h
  GROUP BY mail HAVING count(DISTINCT ip) FILTER (WHERE tried) >= $2 ORDER BY addresses DESC, mail LIMIT $3`

/** JSON of sender and recipient without its first bracket, addresses, tries, first and last try, pass, clients. */
type HistoryMail = [string, number, number, number, number, number | null, string]

function mailOf([
  mail,
  addressCount,
  tries,
  firstSec,
  lastSec,
  passedSec,
  clients,
]: HistoryMail): DeferredMail {
  const [from, to] = JSON.parse(`[${mail}`) as [string, string]
  return {
    from,
    to,
    tries,
    firstSec,
    lastSec,
    passedSec: passedSec ?? undefined,
    addressCount,
    clients: clientsOf(clients, (helo) => JSON.parse(`"${helo}"`) as string),
  }
}

/** See `Store.readDeferred`. */
export async function readDeferred(
  link: PgLink,
  { sinceSec, minAddresses, limit }: DeferredQuery,
): Promise<DeferredMails> {
  return link.read('readDeferred', async (statements) => {
    const wanted = [sinceSec, minAddresses, limit + 1]
    const history = await statements.rows(FROM_HISTORY, wanted)
    const tuples = await statements.rows(FROM_TUPLES, wanted)
    const mails = (history as unknown as HistoryMail[]).map(mailOf)
    return joinDeferred({ mails, isCut: false }, tuples as unknown as DeferredTuples[], limit)
  })
}
