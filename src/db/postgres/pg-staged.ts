/**
 * How entries that an import has put aside on the server get into the tables. Where nothing has to be decided, one statement
 * for each table stores them; decide-import.ts decides about the others. A key needs a decision if entries of the import
 * repeat it, and if what is on record has stamps that the import would have to keep or be later than.
 */
import type { Entry, GreyEntry, HostEntry } from '../../domain/entry.js'
import { commentValue } from '../tables/wire-value.js'
import type { Row } from './pg-link.js'
import { digestOf, netOf, wireText } from './pg-rows.js'
import { IS_POOL_TUPLE } from './pg-schema.js'

/** The statements for one table; `$1` to `$3` are the stamp of the import and true if existing entries stay. */
export interface StagedSql {
  /** Its columns behind `n`, the number of the entry, with their types. */
  columns: string
  /** Takes `n` and the columns as arrays, to which `append` adds an entry. */
  stage: string
  columnCount: number
  append: (columns: readonly unknown[][], n: number, entry: Entry) => void
  /** How many keys are new, for tuples also those of pools and their bytes. */
  countNew: string
  /** Stores the first entry of each key where nothing has to be decided; the number of rows written. */
  merge: string
  /** Of all staged entries, as `s`, those that need a decision after that. */
  choose: string
  order: string
  /** Takes the places between two, and gives what `entryOf` makes an entry of. */
  read: string
  entryOf: (row: Row) => Entry
}

const counted = (insert: string): string =>
  `WITH merged AS (${insert} RETURNING 1) SELECT count(*) FROM merged`
const readChosen = (table: string, columns: string): string =>
  `SELECT ${columns} FROM chosen_${table} WHERE place > $1 AND place <= $2 ORDER BY place`
/** True for an entry whose key is repeated: replaying all of them leaves the same where the first is stored already. */
const repeated = (table: string, key: string): string => {
  const ofStaged = key.replace(/\w+/g, 's.$&')
  return `(${ofStaged}) IN (SELECT ${key} FROM staged_${table} GROUP BY ${key} HAVING count(*) > 1)`
}

const TIMES = 'first bigint, pass bigint, expire bigint, bcount bigint, pcount bigint'
const HOST_COLUMNS = `net text COLLATE "C", ip text COLLATE "C", kind text, ${TIMES}, comment text`
const TUPLE_COLUMNS = `net text COLLATE "C", ip text COLLATE "C", digest uuid, helo bytea, sender bytea, recipient bytea, ${TIMES}`

const FIRST_HOSTS = 'SELECT DISTINCT ON (ip, net) * FROM staged_hosts ORDER BY ip, net, n'
const FIRST_SPAMTRAPS = 'SELECT DISTINCT ON (address) * FROM staged_spamtraps ORDER BY address, n'
const FIRST_TUPLES = 'SELECT DISTINCT ON (ip, digest, net) * FROM staged_tuples ORDER BY ip, digest, net, n'

/** An entry without a comment keeps the one on record, by which it is fixed by hand. */
const HOST_COMMENT = 'coalesce(excluded.comment, h.comment)'
const IS_FIXED = `(excluded.expire = 0 OR ${HOST_COMMENT} IS NOT NULL)`

const HOSTS: StagedSql = {
  columns: HOST_COLUMNS,
  stage: `INSERT INTO staged_hosts SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[],
    $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[])`,
  columnCount: 10,
  append: (columns, n, entry) => {
    const { ip, kind, comment } = entry as HostEntry
    columns[0]!.push(n)
    columns[1]!.push(netOf(ip))
    columns[2]!.push(wireText(ip))
    columns[3]!.push(kind)
    appendTimes(columns, 4, entry as HostEntry)
    columns[9]!.push(commentValue(comment))
  },
  countNew: `SELECT count(*) FROM (${FIRST_HOSTS}) s
    WHERE NOT EXISTS (SELECT 1 FROM spamd.hosts h WHERE h.net = s.net AND h.ip = s.ip AND h.kind <> '-')`,
  merge:
    counted(`INSERT INTO spamd.hosts AS h (net, ip, kind, first, pass, expire, bcount, pcount, comment, reset_at, reset_node,
      grant_at, grant_node, white_at, white_node, trap_at, trap_node, hand_at, hand_node, hand_pinned, hand_kind)
    SELECT net, ip, kind, first, pass, expire, bcount, pcount, comment, $1::bigint, $2::bigint,
      CASE WHEN kind = 'WHITE' THEN $1 END, CASE WHEN kind = 'WHITE' THEN $2 END,
      CASE WHEN kind = 'WHITE' THEN $1 END, CASE WHEN kind = 'WHITE' THEN $2 END,
      CASE WHEN kind = 'TRAPPED' THEN $1 END, CASE WHEN kind = 'TRAPPED' THEN $2 END,
      CASE WHEN is_fixed THEN $1 END, CASE WHEN is_fixed THEN $2 END,
      CASE WHEN is_fixed THEN expire = 0 END, CASE WHEN is_fixed THEN kind END
    FROM (SELECT *, expire = 0 OR comment IS NOT NULL AS is_fixed FROM (${FIRST_HOSTS}) AS f) AS s
    ON CONFLICT (ip, net) DO UPDATE SET (kind, first, pass, expire, bcount, pcount, comment, reset_at, reset_node, grant_at,
      grant_node, white_at, white_node, trap_at, trap_node, hand_at, hand_node, hand_pinned, hand_kind, hand_expire, white_first,
      white_pass, white_expire, trap_first, trap_expire) = ROW(excluded.kind, excluded.first, excluded.pass, excluded.expire,
      excluded.bcount, excluded.pcount, ${HOST_COMMENT}, excluded.reset_at, excluded.reset_node, excluded.grant_at,
      excluded.grant_node, excluded.white_at, excluded.white_node, excluded.trap_at, excluded.trap_node,
      CASE WHEN ${IS_FIXED} THEN $1 END, CASE WHEN ${IS_FIXED} THEN $2 END, CASE WHEN ${IS_FIXED} THEN excluded.expire = 0 END,
      CASE WHEN ${IS_FIXED} THEN excluded.kind END, NULL, NULL, NULL, NULL, NULL, NULL)
    WHERE (NOT $3::boolean OR h.kind = '-') AND greatest(h.reset_at, h.grant_at, h.white_at, h.trap_at, h.hand_at, 0) < $1`),
  // All that an import stores was reset by it.
  choose: `staged_hosts s JOIN spamd.hosts h ON h.net = s.net AND h.ip = s.ip WHERE h.kind = '-'
    OR NOT $3::boolean AND ((h.reset_at, h.reset_node) IS DISTINCT FROM ($1::bigint, $2::bigint) OR ${repeated('hosts', 'ip, net')})`,
  order: 's.ip, s.net, s.n',
  read: readChosen('hosts', 'ip, kind, first, pass, expire, bcount, pcount, comment'),
  entryOf: (row) => {
    const [ip, kind, first, pass, expire, bcount, pcount, comment] = row as [
      string,
      HostEntry['kind'],
      ...Times,
      string | null,
    ]
    return { kind, ip, first, pass, expire, bcount, pcount, ...(comment !== null && { comment }) }
  },
}

const SPAMTRAPS: StagedSql = {
  columns: 'address bytea, first bigint, comment text',
  stage: `INSERT INTO staged_spamtraps SELECT n, convert_to(address, 'LATIN1'), first, comment
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[]) k(n, address, first, comment)`,
  columnCount: 4,
  append: (columns, n, entry) => {
    const { address, first, comment } = entry as Extract<Entry, { kind: 'SPAMTRAP' }>
    columns[0]!.push(n)
    columns[1]!.push(wireText(address))
    columns[2]!.push(first)
    columns[3]!.push(commentValue(comment))
  },
  countNew: `SELECT count(*) FROM (${FIRST_SPAMTRAPS}) s
    WHERE NOT EXISTS (SELECT 1 FROM spamd.spamtraps t WHERE t.address = s.address AND NOT t.is_removed)`,
  merge: counted(`INSERT INTO spamd.spamtraps AS t (address, is_removed, first, comment, stamp_at, stamp_node)
    SELECT address, false, first, comment, $1::bigint, $2::bigint FROM (${FIRST_SPAMTRAPS}) s
    ON CONFLICT (digest) DO UPDATE SET is_removed = false, first = excluded.first, comment = coalesce(excluded.comment, t.comment),
      stamp_at = excluded.stamp_at, stamp_node = excluded.stamp_node
    WHERE (NOT $3::boolean OR t.is_removed) AND coalesce(t.stamp_at, 0) < $1`),
  choose: `staged_spamtraps s JOIN spamd.spamtraps t ON t.digest = md5(s.address)::uuid WHERE t.is_removed
    OR NOT $3::boolean AND ((t.stamp_at, t.stamp_node) IS DISTINCT FROM ($1::bigint, $2::bigint)
      OR ${repeated('spamtraps', 'address')})`,
  order: 's.address, s.n',
  read: readChosen('spamtraps', `convert_from(address, 'LATIN1'), first, comment`),
  entryOf: (row) => {
    const [address, first, comment] = row as [string, number, string | null]
    return { kind: 'SPAMTRAP', address, first, ...(comment !== null && { comment }) }
  },
}

const TUPLES: StagedSql = {
  columns: TUPLE_COLUMNS,
  stage: `INSERT INTO staged_tuples SELECT n, net, ip, digest, convert_to(helo, 'LATIN1'),
      convert_to(sender, 'LATIN1'), convert_to(recipient, 'LATIN1'), first, pass, expire, bcount, pcount
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[],
      $10::bigint[], $11::bigint[], $12::bigint[])
      k(n, net, ip, digest, helo, sender, recipient, first, pass, expire, bcount, pcount)`,
  columnCount: 12,
  append: (columns, n, entry) => {
    const tuple = entry as GreyEntry
    columns[0]!.push(n)
    columns[1]!.push(netOf(tuple.ip))
    columns[2]!.push(wireText(tuple.ip))
    columns[3]!.push(digestOf(tuple))
    columns[4]!.push(wireText(tuple.helo))
    columns[5]!.push(wireText(tuple.from))
    columns[6]!.push(wireText(tuple.to))
    appendTimes(columns, 7, tuple)
  },
  countNew: `SELECT count(*) FILTER (WHERE NOT ${IS_POOL_TUPLE}), count(*) FILTER (WHERE ${IS_POOL_TUPLE}), coalesce(sum(octet_length(helo) + octet_length(sender) + octet_length(recipient)), 0)::bigint
    FROM (${FIRST_TUPLES}) s WHERE NOT EXISTS (
      SELECT 1 FROM spamd.tuples t WHERE t.net = s.net AND t.ip = s.ip AND t.digest = s.digest AND NOT t.is_removed)`,
  merge:
    counted(`INSERT INTO spamd.tuples AS t (net, ip, digest, helo, sender, recipient, is_removed, first, pass, expire, bcount, pcount)
    SELECT net, ip, digest, helo, sender, recipient, false, first, pass, expire, bcount, pcount FROM (${FIRST_TUPLES}) s
    ON CONFLICT (ip, digest, net) DO UPDATE SET first = excluded.first, pass = excluded.pass, expire = excluded.expire,
      bcount = excluded.bcount, pcount = excluded.pcount, last = NULL, first_node = NULL, last_node = NULL
    WHERE NOT $1::boolean AND NOT t.is_removed AND t.epoch_at IS NULL`),
  choose: `staged_tuples s JOIN spamd.tuples t ON t.net = s.net AND t.ip = s.ip AND t.digest = s.digest WHERE t.is_removed
    OR NOT $1::boolean AND (t.epoch_at IS NOT NULL OR ${repeated('tuples', 'ip, digest, net')})`,
  order: 's.ip, s.digest, s.net, s.n',
  read: readChosen(
    'tuples',
    `ip, convert_from(helo, 'LATIN1'), convert_from(sender, 'LATIN1'), convert_from(recipient, 'LATIN1'), first, pass,
      expire, bcount, pcount`,
  ),
  entryOf: (row) => {
    const [ip, helo, from, to, first, pass, expire, bcount, pcount] = row as [
      ...[string, string, string, string],
      ...Times,
    ]
    return { kind: 'GREY', ip, helo, from, to, first, pass, expire, bcount, pcount }
  },
}

function appendTimes(columns: readonly unknown[][], at: number, entry: HostEntry | GreyEntry): void {
  columns[at]!.push(entry.first)
  columns[at + 1]!.push(entry.pass)
  columns[at + 2]!.push(entry.expire)
  columns[at + 3]!.push(entry.bcount)
  columns[at + 4]!.push(entry.pcount)
}

type Times = [first: number, pass: number, expire: number, bcount: number, pcount: number]

/** By the names of the tables. */
export const STAGED_SQL = { hosts: HOSTS, spamtraps: SPAMTRAPS, tuples: TUPLES } as const
